// host endpoints: which interface belongs to whom, which policy stands at which stage; members of services.

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "config/model/felix_configuration.hpp"
#include "config/model/host_endpoint.hpp"
#include "config/model/node.hpp"
#include "config/model/service.hpp"
#include "felix/calc/event.hpp"
#include "felix/model/host_endpoint.hpp"
#include "test/felix/accumulator.hpp"
#include "test/felix/builders.hpp"

namespace manul::felix::test {

namespace {

model::ResourcePtr host(const std::string& name, const std::string& interface, const std::vector<std::string>& ips = {},
                        const std::string& node = kNode) {
    auto out = std::make_shared<model::HostEndpoint>();
    out->metadata.name = name;
    out->metadata.labels = {{"host", name}};
    out->spec.node = node;
    out->spec.interface_name = interface;
    for (const std::string& text : ips) {
        out->spec.expected_ips.push_back(ip(text));
    }
    return out;
}

InterfaceAddresses interfaces() {
    return {
        {{"eth0", {ip("192.0.2.1"), ip("2001:db8::1")}}, {"eth1", {ip("198.51.100.1")}}, {"cali1", {ip("192.0.2.9")}}}};
}

/// "name: eth0 eth1; other: *" of all that are in force.
std::string owners(World& world) {
    std::string out;
    for (const auto& [key, endpoint] : world.state().host_endpoints) {
        out += (out.empty() ? "" : "; ") + key.name + ":";
        for (const std::string& interface : endpoint->interfaces) {
            out += " " + interface;
        }
        out += endpoint->wildcard ? " *" : "";
    }
    return out;
}

std::string policies_at(World& world, HostStage stage, Direction direction) {
    std::string out;
    for (const auto& [key, endpoint] : world.state().host_endpoints) {
        for (const auto& tier : *endpoint->lists(stage, direction)) {
            out += tier->end == TierEnd::deny ? "deny:" : "pass:";
            for (const PolicyId& id : tier->policies) {
                out += " " + id.name;
            }
        }
    }
    return out;
}

}  // namespace

TEST_CASE("an interface belongs to the first host endpoint that names it or expects an address of it") {
    World world{host("b", "eth0"),
                host("c", "", {"198.51.100.1"}),
                host("w", "*"),
                host("v", "*"),
                host("elsewhere", "eth0", {}, "node2"),
                host("pod", "cali1"),
                host("lost", "", {"203.0.113.1"})};
    CHECK(owners(world) == "b: eth0; v: *");  // addresses are not known yet
    world.handle(interfaces());
    CHECK(owners(world) == "b: eth0; c: eth1; v: *");
    world.put(host("a", "", {"2001:db8::1", "198.51.100.1", "192.0.2.9"}));
    CHECK(owners(world) == "a: eth0 eth1; v: *");
    CHECK(world.graph().reports().size() == 5);  // b, c, w, pod, lost have nothing
    world.remove(host("a", "")).remove(host("v", "*"));
    CHECK(owners(world) == "b: eth0; c: eth1; w: *");
    world.handle(InterfaceAddresses{});
    CHECK(owners(world) == "b: eth0; w: *");
}

TEST_CASE("policy stands at the stages that its flags say") {
    const auto flagged = [](const std::string& name, bool untracked, bool pre_dnat, bool forward) {
        auto out = global_policy({.name = name, .ingress = {allow()}});
        if (!pre_dnat) {  // such a policy has no egress
            out->spec.egress = {allow()};
            out->spec.types = {model::PolicyType::ingress, model::PolicyType::egress};
        }
        out->spec.do_not_track = untracked;
        out->spec.pre_dnat = pre_dnat;
        out->spec.apply_on_forward = forward;
        return out;
    };
    World world{host("h", "eth0"),
                flagged("n", false, false, false),
                flagged("f", false, false, true),
                flagged("p", false, true, true),
                flagged("u", true, false, true),
                policy("ns1", {.name = "namespaced", .ingress = {allow()}}),
                pod({.name = "web", .ips = {"10.0.0.1"}})};
    CHECK(policies_at(world, HostStage::normal, Direction::ingress) == "deny: f n");
    CHECK(policies_at(world, HostStage::forward, Direction::egress) == "deny: f");
    CHECK(policies_at(world, HostStage::pre_dnat, Direction::ingress) == "pass: p");
    CHECK(policies_at(world, HostStage::untracked, Direction::egress) == "pass: u");
    CHECK(world.order(pod({.name = "web", .ips = {"10.0.0.1"}}), Direction::ingress) == "default: f n ns1/namespaced");
    world.remove(host("h", "eth0"));
    CHECK_FALSE(world.state().policies.contains(PolicyId{PolicyKind::global_network_policy, "", "u"}));
}

TEST_CASE("untracked policy has no effect on an endpoint of all interfaces, and that is reported") {
    auto untracked = global_policy({.name = "u", .ingress = {allow()}});
    untracked->spec.do_not_track = untracked->spec.apply_on_forward = true;
    World world{host("h", "*"), untracked};
    CHECK(policies_at(world, HostStage::untracked, Direction::ingress).empty());
    REQUIRE(world.graph().reports().size() == 1);
    CHECK(world.graph().reports()[0].reason.starts_with("untracked policies"));
}

TEST_CASE("addresses of nodes are spared from masquerading where the configuration says so") {
    auto node = std::make_shared<model::Node>();
    node->metadata.name = "node2";
    node->spec.bgp.emplace();
    node->spec.bgp->ipv4_address = net::InterfaceAddress::parse("192.0.2.2/24");
    auto config = std::make_shared<model::FelixConfiguration>();
    config->metadata.name = "default";
    World world{node, pool("p", "10.0.0.0/16", true)};
    CHECK(world.state().pools.size() == 1);
    config->spec.nat_outgoing_exclusions = model::NatOutgoingExclusions::ip_pools_and_host_ips;
    config->spec.external_nodes_list = {cidr("198.51.100.0/24")};
    world.put(config);
    REQUIRE(world.state().pools.size() == 3);
    CHECK(world.state().pools[1] == IpPoolInfo{"node node2", cidr("192.0.2.2/32"), false});
    CHECK(world.state().pools[2] == IpPoolInfo{"node 198.51.100.0/24", cidr("198.51.100.0/24"), false});
    world.remove(node);
    CHECK(world.state().pools.size() == 2);
}

TEST_CASE("a pool of addresses for services alone spares nothing from masquerading") {
    auto services = std::make_shared<model::IpPool>();
    services->metadata.name = "services";
    services->spec.cidr = cidr("10.1.0.0/16");
    services->spec.allowed_uses = {model::AllowedUse::load_balancer};
    World world{pool("p", "10.0.0.0/16", true), services};
    REQUIRE(world.state().pools.size() == 1);
    CHECK(world.state().pools[0].name == "p");
    services = std::make_shared<model::IpPool>(*services);
    services->spec.allowed_uses.push_back(model::AllowedUse::workload);
    world.put(services);
    CHECK(world.state().pools.size() == 2);
    services = std::make_shared<model::IpPool>(*services);
    services->spec.allowed_uses.pop_back();
    world.put(services);
    CHECK(world.state().pools.size() == 1);
}

TEST_CASE("switches of our own merge like other fields") {
    auto config = std::make_shared<model::FelixConfiguration>();
    config->metadata.name = "default";
    config->spec.cut_denied_connections = model::OnOff::enabled;
    auto own = std::make_shared<model::FelixConfiguration>();
    own->metadata.name = "node." + std::string(kNode);
    own->spec.cut_denied_connections = model::OnOff::disabled;
    own->spec.host_to_workload_policy = model::OnOff::enabled;
    World world{config};
    CHECK(world.state().config->cut_denied_connections);
    CHECK_FALSE(world.state().config->host_to_workload_policy);
    world.put(own);
    CHECK_FALSE(world.state().config->cut_denied_connections);
    CHECK(world.state().config->host_to_workload_policy);
}

}  // namespace manul::felix::test
