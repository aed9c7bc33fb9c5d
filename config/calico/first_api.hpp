#pragma once

#include "base/error.hpp"
#include "config/codec/tree.hpp"

/// Calico's first API (apiVersion v1; kinds policy, profile, hostEndpoint, ipPool, bgpPeer, node, workloadEndpoint) in
/// terms of projectcalico.org/v3, as Calico's own upgrade converted it: names that today's kinds cannot hold are
/// changed, tags become labels without value, actions and modes get today's spelling.
namespace manul::calico {

/// Whether the document is of the first API.
[[nodiscard]] bool is_first_api(const codec::Tree& document) noexcept;

/// Fails where the document says something that has no place today, or lacks what its name is made of.
[[nodiscard]] Result<codec::Tree> from_first_api(const codec::Tree& document);

}  // namespace manul::calico
