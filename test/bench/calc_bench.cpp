// What one change costs in the calculation graph of a node with 10,000 endpoints and 10,000 policies: milliseconds of
// wall time for the event and its flush, median and 99th percentile.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/model/global_network_policy.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/network_policy.hpp"
#include "config/model/resource.hpp"
#include "config/model/workload_endpoint.hpp"
#include "felix/calc/event.hpp"
#include "felix/calc/graph.hpp"
#include "felix/model/update.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::felix {

namespace {

constexpr std::size_t kEndpoints = 10'000;
constexpr std::size_t kPolicies = 10'000;
constexpr std::size_t kNamespaces = 100;
constexpr std::size_t kApps =
    1'000;  // a multiple of kNamespaces, so that app n + kNamespaces is in the namespace of app n

std::string ns_name(std::size_t i) { return "ns" + std::to_string(i % kNamespaces); }

model::ResourcePtr pod(std::size_t i, const std::string& extra_label, bool local) {
    auto out = std::make_shared<model::WorkloadEndpoint>();
    out->metadata.ns = ns_name(i);
    out->metadata.name = (local ? "node1-k8s-pod" : "node2-k8s-pod") + std::to_string(i) + "-eth0";
    out->metadata.labels = {{"app", "app" + std::to_string(i % kApps)},
                            {"pod-template-hash", std::to_string(i * 7919)},
                            {"extra", extra_label}};
    out->spec.orchestrator = "k8s";
    out->spec.node = local ? "node1" : "node2";
    out->spec.interface_name = "cali" + std::to_string(i);
    out->spec.service_account_name = "default";
    out->spec.profiles = {"kns." + ns_name(i), "ksa." + ns_name(i) + ".default"};
    const std::uint32_t base = local ? 0x0a000000U : 0x0a800000U;
    out->spec.ip_networks = {net::Prefix::host(net::Ip4(base + static_cast<std::uint32_t>(i)))};
    return out;
}

model::ResourcePtr policy(std::size_t i, const std::string& peer) {
    auto out = std::make_shared<model::NetworkPolicy>();
    out->metadata.ns = ns_name(i);
    out->metadata.name = "policy" + std::to_string(i);
    out->spec.types = {model::PolicyType::ingress};
    out->spec.selector = "app == 'app" + std::to_string(i % kApps) + "'";
    model::Rule rule;
    rule.action = model::Action::allow;
    rule.source.selector = "app == '" + peer + "'";
    out->spec.ingress = {rule};
    return out;
}

using Clock = std::chrono::steady_clock;

double milliseconds(Clock::duration spent) { return std::chrono::duration<double, std::milli>(spent).count(); }

/// Runs `change(round)` and a flush many times.
void measure(Graph& graph, const char* name, int rounds, const std::function<void(int)>& change) {
    std::vector<double> times;
    std::size_t updates = 0;
    for (int round = 0; round < rounds; ++round) {
        const auto start = Clock::now();
        change(round);
        updates += graph.flush().size();
        times.push_back(milliseconds(Clock::now() - start));
    }
    std::ranges::sort(times);
    std::printf("%-52s p50 %8.3f ms   p99 %8.3f ms   %6.1f updates\n", name, times[times.size() / 2],
                times[times.size() * 99 / 100], static_cast<double>(updates) / rounds);
}

void run() {
    Graph graph({"node1", {}});
    const auto put = [&graph](const model::ResourcePtr& resource) { graph.handle(ResourcePut{resource}); };

    const auto start = Clock::now();
    for (std::size_t i = 0; i < kPolicies; ++i) {
        put(policy(i, "app" + std::to_string((i + kNamespaces) % kApps)));
    }
    for (std::size_t i = 0; i < kEndpoints; ++i) {
        put(pod(i, "a", true));
    }
    const std::size_t updates = graph.flush().size();
    std::printf("%-52s     %8.1f ms                   %8zu updates\n", "cold start", milliseconds(Clock::now() - start),
                updates);

    measure(graph, "label that no selector mentions", 500,
            [&](int round) { put(pod(static_cast<std::size_t>(round), "b", true)); });
    measure(graph, "label that moves a pod to other policies and sets", 500, [&](int round) {
        const auto i = static_cast<std::size_t>(round);
        auto moved = std::make_shared<model::WorkloadEndpoint>(*model::as<model::WorkloadEndpoint>(*pod(i, "b", true)));
        moved->metadata.labels["app"] = "app" + std::to_string((i + kNamespaces) % kApps);
        put(moved);
    });
    measure(graph, "pod of this node added", 500,
            [&](int round) { put(pod(kEndpoints + static_cast<std::size_t>(round), "a", true)); });
    measure(graph, "pod of this node removed", 500, [&](int round) {
        graph.handle(ResourceRemoved{pod(kEndpoints + static_cast<std::size_t>(round), "a", true)->key()});
    });
    measure(graph, "pod of another node added", 500,
            [&](int round) { put(pod(static_cast<std::size_t>(round), "a", false)); });
    measure(graph, "rule of a policy edited", 500, [&](int round) {
        put(policy(static_cast<std::size_t>(round),
                   "app" + std::to_string((static_cast<std::size_t>(round) + 2 * kNamespaces) % kApps)));
    });
    measure(graph, "policy added that selects nothing here", 500, [&](int round) {
        auto added = std::make_shared<model::NetworkPolicy>(*model::as<model::NetworkPolicy>(*policy(0, "x")));
        added->metadata.name = "extra" + std::to_string(round);
        added->spec.selector = "app == 'none'";
        put(added);
    });
    auto by_team = std::make_shared<model::GlobalNetworkPolicy>();
    by_team->metadata.name = "by-team";
    by_team->spec.namespace_selector = "has(team)";
    put(by_team);
    measure(graph, "label of a namespace with 100 pods", 100, [&](int round) {
        auto ns = std::make_shared<model::Namespace>();
        ns->metadata.name = ns_name(static_cast<std::size_t>(round));
        ns->metadata.labels = {{"team", std::to_string(round)}};
        put(ns);
    });
    measure(graph, "policy for all pods of a namespace, added", 100, [&](int round) {
        auto added = std::make_shared<model::NetworkPolicy>(
            *model::as<model::NetworkPolicy>(*policy(static_cast<std::size_t>(round), "x")));
        added->metadata.name = "all";
        added->spec.selector = "";
        put(added);
    });
}

}  // namespace

}  // namespace manul::felix

int main() {
    manul::felix::run();
    return 0;
}
