#include <catch2/catch.hpp>

#include "config/model/block_affinity.hpp"
#include "config/model/ipam_block.hpp"
#include "config/model/ipam_handle.hpp"
#include "test/ipam/service_fixture.hpp"

// What pods ask for by annotations, and what is given back without anybody asking.

namespace manul::ipam {
namespace {

using test::bare;
using test::Fixture;
using test::kNow;
using test::pod_document;
using test::pod_request;
using test::pool_document;

TEST_CASE("annotations of pod and namespace choose pools and addresses") {
    Fixture f;
    f.put(model::Kind::ip_pool, "", "q", pool_document("q", "10.5.0.0/24", 28));
    f.put(model::Kind::pod, "prod", "web",
          pod_document("prod", "web", "v1", R"(,"annotations":{"cni.projectcalico.org/ipAddrs":"[\"10.5.0.77\"]"})"));
    f.put(
        model::Kind::namespace_, "", "prod",
        R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"prod","annotations":{"cni.projectcalico.org/ipv4pools":"[\"q\"]"}}})");
    REQUIRE(f.service.take_changes());
    CHECK(f.add(pod_request("c1", "web")).answer.ips == std::vector{*net::Ip::parse("10.5.0.77")});
    const Answer other = f.add(pod_request("c2", "other")).answer;
    REQUIRE_FALSE(other.error);
    CHECK(net::Prefix::parse("10.5.0.0/24")->contains(other.ips.front()));
    f.put(model::Kind::pod, "prod", "bad",
          pod_document("prod", "bad", "v1", R"(,"annotations":{"cni.projectcalico.org/ipAddrs":"10.5.0.77"})"));
    const Answer bad = f.add(pod_request("c3", "bad")).answer;
    REQUIRE(bad.error);
    CHECK(bad.error->code == 7);
}

TEST_CASE("annotations choose families; an empty one is as good as none") {
    Fixture f;
    f.put(model::Kind::ip_pool, "", "six", pool_document("six", "fd00::/120", 122));
    f.put(
        model::Kind::namespace_, "", "prod",
        R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"prod","annotations":{"cni.projectcalico.org/ipFamilies":"[\"IPv6\"]"}}})");
    REQUIRE(f.service.take_changes());
    struct Row {
        const char* annotations;
        const char* result;  ///< families, or a part of the refusal
    };
    const Row rows[] = {
        {R"("x":"y")", "6"},
        {R"("cni.projectcalico.org/ipFamilies":"[\"IPv4\"]")", "4"},
        {R"("cni.projectcalico.org/ipFamilies":"[\"IPv4\",\"IPv6\"]")", "46"},
        {R"("cni.projectcalico.org/ipFamilies":"","cni.projectcalico.org/ipv6pools":"","cni.projectcalico.org/ipAddrs":"")",
         "6"},
        {R"("cni.projectcalico.org/ipFamilies":"[\"ipv4\"]")", "ipv4 is neither IPv4 nor IPv6"},
        {R"("cni.projectcalico.org/ipFamilies":"[]")", "asks for no address of either family"},
        {R"("cni.projectcalico.org/ipAddrs":"[]")", "cni.projectcalico.org/ipAddrs is an empty list"},
        {R"("cni.projectcalico.org/allowedSourcePrefixes":"[\"198.51.100.7/24\"]")", "6"},
    };
    for (std::size_t i = 0; i < std::size(rows); ++i) {
        INFO(rows[i].annotations);
        const std::string name = "p" + std::to_string(i);
        f.put(model::Kind::pod, "prod", name,
              pod_document("prod", name.c_str(), "v1", R"(,"annotations":{)" + std::string(rows[i].annotations) + "}"));
        const Answer answer = f.add(pod_request(("c" + std::to_string(i)).c_str(), name.c_str())).answer;
        std::string families;
        for (const net::Ip& one : answer.ips) {
            families += one.is_v4() ? "4" : "6";
        }
        CHECK_THAT(answer.error ? answer.error->msg : families, Catch::EndsWith(rows[i].result));
    }
}

TEST_CASE("addresses without IPAM are used as they are, where the network allows it") {
    Fixture f;
    f.put(model::Kind::pod, "prod", "fixed",
          pod_document("prod", "fixed", "v1",
                       R"(,"annotations":{"cni.projectcalico.org/ipAddrsNoIpam":"[\"192.0.2.7\",\"2001:db8::7\"]"})"));
    Request request = pod_request("c1", "fixed");
    const Answer refused = f.add(request).answer;
    REQUIRE(refused.error);
    CHECK(refused.error->code == 7);
    CHECK(refused.error->msg.find("feature_control.ip_addrs_no_ipam") != std::string::npos);
    request.allow_addresses_without_ipam = true;
    const std::vector both{*net::Ip::parse("192.0.2.7"), *net::Ip::parse("2001:db8::7")};
    CHECK(f.add(request).answer.ips == both);
    CHECK(f.add(request).answer.ips == both);
    CHECK(f.all<model::IpamBlock>().empty());
    CHECK(f.all<model::IpamHandle>().empty());
    CHECK_FALSE(f.service.check(request).error);
    CHECK(f.release(request));
    CHECK(f.all<model::WorkloadEndpoint>().empty());

    f.put(model::Kind::pod, "prod", "greedy",
          pod_document("prod", "greedy", "v1",
                       R"(,"annotations":{"cni.projectcalico.org/ipAddrsNoIpam":"[\"10.0.0.7\"]"})"));
    Request greedy = pod_request("c2", "greedy");
    greedy.allow_addresses_without_ipam = true;
    const Answer in_pool = f.add(greedy).answer;
    REQUIRE(in_pool.error);
    CHECK(in_pool.error->msg.find("10.0.0.7 lies in IPPool p; use ipAddrs") != std::string::npos);
}

TEST_CASE("floating addresses and allowed sources of a pod stand in its endpoint") {
    Fixture f;
    f.put(
        model::Kind::pod, "prod", "web",
        pod_document(
            "prod", "web", "v1",
            R"(,"annotations":{"cni.projectcalico.org/floatingIPs":"[\"198.51.100.9\"]","cni.projectcalico.org/allowedSourcePrefixes":"[\"203.0.113.0/24\"]"})"));
    Request request = pod_request("c1", "web");
    const Answer refused = f.add(request).answer;
    REQUIRE(refused.error);
    CHECK(refused.error->msg.find("feature_control.floating_ips") != std::string::npos);
    CHECK(f.all<model::IpamHandle>().empty());
    request.allow_floating_addresses = true;
    const Answer answer = f.add(request).answer;
    REQUIRE_FALSE(answer.error);
    const auto endpoint = f.endpoint();
    REQUIRE(endpoint->spec.ip_nats.size() == 1);
    CHECK(endpoint->spec.ip_nats[0] == model::IpNat{answer.ips[0], *net::Ip::parse("198.51.100.9")});
    CHECK(endpoint->spec.allow_spoofed_source_prefixes == std::vector{*net::Prefix::parse("203.0.113.0/24")});
}

TEST_CASE("an address that some endpoint uses is no leak, and nothing is freed while one cannot be read") {
    Fixture f;
    REQUIRE_FALSE(f.add(bare("c1")).answer.error);
    const auto endpoint = f.endpoint();
    const std::string document = codec::encode(*endpoint);
    REQUIRE(f.store->remove(endpoint->key(), std::nullopt));
    f.service.source().forget_all();
    const auto freed = [&](SteadyTime at) { return f.service.tidy({}, std::nullopt, true, at, kNow)->handles; };
    const SteadyTime start{};
    CHECK(freed(start) == 0);
    // Written by somebody else, so not among those that this process knows to be its own.
    const store::Put back{endpoint->key(), document, std::nullopt};
    const std::vector<store::Op> ops{back};
    REQUIRE(f.store->transact(ops, store::Checks::own_fields_only));
    CHECK(freed(start + Leaks::kGrace) == 0);
    const std::string damaged = fmt::format(
        R"({{"apiVersion":"projectcalico.org/v3","kind":"WorkloadEndpoint","metadata":{{"name":"{}","namespace":"default"}},"spec":{{"ipNetworks":7}}}})",
        endpoint->metadata.name);
    const std::vector<store::Op> damage{store::Put{endpoint->key(), damaged, std::nullopt}};
    const auto done = f.store->transact(damage, store::Checks::own_fields_only);
    INFO((done ? "" : done.error().message));
    REQUIRE(done);
    CHECK(freed(start + Leaks::kGrace) == 0);
    REQUIRE(f.store->remove(endpoint->key(), std::nullopt));
    CHECK(freed(start + Leaks::kGrace) == 1);
}

TEST_CASE("empty blocks and leaked handles are given back after their grace periods") {
    Fixture f("10.0.0.0/24", 31);
    for (int i = 0; i < 6; ++i) {
        REQUIRE_FALSE(f.add(bare("c" + std::to_string(i))).answer.error);
    }
    CHECK(f.all<model::IpamBlock>().size() == 3);
    for (int i = 0; i < 5; ++i) {
        CHECK(f.release(bare("c" + std::to_string(i))));
    }
    // An endpoint that vanished without its address.
    const auto endpoint = f.endpoint();
    REQUIRE(f.store->remove(endpoint->key(), std::nullopt));
    f.service.source().forget_all();
    const SteadyTime start{};
    REQUIRE(f.service.tidy({}, std::nullopt, true, start, kNow));
    const auto blocks = f.service.tidy({}, std::nullopt, true, start + EmptyBlocks::kGrace, kNow);
    REQUIRE(blocks);
    CHECK(blocks->blocks == 2);
    CHECK(f.all<model::BlockAffinity>().size() == 1);
    const auto handles = f.service.tidy({}, std::nullopt, true, start + Leaks::kGrace, kNow);
    REQUIRE(handles);
    CHECK(handles->handles == 1);
    CHECK(f.all<model::IpamHandle>().empty());
}

TEST_CASE("a pool that is being deleted gives nothing any more, as with Calico") {
    Fixture f("10.0.0.0/24", 28);
    f.put(model::Kind::ip_pool, "", "q", pool_document("q", "10.1.0.0/24", 28));
    const model::Key key{model::Kind::ip_pool, "", "p"};
    std::string document = pool_document("p", "10.0.0.0/24", 28);
    document.insert(document.find("\"name\""), R"("deletionTimestamp":"2026-01-31T12:00:00Z","finalizers":["x/y"],)");
    const std::vector<store::Op> mark{store::Put{key, document, std::nullopt}};
    REQUIRE(f.store->transact(mark, store::Checks::own_fields_only));
    REQUIRE(f.service.take_changes());
    const Answer answer = f.add(bare("c1")).answer;
    REQUIRE(answer.ips.size() == 1);
    CHECK(net::Prefix::parse("10.1.0.0/24")->contains(answer.ips.front()));
}

TEST_CASE("a block that was deleted under its pods comes back with their addresses in use") {
    Fixture f("10.0.0.0/28", 28);
    for (const char* id : {"c1", "c2", "c3"}) {
        REQUIRE_FALSE(f.add(bare(id)).answer.error);
    }
    CHECK(f.release(bare("c3")));
    const auto remove = [&f](model::Kind kind) {
        const auto listing = f.store->list({.kind = kind, .ns = std::nullopt, .name_prefix = {}});
        REQUIRE(listing);
        const std::vector<store::Object> found = listing->items;
        for (const store::Object& object : found) {
            REQUIRE(f.store->remove(object.key, std::nullopt));
        }
    };
    remove(model::Kind::ipam_block);
    SECTION("the block alone") {}
    SECTION("the block and what belongs to it") {
        remove(model::Kind::ipam_handle);
        remove(model::Kind::block_affinity);
    }
    const Answer next = f.add(bare("c4")).answer;
    REQUIRE(next.ips.size() == 1);
    const auto block = Block::from_model(f.all<model::IpamBlock>().at(0)->spec);
    REQUIRE(block);
    CHECK(block->in_use_count() == 3);
    CHECK(f.all<model::IpamHandle>().size() == 3);
    for (const auto& endpoint : f.all<model::WorkloadEndpoint>()) {
        const auto ordinal = block->ordinal(endpoint->spec.ip_networks.at(0).address());
        REQUIRE(ordinal);
        REQUIRE(block->owner(*ordinal));
        CHECK(block->owner(*ordinal)->attributes.at("pod") == endpoint->spec.container_id);
    }
    for (const char* id : {"c1", "c2", "c4"}) {
        CHECK(f.release(bare(id)));
    }
    CHECK(Block::from_model(f.all<model::IpamBlock>().at(0)->spec)->is_empty());
    CHECK(f.all<model::IpamHandle>().empty());
}

}  // namespace
}  // namespace manul::ipam
