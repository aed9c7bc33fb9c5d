#include "felix/render/nat.hpp"

#include <set>

#include "felix/render/names.hpp"

namespace manul::felix::render {

namespace {

constexpr std::int32_t kDestinationNat = -100;
constexpr std::int32_t kSourceNat = 100;

net::Prefix loopback(net::Family family) {
    return family == net::Family::v4 ? *net::Prefix::parse("127.0.0.0/8") : *net::Prefix::parse("::1/128");
}

}  // namespace

ChainPtr nat_postrouting(net::Family family, const std::vector<PortForward>& forwards) {
    std::vector<Rule> rules{{{MatchSet{{Field::source_address}, std::string(names::kNatPools)},
                              MatchSet{{Field::destination_address}, std::string(names::kAllPools), true}},
                             {Masquerade{}}}};
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

ChainPtr nat_base(net::Family family, Hook::Point point) {
    Rule rule{{MatchLocalDestination{}}, {jump(kHostPortChain)}};
    if (point == Hook::Point::output) {  // loopback addresses cannot leave the node
        rule.matches.insert(rule.matches.begin(), MatchAddress{Side::destination, {loopback(family)}, true});
    }
    return Chain::make(family, {std::move(rule)}, Hook{Hook::Type::nat, point, kDestinationNat});
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
        if (port.host_ip) {
            rule.matches.emplace_back(MatchAddress{Side::destination, {net::Prefix::host(*port.host_ip)}});
        }
        rules.push_back(std::move(rule));
    }
    return Chain::make(family, std::move(rules));
}

}  // namespace manul::felix::render
