#include "bgpd/speaker/originate.hpp"

#include <catch2/catch.hpp>
#include <string>

namespace {

using namespace manul;
using namespace manul::bgp::speaker;

struct Inputs {
    OriginResources resources{
        .node_name = "a", .affinities = {}, .endpoints = {}, .pools = {}, .configuration = nullptr, .services = {}};

    void pool(const char* cidr, bool disabled = false) {
        auto pool = std::make_shared<model::IpPool>();
        pool->spec.cidr = *net::Prefix::parse(cidr);
        pool->spec.disable_bgp_export = disabled;
        resources.pools.push_back(pool);
    }
    model::BlockAffinitySpec& block(const char* cidr, const char* node = "a") {
        auto affinity = std::make_shared<model::BlockAffinity>();
        affinity->spec.cidr = *net::Prefix::parse(cidr);
        affinity->spec.node = node;
        affinity->spec.state = model::AffinityState::confirmed;
        resources.affinities.push_back(affinity);
        return affinity->spec;
    }
    void endpoint(const char* address, const char* node = "a") {
        auto endpoint = std::make_shared<model::WorkloadEndpoint>();
        endpoint->spec.node = node;
        endpoint->spec.ip_networks = {*net::Prefix::parse(address)};
        resources.endpoints.push_back(endpoint);
    }
    [[nodiscard]] std::string routes() const {
        std::string out;
        for (const LocalRoute& route : local_routes(resources)) {
            out += (out.empty() ? "" : " ") + route.prefix.to_string() + (route.blackhole ? "!" : "") +
                   (route.advertise ? "" : "-");
        }
        return out;
    }
};

}  // namespace

TEST_CASE("a node originates exactly its confirmed blocks") {
    Inputs inputs;
    inputs.pool("10.244.0.0/16");
    inputs.pool("2001:db8:1::/64");
    inputs.block("10.244.1.0/26");
    inputs.block("10.244.1.64/26");
    inputs.block("2001:db8:1::40/122");
    inputs.block("10.244.2.0/26", "b");
    inputs.block("10.244.3.0/26").state = model::AffinityState::pending;
    inputs.block("10.244.4.0/26").deleted = true;
    inputs.block("10.244.5.0/26").type = model::AffinityType::virtual_;
    CHECK(inputs.routes() == "10.244.1.0/26! 10.244.1.64/26! 2001:db8:1::40/122!");
}

TEST_CASE("blocks outside pools, and in pools kept from BGP, are dropped in the kernel but told to nobody") {
    Inputs inputs;
    inputs.pool("10.244.0.0/16", true);
    inputs.block("10.244.1.0/26");
    inputs.block("10.99.0.0/26");
    CHECK(inputs.routes() == "10.99.0.0/26!- 10.244.1.0/26!-");
}

TEST_CASE("addresses of own workloads in blocks of other nodes are host routes") {
    Inputs inputs;
    inputs.pool("10.244.0.0/16");
    inputs.pool("10.245.0.0/16", true);
    inputs.block("10.244.1.0/26");
    inputs.endpoint("10.244.1.5/32");
    inputs.endpoint("10.244.2.9/32");
    inputs.endpoint("10.244.2.9/32");
    inputs.endpoint("10.244.2.10/32", "b");
    inputs.endpoint("10.245.0.1/32");
    inputs.endpoint("192.0.2.1/32");
    CHECK(inputs.routes() == "10.244.1.0/26! 10.244.2.9/32");
}

TEST_CASE("service ranges are announced whatever the pools") {
    Inputs inputs;
    auto configuration = std::make_shared<model::BgpConfiguration>();
    configuration->spec.service_cluster_ips = {{*net::Prefix::parse("10.96.0.0/12")}};
    configuration->spec.service_external_ips = {{*net::Prefix::parse("192.0.2.0/24")}};
    inputs.resources.configuration = configuration;
    CHECK(inputs.routes() == "10.96.0.0/12 192.0.2.0/24");
}
