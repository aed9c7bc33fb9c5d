#pragma once

#include <string>

#include "ctl/context.hpp"

namespace manul::ctl {

/// bgp shutdown: this node's bgpd ends all sessions, with these words for the peers (RFC 9003), and takes its routes
/// out of the kernel.
[[nodiscard]] ExitCode bgp_shutdown(const Context& context, const std::string& message);
/// bgp start: ends a shutdown.
[[nodiscard]] ExitCode bgp_start(const Context& context);

}  // namespace manul::ctl
