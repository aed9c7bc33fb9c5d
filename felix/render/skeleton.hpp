#pragma once

#include <string>
#include <vector>

#include "felix/model/config.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/route.hpp"
#include "felix/render/ruleset.hpp"

/// What every node has whatever its policies are: base chains, the maps that lead into classes, NAT of pods.
///
/// A new connection of a pod meets: `raw` (its source belongs behind this interface), `pre_hook` of the egress table
/// after destination NAT (the class of the interface that it came in by), and, when it goes to a pod of this node,
/// `fwd_hook` of the ingress table (the class of the interface that it leaves by), or, when it goes to the node itself,
/// `in_hook` of the host table. An `accept` ends only the base chain at hand, so each of them must let it pass. Packets
/// of connections that were let through before are accepted by the first rule of each. An interface with a workload's
/// name that has no class yet is closed in both directions. What the node itself sends to its pods is not judged.
namespace manul::felix::render {

/// Link group of an interface that is being deleted; groups of class pairs follow it.
inline constexpr std::uint32_t kClosedGroup = 0x6d000000;
inline constexpr std::uint32_t kFirstGroup = kClosedGroup + 1;
/// One past the last group that is ours.
inline constexpr std::uint32_t kEndGroup = 0x6e000000;

struct NamedChain {
    TableId table;
    std::string name;
    ChainPtr chain;
};
struct NamedSet {
    TableId table;
    std::string name;
    SetType type;
};

/// A workload that may send from these addresses besides its own.
struct SpoofExemption {
    std::string interface;
    std::vector<net::Prefix> prefixes;
};

/// Lets packets of known connections pass; the first rule of every hook.
[[nodiscard]] Rule established();
/// An interface whose name begins like a workload's.
[[nodiscard]] MatchInterface workload(MatchInterface::Way way, const std::string& prefix);

/// The table that judges what workloads send (egress) or get.
[[nodiscard]] TableKey policy_table(net::Family family, Direction direction) noexcept;

[[nodiscard]] std::vector<NamedSet> skeleton_sets();
/// Chain `pre` of the raw table.
[[nodiscard]] ChainPtr spoofing_chain(net::Family family, const Config& config, const Tunnels& tunnels,
                                      const std::vector<SpoofExemption>& exemptions);
/// Of the raw table, where VXLAN is used: what it sends has no connection.
inline constexpr const char* kTunnelOut = "tunnel_out";
[[nodiscard]] ChainPtr untracked_tunnels(net::Family family, const Config& config);
/// What packets of each kind of tunnel look like that the cluster uses.
[[nodiscard]] std::vector<std::vector<Match>> tunnel_packets(net::Family family, const Config& config,
                                                             const Tunnels& tunnels);
/// The base chains of the tables of workloads.
[[nodiscard]] std::vector<NamedChain> skeleton_chains(net::Family family, const Config& config);

}  // namespace manul::felix::render
