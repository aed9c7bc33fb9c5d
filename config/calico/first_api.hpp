#pragma once

#include <cstdint>
#include <string>
#include <vector>

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

/// A field that the first API did not have, and which a conversion therefore leaves out.
struct StrangeField {
    std::string path;
    std::uint32_t line = 0;
};
/// Of a document of the first API: all that `from_first_api` does not look at. What it copies as it is, and today's
/// kind does not know, is found by decoding the result.
[[nodiscard]] std::vector<StrangeField> strange_fields(const codec::Tree& document);

}  // namespace manul::calico
