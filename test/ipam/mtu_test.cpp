#include "ipam/core/mtu.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "test/ipam/fake_source.hpp"

namespace manul::ipam {
namespace {

Pool pool_with(const std::string& cidr, Pool::Encapsulation encapsulation) {
    Pool pool;
    pool.cidr = *net::Prefix::parse(cidr);
    pool.encapsulation = encapsulation;
    return pool;
}

const std::vector<Uplink> kLinks{{"eth0", 1500}, {"enp3s0", 9000}, {"docker0", 1200}, {"cni-podman0", 1300}};

}  // namespace

TEST_CASE("pods have the MTU of the smallest network card, less what the pools' encapsulations add") {
    using Encapsulation = Pool::Encapsulation;
    struct Row {
        std::vector<Pool> pools;
        std::uint32_t wanted;
    };
    const Row row = GENERATE(values<Row>({
        {{}, 1500},
        {{pool_with("10.0.0.0/16", Encapsulation::none)}, 1500},
        {{pool_with("10.0.0.0/16", Encapsulation::ipip)}, 1480},
        {{pool_with("10.0.0.0/16", Encapsulation::vxlan)}, 1450},
        {{pool_with("fd00::/48", Encapsulation::vxlan)}, 1430},
        {{pool_with("10.0.0.0/16", Encapsulation::ipip), pool_with("10.1.0.0/16", Encapsulation::vxlan)}, 1450},
    }));
    CHECK(pod_mtu(kLinks, row.pools, {}) == row.wanted);
}

TEST_CASE("FelixConfiguration chooses the network cards and overrides the MTU of an encapsulation in use") {
    const std::vector<Pool> vxlan{pool_with("10.0.0.0/16", Pool::Encapsulation::vxlan)};
    CHECK(pod_mtu(kLinks, {}, {.interface_pattern = "^enp"}) == 9000);
    CHECK(pod_mtu(kLinks, vxlan, {.interface_pattern = "^enp"}) == 8950);
    CHECK(pod_mtu(kLinks, vxlan, {.vxlan = 1400}) == 1400);
    CHECK(pod_mtu(kLinks, vxlan, {.ipip = 1300}) == 1450);  // no pool uses it
    CHECK(pod_mtu(kLinks, {}, {.wireguard_enabled = true}) == 1440);
    CHECK(pod_mtu(kLinks, {}, {.wireguard_v6 = 1380, .wireguard_enabled_v6 = true}) == 1380);
    CHECK(pod_mtu(kLinks, {}, {.interface_pattern = "^nothing$"}) == 0);
    CHECK(pod_mtu(kLinks, vxlan, {.interface_pattern = "^nothing$"}) == 0);
    CHECK(pod_mtu(kLinks, {}, {.interface_pattern = "("}) == 1500);  // no pattern at all: the default
}

}  // namespace manul::ipam
