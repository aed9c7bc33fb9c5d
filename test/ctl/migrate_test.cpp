#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "base/base64.hpp"
#include "config/codec/json.hpp"
#include "config/codec/tree.hpp"
#include "config/store/obey_lock.hpp"
#include "ctl/datastore/migrate.hpp"
#include "ctl/ipam/options.hpp"
#include "test/ctl/moving.hpp"

using namespace manul;
using namespace manul::ctl;
using manul::test::kPool;
using manul::test::MovingTool;
using model::Key;
using model::Kind;

namespace {

const Key kCluster{Kind::cluster_information, "", "default"};

constexpr const char* kPoolDocument =
    R"({"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"p"},"spec":{"cidr":"10.0.0.0/24"}})";

std::string calico(std::string_view kind, std::string_view metadata, std::string_view spec) {
    return fmt::format(R"({{"apiVersion":"projectcalico.org/v3","kind":"{}","metadata":{{{}}},"spec":{}}})", kind,
                       metadata, spec);
}

/// What `etcdctl get --prefix /calico -w json` prints.
std::string etcd_dump(const std::vector<std::pair<std::string, std::string>>& pairs) {
    std::string text = R"({"header":{"cluster_id":14841639068965178418,"revision":71,"raft_term":2},"kvs":[)";
    for (const auto& [key, value] : pairs) {
        text += fmt::format(R"({}{{"key":"{}","create_revision":5,"mod_revision":6,"version":2,"value":"{}"}})",
                            text.back() == '[' ? "" : ",", base64_encode(key), base64_encode(value));
    }
    return text + fmt::format(R"(],"count":{}}})", pairs.size());
}

constexpr const char* kBlock =
    R"({"cidr":"10.0.0.0/29","affinity":"host:node-a","allocations":[0,null,1,null,null,null,null,null],)"
    R"("unallocated":[1,3,4,5,6,7],"attributes":[{"handle_id":"vxlan-tunnel-addr-node-a","secondary":)"
    R"({"node":"node-a","type":"vxlanTunnelAddress"}},{"handle_id":"k8s-pod-network.abc","secondary":)"
    R"({"node":"node-a","namespace":"prod","pod":"web"}}],"deleted":false,"sequenceNumber":1700000000000000007,)"
    R"("sequenceNumberForAllocation":{"0":1700000000000000001,"2":1700000000000000006}})";

/// A cluster of Calico on etcd with one node and one running pod.
std::vector<std::pair<std::string, std::string>> calico_cluster() {
    const std::string v3 = "/calico/resources/v3/projectcalico.org/";
    return {
        {v3 + "clusterinformations/default",
         calico(
             "ClusterInformation", R"("name":"default","uid":"u1","creationTimestamp":"2024-01-01T00:00:00Z")",
             R"({"clusterGUID":"0123456789abcdef","clusterType":"k8s,bgp","calicoVersion":"v3.29.1","datastoreReady":false})")},
        {v3 + "ippools/p", calico("IPPool", R"("name":"p")",
                                  R"({"cidr":"10.0.0.0/24","blockSize":29,"ipipMode":"Never","vxlanMode":"Always",)"
                                  R"("natOutgoing":true})")},
        {v3 + "nodes/node-a", calico("Node", R"("name":"node-a","resourceVersion":"12")",
                                     R"({"bgp":{"ipv4Address":"192.0.2.1/24"},"ipv4VXLANTunnelAddr":"10.0.0.0",)"
                                     R"("orchRefs":[{"nodeName":"kube-a","orchestrator":"k8s"}]})")},
        {v3 + "globalnetworkpolicies/default.deny",
         calico("GlobalNetworkPolicy", R"("name":"default.deny")",
                R"({"tier":"default","selector":"app == 'web'","order":10})")},
        {v3 + "networkpolicies/prod/knp.default.from-front",
         calico("NetworkPolicy", R"("name":"knp.default.from-front","namespace":"prod")",
                R"({"order":1000,"selector":"app == 'web'","types":["Ingress"],"ingress":[{"action":"Allow"}]})")},
        {v3 + "profiles/kns.prod",
         calico("Profile", R"("name":"kns.prod")",
                R"({"ingress":[{"action":"Allow"}],"egress":[{"action":"Allow"}],)"
                R"("labelsToApply":{"pcns.team":"red","pcns.projectcalico.org/name":"prod"}})")},
        {v3 + "profiles/ksa.prod.robot",
         calico("Profile", R"("name":"ksa.prod.robot")", R"({"labelsToApply":{"pcsa.kind":"machine"}})")},
        {v3 + "profiles/projectcalico-default-allow",
         calico("Profile", R"("name":"projectcalico-default-allow")", R"({"ingress":[{"action":"Allow"}]})")},
        {v3 + "felixconfigurations/node.node-a",
         calico("FelixConfiguration", R"("name":"node.node-a")", R"({"logSeverityScreen":"Info","futureSetting":7})")},
        {v3 + "workloadendpoints/prod/node--a-k8s-web-eth0",
         calico("WorkloadEndpoint", R"("name":"node--a-k8s-web-eth0","namespace":"prod","labels":{"app":"web"})",
                R"({"orchestrator":"k8s","node":"node-a","containerID":"abc","pod":"web","endpoint":"eth0",)"
                R"("ipNetworks":["10.0.0.2/32"],"profiles":["kns.prod","ksa.prod.robot"],"interfaceName":"cali123"})")},
        {"/calico/ipam/v2/assignment/ipv4/block/10.0.0.0-29", kBlock},
        {"/calico/ipam/v2/host/node-a/ipv4/block/10.0.0.0-29", R"({"state":"confirmed","deleted":false})"},
        {"/calico/ipam/v2/handle/vxlan-tunnel-addr-node-a", R"({"block":{"10.0.0.0/29":1},"deleted":false})"},
        {"/calico/ipam/v2/handle/k8s-pod-network.abc", R"({"block":{"10.0.0.0/29":1},"deleted":false})"},
        {"/calico/ipam/v2/handle/gone", R"({"block":{},"deleted":true})"},
        {"/calico/ipam/v2/config", R"({"strict_affinity":true,"auto_allocate_blocks":true,"maxBlocksPerHost":4})"},
        {"/calico/felix/v2/no-region/host/node-a/status", "not json"},
        {"/calico/felix/v2/no-region/host/node-a/wep", "{}"},
    };
}

std::size_t problems(MovingTool& tool) {
    IpamCheckOptions options;
    options.show_problems = true;
    options.between_looks = {};
    REQUIRE(ipam_check(tool.context(), options) == ExitCode::ok);
    INFO(tool.out);
    const std::size_t at = tool.out.find("found ");
    REQUIRE(at != std::string::npos);
    return static_cast<std::size_t>(std::stoul(tool.out.substr(at + 6)));
}

}  // namespace

TEST_CASE("lock and unlock set datastoreReady, as often as one likes") {
    MovingTool tool;
    CHECK_FALSE(*store::is_locked(*tool.store));
    for (int i = 0; i < 2; ++i) {
        CHECK(lock_datastore(tool.context()) == ExitCode::ok);
        CHECK(tool.out == "Datastore locked.\n");
        CHECK(*store::is_locked(*tool.store));
    }
    const std::string locked = tool.document(kCluster);
    CHECK(locked.find("clusterGUID") != std::string::npos);
    CHECK(unlock_datastore(tool.context()) == ExitCode::ok);
    CHECK(tool.out == "Datastore unlocked.\n");
    CHECK_FALSE(*store::is_locked(*tool.store));
}

TEST_CASE("who obeys the lock sees nothing while it holds, and lists again when it ends") {
    const auto database = store::make_memory_database();
    MovingTool tool(store::make_memory(database));
    const auto follower = store::obey_lock(store::make_memory(database));
    const auto list = [&] { return follower->list({.kind = Kind::ip_pool, .ns = {}, .name_prefix = {}}); };
    const auto before = list();
    REQUIRE(before);
    const std::vector<store::WatchStart> starts{{Kind::ip_pool, before->revision}};
    auto watch = follower->watch(starts);
    REQUIRE(watch);
    tool.put(kPool, kPoolDocument);
    auto events = (*watch)->take();
    REQUIRE(events);
    REQUIRE(events->size() == 1);
    CHECK(events->front().object.key == kPool);

    REQUIRE(lock_datastore(tool.context()) == ExitCode::ok);
    REQUIRE(tool.store->remove(kPool, std::nullopt));
    const auto refused = (*watch)->take();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == store::StoreError::Code::unavailable);
    CHECK(refused.error().message.find("locked") != std::string::npos);
    CHECK_FALSE(list());

    REQUIRE(unlock_datastore(tool.context()) == ExitCode::ok);
    events = (*watch)->take();
    REQUIRE(events);
    REQUIRE(events->size() == 1);
    CHECK(events->front().type == store::Event::Type::resync);
    CHECK(events->front().object.key.kind == Kind::ip_pool);
    REQUIRE(list());
    CHECK(list()->items.empty());
}

TEST_CASE("the lock is looked at before the first list and with the watch, not with each list") {
    const auto database = store::make_memory_database();
    MovingTool tool(store::make_memory(database));
    const auto follower = store::obey_lock(store::make_memory(database));
    const auto list = [&](Kind kind) { return follower->list({.kind = kind, .ns = {}, .name_prefix = {}}); };
    const auto before = list(Kind::ip_pool);
    REQUIRE(before);
    const std::vector<store::WatchStart> starts{{Kind::ip_pool, before->revision}};
    REQUIRE(lock_datastore(tool.context()) == ExitCode::ok);
    CHECK(list(Kind::tier));
    const auto refused = follower->watch(starts);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("locked") != std::string::npos);
    CHECK_FALSE(list(Kind::ip_pool));
    REQUIRE(unlock_datastore(tool.context()) == ExitCode::ok);
    REQUIRE(list(Kind::ip_pool));
    CHECK(follower->watch(starts));
}

TEST_CASE("an export needs the lock, and has everything but what daemons tell of themselves") {
    MovingTool tool;
    tool.put(kPool, kPoolDocument);
    tool.put(
        {Kind::secret, "manul-system", "bgp"},
        R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"bgp","namespace":"manul-system"},"data":{"k":"c2VjcmV0"}})");
    CHECK(export_datastore(tool.context(), {}) == ExitCode::failed);
    CHECK(tool.complains("not locked"));
    CHECK(export_datastore(tool.context(), {.file = {}, .format = "yaml", .unlocked = true}) == ExitCode::ok);
    REQUIRE(lock_datastore(tool.context()) == ExitCode::ok);
    const std::string text = tool.export_all();
    for (const char* part :
         {"kind: IPPool", "kind: Tier", "kind: ClusterInformation", "c2VjcmV0", "datastoreReady: false"}) {
        CAPTURE(part);
        CHECK(text.find(part) != std::string::npos);
    }
    CHECK(text.find("resourceVersion") == std::string::npos);
    CHECK(text.find("uid: ") != std::string::npos);
    CHECK(text.find("creationTimestamp: ") != std::string::npos);

    const std::string path =
        (std::filesystem::temp_directory_path() / fmt::format("manul-export-{}", ::getpid())).string();
    CHECK(export_datastore(tool.context(), {.file = path}) == ExitCode::ok);
    CHECK(std::filesystem::status(path).permissions() ==
          (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
    std::ifstream file(path);
    CHECK(std::string(std::istreambuf_iterator<char>(file), {}) == text);
    std::filesystem::remove(path);
    CHECK(export_datastore(tool.context(), {.file = "/nonexistent/x"}) == ExitCode::failed);
    CHECK(export_datastore(tool.context(), {.file = {}, .format = "xml"}) == ExitCode::usage);
}

TEST_CASE("an import fills an empty datastore, leaves it locked, and refuses one in use") {
    MovingTool from;
    from.put(kPool, kPoolDocument);
    REQUIRE(lock_datastore(from.context()) == ExitCode::ok);
    for (const char* format : {"yaml", "json"}) {
        CAPTURE(format);
        const std::string text = from.export_all(format);
        MovingTool to;
        to.put({Kind::node, "", "n1"},
               R"({"apiVersion":"projectcalico.org/v3","kind":"Node","metadata":{"name":"n1"}})");
        CHECK(to.import_text(text, {.file = {}, .nodes = {}, .dry_run = true}) == ExitCode::ok);
        CHECK_FALSE(to.has(kPool));
        const auto done = to.import_text(text);
        INFO(to.err);
        REQUIRE(done == ExitCode::ok);
        CHECK(to.says("manulctl datastore migrate unlock"));
        CHECK(*store::is_locked(*to.store));
        CHECK(codec::same_content(to.document(kPool), from.document(kPool)));
        CHECK(to.document(kCluster).find(kImportAnnotation) != std::string::npos);
        REQUIRE(unlock_datastore(to.context()) == ExitCode::ok);
        CHECK(to.document(kCluster).find(kImportAnnotation) == std::string::npos);
        CHECK(to.import_text(text) == ExitCode::failed);
        CHECK(to.complains("not empty"));
        CHECK(to.complains("IPPool(p)"));
        CHECK_FALSE(*store::is_locked(*to.store));
    }
}

TEST_CASE("objects that move stay who they are") {
    MovingTool from;
    from.put(kPool, kPoolDocument);
    REQUIRE(lock_datastore(from.context()) == ExitCode::ok);
    std::string text = from.export_all();
    // An hour older than anything that is made now, so that a new time shows.
    const std::string born = codec::parse_json(from.document(kPool))->find("metadata")->find("creationTimestamp")->text;
    for (std::size_t at = text.find(born); at != std::string::npos; at = text.find(born)) {
        text.replace(at, born.size(), "2001-02-03T04:05:06Z");
    }
    const auto metadata = [](MovingTool& tool, const Key& key, const char* field) {
        return codec::parse_json(tool.document(key))->find("metadata")->find(field)->text;
    };
    const auto spec = [](MovingTool& tool, const Key& key) {
        return codec::to_json(*codec::parse_json(tool.document(key))->find("spec"));
    };
    MovingTool to;
    REQUIRE(to.import_text(text) == ExitCode::ok);
    for (int twice = 0; twice < 2; ++twice) {
        CHECK(metadata(to, kPool, "uid") == metadata(from, kPool, "uid"));
        CHECK(metadata(to, kPool, "creationTimestamp") == "2001-02-03T04:05:06Z");
        CHECK(metadata(to, kPool, "generation") == "1");
        REQUIRE(to.import_text(text) == ExitCode::ok);  // the same command again
    }
    // What the new place had made already stays who it was there.
    CHECK(metadata(to, kCluster, "uid") != metadata(from, kCluster, "uid"));
    CHECK(spec(to, kCluster) == spec(from, kCluster));

    // Nothing that is no identity becomes one.
    MovingTool odd;
    const std::string uid = metadata(from, kPool, "uid");
    text.replace(text.find(uid), uid.size(), "not-a-uid");
    REQUIRE(odd.import_text(text) == ExitCode::ok);
    CHECK(metadata(odd, kPool, "uid").size() == uid.size());
    CHECK(metadata(odd, kPool, "uid") != uid);
}

TEST_CASE("an interrupted import is taken up by the same command, and by no other file") {
    MovingTool from;
    from.put(kPool, kPoolDocument);
    REQUIRE(lock_datastore(from.context()) == ExitCode::ok);
    const std::string text = from.export_all();
    MovingTool to;
    REQUIRE(to.import_text(text) == ExitCode::ok);
    REQUIRE(to.store->remove(kPool, std::nullopt));  // as if it had not come so far
    to.put(
        {Kind::ip_reservation, "", "r"},
        R"({"apiVersion":"projectcalico.org/v3","kind":"IPReservation","metadata":{"name":"r"},"spec":{"reservedCIDRs":["10.0.0.1"]}})");
    CHECK(to.import_text(text + "# another\n") == ExitCode::failed);
    CHECK_FALSE(to.has(kPool));
    CHECK(to.import_text(text) == ExitCode::ok);
    CHECK(to.has(kPool));
}

TEST_CASE("a file with errors is refused as a whole, with every one of them") {
    MovingTool to;
    std::string text = fmt::format("{}\n---\n", kPoolDocument);
    constexpr int kCount = 300;
    for (int i = 0; i < kCount; ++i) {
        text += fmt::format(
            "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {{name: bad{0}}}\nspec: {{cidr: "
            "nonsense{0}}}\n---\n",
            i);
    }
    text += "apiVersion: v9\nkind: Unknown\nmetadata: {name: x}\n";
    CHECK(to.import_text(text) == ExitCode::failed);
    CHECK(to.complains("nothing was changed; the file has 301 errors"));
    CHECK(to.complains("standard input:3: IPPool(bad0): spec.cidr"));
    CHECK(to.complains("nonsense299"));
    CHECK(to.complains("no kind \"Unknown\""));
    CHECK_FALSE(to.has(kPool));
    CHECK_FALSE(*store::is_locked(*to.store));

    SECTION("what only shows when objects meet is found before anything is written") {
        const std::string clash = fmt::format(
            "{}\n---\napiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {{name: q}}\nspec: {{cidr: "
            "10.0.0.0/16}}\n"
            "---\napiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {{name: absent.x}}\n"
            "spec: {{tier: absent, selector: all()}}\n",
            kPoolDocument);
        CHECK(to.import_text(clash) == ExitCode::failed);
        CHECK(to.complains("nothing was changed; 2 objects cannot be stored"));
        CHECK_FALSE(to.has(kPool));
    }
    SECTION("one key twice, nothing at all, no UTF-8, a broken dump") {
        CHECK(to.import_text(fmt::format("{0}\n---\n{0}\n", kPoolDocument)) == ExitCode::failed);
        CHECK(to.complains("is there already"));
        CHECK(to.import_text("# nothing\n") == ExitCode::failed);
        CHECK(to.import_text("kind: \xff\xfe\n") == ExitCode::failed);
        CHECK(to.import_text(R"({"header":{},"kvs":[{"key":"***","value":""}]})") == ExitCode::failed);
        CHECK(to.import_text(etcd_dump({{"/calico/ipam/v2/handle/x", "{"}})) == ExitCode::failed);
        CHECK(to.complains("/calico/ipam/v2/handle/x"));
    }
}

TEST_CASE("what a newer version wrote is moved with the fields that this one does not know") {
    MovingTool to;
    const auto done = to.import_text(
        "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: p}\nspec: {cidr: 10.0.0.0/24, future: {a: "
        "1}}\n");
    INFO(to.err);
    REQUIRE(done == ExitCode::ok);
    CHECK(to.complains("spec.future"));
    CHECK(to.complains("kept"));
    CHECK(to.document(kPool).find(R"("future":{"a":1})") != std::string::npos);
}

TEST_CASE("Calico's etcd becomes a datastore in which every address has its owner") {
    MovingTool to;
    const auto done = to.import_text(etcd_dump(calico_cluster()));
    INFO(to.err);
    REQUIRE(done == ExitCode::ok);
    CHECK(to.complains("left out: 2 keys below /calico/felix/v2"));
    CHECK(to.complains("futureSetting"));
    CHECK(to.complains("is now called knp-from-front"));
    CHECK(problems(to) == 0);
    CHECK(to.document(kCluster).find("0123456789abcdef") != std::string::npos);
    CHECK(to.has({Kind::global_network_policy, "", "deny"}));
    CHECK(to.has({Kind::network_policy, "prod", "knp-from-front"}));
    CHECK(to.has({Kind::ipam_block, "", "10-0-0-0-29"}));
    CHECK(to.has({Kind::block_affinity, "", "node-a-10-0-0-0-29"}));
    CHECK(to.has({Kind::ipam_handle, "", "k8s-pod-network.abc"}));
    CHECK_FALSE(to.has({Kind::ipam_handle, "", "gone"}));
    CHECK_FALSE(to.has({Kind::profile, "", "kns.prod"}));
    CHECK(to.document({Kind::namespace_, "", "prod"}).find(R"("team":"red")") != std::string::npos);
    CHECK(to.document({Kind::service_account, "prod", "robot"}).find(R"("kind":"machine")") != std::string::npos);
    CHECK(to.document({Kind::workload_endpoint, "prod", "node--a-k8s-web-eth0"}).find("10.0.0.2/32") !=
          std::string::npos);
    // The MAC that Calico's other nodes work out: 66 and the SHA-1 of the node's name.
    CHECK(to.document({Kind::node, "", "node-a"}).find(R"("vxlanTunnelMACAddr":"66:07:02:c1:cc:60")") !=
          std::string::npos);
    CHECK(to.document({Kind::ipam_block, "", "10-0-0-0-29"}).find("1700000000000000006") != std::string::npos);
    const std::string settings = to.document({Kind::ipam_configuration, "", "default"});
    CHECK(settings.find(R"("strictAffinity":true)") != std::string::npos);
    CHECK(settings.find(R"("maxBlocksPerHost":4)") != std::string::npos);
}

TEST_CASE("nodes get other names everywhere, and endpoints and addresses go with them") {
    MovingTool to;
    const auto done =
        to.import_text(etcd_dump(calico_cluster()), {.file = {}, .nodes = {"node-a=metal-1"}, .dry_run = false});
    INFO(to.err);
    REQUIRE(done == ExitCode::ok);
    CHECK(problems(to) == 0);
    CHECK(to.has({Kind::node, "", "metal-1"}));
    CHECK_FALSE(to.has({Kind::node, "", "node-a"}));
    CHECK(to.has({Kind::workload_endpoint, "prod", "metal--1-k8s-web-eth0"}));
    CHECK(to.has({Kind::block_affinity, "", "metal-1-10-0-0-0-29"}));
    CHECK(to.has({Kind::ipam_handle, "", "vxlan-tunnel-addr-metal-1"}));
    CHECK(to.has({Kind::felix_configuration, "", "node.metal-1"}));
    CHECK(to.document({Kind::ipam_block, "", "10-0-0-0-29"}).find("node-a") == std::string::npos);
    CHECK(to.import_text("x", {.file = {}, .nodes = {"a"}, .dry_run = false}) == ExitCode::usage);
}

TEST_CASE("into Kubernetes go Calico's own objects, under Kubernetes' names of nodes") {
    MovingTool to;
    to.type = config::DatastoreType::kubernetes;
    CHECK(to.import_text(etcd_dump(calico_cluster())) == ExitCode::failed);
    CHECK(to.complains("Node(kube-a)"));  // whose kubelet makes it
    to.put({Kind::node, "", "kube-a"},
           R"({"apiVersion":"projectcalico.org/v3","kind":"Node","metadata":{"name":"kube-a"},"spec":{}})");
    const auto done = to.import_text(etcd_dump(calico_cluster()));
    INFO(to.err);
    REQUIRE(done == ExitCode::ok);
    CHECK(to.complains("copies of Kubernetes' policies"));
    CHECK(to.has({Kind::node, "", "kube-a"}));
    CHECK(to.has({Kind::block_affinity, "", "kube-a-10-0-0-0-29"}));
    CHECK_FALSE(to.has({Kind::network_policy, "prod", "knp-from-front"}));
    CHECK_FALSE(to.has({Kind::namespace_, "", "prod"}));
    CHECK_FALSE(to.has({Kind::workload_endpoint, "prod", "kube--a-k8s-web-eth0"}));
}

TEST_CASE("what calicoctl exported can be imported") {
    const std::string text =
        std::string(
            "apiVersion: projectcalico.org/v3\nitems:\n- apiVersion: projectcalico.org/v3\n"
            "  kind: IPPool\n  metadata: {name: p}\n  spec: {cidr: 10.0.0.0/24, blockSize: 29}\n"
            "kind: IPPoolList\nmetadata: {}\n---\n===\n") +
        calico("ClusterInformation", R"("name":"default")", R"({"clusterGUID":"feed","datastoreReady":false})") +
        "\n===\n" +
        fmt::format(R"({{"block_affinities":[{{"Key":"/calico/ipam/v2/host/n1/ipv4/block/10.0.0.0-29",)"
                    R"("Value":{{"state":"confirmed","deleted":false}},"TTL":0}}],"blocks":[{{"Key":)"
                    R"("/calico/ipam/v2/assignment/ipv4/block/10.0.0.0-29","Value":{},"TTL":0}}]}})",
                    kBlock) +
        "\n";
    MovingTool to;
    const auto done = to.import_text(text);
    INFO(to.err);
    REQUIRE(done == ExitCode::ok);
    CHECK(to.has(kPool));
    CHECK(to.has({Kind::ipam_block, "", "10-0-0-0-29"}));
    CHECK(to.has({Kind::block_affinity, "", "n1-10-0-0-0-29"}));
    CHECK(to.document(kCluster).find("feed") != std::string::npos);
}

TEST_CASE("Calico's custom resources are read as kubectl prints them") {
    constexpr const char* kText = R"(
apiVersion: v1
kind: List
items:
- apiVersion: crd.projectcalico.org/v1
  kind: IPPool
  metadata:
    name: p
    generation: 1
    resourceVersion: "7"
    uid: 3f9b0a4e-1111-4222-8333-444455556666
    annotations:
      projectcalico.org/metadata: '{"creationTimestamp":"2022-06-16T05:25:47Z","labels":{"a":"b"}}'
  spec: {cidr: 10.0.0.0/24, blockSize: 29, ipipMode: Never, vxlanMode: Always}
- apiVersion: crd.projectcalico.org/v1
  kind: GlobalNetworkPolicy
  metadata: {name: default.deny, annotations: {projectcalico.org/metadata: '{"name":"default.deny"}'}}
  spec: {tier: default, selector: all()}
- apiVersion: crd.projectcalico.org/v1
  kind: BlockAffinity
  metadata: {name: 12.1.0.252-10-0-0-0-29, annotations: {projectcalico.org/metadata: '{"creationTimestamp":null}'}}
  spec: {cidr: 10.0.0.0/29, deleted: "false", node: 12.1.0.252, state: confirmed}
- apiVersion: crd.projectcalico.org/v1
  kind: BlockAffinity
  metadata: {name: old}
  spec: {cidr: 10.0.0.8/29, deleted: "true", node: n1, state: pendingDeletion}
- apiVersion: crd.projectcalico.org/v1
  kind: IPAMBlock
  metadata: {name: 10-0-0-0-29}
  spec:
    cidr: 10.0.0.0/29
    affinity: host:12.1.0.252
    allocations: [null, 0, null, null, null, null, null, null]
    unallocated: [0, 2, 3, 4, 5, 6, 7]
    attributes: [{handle_id: k8s-pod-network.ABC, secondary: {node: 12.1.0.252, pod: web, namespace: prod}}]
    deleted: false
    strictAffinity: false
- apiVersion: crd.projectcalico.org/v1
  kind: IPAMHandle
  metadata: {name: k8s-pod-network.abc}
  spec: {handleID: k8s-pod-network.ABC, block: {10.0.0.0/29: 1}, deleted: false}
- apiVersion: crd.projectcalico.org/v1
  kind: IPAMConfig
  metadata: {name: default}
  spec: {strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 0}
- apiVersion: v1
  kind: Node
  metadata: {name: kube-1}
)";
    MovingTool to;
    const auto done = to.import_text(kText);
    INFO(to.err);
    REQUIRE(done == ExitCode::ok);
    CHECK(to.document(kPool).find(R"("labels":{"a":"b"})") != std::string::npos);
    CHECK(to.document(kPool).find("projectcalico.org/metadata") == std::string::npos);
    CHECK(to.has({Kind::global_network_policy, "", "deny"}));
    CHECK(to.has({Kind::block_affinity, "", "12.1.0.252-10-0-0-0-29"}));
    CHECK_FALSE(to.has({Kind::block_affinity, "", "old"}));
    CHECK(to.has({Kind::ipam_block, "", "10-0-0-0-29"}));
    CHECK(to.complains("Kubernetes' own Node kube-1"));
}
