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

std::vector<Rule> leaving_pools(net::Family family, const Config& config) {
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
        if (config.nat_port_range) {
            Rule rule{{MatchProtocol{protocol.number()}}, {translate(config.nat_port_range)}};
            rule.matches.insert(rule.matches.end(), matches.begin(), matches.end());
            rules.push_back(std::move(rule));
        }
    }
    rules.push_back({std::move(matches), {translate(std::nullopt)}});
    return rules;
}

}  // namespace

ChainPtr nat_postrouting(net::Family family, const Config& config, bool masquerades,
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
        std::ranges::move(leaving_pools(family, config), std::back_inserter(rules));
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
