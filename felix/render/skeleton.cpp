#include "felix/render/skeleton.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "felix/model/config.hpp"
#include "felix/model/rule_id.hpp"
#include "felix/render/denial.hpp"
#include "felix/render/names.hpp"
#include "felix/render/rule.hpp"
#include "felix/render/ruleset.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

namespace manul::felix::render {

namespace {

constexpr std::uint8_t kIcmpv6 = 58;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kIpInIp = 4;
// RFC 2710, 4861, 3810: what a node and its links need of each other. They are not tracked as connections.
constexpr std::uint8_t kMldQuery = 130;
constexpr std::uint8_t kMldReport = 131;
constexpr std::uint8_t kMldDone = 132;
constexpr std::uint8_t kRouterSolicitation = 133;
constexpr std::uint8_t kNeighbourSolicitation = 135;
constexpr std::uint8_t kNeighbourAdvertisement = 136;
constexpr std::uint8_t kMldReport2 = 143;

// Priorities: before connection tracking (-200), after destination NAT (-100), where filters stand (0).
constexpr std::int32_t kRaw = -300;
constexpr std::int32_t kAfterDnat = -90;
constexpr std::int32_t kFilter = 0;
constexpr std::int32_t kBeforeMasquerading = -150;

/// Where interfaces without a class go: a closing rule for each prefix of workload interface names.
constexpr const char* kOutside = "outside";

NamedChain outside(net::Family family, const Config& config, TableId table) {
    const bool in = table == TableId::egress;
    std::vector<Rule> rules;
    for (const std::string& prefix : config.interface_prefixes) {
        append_denial(rules, {workload(in ? MatchInterface::Way::in : MatchInterface::Way::out, prefix)},
                      DenyAction::drop, unknown_interface_id(), in ? Direction::egress : Direction::ingress, config);
    }
    return {table, kOutside, Chain::make(family, std::move(rules))};
}

/// The class of the interface judges; what holds for workloads of all classes stands before it, once.
void append_classes(std::vector<Rule>& rules, MatchInterface::Way way, const Config& config) {
    const bool in = way == MatchInterface::Way::in;
    const Direction direction = in ? Direction::egress : Direction::ingress;
    rules.push_back({{MatchWorkloadGroup{way, true}}, {go_to(kOutside)}});
    if (config.drop_invalid_state) {
        append_denial(rules, {MatchCtState{kCtInvalid}}, DenyAction::drop, invalid_state_id(), direction, config);
    }
    // Else the next packet of a connection that was cut begins it anew, in the direction of whoever sends it.
    if (config.cut_denied_connections) {
        append_denial(rules, {MatchCtState{kCtNew}, MatchProtocol{kTcp}, MatchMidStream{}}, DenyAction::drop,
                      mid_stream_id(), direction, config);
    }
    // A pod that makes tunnels of its own could send into other nodes' pods past all policy.
    if (in && !config.allow_vxlan_from_workloads) {
        const auto port = net::PortRange::make(config.vxlan_port, config.vxlan_port);
        if (port) {
            append_denial(rules, {MatchProtocol{kUdp}, MatchPort{Side::destination, {*port}}}, DenyAction::drop,
                          workload_tunnel_id(), direction, config);
        }
    }
    if (in && !config.allow_ipip_from_workloads) {
        append_denial(rules, {MatchProtocol{kIpInIp}}, DenyAction::drop, workload_tunnel_id(), direction, config);
    }
    rules.push_back({{}, {LookupVerdict{{in ? Field::in_group : Field::out_group}, std::string(names::kClassMap)}}});
    rules.push_back({{}, {go_to(kOutside)}});
}

NamedChain egress_hook(net::Family family, const Config& config) {
    std::vector<Rule> rules{established()};
    if (family == net::Family::v6) {
        const std::vector<std::uint8_t> types{
            kMldQuery, kMldReport, kMldDone, kRouterSolicitation, kNeighbourSolicitation, kNeighbourAdvertisement};
        const MatchProtocol icmp{kIcmpv6};
        const std::vector<net::Prefix> on_link{*net::Prefix::parse("fe80::/10"), *net::Prefix::parse("ff00::/8")};
        rules.push_back({{icmp, MatchIcmpTypes{types}, MatchAddress{Side::destination, on_link}}, {accept()}});
        rules.push_back({{icmp, MatchIcmpTypes{types}, MatchLocalDestination{}}, {accept()}});
    }
    append_classes(rules, MatchInterface::Way::in, config);
    return {TableId::egress, "pre_hook",
            Chain::make(family, std::move(rules), Hook{Hook::Type::filter, Hook::Point::prerouting, kAfterDnat})};
}

/// The node's own packets to its pods; `point` is output, or postrouting for those that were given another destination
/// behind output.
NamedChain own_traffic_hook(net::Family family, const Config& config, Hook::Point point) {
    const bool output = point == Hook::Point::output;
    std::vector<Rule> rules{established()};
    if (output) {
        rules.push_back({{MatchCtStatus{kCtDestinationNat}}, {accept()}});
    } else {
        rules.push_back({{MatchCtStatus{kCtDestinationNat}, MatchFromNode{}},
                         {LookupVerdict{{Field::out_group}, std::string(names::kClassMap)}}});
    }
    if (output) {
        if (family == net::Family::v6) {
            const std::vector<std::uint8_t> neighbours{kNeighbourSolicitation, kNeighbourAdvertisement};
            rules.push_back({{MatchProtocol{kIcmpv6}, MatchIcmpTypes{neighbours}}, {accept()}});
        }
        append_classes(rules, MatchInterface::Way::out, config);
    }
    return {
        TableId::ingress, output ? "out_hook" : "post_hook",
        Chain::make(family, std::move(rules), Hook{Hook::Type::filter, point, output ? kFilter : kBeforeMasquerading})};
}

NamedChain ingress_hook(net::Family family, const Config& config) {
    std::vector<Rule> rules{established()};
    append_classes(rules, MatchInterface::Way::out, config);
    return {TableId::ingress, "fwd_hook",
            Chain::make(family, std::move(rules), Hook{Hook::Type::filter, Hook::Point::forward, kFilter})};
}

}  // namespace

Rule established() { return {{MatchCtState{kCtEstablished | kCtRelated}}, {accept()}}; }

MatchInterface workload(MatchInterface::Way way, const std::string& prefix) { return {way, prefix, true}; }

TableKey policy_table(net::Family family, Direction direction) noexcept {
    return {family, direction == Direction::egress ? TableId::egress : TableId::ingress};
}

std::vector<std::vector<Match>> tunnel_packets(net::Family family, const Config& config, const Tunnels& tunnels) {
    std::vector<std::vector<Match>> kinds;
    const auto add_udp = [&kinds](std::uint16_t port) {
        kinds.push_back({MatchProtocol{kUdp}, MatchPort{Side::destination, {*net::PortRange::make(port, port)}}});
    };
    if (tunnels.vxlan(family)) {
        add_udp(config.vxlan_port);
    }
    if (const auto port = tunnels.wireguard(family)) {
        add_udp(*port);
    }
    if (family == net::Family::v4 && tunnels.ip_in_ip) {
        kinds.push_back({MatchProtocol{kIpInIp}});
    }
    return kinds;
}

ChainPtr untracked_tunnels(net::Family family, const Config& config) {
    const auto port = *net::PortRange::make(config.vxlan_port, config.vxlan_port);
    return Chain::make(family, {Rule{{MatchProtocol{kUdp}, MatchPort{Side::destination, {port}}}, {Notrack{}}}},
                       Hook{Hook::Type::filter, Hook::Point::output, kRaw});
}

ChainPtr spoofing_chain(net::Family family, const Config& config, const Tunnels& tunnels,
                        const std::vector<SpoofExemption>& exemptions) {
    std::vector<Rule> rules;
    if (tunnels.vxlan(family)) {  // both ways of a tunnel have the same destination port: there are no answers
        const auto port = *net::PortRange::make(config.vxlan_port, config.vxlan_port);
        Rule rule{{MatchProtocol{kUdp}, MatchPort{Side::destination, {port}}, MatchLocalDestination{}}, {Notrack{}}};
        for (const std::string& prefix : config.interface_prefixes) {
            MatchInterface from = workload(MatchInterface::Way::in, prefix);
            from.negated = true;
            rule.matches.insert(rule.matches.begin(), from);
        }
        rules.push_back(std::move(rule));
    }
    for (const SpoofExemption& exemption : exemptions) {
        const auto prefixes = normalized(exemption.prefixes, family);
        if (!prefixes.empty()) {
            rules.push_back(
                {{MatchInterface{MatchInterface::Way::in, exemption.interface}, MatchAddress{Side::source, prefixes}},
                 {accept()}});
        }
    }
    for (const std::string& prefix : config.interface_prefixes) {
        const MatchInterface from = workload(MatchInterface::Way::in, prefix);
        if (family == net::Family::v6) {
            // Duplicate address detection and multicast reports come from the unspecified address, which has no route.
            const auto unspecified = net::Prefix::host(net::Ip6{});
            rules.push_back(
                {{from, MatchAddress{Side::source, {unspecified}}, MatchProtocol{kIcmpv6},
                  MatchIcmpTypes{{kMldReport, kMldDone, kRouterSolicitation, kNeighbourSolicitation, kMldReport2}}},
                 {accept()}});
        }
        append_denial(rules, {from, MatchSpoofed{}}, DenyAction::drop, spoofed_source_id(), Direction::egress, config);
    }
    return Chain::make(family, std::move(rules), Hook{Hook::Type::filter, Hook::Point::prerouting, kRaw});
}

std::vector<NamedSet> skeleton_sets() {
    const SetType ranges{{Field::source_address}, SetType::Shape::ranges};
    return {
        {TableId::nat, std::string(names::kNatPools), ranges},
        {TableId::nat, std::string(names::kAllPools), ranges},
        {TableId::host, std::string(names::kNodes), ranges},
        {TableId::egress, std::string(names::kClassMap), {{Field::in_group}, SetType::Shape::verdicts}},
        {TableId::ingress, std::string(names::kClassMap), {{Field::out_group}, SetType::Shape::verdicts}},
    };
}

std::vector<NamedChain> skeleton_chains(net::Family family, const Config& config) {
    std::vector<NamedChain> chains{outside(family, config, TableId::egress), outside(family, config, TableId::ingress),
                                   egress_hook(family, config), ingress_hook(family, config)};
    if (config.host_to_workload_policy) {
        chains.push_back(own_traffic_hook(family, config, Hook::Point::output));
        chains.push_back(own_traffic_hook(family, config, Hook::Point::postrouting));
    }
    return chains;
}

}  // namespace manul::felix::render
