#include "ipam/service/chores.hpp"

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "config/model/block_affinity.hpp"
#include "config/model/host_endpoint.hpp"
#include "config/model/ipam_block.hpp"
#include "config/model/ipam_handle.hpp"
#include "config/model/lease.hpp"
#include "config/model/node.hpp"
#include "config/model/vxlan_mac.hpp"
#include "ipam/core/auto_host_endpoints.hpp"
#include "test/ipam/service_fixture.hpp"

namespace manul::ipam {
namespace {

using namespace std::chrono_literals;
using test::bare;
using test::Fixture;
using test::kNow;
using test::pool_document;

constexpr SteadyTime kStart{};

std::string node_document(const std::string& name, const std::string& spec = "{}") {
    return fmt::format(
        R"({{"apiVersion":"projectcalico.org/v3","kind":"Node","metadata":{{"name":"{}","labels":{{"rack":"a"}}}},"spec":{}}})",
        name, spec);
}

TEST_CASE("a lease has one holder, and another takes over only when its renewals stop") {
    LeaseKeeper a("a");
    LeaseKeeper b("b");
    using Step = LeaseKeeper::Step;
    std::optional<model::LeaseSpec> stored;
    int revision = 0;
    const auto run = [&](LeaseKeeper& keeper, SteadyTime now) {
        const auto* lease = stored ? &*stored : nullptr;
        const Step step = keeper.observe(lease, std::to_string(revision), now);
        if (step != Step::wait) {
            stored = keeper.next(lease, "2026-01-31T12:00:00.000000Z");
            keeper.written(std::to_string(++revision), now);
        }
        return step;
    };
    CHECK(run(a, kStart) == Step::acquire);
    CHECK(a.may_act(kStart));
    CHECK(run(b, kStart + 1s) == Step::wait);
    CHECK_FALSE(b.may_act(kStart + 1s));
    CHECK(run(a, kStart + 5s) == Step::wait);
    CHECK(run(a, kStart + 10s) == Step::renew);
    CHECK(stored->lease_transitions == 0);
    // a stops. It gives up by itself before b may take over.
    CHECK(run(b, kStart + 12s) == Step::wait);
    CHECK(a.may_act(kStart + 29s));
    CHECK_FALSE(a.may_act(kStart + 30s));
    CHECK(run(b, kStart + 41s) == Step::wait);
    CHECK(run(b, kStart + 42s) == Step::acquire);
    CHECK(stored->holder_identity == "b");
    CHECK(stored->lease_transitions == 1);
    // a comes back: it is b's now, however old a's clock says the lease is.
    CHECK(run(a, kStart + 1000s) == Step::wait);
    CHECK_FALSE(a.may_act(kStart + 1000s));
    // A restarted holder renews at once and does not act on what it wrote in an earlier life.
    LeaseKeeper again("b");
    CHECK_FALSE(again.may_act(kStart));
    CHECK(run(again, kStart) == Step::renew);
    CHECK(again.may_act(kStart));
}

TEST_CASE("of several processes one does the chores, and the next goes on when it is gone") {
    const auto database = store::make_memory_database();
    const auto one = store::make_memory(database);
    const auto two = store::make_memory(database);
    Chores first(*one, "n1", nullptr);
    Chores second(*two, "n2", nullptr);
    SteadyTime now = kStart;
    const auto holds = [&](Chores& chores) {
        const auto done = chores.run(now, kNow);
        INFO((done ? "" : done.error().msg));
        REQUIRE(done);
        return done->holds;
    };
    CHECK(holds(first));
    for (int i = 0; i < 20; ++i) {
        now += 5s;
        CHECK(holds(first));
        CHECK_FALSE(holds(second));
    }
    now += 29s;
    CHECK_FALSE(holds(second));
    now += 1s;
    CHECK(holds(second));
    CHECK_FALSE(holds(first));
    const auto lease = one->get({model::Kind::lease, "manul-system", "manul-cluster-chores"});
    REQUIRE(lease);
    CHECK(lease->document->find("\"holderIdentity\":\"n2\"") != std::string::npos);
}

TEST_CASE("what a vanished node held is freed after 15 minutes, and not a second earlier") {
    Fixture f("10.0.0.0/24", 30);
    f.put(model::Kind::node, "", "n1", node_document("n1"));
    REQUIRE(f.service.take_changes());
    for (const char* container : {"a", "b", "c", "d", "e"}) {
        REQUIRE_FALSE(f.add(bare(container)).answer.error);
    }
    const auto other = f.open();
    Service neighbour(*other, {"n2", "boot"});
    REQUIRE(neighbour.start());
    const Request request = bare("x");
    REQUIRE_FALSE(neighbour.add(std::span(&request, 1), kNow).front().answer.error);
    f.put(model::Kind::node, "", "n2", node_document("n2"));

    Chores chores(*other, "n2", nullptr);
    SteadyTime now = kStart;
    const auto freed = [&](std::chrono::seconds after) {
        std::size_t count = 0;
        for (const SteadyTime end = now + after; now < end;) {
            now += 5s;
            const auto done = chores.run(now, kNow);
            REQUIRE(done);
            CHECK(done->problems.empty());
            count += done->freed_nodes.size();
        }
        return count;
    };
    CHECK(freed(20min) == 0);
    REQUIRE(f.store->remove({model::Kind::node, "", "n1"}, std::nullopt));
    CHECK(freed(14min) == 0);
    // A living node writes its Node back: the absence counts anew.
    f.put(model::Kind::node, "", "n1", node_document("n1"));
    CHECK(freed(2min) == 0);
    REQUIRE(f.store->remove({model::Kind::node, "", "n1"}, std::nullopt));
    CHECK(freed(15min) == 0);
    CHECK(f.all<model::WorkloadEndpoint>().size() == 6);
    CHECK(freed(2min) == 1);
    CHECK(f.all<model::WorkloadEndpoint>().size() == 1);
    CHECK(f.all<model::IpamHandle>().size() == 1);
    CHECK(f.all<model::IpamBlock>().size() == 1);
    const auto affinities = f.all<model::BlockAffinity>();
    REQUIRE(affinities.size() == 1);
    CHECK(affinities.front()->spec.node == "n2");
    CHECK(freed(20min) == 0);
}

TEST_CASE("a vanished node whose addresses cannot be freed keeps no other node's waiting") {
    Fixture f("10.0.0.0/24", 30);
    REQUIRE_FALSE(f.add(bare("a")).answer.error);
    const auto damaged = f.all<model::IpamBlock>().at(0);
    const auto other = f.open();
    Service neighbour(*other, {"n3", "boot"});
    REQUIRE(neighbour.start());
    const Request request = bare("x");
    REQUIRE_FALSE(neighbour.add(std::span(&request, 1), kNow).front().answer.error);
    const std::vector<store::Op> damage{store::Put{
        damaged->key(),
        fmt::format(
            R"({{"apiVersion":"projectcalico.org/v3","kind":"IPAMBlock","metadata":{{"name":"{}"}},"spec":{{"cidr":"{}","allocations":[0],"unallocated":[],"attributes":[]}}}})",
            damaged->metadata.name, damaged->spec.cidr.to_string()),
        std::nullopt}};
    REQUIRE(f.store->transact(damage, store::Checks::own_fields_only));

    Chores chores(*f.store, "n2", nullptr);
    std::set<std::string> freed;
    std::set<std::string> problems;
    for (SteadyTime now = kStart; now < kStart + 17min; now += 5s) {
        const auto done = chores.run(now, kNow);
        REQUIRE(done);
        freed.insert(done->freed_nodes.begin(), done->freed_nodes.end());
        problems.insert(done->problems.begin(), done->problems.end());
    }
    CHECK(freed == std::set<std::string>{"n3: 1 endpoints, 1 addresses, 1 blocks"});
    REQUIRE(problems.size() == 1);
    CHECK(problems.begin()->starts_with("freeing what node n1 held: "));
}

TEST_CASE("a node without a Node is not gone while one of its daemons writes its report") {
    VanishedNodes vanished;
    SteadyTime now = kStart;
    const auto observe = [&](const std::string& signs) {
        return vanished.observe({"n2"}, {{"n1", signs}, {"n2", "9 "}}, now);
    };
    CHECK(observe("5 7 ").empty());
    now += VanishedNodes::kGrace - 1s;
    CHECK(observe("5 8 ").empty());  // it wrote one
    now += VanishedNodes::kGrace - 1s;
    CHECK(observe("5 8 ").empty());
    now += 1s;
    CHECK(observe("5 8 ") == std::vector<std::string>{"n1"});
}

TEST_CASE("a node whose Node was made anew keeps the addresses of its tunnel ends") {
    Fixture f;
    f.put(
        model::Kind::ip_pool, "", "p",
        R"({"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"p"},"spec":{"cidr":"10.0.0.0/24","blockSize":28,"vxlanMode":"Always"}})");
    const auto tunnel = [&] {
        f.put(model::Kind::node, "", "n1", node_document("n1"));
        REQUIRE(f.service.take_changes());
        REQUIRE(f.service.sync_tunnels(kNow));
        return f.all<model::Node>().front()->spec;
    };
    const model::NodeSpec before = tunnel();
    REQUIRE(before.ipv4_vxlan_tunnel_addr);
    REQUIRE_FALSE(f.add(bare("a")).answer.error);
    REQUIRE(f.store->remove({model::Kind::node, "", "n1"}, std::nullopt));
    CHECK(tunnel() == before);
    CHECK(f.all<model::IpamHandle>().size() == 2);
}

TEST_CASE("a node's addresses are not freed while its Node exists, and others keep theirs in its blocks") {
    Fixture f("10.0.0.0/30", 30);
    f.put(model::Kind::node, "", "n1", node_document("n1"));
    REQUIRE_FALSE(f.add(bare("a")).answer.error);
    const auto other = f.open();
    Service neighbour(*other, {"n2", "boot"});
    REQUIRE(neighbour.start());
    const Request request = bare("x");
    REQUIRE_FALSE(neighbour.add(std::span(&request, 1), kNow).front().answer.error);  // borrowed
    CHECK_FALSE(release_node(*f.store, "n1", kNow));
    CHECK(f.all<model::WorkloadEndpoint>().size() == 2);
    REQUIRE(f.store->remove({model::Kind::node, "", "n1"}, std::nullopt));
    const auto freed = release_node(*f.store, "n1", kNow);
    REQUIRE(freed);
    CHECK(freed->endpoints == 1);
    CHECK(freed->addresses == 1);
    CHECK(freed->blocks == 1);
    const auto blocks = f.all<model::IpamBlock>();
    REQUIRE(blocks.size() == 1);
    CHECK_FALSE(blocks.front()->spec.affinity);
    const auto again = release_node(*f.store, "n1", kNow);
    REQUIRE(again);
    CHECK(again->addresses == 0);
}

/// Writes KubeControllersConfiguration `default`; `host_endpoint` is its spec.controllers.node.hostEndpoint.
void configure_host_endpoints(Fixture& f, const char* host_endpoint) {
    f.put(
        model::Kind::kube_controllers_configuration, "", "default",
        fmt::format(
            R"({{"apiVersion":"projectcalico.org/v3","kind":"KubeControllersConfiguration","metadata":{{"name":"default"}},"spec":{{"controllers":{{"node":{{"hostEndpoint":{}}}}}}}}})",
            host_endpoint));
}

TEST_CASE("a host endpoint whose name would be too long has Calico's") {
    const auto node = std::make_shared<model::Node>();
    node->metadata.name = "calinodename";
    node->spec.interfaces = {{"eth0", {*net::Ip::parse("192.0.2.1")}}};
    model::HostEndpointTemplate wanted;
    const std::string dog = "the-quick-brown-fox-jumps-over-the-lazy-dog-";
    wanted.generate_name = dog + dog + dog + dog + dog + "the-quick-brown-fox-jumps";
    wanted.interface_cidrs = {*net::Prefix::parse("192.0.2.0/24")};
    model::AutoHostEndpoint configuration;
    configuration.auto_create = model::OnOff::enabled;
    configuration.create_default_host_endpoint = model::OnOff::disabled;
    configuration.templates = {wanted};
    const auto made = auto_host_endpoints({node}, configuration);
    REQUIRE(made.size() == 1);
    CHECK(made.begin()->first == "2vhzifmgzoee1hgruafve8iewjr1cabezq3o51myej0-auto-hep");
}

TEST_CASE("host endpoints are made for nodes where that is asked for, and a person's own stay") {
    const auto addresses = [](std::initializer_list<const char*> texts) {
        std::vector<net::Ip> out;
        for (const char* text : texts) {
            out.push_back(*net::Ip::parse(text));
        }
        return out;
    };
    Fixture f;
    f.put(
        model::Kind::node, "", "n1",
        node_document(
            "n1",
            R"({"bgp":{"ipv4Address":"192.0.2.1/24"},"ipv4VXLANTunnelAddr":"10.0.0.1","addresses":[{"address":"192.0.2.9","type":"InternalIP"},{"address":"203.0.113.9","type":"ExternalIP"}],"interfaces":[{"name":"eth7","addresses":["198.51.100.1"]}]})"));
    f.put(
        model::Kind::host_endpoint, "", "mine",
        R"({"apiVersion":"projectcalico.org/v3","kind":"HostEndpoint","metadata":{"name":"mine"},"spec":{"node":"n1","interfaceName":"eth0"}})");
    Chores chores(*f.store, "n1", nullptr);
    SteadyTime now = kStart;
    const auto run = [&] {
        now += 60s;
        const auto done = chores.run(now, kNow);
        REQUIRE(done);
        for (const auto& problem : done->problems) {
            UNSCOPED_INFO(problem);
        }
        CHECK(done->problems.empty());
        return done->host_endpoints;
    };
    // Renewals are each 10 s: a call each minute loses the lease, so each of them takes it again.
    CHECK(run() == 0);
    configure_host_endpoints(
        f,
        R"({"autoCreate":"Enabled","templates":[{"generateName":"wan","interfacePattern":"^eth\\d$","interfaceCIDRs":["10.0.0.0/24"],"nodeSelector":"rack == 'a'","labels":{"zone":"wan"}},{"generateName":"lan","interfaceCIDRs":["192.0.2.0/24"]},{"generateName":"none","interfaceCIDRs":["172.16.0.0/24"]}]})");
    CHECK(run() == 3);
    CHECK(run() == 0);
    std::map<std::string, std::shared_ptr<const model::HostEndpoint>> made;
    for (const auto& endpoint : f.all<model::HostEndpoint>()) {
        made[endpoint->metadata.name] = endpoint;
    }
    REQUIRE(made.size() == 4);
    REQUIRE(made.contains("n1-auto-hep"));
    const auto& all = *made["n1-auto-hep"];
    CHECK(all.spec.interface_name == "*");
    CHECK(all.spec.expected_ips == addresses({"192.0.2.1", "10.0.0.1", "192.0.2.9", "198.51.100.1"}));
    CHECK(all.spec.profiles == std::vector<std::string>{"projectcalico-default-allow"});
    CHECK(all.metadata.labels.at("rack") == "a");
    REQUIRE(made.contains("n1-wan-eth7-auto-hep"));
    CHECK(made["n1-wan-eth7-auto-hep"]->spec.interface_name == "eth7");
    CHECK(made["n1-wan-eth7-auto-hep"]->spec.expected_ips == addresses({"10.0.0.1", "198.51.100.1"}));
    REQUIRE(made.contains("n1-lan-auto-hep"));
    CHECK(made["n1-lan-auto-hep"]->spec.interface_name.empty());
    CHECK(made["n1-lan-auto-hep"]->spec.expected_ips == addresses({"192.0.2.1", "192.0.2.9"}));
    CHECK(made["n1-wan-eth7-auto-hep"]->metadata.labels.at("zone") == "wan");
    configure_host_endpoints(f, R"({"autoCreate":"Disabled"})");
    CHECK(run() == 3);
    CHECK(f.all<model::HostEndpoint>().size() == 1);
}

/// How often all objects of a kind were asked for, and how many watches there are.
class CountingStore : public test::ForwardingStore {
public:
    using ForwardingStore::ForwardingStore;
    store::StoreResult<store::Listing> list(const store::ListQuery& query) override {
        ++lists[query.kind];
        return ForwardingStore::list(query);
    }
    store::StoreResult<std::unique_ptr<store::Watch>> watch(std::span<const store::WatchStart> starts) override {
        ++watches;
        return ForwardingStore::watch(starts);
    }
    std::map<model::Kind, int> lists;
    int watches = 0;
};

TEST_CASE("host endpoints follow what they depend on at once, and nothing else makes work") {
    Fixture f;
    const auto put_node = [&](const std::string& name, const std::string& spec) {
        f.put(model::Kind::node, "", name, node_document(name, spec));
    };
    const model::Key own{model::Kind::host_endpoint, "", "n1-auto-hep"};
    put_node("n1", R"({"bgp":{"ipv4Address":"192.0.2.1/24"}})");
    const auto inner = f.open();
    CountingStore store(*inner);
    Chores chores(store, "n1", nullptr);
    const auto made = [&] {  // time stands still: the next full look is never due
        const auto done = chores.run(kStart, kNow);
        REQUIRE(done);
        CHECK(done->problems.empty());
        return done->host_endpoints;
    };
    CHECK(made() == 0);
    struct Row {
        const char* what;
        std::function<void()> change;
        std::size_t made;
        bool looks;  ///< at all Nodes
    };
    const std::string document = R"({"apiVersion":"projectcalico.org/v3","kind":"HostEndpoint","metadata":)"
                                 R"({"name":"%","labels":{}},"spec":{"node":"n1","interfaceName":"eth0"}})";
    const auto put_endpoint = [&](const std::string& name) {
        std::string text = document;
        f.put(model::Kind::host_endpoint, "", name, text.replace(text.find('%'), 1, name));
    };
    const std::vector<Row> rows{
        {"a Node's address, switched off", [&] { put_node("n1", R"({"bgp":{"ipv4Address":"192.0.2.2/24"}})"); }, 0,
         false},
        {"switched on", [&] { configure_host_endpoints(f, R"({"autoCreate":"Enabled"})"); }, 1, true},
        {"a Node's address", [&] { put_node("n1", R"({"bgp":{"ipv4Address":"192.0.2.3/24"}})"); }, 1, true},
        {"what of a Node no endpoint has",
         [&] { put_node("n1", R"({"bgp":{"ipv4Address":"192.0.2.3/24","asNumber":64512}})"); }, 0, false},
        {"a new Node", [&] { put_node("n2", "{}"); }, 1, true},
        {"a Node is gone", [&] { REQUIRE(f.store->remove({model::Kind::node, "", "n2"}, std::nullopt)); }, 1, true},
        {"somebody removes one", [&] { REQUIRE(f.store->remove(own, std::nullopt)); }, 1, true},
        {"somebody's own", [&] { put_endpoint("mine"); }, 0, false},
        {"somebody's own that has the name of one",
         [&] {
             put_endpoint("n3-auto-hep");
             put_node("n3", "{}");
         },
         0, true},
        {"another template",
         [&] {
             configure_host_endpoints(
                 f,
                 R"({"autoCreate":"Enabled","templates":[{"generateName":"lan","interfaceCIDRs":["192.0.2.0/24"]}]})");
         },
         1, true},
        {"switched off", [&] { configure_host_endpoints(f, R"({"autoCreate":"Disabled"})"); }, 2, false},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        row.change();
        store.lists.clear();
        CHECK(made() == row.made);
        CHECK(store.lists[model::Kind::node] == (row.looks ? 1 : 0));
        store.lists.clear();
        CHECK(made() == 0);  // what it wrote itself
        CHECK(store.lists[model::Kind::node] == 0);
    }
    CHECK(store.watches == 1);
    // Of several one alone watches.
    CountingStore other(*inner);
    Chores waiting(other, "n2", nullptr);
    REQUIRE(waiting.run(kStart, kNow));
    CHECK(other.watches == 0);
    CHECK(waiting.watch_fd() == -1);
}

TEST_CASE("a pool that is nearly full is told of before it is empty") {
    Fixture f("10.0.0.0/28", 28);
    Chores chores(*f.store, "n1", nullptr);
    for (int i = 0; i < 14; ++i) {
        REQUIRE_FALSE(f.add(bare("c" + std::to_string(i))).answer.error);
    }
    auto done = chores.run(kStart, kNow);
    REQUIRE(done);
    REQUIRE(done->pools.size() == 1);
    CHECK_FALSE(done->pools.front().nearly_full);
    REQUIRE_FALSE(f.add(bare("last")).answer.error);
    done = chores.run(kStart + Chores::kLookAtPoolsEach, kNow);
    REQUIRE(done);
    REQUIRE(done->pools.size() == 1);
    CHECK(done->pools.front().nearly_full);
    CHECK(done->pools.front().text == "pool p has 1 free of 16: 15 in use by 1 node");
}

TEST_CASE("tunnel addresses come and go with the pools that need them, and stand in the Node with their MAC") {
    Fixture f("10.0.0.0/24", 28);
    f.put(model::Kind::node, "", "n1", node_document("n1", R"({"bgp":{"ipv4Address":"192.0.2.1/24"}})"));
    const auto sync = [&] {
        REQUIRE(f.service.take_changes());
        const auto lines = f.service.sync_tunnels(kNow);
        INFO((lines ? "" : lines.error().msg));
        REQUIRE(lines);
        return lines->size();
    };
    const auto node = [&] { return f.all<model::Node>().front(); };
    CHECK(sync() == 0);
    f.put(
        model::Kind::ip_pool, "", "vx",
        R"({"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"vx"},"spec":{"cidr":"10.1.0.0/24","vxlanMode":"Always"}})");
    CHECK(sync() == 1);
    CHECK(sync() == 0);
    REQUIRE(node()->spec.ipv4_vxlan_tunnel_addr);
    const net::Ip address = *node()->spec.ipv4_vxlan_tunnel_addr;
    CHECK(net::Prefix::parse("10.1.0.0/24")->contains(address));
    CHECK(node()->spec.vxlan_tunnel_mac_addr == model::vxlan_mac("n1", net::Family::v4));
    CHECK(node()->spec.bgp->ipv4_address);
    CHECK(f.all<model::IpamHandle>().front()->spec.handle_id == "vxlan-tunnel-addr-n1");
    // It is no leak, and survives a restart.
    REQUIRE(f.service.tidy({}, std::nullopt, true, kStart, kNow));
    REQUIRE(f.service.tidy({}, std::nullopt, true, kStart + 2 * Leaks::kGrace, kNow));
    Service again(*f.store, {"n1", "boot-1"});
    REQUIRE(again.start());
    CHECK(again.sync_tunnels(kNow)->empty());
    // The pool changes to IPIP: one address goes, another comes.
    f.put(
        model::Kind::ip_pool, "", "vx",
        R"({"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"vx"},"spec":{"cidr":"10.1.0.0/24","ipipMode":"Always"}})");
    CHECK(sync() == 2);
    CHECK_FALSE(node()->spec.ipv4_vxlan_tunnel_addr);
    CHECK_FALSE(node()->spec.vxlan_tunnel_mac_addr);
    CHECK(node()->spec.bgp->ipv4_ipip_tunnel_addr);
    CHECK(f.all<model::IpamHandle>().size() == 1);
}

TEST_CASE("who was given an address and who gave it back is told in order") {
    Fixture f;
    const Request request = bare("c1");
    const Answer answer = f.add(request).answer;
    CHECK(f.release(request));
    const auto entries = f.service.take_history();
    REQUIRE(entries.size() == 2);
    CHECK(entries[0].event == HistoryEntry::Event::assigned);
    CHECK(entries[0].address == answer.ips.front());
    CHECK(entries[0].owner == "default/c1");
    CHECK(entries[1].event == HistoryEntry::Event::released);
    CHECK(f.service.take_history().empty());
    const std::string text = print(entries[0]) + "{torn\n" + print(entries[1]);
    CHECK(history_of(text, answer.ips.front()) == entries);
    CHECK(history_of(text, *net::Ip::parse("10.0.0.250")).empty());
}

}  // namespace
}  // namespace manul::ipam
