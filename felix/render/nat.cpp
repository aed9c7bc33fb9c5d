#include "felix/render/nat.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "felix/model/config.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/model/overlay.hpp"
#include "felix/model/route.hpp"
#include "felix/model/shared.hpp"
#include "felix/render/by_family.hpp"
#include "felix/render/names.hpp"
#include "felix/render/ruleset.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

namespace manul::felix::render {

namespace {

/// One port of the node and where it leads.
struct PortForward {
    HostPort port;
    net::Ip target;
};

constexpr const char* kHostPortChain = "host_ports";
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

/// `masquerades`: some pool wants it.
ChainPtr postrouting(net::Family family, const Config& config, const Tunnels& tunnels, bool masquerades,
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

/// Floating addresses come first; `forwards` says whether there are ports of the node.
ChainPtr destination_base(net::Family family, Hook::Point point, const std::vector<FloatingAddress>& floating,
                          bool forwards) {
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

ChainPtr host_ports(net::Family family, const std::vector<PortForward>& forwards) {
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

}  // namespace

void NatChains::put(const Shared<Endpoint>& endpoint) {
    const bool translates = !endpoint->host_ports.empty() || !endpoint->floating.empty();
    if (translates) {
        endpoints_.insert_or_assign(endpoint->key, endpoint);
        dirty_ = true;
    } else {
        remove(endpoint->key);
    }
}

void NatChains::remove(const EndpointKey& key) { dirty_ = endpoints_.erase(key) != 0 || dirty_; }

void NatChains::change_pools(const std::vector<IpPoolInfo>& before, const std::vector<IpPoolInfo>& now,
                             RulesetWriter& writer) {
    const auto ranges = [](const std::vector<IpPoolInfo>& pools, net::Family family, bool only_nat) {
        std::vector<net::Prefix> prefixes;
        for (const IpPoolInfo& pool : pools) {
            if (pool.cidr.family() == family && (pool.nat_outgoing || !only_nat)) {
                prefixes.push_back(pool.cidr);
            }
        }
        std::ranges::sort(prefixes);
        return ranges_of(prefixes);
    };
    for (const net::Family family : kFamilies) {
        for (const bool only_nat : {true, false}) {
            writer.change_ranges({family, TableId::nat}, only_nat ? names::kNatPools : names::kAllPools,
                                 ranges(before, family, only_nat), ranges(now, family, only_nat));
        }
    }
}

void NatChains::render(const Inputs& inputs, RulesetWriter& writer) {
    if (!std::exchange(dirty_, false)) {
        return;
    }
    std::vector<PortForward> forwards;
    std::vector<FloatingAddress> floating;
    for (const auto& [key, endpoint] : endpoints_) {
        floating.insert(floating.end(), endpoint->floating.begin(), endpoint->floating.end());
        for (const HostPort& port : endpoint->host_ports) {
            for (const net::Ip& address : endpoint->addresses) {
                forwards.push_back({port, address});
            }
        }
    }
    for (const net::Family family : kFamilies) {
        const TableKey table{family, TableId::nat};
        const bool masquerades = std::ranges::any_of(inputs.pools, [family](const IpPoolInfo& pool) {
            return pool.nat_outgoing && pool.cidr.family() == family;
        });
        // While there is such a chain the kernel makes a translation, if of nothing, for each new connection; without
        // any it stops to translate the connections that it has. So it comes with the first rule, and stays.
        const ChainPtr post = postrouting(family, *inputs.config, inputs.tunnels, masquerades, forwards, floating);
        if (!post->rules().empty() || writer.find_chain(table, kPostChain) != nullptr) {
            writer.put_chain(table, kPostChain, post);
        }
        const bool ports =
            std::ranges::any_of(forwards, [family](const auto& f) { return f.target.family() == family; });
        const bool any = ports || std::ranges::any_of(floating, [family](const auto& address) {
                             return address.external.family() == family;
                         });
        const std::array<std::pair<const char*, Hook::Point>, 2> bases{
            {{"dnat_pre", Hook::Point::prerouting}, {"dnat_out", Hook::Point::output}}};
        if (ports) {
            writer.put_chain(table, kHostPortChain, host_ports(family, forwards));
        }
        for (const auto& [name, point] : bases) {
            if (any) {
                writer.put_chain(table, name, destination_base(family, point, floating, ports));
            } else {
                writer.remove_chain(table, name);
            }
        }
        if (!ports) {
            writer.remove_chain(table, kHostPortChain);
        }
    }
}

}  // namespace manul::felix::render
