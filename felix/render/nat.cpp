#include "felix/render/nat.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "felix/model/config.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/overlay.hpp"
#include "felix/model/route.hpp"
#include "felix/render/names.hpp"
#include "felix/render/ruleset.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

namespace manul::felix::render {

namespace {

constexpr std::int32_t kDestinationNat = -100;
constexpr std::int32_t kSourceNat = 100;

net::Prefix loopback(net::Family family) {
    return family == net::Family::v4 ? *net::Prefix::parse("127.0.0.0/8") : *net::Prefix::parse("::1/128");
}

/// Only through interfaces of this name; a name that ends in + or * stands for all that begin so.
MatchInterface through(std::string name) {
    const bool prefix = name.ends_with('+') || name.ends_with('*');
    if (prefix) {
        name.pop_back();
    }
    return {MatchInterface::Way::out, std::move(name), prefix};
}

/// Answers to VXLAN's own port would be taken for tunnel packets. A range has no hole, so the wider side of the port.
net::PortRange ports_beside(std::uint16_t vxlan_port) {
    constexpr std::uint16_t kLeast = 1024;
    constexpr std::uint16_t kMost = 65535;
    const bool below = vxlan_port - kLeast >= kMost - vxlan_port;
    return below ? *net::PortRange::make(kLeast, vxlan_port - 1) : *net::PortRange::make(vxlan_port + 1, kMost);
}

std::optional<net::PortRange> ports_for(net::Protocol protocol, net::Family family, const Config& config,
                                        const Tunnels& tunnels) {
    return protocol == net::kUdp && tunnels.vxlan(family) ? std::optional(ports_beside(config.vxlan_port))
                                                          : std::nullopt;
}

/// Masquerades what the node itself sends into a tunnel with another of its addresses as the source: a connection to a
/// service, translated after its source was chosen, or a socket bound to one. Otherwise the answers take another way
/// back, and a strict reverse path filter on the other node drops the packet. Any source that is not the node's own is
/// a workload's.
void append_into_tunnel(std::vector<Rule>& rules, TunnelKind kind, const Config& config, const Tunnels& tunnels) {
    const std::vector<Match> matches{MatchInterface{MatchInterface::Way::out, std::string(device_name(kind))},
                                     MatchOwnSourceElsewhere{}};
    if (const auto ports = ports_for(net::kUdp, family_of(kind), config, tunnels)) {
        Rule rule{{MatchProtocol{net::kUdp.number()}}, {Masquerade{ports}}};
        rule.matches.insert(rule.matches.end(), matches.begin(), matches.end());
        rules.push_back(std::move(rule));
    }
    rules.push_back({matches, {Masquerade{}}});
}

std::vector<Rule> leaving_pools(net::Family family, const Config& config, const Tunnels& tunnels) {
    std::vector<Match> matches;
    if (!config.nat_interface_filter.empty()) {
        matches.emplace_back(through(config.nat_interface_filter));
    }
    matches.emplace_back(MatchSet{{Field::source_address}, std::string(names::kNatPools)});
    matches.emplace_back(MatchSet{{Field::destination_address}, std::string(names::kAllPools), true});
    const auto translate = [&](const std::optional<net::PortRange>& ports) -> Action {
        const auto& address = config.nat_outgoing_address;
        return address && address->family() == family ? Action(Snat{*address, ports}) : Action(Masquerade{ports});
    };
    std::vector<Rule> rules;
    for (const net::Protocol protocol : {net::kTcp, net::kUdp}) {
        const auto ports = config.nat_port_range ? config.nat_port_range : ports_for(protocol, family, config, tunnels);
        if (ports) {
            Rule rule{{MatchProtocol{protocol.number()}}, {translate(ports)}};
            rule.matches.insert(rule.matches.end(), matches.begin(), matches.end());
            rules.push_back(std::move(rule));
        }
    }
    rules.push_back({std::move(matches), {translate(std::nullopt)}});
    return rules;
}

}  // namespace

ChainPtr nat_postrouting(net::Family family, const Config& config, const Tunnels& tunnels, bool masquerades,
                         const std::vector<PortForward>& forwards, const std::vector<FloatingAddress>& floating) {
    std::vector<Rule> rules;
    // A pod that reaches itself through its floating address sees answers from that.
    for (const FloatingAddress& address : floating) {
        if (address.internal.family() == family) {
            const net::Prefix host = net::Prefix::host(address.internal);
            rules.push_back({{MatchAddress{Side::source, {host}}, MatchAddress{Side::destination, {host}},
                              MatchCtStatus{kCtDestinationNat}},
                             {Snat{address.external, std::nullopt}}});
        }
    }
    if (masquerades) {
        std::ranges::move(leaving_pools(family, config, tunnels), std::back_inserter(rules));
    }
    for (const TunnelKind kind : kTunnelKinds) {
        if (family_of(kind) == family && tunnels.has(kind)) {
            append_into_tunnel(rules, kind, config, tunnels);
        }
    }
    // A pod that reaches itself through its node's port would else see an answer from its own address.
    std::set<net::Ip> targets;
    for (const PortForward& forward : forwards) {
        if (forward.target.family() == family && targets.insert(forward.target).second) {
            const net::Prefix host = net::Prefix::host(forward.target);
            rules.push_back(
                {{MatchAddress{Side::source, {host}}, MatchAddress{Side::destination, {host}}}, {Masquerade{}}});
        }
    }
    return Chain::make(family, std::move(rules), Hook{Hook::Type::nat, Hook::Point::postrouting, kSourceNat});
}

ChainPtr nat_base(net::Family family, Hook::Point point, const std::vector<FloatingAddress>& floating, bool forwards) {
    std::vector<Rule> rules;
    for (const FloatingAddress& address : floating) {
        if (address.external.family() == family) {
            rules.push_back({{MatchAddress{Side::destination, {net::Prefix::host(address.external)}}},
                             {Dnat{address.internal, std::nullopt}}});
        }
    }
    if (forwards) {
        Rule rule{{MatchLocalDestination{}}, {jump(kHostPortChain)}};
        if (point == Hook::Point::output) {  // loopback addresses cannot leave the node
            rule.matches.insert(rule.matches.begin(), MatchAddress{Side::destination, {loopback(family)}, true});
        }
        rules.push_back(std::move(rule));
    }
    return Chain::make(family, std::move(rules), Hook{Hook::Type::nat, point, kDestinationNat});
}

ChainPtr nat_host_ports(net::Family family, const std::vector<PortForward>& forwards) {
    std::vector<Rule> rules;
    for (const auto& [port, target] : forwards) {
        if (target.family() != family || (port.host_ip && port.host_ip->family() != family)) {
            continue;
        }
        Rule rule{{MatchProtocol{port.protocol.number()},
                   MatchPort{Side::destination, {*net::PortRange::make(port.host_port, port.host_port)}}},
                  {Dnat{target, port.port}}};
        if (port.host_ip && !port.host_ip->is_unspecified()) {  // 0.0.0.0 is any address of the family
            rule.matches.emplace_back(MatchAddress{Side::destination, {net::Prefix::host(*port.host_ip)}});
        }
        rules.push_back(std::move(rule));
    }
    return Chain::make(family, std::move(rules));
}

}  // namespace manul::felix::render
