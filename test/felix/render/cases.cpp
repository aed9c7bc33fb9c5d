#include "test/felix/render/cases.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/sha256.hpp"
#include "felix/model/address_set.hpp"
#include "felix/model/config.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/update.hpp"
#include "felix/render/renderer.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

namespace manul::felix::test {

namespace {

using net::kTcp;
using net::kUdp;

felix::Rule made(Action action, std::string_view owner, Direction direction, std::size_t n,
                 const std::function<void(felix::Rule&)>& edit) {
    felix::Rule rule;
    rule.action = action;
    rule.id = RuleId(sha256_first64(fmt::format("{}/{}/{}", owner, to_string(direction), n)));
    if (edit) {
        edit(rule);
    }
    return rule;
}

std::function<void(felix::Rule&)> to_port(net::Protocol protocol, std::uint16_t number) {
    return [=](felix::Rule& rule) {
        rule.protocol = protocol;
        rule.destination.ports = {port(number)};
    };
}

}  // namespace

PolicyBuilder::PolicyBuilder(std::string_view name, std::string_view ns, std::string_view tier_name) {
    policy.id = {ns.empty() ? PolicyKind::global_network_policy : PolicyKind::network_policy, std::string(ns),
                 std::string(name)};
    policy.tier = tier_name;
}
PolicyBuilder& PolicyBuilder::in(Action action, const std::function<void(felix::Rule&)>& edit) {
    policy.has_ingress = true;
    policy.ingress.push_back(made(action, policy.id.to_string(), Direction::ingress, policy.ingress.size(), edit));
    return *this;
}
PolicyBuilder& PolicyBuilder::out(Action action, const std::function<void(felix::Rule&)>& edit) {
    policy.has_egress = true;
    policy.egress.push_back(made(action, policy.id.to_string(), Direction::egress, policy.egress.size(), edit));
    return *this;
}

ProfileUpdated allow_all_profile(std::string_view name) {
    Profile profile;
    profile.name = name;
    profile.ingress.push_back(made(Action::allow, name, Direction::ingress, 0, {}));
    profile.egress.push_back(made(Action::allow, name, Direction::egress, 0, {}));
    return {Shared<Profile>(profile)};
}

SetId selector(std::string_view text) { return SetId::of_selector(text); }

AddressSet address_set(std::string_view text, const std::vector<std::string_view>& members) {
    AddressSet set;
    set.id = selector(text);
    set.description = text;
    for (const std::string_view member : members) {
        const net::Prefix prefix = net(member);
        FamilyMembers& family = set.members.of(prefix.family());
        if (prefix.is_host()) {
            family.addresses.push_back(prefix.address());
        } else {
            family.prefixes.push_back(prefix);
        }
    }
    return set;
}

TierPolicies tier(std::string_view name, std::vector<PolicyId> policies, TierEnd end) {
    return {std::string(name), end, std::nullopt, std::move(policies)};
}

EndpointBuilder::EndpointBuilder(std::string_view name, std::string_view address) {
    endpoint.key = {EndpointKind::workload, "default", std::string(name)};
    endpoint.interface = "cali" + std::string(name);
    endpoint.addresses = {ip(address)};
}
EndpointBuilder& EndpointBuilder::in(std::vector<Shared<TierPolicies>> tiers) {
    endpoint.ingress = PolicyLists(std::move(tiers));
    return *this;
}
EndpointBuilder& EndpointBuilder::out(std::vector<Shared<TierPolicies>> tiers) {
    endpoint.egress = PolicyLists(std::move(tiers));
    return *this;
}
EndpointBuilder& EndpointBuilder::profile(std::string_view name) {
    endpoint.profiles.emplace_back(name);
    return *this;
}

render::Ruleset rendered(const std::vector<Batch>& batches) {
    render::Renderer renderer;
    render::Ruleset ruleset;
    for (const Batch& batch : batches) {
        for (const render::Change& change : renderer.apply(batch).changes) {
            render::apply(ruleset, change);
        }
        renderer.settle();
    }
    return ruleset;
}

namespace {

Case empty_node() { return {"empty_node", {{InSync{}}}}; }

Case profile_only() {
    return {"profile_only",
            {{PoolsChanged{{{"blue", net("10.65.0.0/16"), true},
                            {"green", net("10.66.0.0/16"), false},
                            {"six", net("fd65::/64"), true}}},
              allow_all_profile("kns.default"), EndpointBuilder("a", "10.65.0.2").profile("kns.default").update(),
              EndpointBuilder("b", "10.65.0.3").profile("kns.default").update(), InSync{}}}};
}

Case no_profile() { return {"no_profile", {{EndpointBuilder("a", "10.65.0.2").update(), InSync{}}}}; }

Case deny_and_allow() {
    const auto web = PolicyBuilder("web", "default").in(Action::allow, to_port(kTcp, 80)).in(Action::deny, [](auto& r) {
        r.source.nets = {net("192.0.2.0/25"), net("fd00:2::/64")};
    });
    const auto out = PolicyBuilder("out", "default").out(Action::allow, to_port(kUdp, 53));
    return {"deny_and_allow",
            {{web.update(), out.update(), allow_all_profile("kns.default"),
              EndpointBuilder("a", "10.65.0.2")
                  .in({tier("default", {web.id()})})
                  .out({tier("default", {out.id()})})
                  .profile("kns.default")
                  .update(),
              InSync{}}}};
}

Case selectors() {
    const auto policy = PolicyBuilder("db", "default")
                            .in(Action::allow,
                                [](auto& r) {
                                    r.protocol = kTcp;
                                    r.destination.ports = {port(5432), ports(8000, 8010)};
                                    r.source.sets = {selector("app == 'api'"), selector("has(team)")};
                                })
                            .in(Action::log, [](auto& r) { r.source.sets = {selector("partners")}; })
                            .in(Action::deny, [](auto& r) { r.source.sets = {selector("partners")}; })
                            .in(Action::allow, [](auto& r) { r.source.not_sets = {selector("partners")}; });
    return {
        "selectors",
        {{SetAdded{address_set("app == 'api'", {"10.65.0.7", "10.65.1.9", "fd65::7"})},
          SetAdded{address_set("has(team)", {"10.65.0.7"})},
          SetAdded{address_set("partners", {"198.51.100.0/24", "198.51.100.128/25", "203.0.113.9", "198.51.101.0/24"})},
          policy.update(), EndpointBuilder("a", "10.65.0.2").in({tier("default", {policy.id()})}).update(), InSync{}}}};
}

Case tiers_and_pass() {
    const auto first = PolicyBuilder("first", "", "security")
                           .in(Action::pass, to_port(kTcp, 22))
                           .in(Action::deny, to_port(kTcp, 23))
                           .out(Action::deny, to_port(kTcp, 25));
    const auto quiet = PolicyBuilder("quiet", "", "security").in(Action::log);
    const auto app = PolicyBuilder("app", "default").in(Action::allow, to_port(kTcp, 80));
    return {"tiers_and_pass",
            {{first.update(), quiet.update(), app.update(), allow_all_profile("kns.default"),
              EndpointBuilder("a", "10.65.0.2")
                  .in({tier("security", {first.id(), quiet.id()}, TierEnd::pass), tier("default", {app.id()})})
                  .out({tier("security", {first.id()}, TierEnd::pass)})
                  .profile("kns.default")
                  .update(),
              EndpointBuilder("b", "10.65.0.3").in({tier("default", {app.id()})}).profile("kns.default").update(),
              InSync{}}}};
}

/// Lists that are long enough for maps: of policies, with and without Pass, and of one policy's rules.
Case long_lists() {
    std::vector<PolicyBuilder> plain;
    std::vector<PolicyId> ids;
    for (std::uint16_t i = 0; i < 7; ++i) {
        plain.push_back(PolicyBuilder(fmt::format("p{}", i), "default")
                            .in(Action::allow, to_port(kTcp, static_cast<std::uint16_t>(8000 + i / 2))));
    }
    plain.push_back(
        PolicyBuilder("portless", "default").in(Action::deny, [](auto& r) { r.source.nets = {net("192.0.2.0/24")}; }));
    plain.push_back(PolicyBuilder("wide", "default").in(Action::allow, [](auto& r) {
        r.protocol = kTcp;
        r.destination.ports = {ports(8002, 9000)};
    }));
    PolicyBuilder many("many", "default");
    for (std::uint16_t i = 0; i < 6; ++i) {
        many.in(Action::allow, to_port(kUdp, static_cast<std::uint16_t>(100 + i)));
    }
    plain.push_back(many.in(Action::deny, [](auto& r) { r.protocol = kUdp; }));
    PolicyBuilder passing("passing", "", "security");
    for (std::uint16_t i = 0; i < 9; ++i) {
        passing.in(i % 2 == 0 ? Action::pass : Action::deny, to_port(kTcp, static_cast<std::uint16_t>(7000 + i)));
    }
    Batch batch;
    for (const PolicyBuilder& policy : plain) {
        ids.push_back(policy.id());
        batch.emplace_back(policy.update());
    }
    batch.emplace_back(passing.update());
    batch.emplace_back(
        EndpointBuilder("a", "10.65.0.2").in({tier("security", {passing.id()}), tier("default", ids)}).update());
    batch.emplace_back(InSync{});
    return {"long_lists", {batch}};
}

Case every_match() {
    const auto policy =
        PolicyBuilder("matches")
            .in(Action::allow, [](auto& r) { r.family = net::Family::v4; })
            .in(Action::allow, [](auto& r) { r.protocol = net::kSctp; })
            .in(Action::deny, [](auto& r) { r.not_protocol = kUdp; })
            .in(Action::allow, [](auto& r) { r.icmp = IcmpMatch{8, 0}; })
            .in(Action::allow, [](auto& r) { r.icmp = IcmpMatch{128, std::nullopt}; })
            .in(Action::deny, [](auto& r) { r.not_icmp = IcmpMatch{8, 0}; })
            .in(Action::deny,
                [](auto& r) {
                    r.protocol = net::kIcmp;
                    r.not_icmp = IcmpMatch{8, std::nullopt};
                })
            .in(Action::allow,
                [](auto& r) {
                    r.protocol = kTcp;
                    r.source.ports = {ports(1024, 65535)};
                    r.destination.not_ports = {port(22), port(23), ports(100, 200)};
                })
            .in(Action::allow, [](auto& r) { r.destination.ports = {port(53)}; })
            .in(Action::allow, [](auto& r) { r.destination.not_ports = {port(53)}; })
            .in(Action::deny,
                [](auto& r) {
                    r.source.nets = {net("10.0.0.0/8"), net("10.1.0.0/16"), net("192.0.2.1"), net("192.0.2.2")};
                    r.source.not_nets = {net("10.3.0.0/20")};
                    r.destination.nets = {net("0.0.0.0/0")};
                })
            .in(Action::deny, [](auto& r) { r.deny_action = DenyAction::reject; })
            .in(Action::allow,
                [](auto& r) {
                    r.protocol = kTcp;
                    r.destination.ports = {port(80)};
                    r.destination.named_ports = {SetId::of_named_port("all()", "TCP", "http")};
                })
            .in(Action::deny, [](auto& r) {
                r.protocol = kTcp;
                r.source.not_named_ports = {SetId::of_named_port("all()", "TCP", "http")};
                r.never = std::nullopt;
            });
    AddressSet named;
    named.id = SetId::of_named_port("all()", "TCP", "http");
    named.kind = SetKind::ports;
    named.members.v4.ports = {{ip("10.65.0.2"), kTcp, 8080}, {ip("10.65.0.3"), kTcp, 80}};
    named.members.v6.ports = {{ip("fd65::2"), kTcp, 8080}};
    return {"every_match",
            {{SetAdded{named}, policy.update(),
              EndpointBuilder("a", "10.65.0.2").in({tier("default", {policy.id()})}).update(), InSync{}}}};
}

Case configured() {
    Config config;
    config.interface_prefixes = {"cali", "tap"};
    config.endpoint_to_host = EndpointToHost::accept;
    config.deny_action = DenyAction::reject;
    config.drop_invalid_state = false;
    config.allow_vxlan_from_workloads = true;
    config.allow_ipip_from_workloads = true;
    config.log_rate_limit = "10/minute";
    config.allow_spoofed_sources = true;
    config.nat_interface_filter = "eth+";
    config.nat_outgoing_address = ip("192.0.2.7");
    config.nat_port_range = ports(30000, 32000);
    auto spoofer = EndpointBuilder("s", "10.65.0.3");
    spoofer.endpoint.allowed_source_prefixes = {net("172.16.0.0/12"), net("fd16::/16")};
    const auto policy = PolicyBuilder("p").in(Action::log).in(Action::deny, to_port(kTcp, 9));
    return {"configured",
            {{ConfigChanged{Shared<Config>(config)},
              PoolsChanged{{{"blue", net("10.65.0.0/16"), true}, {"six", net("fd65::/64"), true}}}, policy.update(),
              allow_all_profile("kns.default"),
              EndpointBuilder("a", "10.65.0.2").in({tier("default", {policy.id()})}).profile("kns.default").update(),
              spoofer.update(), InSync{}}}};
}

/// A rule that denies is two with deny logging: the first reports, the second denies what the limit let through too.
Case deny_logging() {
    Config config;
    config.log_denied = true;
    config.log_denied_rate = "20/second";
    config.cut_denied_connections = true;
    config.log_rate_burst = 40;
    const auto policy = PolicyBuilder("p")
                            .in(Action::deny,
                                [](auto& r) {
                                    r.destination.ports = {port(9)};
                                    r.deny_action = DenyAction::reject;
                                })
                            .in(Action::log)
                            .in(Action::allow);
    return {"deny_logging",
            {{ConfigChanged{Shared<Config>(config)}, policy.update(), allow_all_profile("kns.default"),
              EndpointBuilder("a", "10.65.0.2").in({tier("default", {policy.id()})}).profile("kns.default").update(),
              InSync{}}}};
}

Case host_ports() {
    auto endpoint = EndpointBuilder("a", "10.65.0.2").profile("kns.default");
    endpoint.endpoint.addresses.push_back(ip("fd65::2"));
    endpoint.endpoint.host_ports = {{kTcp, 8080, std::nullopt, 80}, {kUdp, 53, ip("192.0.2.1"), 5353}};
    return {"host_ports", {{allow_all_profile("kns.default"), endpoint.update(), InSync{}}}};
}

/// Floating addresses, code points, and ranges of services.
Case addresses() {
    Config config;
    config.service_loop = ServiceLoop::reject;
    config.service_ranges = {net("10.96.0.0/12"), net("198.51.100.0/24"), net("fd96::/112")};
    auto a = EndpointBuilder("a", "10.65.0.2").profile("kns.default");
    a.endpoint.addresses.push_back(ip("fd65::2"));
    a.endpoint.floating = {{ip("192.0.2.9"), ip("10.65.0.2")}, {ip("2001:db8::9"), ip("fd65::2")}};
    a.endpoint.host_ports = {{kTcp, 8080, std::nullopt, 80}};
    a.endpoint.dscp = 46;
    auto b = EndpointBuilder("b", "10.65.0.3").profile("kns.default");
    b.endpoint.dscp = 8;
    auto c = EndpointBuilder("c", "10.65.0.4").profile("kns.default");
    c.endpoint.dscp = 46;
    Tunnels tunnels;
    tunnels.peers = {net("192.0.2.1/32"), net("2001:db8::1/128")};
    return {
        "addresses",
        {{ConfigChanged{Shared<Config>(config)},
          PoolsChanged{{{"four", net("10.65.0.0/16"), true}, {"six", net("fd65::/64"), false}}},
          TunnelsChanged{tunnels}, allow_all_profile("kns.default"), a.update(), b.update(), c.update(), InSync{}}}};
}

/// Pools whose packets leave by tunnels.
Case tunnels() {
    Config config;
    config.interface_prefixes = {"cali"};
    Tunnels tunnels{.vxlan_v4 = true, .vxlan_v6 = true, .ip_in_ip = true};
    tunnels.peers = {net("192.0.2.1/32"), net("2001:db8::1/128")};
    return {"tunnels",
            {{ConfigChanged{Shared<Config>(config)},
              PoolsChanged{{{"four", net("10.65.0.0/16"), true}, {"six", net("fd65::/64"), true}}},
              TunnelsChanged{tunnels}, InSync{}}}};
}

}  // namespace

std::vector<Case> cases() {
    return {empty_node(),     profile_only(), no_profile(),  deny_and_allow(), selectors(),
            tiers_and_pass(), long_lists(),   every_match(), configured(),     deny_logging(),
            host_ports(),     addresses(),    tunnels()};
}

}  // namespace manul::felix::test
