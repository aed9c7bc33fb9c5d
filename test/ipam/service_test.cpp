#include "ipam/service/service.hpp"

#include <algorithm>
#include <set>
#include <thread>

#include <fmt/core.h>
#include <catch2/catch.hpp>

#include "config/codec/json.hpp"
#include "config/model/block_affinity.hpp"
#include "config/model/ipam_block.hpp"
#include "config/model/ipam_handle.hpp"
#include "ipam/core/names.hpp"
#include "test/ipam/service_fixture.hpp"

namespace manul::ipam {
namespace {

using test::bare;
using test::Fixture;
using test::kBoot;
using test::kNow;
using test::pod_document;
using test::pod_request;
using test::pool_document;

TEST_CASE("a DEL that loses a race to another writer still removes the endpoint with its address") {
    Fixture f;
    const Request request = bare("c1");
    REQUIRE_FALSE(f.add(request).answer.error);
    const auto endpoint = f.endpoint();
    model::WorkloadEndpoint relabelled = *endpoint;
    relabelled.metadata.labels["touched"] = "behind-the-cache";
    f.put(model::Kind::workload_endpoint, endpoint->metadata.ns, endpoint->metadata.name, codec::encode(relabelled));
    CHECK(f.release(request));
    CHECK(f.all<model::WorkloadEndpoint>().empty());
    CHECK(f.all<model::IpamHandle>().empty());
}

TEST_CASE("policy alone: the endpoint has the addresses that another plugin gave, none is allocated, DEL removes it") {
    Fixture f;
    Request request = bare("c1");
    request.policy_only = true;
    request.host_interface = "veth7";
    request.ips = {*net::Ip::parse("192.0.2.5"), *net::Ip::parse("2001:db8::5")};
    const Answer answer = f.add(request).answer;
    REQUIRE_FALSE(answer.error);
    CHECK(answer.ips == request.ips);
    const auto endpoint = f.endpoint();
    CHECK(endpoint->spec.interface_name == "veth7");
    CHECK(endpoint->spec.ip_networks.size() == 2);
    CHECK(f.all<model::IpamHandle>().empty());
    CHECK(f.all<model::IpamBlock>().empty());
    CHECK(f.service.attachments()->front().policy_only);
    request.op = Op::check;
    CHECK_FALSE(f.service.check(request).error);
    CHECK(f.service.check(request).policy_only);

    request.op = Op::add;  // the pod's next sandbox, with another address
    request.ips = {*net::Ip::parse("192.0.2.6")};
    REQUIRE_FALSE(f.add(request).answer.error);
    CHECK(f.endpoint()->spec.ip_networks == std::vector{net::Prefix::host(*net::Ip::parse("192.0.2.6"))});
    CHECK(f.release(request));
    CHECK(f.all<model::WorkloadEndpoint>().empty());
}

TEST_CASE("a Pod's hwAddr annotation is the MAC address, whatever the plugin chose") {
    Fixture f;
    f.put(model::Kind::pod, "prod", "web",
          pod_document("prod", "web", "x", R"(,"annotations":{"cni.projectcalico.org/hwAddr":"02:00:00:00:00:42"})"));
    Request request = pod_request("c1", "web");
    request.mac = net::Mac::parse("02:00:00:00:00:01");
    const Answer answer = f.add(request).answer;
    REQUIRE_FALSE(answer.error);
    CHECK(answer.mac == net::Mac::parse("02:00:00:00:00:42"));
    CHECK(f.endpoint()->spec.mac == answer.mac);
    f.put(model::Kind::pod, "prod", "bad",
          pod_document("prod", "bad", "x", R"(,"annotations":{"cni.projectcalico.org/hwAddr":"01:00:00:00:00:42"})"));
    CHECK(f.add(pod_request("c2", "bad")).answer.error->code == 7);
}

TEST_CASE("the MTU of pods follows links, pools and FelixConfiguration") {
    Fixture f;
    f.service.set_uplinks({{"eth0", 1500}});
    CHECK(f.add(bare("c1")).answer.mtu == 1500);
    f.put(
        model::Kind::ip_pool, "", "q",
        R"({"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"q"},"spec":{"cidr":"10.9.0.0/24","vxlanMode":"Always"}})");
    REQUIRE(f.service.take_changes());
    CHECK(f.add(bare("c2")).answer.mtu == 1450);
    f.put(
        model::Kind::felix_configuration, "", "default",
        R"({"apiVersion":"projectcalico.org/v3","kind":"FelixConfiguration","metadata":{"name":"default"},"spec":{"vxlanMTU":1400}})");
    REQUIRE(f.service.take_changes());
    CHECK(f.add(bare("c3")).answer.mtu == 1400);
    f.service.set_uplinks({{"eth0", 1300}});
    CHECK(f.add(bare("c4")).answer.mtu == 1300);
}

TEST_CASE("an attachment is unknown when neither endpoint nor address of it is left") {
    Fixture f;
    const Release release{"net", {"c1", "eth0"}};
    CHECK(f.service.is_unknown(release));
    REQUIRE_FALSE(f.add(bare("c1")).answer.error);
    CHECK_FALSE(f.service.is_unknown(release));
    const auto endpoint = f.endpoint();
    REQUIRE(f.store->remove(endpoint->key(), std::nullopt));
    Service later{*f.store, {"n1", kBoot}};
    CHECK_FALSE(later.is_unknown(release));  // the datastore was not read yet
    REQUIRE(later.start());
    CHECK_FALSE(later.is_unknown(release));  // the address is left
    const std::string handle = handle_id("net", {"c1", "eth0"});
    REQUIRE(later.release_handles(std::span(&handle, 1), kNow).front());
    CHECK(later.is_unknown(release));
}

TEST_CASE("an ADD writes addresses, handle, endpoint and the network's profile at once") {
    Fixture f;
    Request request = bare("c1");
    request.labels = {{"app", "web"}, {"pcns.team", "stolen"}};
    request.mac = net::Mac::parse("02:00:00:00:00:01");
    request.port_mappings = {{8080, 80, "tcp", std::nullopt}};
    request.bandwidth = Bandwidth{1'000'000, 0, 5, 0};
    const Answer answer = f.add(request).answer;
    REQUIRE_FALSE(answer.error);
    REQUIRE(answer.ips.size() == 1);
    CHECK(answer.host_interface == "calic1");
    CHECK(answer.endpoint == "default/n1-cni-c1-eth0");
    CHECK(f.service.committer().commits() == 1);

    const auto endpoint = f.endpoint();
    CHECK(endpoint->metadata.resource_version == answer.resource_version);
    CHECK(endpoint->spec.orchestrator == "cni");
    CHECK(endpoint->spec.workload == "c1");
    CHECK(endpoint->spec.ip_networks == std::vector{net::Prefix::host(answer.ips.front())});
    CHECK(endpoint->spec.profiles == std::vector<std::string>{"net"});
    CHECK(endpoint->metadata.labels == model::StringMap{{"app", "web"},
                                                        {"projectcalico.org/namespace", "default"},
                                                        {"projectcalico.org/orchestrator", "cni"}});
    CHECK(endpoint->metadata.annotations.at(kBootIdAnnotation) == kBoot);
    REQUIRE(endpoint->spec.ports.size() == 1);
    CHECK(endpoint->spec.ports.front().host_port == 8080);
    REQUIRE(endpoint->spec.qos_controls);
    CHECK(endpoint->spec.qos_controls->ingress_bandwidth == 1'000'000U);
    CHECK(endpoint->spec.qos_controls->egress_bandwidth == 1'000U);

    const auto profiles = f.all<model::Profile>();
    REQUIRE(profiles.size() == 1);
    CHECK(profiles.front()->spec.labels_to_apply == model::StringMap{{"net", ""}});
    CHECK(profiles.front()->spec.ingress.front().source.selector == "has(net)");
    const auto handles = f.all<model::IpamHandle>();
    REQUIRE(handles.size() == 1);
    CHECK(handles.front()->spec.handle_id == "net.c1.eth0");
    const auto affinities = f.all<model::BlockAffinity>();
    REQUIRE(affinities.size() == 1);
    CHECK(affinities.front()->spec.state == model::AffinityState::confirmed);
    CHECK(affinities.front()->metadata.name == "n1-" + block_name(affinities.front()->spec.cidr));
    CHECK(f.all<model::IpamBlock>().size() == 1);
}

TEST_CASE("a pod's endpoint takes labels, account and ports of its Pod and follows them") {
    Fixture f;
    f.put(model::Kind::pod, "prod", "web", pod_document("prod", "web", "v1"));
    Request request = pod_request("c1", "web");
    request.port_mappings = {{80, 8080, "tcp", std::nullopt}};
    REQUIRE_FALSE(f.add(request).answer.error);
    auto endpoint = f.endpoint();
    CHECK(endpoint->metadata.ns == "prod");
    CHECK(endpoint->metadata.name == "n1-k8s-web-eth0");
    CHECK(endpoint->metadata.labels == model::StringMap{{"app", "v1"},
                                                        {"projectcalico.org/namespace", "prod"},
                                                        {"projectcalico.org/orchestrator", "k8s"},
                                                        {"projectcalico.org/serviceaccount", "robot"}});
    CHECK(endpoint->spec.profiles == std::vector<std::string>{"kns.prod", "ksa.prod.robot"});
    CHECK(endpoint->spec.service_account_name == "robot");
    REQUIRE(endpoint->spec.ports.size() == 1);
    CHECK(endpoint->spec.ports.front().name == "http");
    CHECK(endpoint->spec.ports.front().host_port == 80);

    f.put(model::Kind::pod, "prod", "web", pod_document("prod", "web", "v2"));
    f.put(model::Kind::pod, "prod", "web2", pod_document("prod", "web2", "v9"));
    const auto changes = f.service.take_changes();
    REQUIRE(changes);
    CHECK(changes->endpoints_synced == 1);
    endpoint = f.endpoint();
    CHECK(endpoint->metadata.labels.at("app") == "v2");
    CHECK(endpoint->spec.ports.front().host_port == 80);

    REQUIRE(f.store->remove({model::Kind::pod, "prod", "web"}, std::nullopt));
    REQUIRE(f.service.take_changes());
    CHECK(f.endpoint()->metadata.labels.at("app") == "v2");
}

TEST_CASE("a Pod that comes after its endpoint is joined, also by a restarted service") {
    Fixture f;
    REQUIRE_FALSE(f.add(pod_request("c1", "web")).answer.error);
    CHECK(f.endpoint()->spec.profiles == std::vector<std::string>{"kns.prod", "ksa.prod.default"});
    f.put(model::Kind::pod, "prod", "web", pod_document("prod", "web", "v1"));
    const bool restart = GENERATE(false, true);
    if (restart) {
        Service again(*f.store, {"n1", kBoot});
        REQUIRE(again.start());
    } else {
        REQUIRE(f.service.take_changes());
    }
    CHECK(f.endpoint()->metadata.labels.at("app") == "v1");
}

TEST_CASE("a Pod that cannot be joined is reported and keeps nobody from working") {
    Fixture f;
    REQUIRE_FALSE(f.add(pod_request("c1", "web")).answer.error);
    // As another writer, without our checks, could do it.
    const std::vector<store::Op> ops{
        store::Put{{model::Kind::pod, "prod", "web"}, pod_document("prod", "web", "not a value!"), std::nullopt}};
    REQUIRE(f.store->transact(ops, store::Checks::own_fields_only));
    const auto changes = f.service.take_changes();
    REQUIRE(changes);
    REQUIRE(changes->refused.size() == 1);
    CHECK(changes->refused.front().find("Pod(prod/web)") != std::string::npos);
    CHECK_FALSE(f.endpoint()->metadata.labels.contains("app"));
    Service again(*f.store, {"n1", kBoot});
    CHECK(again.start());
}

TEST_CASE("ADD twice gives the same address, DEL twice is fine, and a later ADD starts afresh") {
    Fixture f;
    const Request request = bare("c1");
    const Answer first = f.add(request).answer;
    const Answer second = f.add(request).answer;
    REQUIRE_FALSE(second.error);
    CHECK(first.ips == second.ips);
    CHECK(first.resource_version == second.resource_version);
    CHECK(f.release(request));
    CHECK_FALSE(f.release(request));
    CHECK(f.all<model::WorkloadEndpoint>().empty());
    CHECK(f.all<model::IpamHandle>().empty());
    const Answer third = f.add(request).answer;
    REQUIRE_FALSE(third.error);
    CHECK(third.ips != first.ips);  // the freed one rests at the end of the queue
}

TEST_CASE("a new sandbox takes the endpoint over, and the old container's DEL does not touch it") {
    Fixture f;
    const Answer old = f.add(pod_request("old", "web")).answer;
    const auto known = f.service.predecessor_of(pod_request("new", "web"));
    REQUIRE(known);
    REQUIRE(*known);
    CHECK((*known)->attachment.container_id == "old");
    const AddResult taken = f.add(pod_request("new", "web"));
    REQUIRE_FALSE(taken.answer.error);
    CHECK(taken.answer.ips != old.ips);
    CHECK(taken.replaced_handle == "net.old.eth0");
    CHECK(f.endpoint()->spec.container_id == "new");
    CHECK(f.all<model::IpamHandle>().size() == 2);
    CHECK(f.release(pod_request("old", "web")));
    CHECK(f.endpoint()->spec.container_id == "new");
    CHECK(f.all<model::IpamHandle>().size() == 1);
    CHECK_FALSE(*f.service.release_handles(std::vector<std::string>{*taken.replaced_handle}, kNow).front());
    CHECK_FALSE(*f.service.predecessor_of(pod_request("new", "web")));
}

TEST_CASE("an endpoint of an earlier boot is replaced together with its addresses") {
    Fixture f;
    REQUIRE_FALSE(f.add(pod_request("old", "web")).answer.error);
    Service rebooted(*f.store, {"n1", "boot-2"});
    REQUIRE(rebooted.start());
    const auto known = rebooted.attachments();
    REQUIRE(known);
    CHECK_FALSE(known->front().of_this_boot);
    const Request request = pod_request("new", "web");
    const AddResult result = rebooted.add(std::span(&request, 1), kNow).front();
    REQUIRE_FALSE(result.answer.error);
    CHECK_FALSE(result.replaced_handle);
    CHECK(f.all<model::IpamHandle>().size() == 1);
    CHECK(f.endpoint()->metadata.annotations.at(kBootIdAnnotation) == std::string("boot-2"));
}

TEST_CASE("all waiting requests share one transaction, and a bad one spoils no other") {
    Fixture f("10.0.0.0/16", 26);
    std::vector<Request> requests;
    for (int i = 0; i < 40; ++i) {
        requests.push_back(bare("c" + std::to_string(i)));
    }
    requests[7].ipv4_pools = {"nowhere"};
    const auto results = f.service.add(requests, kNow);
    CHECK(f.service.committer().commits() == 1);
    std::set<net::Ip> addresses;
    for (std::size_t i = 0; i < results.size(); ++i) {
        if (i == 7) {
            REQUIRE(results[i].answer.error);
            CHECK(results[i].answer.error->code == 7);
        } else {
            REQUIRE_FALSE(results[i].answer.error);
            CHECK(addresses.insert(results[i].answer.ips.front()).second);
        }
    }
    std::vector<Release> releases;
    for (const Request& request : requests) {
        releases.push_back({request.network, request.attachment});
    }
    const auto freed = f.service.release(releases, kNow);
    CHECK(f.service.committer().commits() == 2);
    CHECK(std::ranges::count_if(freed, [](const auto& one) { return one && *one; }) == 39);
    CHECK(f.all<model::IpamHandle>().empty());
}

TEST_CASE("more requests than a transaction holds take several") {
    Fixture f("10.0.0.0/16", 26);
    std::vector<Request> requests;
    for (int i = 0; i < 300; ++i) {
        requests.push_back(bare("c" + std::to_string(i)));
    }
    for (const auto& result : f.service.add(requests, kNow)) {
        REQUIRE_FALSE(result.answer.error);
    }
    CHECK(f.service.committer().commits() < 12);
    CHECK(f.all<model::WorkloadEndpoint>().size() == 300);
    CHECK(f.all<model::BlockAffinity>().size() == 5);
}

TEST_CASE("without pool, or with an exhausted one, the answer says what to do") {
    Fixture f("10.0.0.0/30", 30);
    for (int i = 0; i < 4; ++i) {
        REQUIRE_FALSE(f.add(bare("c" + std::to_string(i))).answer.error);
    }
    Request probe;
    probe.op = Op::status;
    const Answer status = f.service.status(probe, kNow);
    REQUIRE(status.error);
    CHECK(status.error->code == 50);
    const Answer full = f.add(bare("c9")).answer;
    REQUIRE(full.error);
    CHECK(full.error->code == 11);
    CHECK(full.error->msg == "no free address: pool p has 0 free of 4: 4 in use by 1 node");
    REQUIRE(f.store->remove({model::Kind::ip_pool, "", "p"}, std::nullopt));
    REQUIRE(f.service.take_changes());
    const Answer none = f.add(bare("c9")).answer;
    REQUIRE(none.error);
    CHECK(none.error->msg == "there is no IPv4 IPPool; apply one with `manulctl apply`");
    CHECK(f.all<model::WorkloadEndpoint>().size() == 4);
}

TEST_CASE("STATUS is good while there is room, and writes nothing") {
    Fixture f;
    Request probe;
    probe.op = Op::status;
    CHECK_FALSE(f.service.status(probe, kNow).error);
    CHECK(f.all<model::IpamBlock>().empty());
}

TEST_CASE("CHECK finds the one address of two that was released behind the pod's back") {
    Fixture f;
    f.put(model::Kind::ip_pool, "", "six", pool_document("six", "fd00::/120", 122));
    REQUIRE(f.service.take_changes());
    Request request = bare("c1");
    request.assign_ipv6 = true;
    REQUIRE(f.add(request).answer.ips.size() == 2);
    CHECK_FALSE(f.service.check(request).error);
    for (const auto& block : f.all<model::IpamBlock>()) {
        if (block->spec.cidr.family() == net::Family::v6) {
            REQUIRE(f.store->remove(block->key(), std::nullopt));
        }
    }
    REQUIRE(f.service.start());
    const Answer answer = f.service.check(request);
    REQUIRE(answer.error);
    CHECK(answer.error->code == 100);
    CHECK(answer.error->msg.find("fd00::") != std::string::npos);
}

TEST_CASE("CHECK compares what the runtime remembers with what is stored") {
    Fixture f;
    Request request = bare("c1");
    const Answer added = f.add(request).answer;
    request.op = Op::check;
    request.ips = added.ips;
    CHECK_FALSE(f.service.check(request).error);
    request.ips = {*net::Ip::parse("10.9.9.9")};
    CHECK(f.service.check(request).error->code == 100);
    CHECK(f.service.check(bare("c2")).error->code == 3);
    REQUIRE(f.store->remove({model::Kind::ipam_handle, "", "net.c1.eth0"}, std::nullopt));
    request.ips = {};
    CHECK(f.service.check(request).error->code == 100);
}

TEST_CASE("labels that cannot be labels are refused with the reason, and leave nothing") {
    Fixture f;
    Request request = bare("c1");
    request.labels = {{"not a label!", "x"}};
    const std::vector<Request> both{request, bare("c2")};
    const auto results = f.service.add(both, kNow);
    REQUIRE(results[0].answer.error);
    CHECK(results[0].answer.error->code == 7);
    CHECK_FALSE(results[1].answer.error);
    CHECK(f.all<model::IpamHandle>().size() == 1);
}

TEST_CASE("a locked datastore refuses pods and releases nothing") {
    Fixture f;
    REQUIRE_FALSE(f.add(bare("c0")).answer.error);
    f.put(
        model::Kind::cluster_information, "", "default",
        R"({"apiVersion":"projectcalico.org/v3","kind":"ClusterInformation","metadata":{"name":"default"},"spec":{"datastoreReady":false}})");
    REQUIRE(f.service.take_changes());
    const Answer answer = f.add(bare("c1")).answer;
    REQUIRE(answer.error);
    CHECK(answer.error->code == 11);
    CHECK(answer.error->msg.find("locked") != std::string::npos);
    const Request known = bare("c0");
    const std::vector<Release> releases(3, {known.network, known.attachment});
    const std::vector<std::string> handles(3, handle_id(known.network, known.attachment));
    for (const auto& results : {f.service.release(releases, kNow), f.service.release_handles(handles, kNow)}) {
        CHECK(results.size() == 3);
        CHECK(std::ranges::none_of(results, [](const Outcome<bool>& one) { return one.has_value(); }));
    }
}

TEST_CASE("an invalid pool keeps its last good version in force") {
    Fixture f;
    const model::Key key{model::Kind::ip_pool, "", "p"};
    const auto stored = f.store->get(key);
    REQUIRE(stored);
    // As another writer, without our checks, could do it.
    const std::vector<store::Op> ops{store::Put{
        key,
        R"({"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"p"},"spec":{"cidr":"10.0.0.0/24","blockSize":28,"nodeSelector":"has("}})",
        std::nullopt}};
    if (f.store->transact(ops, store::Checks::own_fields_only)) {
        REQUIRE(f.service.take_changes());
        REQUIRE(f.service.knowledge().not_in_force().size() == 1);
        CHECK(f.service.knowledge().not_in_force().front().token_in_force == stored->revision);
        CHECK_FALSE(f.add(bare("c1")).answer.error);
    }
}

TEST_CASE("fields that a newer version wrote stay in what is written back") {
    Fixture f;
    REQUIRE_FALSE(f.add(bare("c1")).answer.error);
    const auto listing = f.store->list({.kind = model::Kind::ipam_block, .ns = std::nullopt, .name_prefix = {}});
    REQUIRE(listing);
    std::string document = *listing->items.front().document;
    document.insert(document.find(R"("spec":{)") + 8, R"("novelty":{"a":1},)");
    const std::vector<store::Op> ops{store::Put{listing->items.front().key, document, std::nullopt}};
    REQUIRE(f.store->transact(ops, store::Checks::own_fields_only));
    REQUIRE_FALSE(f.add(bare("c2")).answer.error);  // after a lost race
    REQUIRE_FALSE(f.add(bare("c3")).answer.error);  // from the cache
    const auto written = f.store->get(listing->items.front().key);
    REQUIRE(written);
    CHECK(written->document->find(R"("novelty":{"a":1})") != std::string::npos);
    CHECK(f.all<model::IpamHandle>().size() == 3);
}

TEST_CASE("names that cannot be resource names are replaced, others stay") {
    CHECK(block_name(*net::Prefix::parse("10.0.0.0/26")) == "10-0-0-0-26");
    CHECK(handle_id("Net", {"ABC", "eth0"}) == "net.abc.eth0-" + std::string("2d1ed7ce"));
    CHECK(handle_id("net", {"abc", "eth0"}) == "net.abc.eth0");
    CHECK(handle_name("net.abc.eth0") == "net.abc.eth0");
    CHECK(handle_name("net.a_b.eth0").starts_with("net."));
    CHECK(handle_name("net.a_b.eth0").ends_with(".eth0"));
    CHECK(handle_name("net.a_b.eth0") != handle_name("net.a_c.eth0"));
    CHECK(handle_name(std::string(300, 'x')).size() == 253);
    CHECK(profile_name("my-net") == "my-net");
    CHECK(profile_name("My_Net").size() == 40);
    CHECK(affinity_name(std::string(250, 'n'), *net::Prefix::parse("10.0.0.0/26")).size() == 253);
}

TEST_CASE("containers with names that need care get endpoints that validate") {
    Fixture f;
    Request request = bare("default-My_Container.1");
    request.network = "My_Net";
    request.host_interface = "cali0123456789a";
    request.attachment.ifname = "net_1";
    const Answer answer = f.add(request).answer;
    INFO((answer.error ? answer.error->msg + " " + answer.error->details : ""));
    REQUIRE_FALSE(answer.error);
    (void)f.all<model::WorkloadEndpoint>();
    (void)f.all<model::Profile>();
    (void)f.all<model::IpamHandle>();
    CHECK(f.release(request));
    CHECK(f.all<model::IpamHandle>().empty());
}

TEST_CASE("services that race for the last addresses give each away once") {
    const auto database = store::make_memory_database();
    {
        const auto store = store::make_memory(database);
        REQUIRE(store->create({model::Kind::ip_pool, "", "p"}, pool_document("p", "10.0.0.0/25", 28)));
    }
    constexpr int kServices = 4;
    constexpr int kRequests = 60;  // 240 for 128 addresses
    std::vector<std::vector<net::Ip>> got(kServices);
    std::vector<std::jthread> threads;
    for (int s = 0; s < kServices; ++s) {
        threads.emplace_back([&, s] {
            const auto store = store::make_memory(database);
            Service service(*store, {"n" + std::to_string(s), kBoot});
            if (!service.start()) {
                return;
            }
            for (int i = 0; i < kRequests; i += 3) {
                std::vector<Request> requests;
                for (int j = 0; j < 3; ++j) {
                    requests.push_back(bare(fmt::format("c{}x{}", s, i + j)));
                }
                for (const AddResult& result : service.add(requests, kNow)) {
                    for (const net::Ip& ip : result.answer.ips) {
                        got[static_cast<std::size_t>(s)].push_back(ip);
                    }
                }
            }
        });
    }
    threads.clear();
    std::set<net::Ip> all;
    std::size_t count = 0;
    for (const auto& one : got) {
        all.insert(one.begin(), one.end());
        count += one.size();
    }
    CHECK(count == 128);
    CHECK(all.size() == 128);
}

}  // namespace
TEST_CASE("an allocation looks at no block that is known to be full, however many the node owns") {
    Fixture fixture("10.0.0.0/20", 28);
    std::vector<Request> requests;
    for (int i = 0; i < 160; ++i) {  // ten full blocks
        requests.push_back(bare(fmt::format("c{}", i)));
    }
    for (const AddResult& result : fixture.service.add(requests, kNow)) {
        REQUIRE_FALSE(result.answer.error);
    }
    const auto roomy = [&] { return fixture.service.source().roomy_blocks_of("n1"); };
    CHECK(roomy()->empty());
    CHECK(fixture.service.source().blocks_of("n1")->size() == 10);

    const Release one{"net", {"c37", "eth0"}};
    REQUIRE(fixture.service.release(std::span(&one, 1), kNow).front());
    REQUIRE(roomy()->size() == 1);
    const net::Prefix freed = roomy()->front();
    const Request next = bare("next");
    const auto added = fixture.service.add(std::span(&next, 1), kNow);
    REQUIRE_FALSE(added.front().answer.error);
    CHECK(freed.contains(added.front().answer.ips.front()));
    CHECK(roomy()->empty());
}

}  // namespace manul::ipam
