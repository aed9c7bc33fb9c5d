#include "ipam/core/load_balancer.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <catch2/catch.hpp>

#include "config/codec/json.hpp"
#include "config/model/block_affinity.hpp"
#include "config/model/ipam_block.hpp"
#include "config/model/ipam_handle.hpp"
#include "config/model/service.hpp"
#include "ipam/service/chores.hpp"
#include "ipam/service/service_addresses.hpp"
#include "test/config/store_contract.hpp"
#include "test/ipam/service_fixture.hpp"

namespace manul::ipam {
namespace {

using manul::test::store_fixtures;
using manul::test::StoreFixture;
using test::bare;
using test::Fixture;
using test::kNow;

std::string pool(const std::string& name, const std::string& cidr, int block_size) {
    return fmt::format(
        R"x({{"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{{"name":"{}"}},"spec":{{"cidr":"{}","blockSize":{},)x"
        R"x("allowedUses":["LoadBalancer"],"nodeSelector":"all()"}}}})x",
        name, cidr, block_size);
}

std::string service_text(const std::string& name, const std::string& spec, const std::string& metadata = "",
                         const std::string& status = "") {
    return fmt::format(
        R"({{"apiVersion":"v1","kind":"Service","metadata":{{"name":"{}","namespace":"prod"{}}},"spec":{{"ports":[{{"port":80}}],{}}}{}}})",
        name, metadata, spec, status);
}

constexpr const char* kLoadBalancer = R"("type":"LoadBalancer")";

struct Cluster : Fixture {
    std::unique_ptr<store::Store> chores_store = open();
    ServiceAddresses addresses{*chores_store};
    SteadyTime steady{};

    explicit Cluster(const StoreFixture& fixture) : Fixture("10.0.0.0/24", 28, fixture.open) {
        put(model::Kind::ip_pool, "", "lb", pool("lb", "192.0.2.0/28", 30));
        put(model::Kind::ip_pool, "", "lb6", pool("lb6", "2001:db8::/120", 124));
    }
    void put_service(const std::string& name, const std::string& spec, const std::string& metadata = "",
                     const std::string& status = "") const {
        put(model::Kind::service, "prod", name, service_text(name, spec, metadata, status));
    }
    ServiceAddresses::Done pass() {
        auto done = addresses.run(true, steady += std::chrono::seconds(61), kNow);
        INFO((done ? "" : done.error().msg));
        REQUIRE(done);
        return *std::move(done);
    }
    /// What the Service's status says.
    std::vector<std::string> told(const std::string& name) const {
        const auto object = store->get({model::Kind::service, "prod", name});
        REQUIRE(object);
        const auto decoded = codec::decode(model::Kind::service, *object->document, codec::Mode::strict);
        const auto found = model::as<model::Service>(decoded.resource);
        REQUIRE(found);
        std::vector<std::string> out;
        for (const auto& ingress : found->status.load_balancer.ingress) {
            out.push_back(ingress.ip ? ingress.ip->to_string() : "?");
        }
        return out;
    }
    std::size_t allocated() const {
        std::size_t count = 0;
        for (const auto& object : all<model::IpamBlock>()) {
            count += Block::from_model(object->spec)->in_use_count();
        }
        return count;
    }
};

using Texts = std::vector<std::string>;

TEST_CASE("a Service of type LoadBalancer gets an address, keeps it, and gives it back when it goes") {
    FOR_EACH_STORE
    Cluster c(fixture);
    c.put_service("web", kLoadBalancer);
    c.put_service("inner", R"("type":"ClusterIP")");
    c.put_service("foreign", R"("type":"LoadBalancer","loadBalancerClass":"other.example/lb")");
    const auto done = c.pass();
    REQUIRE(done.given.size() == 1);
    const Texts first = c.told("web");
    REQUIRE(first.size() == 1);
    CHECK(done.given.front() == "prod/web: " + first.front());
    CHECK(c.told("inner").empty());
    CHECK(c.told("foreign").empty());
    CHECK(c.allocated() == 1);

    // Its block belongs to no node, so that no node announces it and no pod takes an address out of it.
    const auto affinities = c.all<model::BlockAffinity>();
    REQUIRE(affinities.size() == 1);
    CHECK(affinities.front()->spec.type == model::AffinityType::virtual_);
    CHECK(affinities.front()->spec.node == "load-balancer");
    CHECK(affinities.front()->spec.state == model::AffinityState::confirmed);
    const auto blocks = c.all<model::IpamBlock>();
    REQUIRE(blocks.size() == 1);
    CHECK(blocks.front()->spec.affinity == "virtual:load-balancer");
    REQUIRE(c.all<model::IpamHandle>().size() == 1);
    CHECK(c.all<model::IpamHandle>().front()->spec.handle_id == service_handle("prod", "web"));

    CHECK(c.pass().given.empty());
    CHECK(c.told("web") == first);

    REQUIRE(c.store->remove({model::Kind::service, "prod", "web"}, std::nullopt));
    const auto freed = c.pass();
    REQUIRE(freed.freed == Texts{"prod/web: " + first.front()});
    CHECK(c.allocated() == 0);
    CHECK(c.all<model::IpamHandle>().empty());
}

TEST_CASE("what a Service asks for: families, pools, addresses; and what cannot be had is said") {
    FOR_EACH_STORE
    Cluster c(fixture);
    c.put(model::Kind::ip_pool, "", "gold", pool("gold", "198.51.100.0/28", 30));
    struct Row {
        std::string name;
        std::string spec;
        std::string annotations;
        Texts told;  ///< beginnings
        std::string problem;
    };
    const std::string lb = kLoadBalancer;
    const std::vector<Row> rows{
        {"dual", lb + R"(,"ipFamilies":["IPv6","IPv4"])", "", {"2001:db8::", ""}, ""},
        {"six", lb + R"(,"ipFamilies":["IPv6"])", "", {"2001:db8::"}, ""},
        {"by-cluster-ip", lb + R"(,"clusterIP":"fd00::1","clusterIPs":["fd00::1"])", "", {"2001:db8::"}, ""},
        {"by-name", lb, R"("projectcalico.org/ipv4pools":"[\"lb\"]")", {"192.0.2."}, ""},
        {"by-cidr", lb, R"("projectcalico.org/ipv4pools":"[\"198.51.100.0/28\"]")", {"198.51.100."}, ""},
        {"exact",
         lb,
         R"("projectcalico.org/loadBalancerIPs":"[\"192.0.2.9\",\"2001:db8::7\"]")",
         {"192.0.2.9", "2001:db8::7"},
         ""},
        {"in-spec", lb + R"(,"loadBalancerIP":"192.0.2.10")", "", {"192.0.2.10"}, ""},
        {"twice",
         lb,
         R"("projectcalico.org/loadBalancerIPs":"[\"192.0.2.9\"]")",
         {},
         "192.0.2.9 was asked for, but is in use"},
        {"elsewhere", lb, R"("projectcalico.org/loadBalancerIPs":"[\"10.9.9.9\"]")", {}, "lies in no enabled IPPool"},
        {"of-pods", lb, R"("projectcalico.org/loadBalancerIPs":"[\"10.0.0.9\"]")", {}, "does not allow this use"},
        {"no-address", lb, R"("projectcalico.org/loadBalancerIPs":"[\"x\"]")", {}, "x is no address"},
        {"no-list", lb, R"("projectcalico.org/ipv4pools":"lb")", {}, "should be a JSON list of texts"},
        {"no-pool", lb, R"("projectcalico.org/ipv4pools":"[\"absent\"]")", {}, "absent"},
    };
    for (const Row& row : rows) {
        c.put_service(row.name, row.spec, row.annotations.empty() ? "" : R"(,"annotations":{)" + row.annotations + "}");
        const auto done = c.pass();
        CAPTURE(row.name, done.problems);
        const Texts told = c.told(row.name);
        REQUIRE(told.size() == row.told.size());
        for (std::size_t i = 0; i < told.size(); ++i) {
            CHECK(told[i].starts_with(row.told[i]));
        }
        const bool said = std::ranges::any_of(done.problems, [&](const std::string& text) {
            return text.starts_with("Service prod/" + row.name + ": ") && text.find(row.problem) != std::string::npos;
        });
        CHECK(said == !row.problem.empty());
    }
}

TEST_CASE("a Service that asks for something else gets it, one that asks for nothing more loses it") {
    FOR_EACH_STORE
    Cluster c(fixture);
    c.put_service("web", kLoadBalancer);
    static_cast<void>(c.pass());
    CHECK(c.told("web").size() == 1);
    c.put_service("web", kLoadBalancer, R"(,"annotations":{"projectcalico.org/loadBalancerIPs":"[\"192.0.2.13\"]"})");
    static_cast<void>(c.pass());
    CHECK(c.told("web") == Texts{"192.0.2.13"});
    CHECK(c.allocated() == 1);
    CHECK(c.all<model::IpamHandle>().size() == 1);
    c.put_service("web", std::string(kLoadBalancer) + R"(,"ipFamilies":["IPv4","IPv6"])");
    static_cast<void>(c.pass());
    CHECK(c.told("web").size() == 2);
    CHECK(c.told("web").front() == "192.0.2.13");  // what it has may stay
    c.put_service("web", R"("type":"NodePort")", "",
                  R"(,"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.13"},{"ip":"203.0.113.1"}]}})");
    CHECK(c.pass().freed.size() == 1);
    CHECK(c.told("web") == Texts{"203.0.113.1"});  // ours is gone, another's stays
    CHECK(c.allocated() == 0);
}

TEST_CASE("KubeControllersConfiguration says who gets addresses, and whether anybody does") {
    FOR_EACH_STORE
    Cluster c(fixture);
    const auto configure = [&](const std::string& controllers) {
        c.put(
            model::Kind::kube_controllers_configuration, "", "default",
            R"({"apiVersion":"projectcalico.org/v3","kind":"KubeControllersConfiguration","metadata":{"name":"default"},)"
            R"("spec":{"controllers":)" +
                controllers + "}}");
    };
    configure(R"({"loadBalancer":{"assignIPs":"RequestedServicesOnly"}})");
    c.put_service("silent", kLoadBalancer);
    c.put_service("asking", kLoadBalancer, R"(,"annotations":{"projectcalico.org/ipv4pools":"[\"lb\"]"})");
    c.put_service("of-class", R"("type":"LoadBalancer","loadBalancerClass":"calico")");
    static_cast<void>(c.pass());
    CHECK(c.told("silent").empty());
    CHECK(c.told("asking").size() == 1);
    CHECK(c.told("of-class").size() == 1);
    configure("{}");
    CHECK(c.pass().freed.size() == 2);
    CHECK(c.told("asking").empty());
    CHECK(c.allocated() == 0);
}

TEST_CASE("without a pool for load balancers nobody's status is touched; an exhausted one says so") {
    FOR_EACH_STORE
    Cluster c(fixture);
    REQUIRE(c.store->remove({model::Kind::ip_pool, "", "lb"}, std::nullopt));
    REQUIRE(c.store->remove({model::Kind::ip_pool, "", "lb6"}, std::nullopt));
    c.put_service("web", kLoadBalancer, "", R"(,"status":{"loadBalancer":{"ingress":[{"ip":"203.0.113.1"}]}})");
    CHECK(c.pass().problems.empty());
    CHECK(c.told("web") == Texts{"203.0.113.1"});

    c.put(model::Kind::ip_pool, "", "lb", pool("lb", "192.0.2.0/30", 30));
    for (int i = 0; i < 4; ++i) {
        c.put_service(fmt::format("s{}", i), kLoadBalancer);
    }
    const auto done = c.pass();
    CHECK(done.given.size() == 4);
    REQUIRE(done.problems.size() == 1);
    CHECK_THAT(done.problems.front(), Catch::Contains("no free address") && Catch::Contains("pool lb has 0 free of 4"));
    // Pods get nothing out of such a pool, also when theirs is empty.
    REQUIRE(c.store->remove({model::Kind::ip_pool, "", "p"}, std::nullopt));
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::ranges::find(c.service.knowledge().world().pools, "p", &Pool::name) !=
               c.service.knowledge().world().pools.end() &&
           std::chrono::steady_clock::now() < patience) {
        REQUIRE(c.service.take_changes());
    }
    CHECK(c.add(bare("a")).answer.error);
}

TEST_CASE("addresses that Calico's controller gave are kept, used, and not freed for a Service that is not here") {
    FOR_EACH_STORE
    Cluster c(fixture);
    const auto block = [](const char* name) {
        return fmt::format(
            R"({{"apiVersion":"projectcalico.org/v3","kind":"IPAMBlock","metadata":{{"name":"192-0-2-0-30"}},"spec":{{"cidr":"192.0.2.0/30",)"
            R"("affinity":"virtual:load-balancer","strictAffinity":false,"allocations":[null,0,null,null],"unallocated":[0,2,3],)"
            R"("attributes":[{{"handle_id":"lb-imported","secondary":{{"service":"{}","namespace":"prod","type":"LoadBalancer"}}}}],)"
            R"("deleted":false,"sequenceNumber":5,"sequenceNumberForAllocation":{{"1":4}}}}}})",
            name);
    };
    c.put(model::Kind::ipam_block, "", "192-0-2-0-30", block("web"));
    CHECK(c.pass().freed.empty());
    CHECK(c.allocated() == 1);
    c.put_service("web", kLoadBalancer);
    static_cast<void>(c.pass());
    CHECK(c.told("web") == Texts{"192.0.2.1"});
    CHECK(c.allocated() == 1);
}

TEST_CASE("an address that the status tells and nobody holds is allocated again") {
    FOR_EACH_STORE
    Cluster c(fixture);
    c.put_service("web", kLoadBalancer, "", R"(,"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.6"}]}})");
    static_cast<void>(c.pass());
    CHECK(c.told("web") == Texts{"192.0.2.6"});
    CHECK(c.allocated() == 1);
}

TEST_CASE("whoever holds the lease gives addresses to Services") {
    FOR_EACH_STORE
    Cluster c(fixture);
    c.put_service("web", kLoadBalancer);
    Chores chores(*c.chores_store, "n1", nullptr);
    SteadyTime now{};
    bool given = false;
    for (int i = 0; i < 10 && !given; ++i) {
        now += std::chrono::seconds(10);
        const auto done = chores.run(now, kNow);
        REQUIRE(done);
        given = !done->services_given.empty();
    }
    CHECK(given);
    CHECK(c.told("web").size() == 1);
}

TEST_CASE("blocks that Services left empty are given back, those in use and those of nodes are not") {
    FOR_EACH_STORE
    Cluster c(fixture);
    REQUIRE_FALSE(c.add(bare("pod")).answer.error);
    for (int i = 0; i < 6; ++i) {  // two blocks of four
        c.put_service(fmt::format("s{}", i), kLoadBalancer);
    }
    CHECK(c.pass().given.size() == 6);
    const auto blocks_of = [&](const char* owner) {
        const auto blocks = c.all<model::IpamBlock>();
        return std::ranges::count(blocks, std::optional<std::string>(owner),
                                  [](const auto& block) { return block->spec.affinity; });
    };
    CHECK(blocks_of("virtual:load-balancer") == 2);
    for (int i = 0; i < 5; ++i) {
        REQUIRE(c.store->remove({model::Kind::service, "prod", fmt::format("s{}", i)}, std::nullopt));
    }
    const auto wait = [&](std::chrono::seconds time) {
        std::size_t given_up = 0;
        for (const SteadyTime end = c.steady + time; c.steady < end;) {
            given_up += c.pass().blocks_given_up;
        }
        return given_up;
    };
    CHECK(c.pass().freed.size() == 5);
    CHECK(wait(EmptyBlocks::kGrace - std::chrono::minutes(2)) == 0);
    CHECK(wait(std::chrono::minutes(4)) == 1);
    CHECK(blocks_of("virtual:load-balancer") == 1);
    CHECK(c.told("s5").size() == 1);
    CHECK(blocks_of("host:n1") == 1);

    // The last one goes too, and without its pool at once.
    REQUIRE(c.store->remove({model::Kind::service, "prod", "s5"}, std::nullopt));
    CHECK(c.pass().freed.size() == 1);
    CHECK(blocks_of("virtual:load-balancer") == 1);
    REQUIRE(c.store->remove({model::Kind::ip_pool, "", "lb"}, std::nullopt));
    CHECK(c.pass().blocks_given_up == 1);
    CHECK(blocks_of("virtual:load-balancer") == 0);
    for (const auto& affinity : c.all<model::BlockAffinity>()) {
        CHECK(affinity->spec.node == "n1");
    }
}

TEST_CASE("a new Service is served when the watch tells of it, long before the next full look") {
    FOR_EACH_STORE
    Cluster c(fixture);
    Chores chores(*c.chores_store, "n1", nullptr);
    const auto given = [&] {
        const auto done = chores.run(c.steady, kNow);
        REQUIRE(done);
        return done->services_given.size();
    };
    CHECK(given() == 0);
    c.put_service("web", kLoadBalancer);
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    bool served = given() == 1;
    while (!served && std::chrono::steady_clock::now() < patience) {
        served = given() == 1;
    }
    CHECK(served);
}

}  // namespace
}  // namespace manul::ipam
