#include "bgpd/speaker/services.hpp"

#include <catch2/catch.hpp>
#include <string>

namespace {

using namespace manul;
using namespace manul::bgp::speaker;
using model::TrafficPolicy;

/// A cluster seen from node "a".
struct World {
    ServiceResources resources;
    model::BgpConfigurationSpec configuration;

    World() {
        resources.node_name = "a";
        configuration.service_cluster_ips = {{*net::Prefix::parse("10.96.0.0/12")}};
        configuration.service_external_ips = {{*net::Prefix::parse("198.51.100.0/24")}};
        configuration.service_load_balancer_ips = {{*net::Prefix::parse("203.0.113.0/24")},
                                                   {*net::Prefix::parse("192.0.2.7/32")}};
    }
    model::Service& service(const std::string& name, const std::string& cluster_ip, TrafficPolicy policy) {
        auto service = std::make_shared<model::Service>();
        service->metadata.name = name;
        service->metadata.ns = "shop";
        service->spec.cluster_ip = cluster_ip;
        service->spec.external_traffic_policy = policy;
        resources.services.push_back(service);
        return *service;
    }
    model::Service& load_balancer(const std::string& name, const std::string& address, TrafficPolicy policy) {
        model::Service& out = service(name, "", policy);
        out.spec.type = model::ServiceType::load_balancer;
        out.status.load_balancer.ingress = {{*net::Ip::parse(address)}};
        return out;
    }
    void endpoint(const std::string& service, const std::string& node, std::optional<bool> ready,
                  model::SliceAddressType type = model::SliceAddressType::ipv4) {
        auto slice = std::make_shared<model::EndpointSlice>();
        slice->metadata.ns = "shop";
        slice->metadata.labels[model::kLabelServiceName] = service;
        slice->address_type = type;
        slice->endpoints.emplace_back();
        slice->endpoints[0].node_name = node;
        slice->endpoints[0].conditions.ready = ready;
        resources.slices.push_back(slice);
    }
    /// What is announced besides the ranges.
    [[nodiscard]] std::string singles() const {
        std::string out;
        for (const net::Prefix& prefix : service_prefixes(resources, configuration)) {
            if (prefix.is_host()) {
                out += (out.empty() ? "" : " ") + prefix.address().to_string();
            }
        }
        return out;
    }
    [[nodiscard]] std::string all() const {
        std::string out;
        for (const net::Prefix& prefix : service_prefixes(resources, configuration)) {
            out += (out.empty() ? "" : " ") + prefix.to_string();
        }
        return out;
    }
};

}  // namespace

TEST_CASE("without services every node announces the ranges") {
    CHECK(World().all() == "10.96.0.0/12 192.0.2.7/32 198.51.100.0/24 203.0.113.0/24");
}

TEST_CASE("policy Local: the address where an endpoint on this node is ready") {
    World world;
    world.service("s", "10.96.0.10", TrafficPolicy::local).spec.external_ips = {*net::Ip::parse("198.51.100.10"),
                                                                                *net::Ip::parse("9.9.9.9")};
    CHECK(world.singles() == "192.0.2.7");
    world.endpoint("s", "b", true);
    CHECK(world.singles() == "192.0.2.7");
    world.endpoint("s", "a", false);
    CHECK(world.singles() == "192.0.2.7");
    world.endpoint("s", "a", true, model::SliceAddressType::ipv6);
    CHECK(world.singles() == "192.0.2.7");
    world.endpoint("s", "a", std::nullopt);  // a missing condition counts as ready
    CHECK(world.singles() == "10.96.0.10 192.0.2.7 198.51.100.10");
}

TEST_CASE("policy Cluster: the range is enough") {
    World world;
    world.service("s", "10.96.0.10", TrafficPolicy::cluster);
    world.endpoint("s", "a", true);
    CHECK(world.singles() == "192.0.2.7");
}

TEST_CASE("a range that is one address goes with its service") {
    World world;
    world.load_balancer("lb", "192.0.2.7", TrafficPolicy::cluster);
    CHECK(world.singles() == "192.0.2.7");
    world.resources.services.clear();
    world.load_balancer("lb", "192.0.2.7", TrafficPolicy::local);
    CHECK(world.singles().empty());
    world.endpoint("lb", "a", true);
    CHECK(world.singles() == "192.0.2.7");
}

TEST_CASE("without aggregation load-balancer addresses are announced one by one, in place of their ranges") {
    World world;
    world.configuration.service_load_balancer_aggregation = model::OnOff::disabled;
    world.load_balancer("lb", "203.0.113.5", TrafficPolicy::cluster);
    world.load_balancer("idle", "203.0.113.6", TrafficPolicy::cluster);
    world.load_balancer("here", "203.0.113.7", TrafficPolicy::local);
    world.endpoint("lb", "b", true);
    world.endpoint("here", "b", true);
    CHECK(world.all() == "10.96.0.0/12 198.51.100.0/24 203.0.113.5/32");
    world.endpoint("here", "a", true);
    CHECK(world.singles() == "203.0.113.5 203.0.113.7");
}

TEST_CASE("headless services, other types' statuses and excluded nodes announce nothing") {
    World world;
    world.service("headless", "None", TrafficPolicy::local).spec.external_ips = {*net::Ip::parse("198.51.100.10")};
    world.endpoint("headless", "a", true);
    world.load_balancer("was", "203.0.113.5", TrafficPolicy::local).spec.type = model::ServiceType::cluster_ip;
    world.endpoint("was", "a", true);
    CHECK(world.singles() == "192.0.2.7");
    auto node = std::make_shared<model::Node>();
    node->metadata.labels["node.kubernetes.io/exclude-from-external-load-balancers"] = "true";
    world.resources.node = node;
    CHECK(world.all().empty());
}

TEST_CASE("dual-stack services are judged by family") {
    World world;
    world.configuration.service_cluster_ips.push_back({*net::Prefix::parse("fd00:96::/112")});
    world.configuration.service_cluster_ips.emplace_back();  // Calico takes entries without a range
    model::Service& service = world.service("s", "10.96.0.10", TrafficPolicy::local);
    service.spec.cluster_ips = {"10.96.0.10", "fd00:96::10"};
    world.endpoint("s", "a", true, model::SliceAddressType::ipv6);
    CHECK(world.singles() == "192.0.2.7 fd00:96::10");
}
