#include "test/bench/felix_objects.hpp"

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "config/model/global_network_policy.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/network_policy.hpp"
#include "config/model/network_set.hpp"
#include "config/model/policy.hpp"
#include "config/model/resource.hpp"
#include "config/model/tier.hpp"
#include "config/model/workload_endpoint.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

namespace manul::felix::bench {

namespace {

model::Port port(std::size_t number) {
    const auto value = static_cast<std::uint16_t>(number);
    return model::Port(*net::PortRange::make(value, value));
}

std::vector<model::Rule> two_rules(const Scale& scale, std::size_t i, std::size_t salt, bool ingress) {
    std::vector<model::Rule> rules;
    for (std::size_t r = 0; r < 2; ++r) {
        model::Rule rule;
        rule.action = model::Action::allow;
        rule.protocol = net::kTcp;
        auto& peer = ingress ? rule.source : rule.destination;
        peer.selector = fmt::format("set == 's{}'", (i * 2 + r) % scale.sets);
        peer.namespace_selector = "global()";
        rule.destination.ports = {port(1000 + (i * 7 + r + salt) % 60000)};
        rules.push_back(std::move(rule));
    }
    return rules;
}

std::shared_ptr<model::NetworkPolicy> policy_of(const Scale& scale, std::size_t i, std::size_t salt, bool ingress,
                                                bool egress) {
    auto out = std::make_shared<model::NetworkPolicy>();
    const std::size_t app = i % scale.classes;
    out->metadata.ns = ns_name(app);
    out->metadata.name = fmt::format("policy{}", i);
    out->spec.selector = fmt::format("app == 'app{}'", app);
    if (ingress) {
        out->spec.types.push_back(model::PolicyType::ingress);
        out->spec.ingress = two_rules(scale, i, salt, true);
    }
    if (egress) {
        out->spec.types.push_back(model::PolicyType::egress);
        out->spec.egress = two_rules(scale, i, salt, false);
    }
    return out;
}

std::shared_ptr<model::GlobalNetworkPolicy> for_all(const std::string& name, const std::string& tier_name) {
    auto out = std::make_shared<model::GlobalNetworkPolicy>();
    out->metadata.name = tier_name + "." + name;
    out->spec.tier = tier_name;
    out->spec.selector = "has(app)";
    out->spec.types = {model::PolicyType::ingress};
    model::Rule rule;
    rule.action = model::Action::deny;
    rule.protocol = net::kTcp;
    out->spec.ingress = {rule};
    return out;
}

}  // namespace

std::string ns_name(std::size_t app) { return "ns" + std::to_string(app % kNamespaces); }
std::string interface_name(std::size_t i) { return fmt::format("cali{}", i); }

model::ResourcePtr pod(std::size_t i, std::size_t app, const PodLabels& labels) {
    auto out = std::make_shared<model::WorkloadEndpoint>();
    out->metadata.ns = ns_name(app);
    out->metadata.name = fmt::format("node1-k8s-pod{}-eth0", i);
    out->metadata.labels = {{"app", fmt::format("app{}", app)},
                            {"team", labels.team},
                            {"solo", labels.solo},
                            {"projectcalico.org/orchestrator", "k8s"},
                            {"pod-template-hash", std::to_string(i * 7919)}};
    out->spec.orchestrator = "k8s";
    out->spec.node = "node1";
    out->spec.pod = fmt::format("pod{}", i);
    out->spec.endpoint = "eth0";
    out->spec.interface_name = interface_name(i);
    out->spec.profiles = {"kns." + ns_name(app)};
    out->spec.ip_networks = {net::Prefix::host(net::Ip4(0x0a000000U + static_cast<std::uint32_t>(i) + 1))};
    return out;
}

model::ResourcePtr policy(const Scale& scale, std::size_t i, std::size_t salt) {
    return policy_of(scale, i, salt, i % 2 == 0, i % 2 == 1);
}

model::ResourcePtr policy_of_both(const Scale& scale, std::size_t i, std::size_t salt) {
    auto out = policy_of(scale, i, salt, true, true);
    out->metadata.name = fmt::format("both{}", i);
    return out;
}

model::ResourcePtr solo_policy(const Scale& scale, std::size_t i, std::size_t salt) {
    auto out = policy_of(scale, i, salt, true, false);
    out->metadata.name = fmt::format("solo{}", i);
    out->spec.selector = fmt::format("solo == 'solo{}'", i);
    return out;
}

model::ResourcePtr policy_for_all(const std::string& name, const std::string& tier_name, std::uint16_t number) {
    auto out = for_all(name, tier_name);
    out->spec.ingress.front().destination.ports = {port(number)};
    return out;
}

model::ResourcePtr policy_by_source_owner(const std::string& name, const std::string& tier_name,
                                          const std::string& owner) {
    auto out = for_all(name, tier_name);
    out->spec.ingress.front().source.namespace_selector = fmt::format("owner == '{}'", owner);
    return out;
}

model::ResourcePtr policy_by_source_team(const std::string& name, const std::string& tier_name,
                                         const std::string& team) {
    auto out = for_all(name, tier_name);
    out->spec.ingress.front().source.selector = fmt::format("team == '{}'", team);
    return out;
}

model::ResourcePtr policy_for_owned(const std::string& name, const std::string& tier_name, const std::string& owner) {
    auto out = for_all(name, tier_name);
    out->spec.namespace_selector = fmt::format("owner == '{}'", owner);
    out->spec.ingress.front().destination.ports = {port(11)};
    return out;
}

model::ResourcePtr network_set(const Scale& scale, std::size_t i, std::size_t extra) {
    auto out = std::make_shared<model::GlobalNetworkSet>();
    out->metadata.name = fmt::format("s{}", i);
    out->metadata.labels = {{"set", fmt::format("s{}", i)}};
    const std::size_t per_set = scale.members / scale.sets;
    for (std::size_t n = 0; n < per_set + extra; ++n) {
        out->spec.nets.push_back(
            net::Prefix::host(net::Ip4(0x64000000U + static_cast<std::uint32_t>(i * (per_set + 8) + n))));
    }
    return out;
}

model::ResourcePtr tier(const std::string& name, double order) {
    auto out = std::make_shared<model::Tier>();
    out->metadata.name = name;
    out->spec.order = order;
    out->spec.default_action = model::TierDefaultAction::pass;
    return out;
}

model::ResourcePtr name_space(const std::string& name, const std::string& owner) {
    auto out = std::make_shared<model::Namespace>();
    out->metadata.name = name;
    out->metadata.labels = {{"owner", owner}};
    return out;
}

model::ResourcePtr probe_pod(const std::string& name, const std::string& address, const std::string& role,
                             const std::string& guest) {
    auto out = std::make_shared<model::WorkloadEndpoint>();
    out->metadata.ns = "probe";
    out->metadata.name = fmt::format("node1-k8s-{}-eth0", name);
    out->metadata.labels = {{"role", role}, {"guest", guest}, {"projectcalico.org/orchestrator", "k8s"}};
    out->spec.orchestrator = "k8s";
    out->spec.node = "node1";
    out->spec.pod = name;
    out->spec.endpoint = "eth0";
    out->spec.interface_name = "cali" + name;
    out->spec.profiles = {"kns.probe"};
    out->spec.ip_networks = {*net::Prefix::parse(address + "/32")};
    return out;
}

model::ResourcePtr probe_policy(std::uint16_t number, bool guests_only) {
    auto out = std::make_shared<model::NetworkPolicy>();
    out->metadata.ns = "probe";
    out->metadata.name = guests_only ? "guests" : "open";
    out->spec.selector = "role == 'server'";
    out->spec.types = {model::PolicyType::ingress};
    model::Rule rule;
    rule.action = model::Action::allow;
    rule.protocol = net::kUdp;
    rule.destination.ports = {port(number)};
    if (guests_only) {
        rule.source.selector = "guest == 'yes'";
    }
    out->spec.ingress = {rule};
    return out;
}

bool make_links(std::size_t count) {
    const std::string script = fmt::format("/tmp/manul-felix-bench-{}.links", ::getpid());
    {
        std::ofstream file(script);
        for (std::size_t i = 0; i < count; i += 2) {
            file << fmt::format("link add {} type veth peer name {}\n", interface_name(i), interface_name(i + 1));
        }
        for (std::size_t i = 0; i < count + count % 2; ++i) {
            file << fmt::format("link set {} up\n", interface_name(i));
        }
    }
    const std::string commands =
        // Without an address the kernel would look through all links for one, for each route.
        "ip link set lo up && ip addr add 192.0.2.1/32 dev lo && ip route add 192.0.2.0/24 dev lo && "
        "ip -6 route add 2001:db8::/64 dev lo && sysctl -qw net.ipv6.conf.default.disable_ipv6=1 && ip -batch " +
        script;
    const int result = std::system(commands.c_str());  // NOLINT(concurrency-mt-unsafe): a benchmark
    std::filesystem::remove(script);
    return result == 0;
}

}  // namespace manul::felix::bench
