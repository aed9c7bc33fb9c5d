#pragma once

#include <vector>

#include "felix/model/config.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/route.hpp"
#include "felix/render/ruleset.hpp"

/// Address translation for workloads: masquerading of what leaves the pools or enters a
/// tunnel, and ports of the node that lead to a pod.
namespace manul::felix::render {

/// One port of the node and where it leads.
struct PortForward {
    HostPort port;
    net::Ip target;
};

/// The chain in which all forwards stand, reached from the two base chains below.
inline constexpr const char* kHostPortChain = "host_ports";
/// The base chain of what leaves.
inline constexpr const char* kPostChain = "post";

/// `masquerades`: some pool wants it.
[[nodiscard]] ChainPtr nat_postrouting(net::Family family, const Config& config, const Tunnels& tunnels,
                                       bool masquerades, const std::vector<PortForward>& forwards,
                                       const std::vector<FloatingAddress>& floating);
/// Both base chains: `dnat_pre` for what comes from outside, `dnat_out` for the node's own connections. Floating
/// addresses come first; `forwards` says whether there are ports of the node.
[[nodiscard]] ChainPtr nat_base(net::Family family, Hook::Point point, const std::vector<FloatingAddress>& floating,
                                bool forwards);
[[nodiscard]] ChainPtr nat_host_ports(net::Family family, const std::vector<PortForward>& forwards);

}  // namespace manul::felix::render
