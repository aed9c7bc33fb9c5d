// Addresses where the store is the Kubernetes API: endpoints follow from Pods, and every write stands alone.

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include <fmt/core.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <catch2/catch.hpp>

#include "config/store/kubernetes.hpp"
#include "ipam/service/node_release.hpp"
#include "ipam/service/service.hpp"
#include "ipam/service/service_addresses.hpp"
#include "test/ipam/mini_api.hpp"
#include "test/ipam/now.hpp"

namespace manul::ipam {
namespace {

using test::kNow;
namespace json = boost::json;

constexpr const char* kCalico = "projectcalico.org/v3/";

std::string pod_path(const std::string& name) { return "v1/namespaces/prod/pods/" + name; }

std::string pod_text(const std::string& name, const std::string& uid, const std::string& annotations = "{}",
                     const std::string& spec = R"("nodeName":"n1")") {
    return fmt::format(
        R"({{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{}","namespace":"prod","uid":"{}","annotations":{}}},)"
        R"("spec":{{{}}},"status":{{"phase":"Pending"}}}})",
        name, uid, annotations, spec);
}

struct Cluster {
    std::filesystem::path directory =
        std::filesystem::temp_directory_path() / fmt::format("manul-ipam-kube-{}", ::getpid());
    manul::test::MiniApi api;
    std::unique_ptr<store::Store> store = open();
    Service service{*store, {"n1", "boot", true}};

    Cluster() {
        pool("p", "10.0.0.0/28", 30, "");
        REQUIRE(service.start());
    }
    ~Cluster() { std::filesystem::remove_all(directory); }
    Cluster(const Cluster&) = delete;
    Cluster& operator=(const Cluster&) = delete;

    std::unique_ptr<store::Store> open() {
        std::filesystem::create_directories(directory);
        const std::string file = (directory / "config").string();
        std::ofstream(file) << "apiVersion: v1\nkind: Config\ncurrent-context: x\n"
                               "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
                               "clusters: [{name: c, cluster: {server: '"
                            << api.address() << "'}}]\nusers: [{name: u, user: {}}]\n";
        return store::open_kubernetes({.kubeconfig = file, .context = {}});
    }
    void pool(const std::string& name, const std::string& cidr, int block_size, const std::string& more) {
        api.put(kCalico + ("ippools/" + name),
                fmt::format(R"x({{"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{{"name":"{}"}},)x"
                            R"x("spec":{{"cidr":"{}","blockSize":{},"nodeSelector":"all()"{}}}}})x",
                            name, cidr, block_size, more));
    }
    static Request request(const std::string& container, const std::string& pod) {
        Request out;
        out.op = Op::add;
        out.network = "net";
        out.attachment = {container, "eth0"};
        out.host_interface = "cali" + pod;
        out.args = {{"K8S_POD_NAMESPACE", "prod"}, {"K8S_POD_NAME", pod}};
        return out;
    }
    AddResult add(const std::string& container, const std::string& pod) {
        const Request one = request(container, pod);
        auto result = service.add(std::span(&one, 1), kNow).front();
        UNSCOPED_INFO((result.answer.error ? result.answer.error->msg : std::string("good")));
        return result;
    }
    bool del(const std::string& container) {
        const Release release{"net", {container, "eth0"}};
        const auto result = service.release(std::span(&release, 1), kNow).front();
        UNSCOPED_INFO((result ? std::string("good") : result.error().msg));
        REQUIRE(result);
        return *result;
    }
    std::string annotation(const std::string& pod, const char* name) const {
        const json::object object = api.get(pod_path(pod));
        const json::value* found = object.at("metadata")
                                       .at("annotations")
                                       .as_object()
                                       .if_contains(std::string("cni.projectcalico.org/") + name);
        return found == nullptr ? "(none)" : std::string(found->as_string());
    }
    /// Addresses that are allocated.
    std::size_t allocated() {
        const auto listing = store->list({.kind = model::Kind::ipam_block, .ns = std::nullopt, .name_prefix = {}});
        REQUIRE(listing);
        std::size_t count = 0;
        for (const store::Object& object : listing->items) {
            const json::value document = json::parse(*object.document);
            for (const json::value& one : document.at("spec").at("allocations").as_array()) {
                count += one.is_null() ? 0U : 1U;
            }
        }
        return count;
    }
    std::size_t handles() const { return api.count(std::string(kCalico) + "ipamhandles/"); }
};

TEST_CASE("a pod's address is allocated, recorded in its Pod, and given back") {
    Cluster c;
    c.api.put(pod_path("web"), pod_text("web", "11111111-1111-4111-8111-111111111111"));
    const AddResult added = c.add("c1", "web");
    REQUIRE_FALSE(added.answer.error);
    const std::string ip = added.answer.ips.front().to_string();
    CHECK(c.annotation("web", "podIP") == ip + "/32");
    CHECK(c.annotation("web", "podIPs") == ip + "/32");
    CHECK(c.annotation("web", "containerID") == "c1");
    CHECK(c.allocated() == 1);
    CHECK(c.handles() == 1);
    const json::object affinity = c.api.get(
        fmt::format("{}blockaffinities/n1-10-0-0-{}-30", kCalico, added.answer.ips.front().bytes()[3] / 4 * 4));
    CHECK(affinity.at("spec").at("state").as_string() == "confirmed");

    // Asked again, also by another run of the daemon: the same.
    CHECK(c.add("c1", "web").answer.ips == added.answer.ips);
    Service again(*c.store, {"n1", "boot", true});
    REQUIRE(again.start());
    const Request same = Cluster::request("c1", "web");
    CHECK(again.add(std::span(&same, 1), kNow).front().answer.ips == added.answer.ips);

    CHECK(c.del("c1"));
    CHECK(c.annotation("web", "podIP").empty());
    CHECK(c.allocated() == 0);
    CHECK(c.handles() == 0);
}

TEST_CASE(
    "a pod that is made anew under its name gets its own address, and the old container's late DEL takes nothing") {
    Cluster c;
    const std::string old_uid = "11111111-1111-4111-8111-111111111111";
    const std::string new_uid = "22222222-2222-4222-8222-222222222222";
    c.api.put(pod_path("db-0"), pod_text("db-0", old_uid));
    const AddResult first = c.add("old", "db-0");
    REQUIRE_FALSE(first.answer.error);

    SECTION("as a StatefulSet does: the old DEL comes after the new ADD") {
        c.api.remove(pod_path("db-0"));
        c.api.put(pod_path("db-0"), pod_text("db-0", new_uid));
    }
    SECTION("as a static pod or a restarted sandbox: the same Pod, another container") {
        c.api.touch(pod_path("db-0"));
    }

    const AddResult second = c.add("new", "db-0");
    REQUIRE_FALSE(second.answer.error);
    CHECK(second.answer.ips != first.answer.ips);  // the old container may still be running
    c.del("old");
    CHECK(c.annotation("db-0", "podIP") == second.answer.ips.front().to_string() + "/32");
    CHECK(c.annotation("db-0", "containerID") == "new");
    CHECK(c.allocated() == 1);
    CHECK(c.handles() == 1);
    CHECK_FALSE(c.del("old"));
    CHECK(c.allocated() == 1);
    CHECK(c.del("new"));
    CHECK(c.allocated() == 0);
}

TEST_CASE("a DEL that never comes leaks nothing: the address of the container before is freed, the new one's stays") {
    const bool recreated = GENERATE(true, false);  // by a StatefulSet; else a static pod got another sandbox
    const bool died = GENERATE(true, false);       // the daemon, before it saw to the old address
    CAPTURE(recreated, died);
    Cluster c;
    c.api.put(pod_path("db-0"), pod_text("db-0", "11111111-1111-4111-8111-111111111111"));
    REQUIRE_FALSE(c.add("old", "db-0").answer.error);
    if (recreated) {
        c.api.remove(pod_path("db-0"));
        c.api.put(pod_path("db-0"), pod_text("db-0", "22222222-2222-4222-8222-222222222222"));
    }
    const AddResult second = c.add("new", "db-0");
    REQUIRE_FALSE(second.answer.error);
    CHECK(second.replaced_handle.has_value() == !recreated);  // the new Pod does not speak of the old container
    CHECK(c.allocated() == 2);                                // until the old link is known to be gone
    if (second.replaced_handle && !died) {
        const std::vector<std::string> handles{*second.replaced_handle};
        CHECK(c.service.release_handles(handles, kNow).front() == true);
    } else {
        Service next(*c.store, {"n1", "boot", true});
        REQUIRE(next.start());
        REQUIRE(next.tidy({}, std::nullopt, true, SteadyTime{}, kNow));
        CHECK(c.allocated() == 2);
        REQUIRE(next.tidy({}, std::nullopt, true, SteadyTime{} + Leaks::kGrace, kNow));
    }
    CHECK(c.allocated() == 1);
    CHECK(c.handles() == 1);
    CHECK(c.annotation("db-0", "podIP") == second.answer.ips.front().to_string() + "/32");
    CHECK(c.del("new"));
    CHECK(c.allocated() == 0);
}

TEST_CASE("what a static pod holds stays while its container has a link, also when its mirror Pod was made anew") {
    Cluster c;
    c.api.put(pod_path("static-n1"), pod_text("static-n1", "11111111-1111-4111-8111-111111111111"));
    REQUIRE_FALSE(c.add("c1", "static-n1").answer.error);
    c.api.remove(pod_path("static-n1"));
    c.api.put(pod_path("static-n1"), pod_text("static-n1", "22222222-2222-4222-8222-222222222222"));
    Service next(*c.store, {"n1", "", true});
    REQUIRE(next.start());
    REQUIRE(next.attachments());
    CHECK(next.attachments()->empty());  // the Pod does not say which container it has
    const std::set<std::string> links{"c1"};
    for (SteadyTime now{}; now < SteadyTime{} + 4 * Leaks::kGrace; now += std::chrono::minutes(1)) {
        REQUIRE(next.tidy({}, links, false, now, kNow));
        CHECK(c.allocated() == 1);
    }
    c.api.remove(pod_path("static-n1"));  // and now for good
    SteadyTime now = SteadyTime{} + 5 * Leaks::kGrace;
    REQUIRE(next.tidy({}, links, true, now, kNow));
    CHECK(c.allocated() == 1);
    REQUIRE(next.tidy({}, links, false, now + Leaks::kGrace, kNow));
    CHECK(c.allocated() == 0);
}

TEST_CASE("a Pod that was deleted by force is noticed, also when its link stays and no DEL comes") {
    Cluster c;
    c.api.put(pod_path("web"), pod_text("web", "11111111-1111-4111-8111-111111111111"));
    REQUIRE_FALSE(c.add("c1", "web").answer.error);
    const std::set<std::string> links{"c1"};
    SteadyTime now{};
    REQUIRE(c.service.tidy({}, links, true, now, kNow));
    c.api.remove(pod_path("web"));
    REQUIRE(c.service.tidy({}, links, true, now += std::chrono::hours(1), kNow));
    CHECK(c.allocated() == 1);
    REQUIRE(c.service.tidy({}, links, false, now += Leaks::kGrace - std::chrono::minutes(1), kNow));
    CHECK(c.allocated() == 1);
    REQUIRE(c.service.tidy({}, links, false, now += std::chrono::minutes(1), kNow));
    CHECK(c.allocated() == 0);
    CHECK(c.handles() == 0);
}

TEST_CASE(
    "the network of an attachment survives the daemon; Pods without a container, or whose addresses went, are none") {
    Cluster c;
    for (const char* name : {"web", "waits", "ended", "done"}) {
        c.api.put(pod_path(name), pod_text(name, "11111111-1111-4111-8111-111111111111"));
    }
    REQUIRE_FALSE(c.add("c1", "web").answer.error);
    REQUIRE_FALSE(c.add("c2", "ended").answer.error);
    REQUIRE_FALSE(c.add("c3", "done").answer.error);
    REQUIRE(c.del("c2"));
    json::object finished = c.api.get(pod_path("done"));
    finished["status"] = json::object{{"phase", "Succeeded"}};
    c.api.put(pod_path("done"), json::serialize(finished));
    Service next(*c.store, {"n1", "", true});
    REQUIRE(next.start());
    const auto known = next.attachments();
    REQUIRE(known);
    REQUIRE(known->size() == 2);  // what a finished pod had is still to be freed
    for (const KnownAttachment& one : *known) {
        CHECK(one.network == "net");
        CHECK(one.pod.ns == "prod");
        const Release release{one.network, one.attachment, one.pod};
        CHECK(next.release(std::span(&release, 1), kNow).front() == true);
    }
    CHECK(c.allocated() == 0);
    CHECK(c.annotation("done", "podIP").empty());
}

TEST_CASE("a Pod whose annotations name another pod's container frees nothing of that one") {
    Cluster c;
    c.api.put(pod_path("victim"), pod_text("victim", "11111111-1111-4111-8111-111111111111"));
    REQUIRE_FALSE(c.add("c1", "victim").answer.error);
    c.api.put(pod_path("thief"), pod_text("thief", "22222222-2222-4222-8222-222222222222",
                                          R"({"cni.projectcalico.org/containerID":"c1"})"));
    Service next(*c.store, {"n1", "", true});
    REQUIRE(next.start());
    const Request request = Cluster::request("c2", "thief");
    CHECK_FALSE(next.owns_handle("net.c1.eth0", request));
    const AddResult added = next.add(std::span(&request, 1), kNow).front();
    REQUIRE_FALSE(added.answer.error);
    CHECK_FALSE(added.replaced_handle);
    const Release lost{"net", {"c1", "eth0"}, {"prod", "thief"}};
    REQUIRE(next.release(std::span(&lost, 1), kNow).front());
    CHECK(c.allocated() == 2);
}

TEST_CASE("a Pod whose annotations are changed keeps its address and gets no other's") {
    Cluster c;
    c.api.put(pod_path("web"), pod_text("web", "11111111-1111-4111-8111-111111111111"));
    const AddResult added = c.add("c1", "web");
    REQUIRE_FALSE(added.answer.error);
    json::object forged = c.api.get(pod_path("web"));
    for (const char* name : {"podIP", "podIPs"}) {
        forged["metadata"].at("annotations").as_object()[std::string("cni.projectcalico.org/") + name] = "10.0.0.13/32";
    }
    c.api.put(pod_path("web"), json::serialize(forged));
    const auto listing = c.store->list({.kind = model::Kind::workload_endpoint, .ns = "prod", .name_prefix = {}});
    REQUIRE(listing);
    const json::value endpoint = json::parse(*listing->items.front().document);
    CHECK(endpoint.at("spec").at("ipNetworks").at(0).as_string() == added.answer.ips.front().to_string() + "/32");
    CHECK(c.del("c1"));
    CHECK(c.allocated() == 0);
}

TEST_CASE("a DEL after the Pod is gone frees its address") {
    Cluster c;
    c.api.put(pod_path("web"), pod_text("web", "11111111-1111-4111-8111-111111111111"));
    REQUIRE_FALSE(c.add("c1", "web").answer.error);
    c.api.remove(pod_path("web"));
    CHECK(c.del("c1"));
    CHECK(c.allocated() == 0);
    CHECK(c.handles() == 0);
}

TEST_CASE(
    "a kubelet that writes the Pod's status meanwhile disturbs nothing; a Pod that is replaced meanwhile is not "
    "written") {
    Cluster c;
    c.api.put(pod_path("web"), pod_text("web", "11111111-1111-4111-8111-111111111111"));
    int patches = 0;
    c.api.before_change = [&](const std::string& what) {
        if (what == "PATCH " + pod_path("web") + "/status" && patches++ < 3) {
            c.api.touch(pod_path("web"));
        }
    };
    REQUIRE_FALSE(c.add("c1", "web").answer.error);
    CHECK(patches == 4);
    CHECK(c.allocated() == 1);
    CHECK(c.handles() == 1);
    CHECK(c.del("c1"));

    bool replaced = false;
    c.api.before_change = [&](const std::string& what) {
        if (what == "PATCH " + pod_path("web") + "/status" && !std::exchange(replaced, true)) {
            c.api.put(pod_path("web"), pod_text("web", "22222222-2222-4222-8222-222222222222"));
        }
    };
    const AddResult added = c.add("c2", "web");
    REQUIRE_FALSE(added.answer.error);  // from fresh reads, for the Pod that is there
    CHECK(c.annotation("web", "containerID") == "c2");
    CHECK(c.allocated() == 1);
}

TEST_CASE("what is no pod of this node is refused with the reason, and leaves nothing") {
    Cluster c;
    const std::string uid = "11111111-1111-4111-8111-111111111111";
    c.api.put(pod_path("far"), pod_text("far", uid, "{}", R"("nodeName":"n2")"));
    c.api.put(pod_path("host"), pod_text("host", uid, "{}", R"("nodeName":"n1","hostNetwork":true)"));
    c.api.put(pod_path("web"), pod_text("web", uid));
    const auto why = [&](Request request) {
        const auto answer = c.service.add(std::span(&request, 1), kNow).front().answer;
        REQUIRE(answer.error);
        return fmt::format("{} {}", answer.error->code, answer.error->msg);
    };
    CHECK_THAT(why(Cluster::request("c", "far")), Catch::StartsWith("7 Pod prod/far is scheduled to node \"n2\""));
    CHECK_THAT(why(Cluster::request("c", "host")), Catch::StartsWith("7 Pod prod/host uses its host's network"));
    CHECK_THAT(why(Cluster::request("c", "absent")), Catch::StartsWith("11 the API server has no Pod prod/absent"));
    Request bare = Cluster::request("c", "web");
    bare.args.clear();
    CHECK_THAT(why(bare), Catch::StartsWith("7 with the Kubernetes datastore only pods get endpoints"));
    Request second = Cluster::request("c", "web");
    second.attachment.ifname = "net1";
    CHECK_THAT(why(second), Catch::StartsWith("7 "));
    Request chained = Cluster::request("c", "web");
    chained.policy_only = true;
    chained.host_interface = "eni0123";
    chained.ips = {net::Ip(net::Ip4(192, 0, 2, 7))};
    CHECK_THAT(why(chained), Catch::StartsWith("7 with the Kubernetes datastore the host interface of Pod prod/web") &&
                                 Catch::Contains("the plugin before this one made eni0123"));
    CHECK(c.annotation("web", "podIP") == "(none)");
    CHECK(c.annotation("web", "containerID") == "(none)");
    CHECK(c.allocated() == 0);
    CHECK(c.handles() == 0);
    chained.host_interface = host_interface_name(chained);
    CHECK_FALSE(c.service.add(std::span(&chained, 1), kNow).front().answer.error);
    CHECK(c.annotation("web", "podIP") == "192.0.2.7/32");
    CHECK(c.allocated() == 0);
}

TEST_CASE("annotations of the Pod choose addresses and pools") {
    Cluster c;
    c.pool("q", "10.1.0.0/28", 30, "");
    REQUIRE(c.service.start());
    const std::string uid = "11111111-1111-4111-8111-111111111111";
    c.api.put(pod_path("exact"), pod_text("exact", uid, R"({"cni.projectcalico.org/ipAddrs":"[\"10.0.0.9\"]"})"));
    c.api.put(pod_path("pool"), pod_text("pool", uid, R"({"cni.projectcalico.org/ipv4pools":"[\"q\"]"})"));
    c.api.put(pod_path("wrong"), pod_text("wrong", uid, R"({"cni.projectcalico.org/ipAddrs":"10.0.0.9"})"));
    CHECK(c.add("c1", "exact").answer.ips.front().to_string() == "10.0.0.9");
    CHECK(c.add("c2", "pool").answer.ips.front().to_string().starts_with("10.1.0."));
    CHECK(c.add("c3", "wrong").answer.error);
    CHECK(c.allocated() == 2);
}

TEST_CASE("what a deleted Node held is not freed while Pods are scheduled to it") {
    Cluster c;
    c.api.put(pod_path("web"), pod_text("web", "11111111-1111-4111-8111-111111111111"));
    REQUIRE_FALSE(c.add("c1", "web").answer.error);
    const auto refused = release_node(*c.store, "n1", kNow);
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().msg, Catch::Contains("prod/web"));
    CHECK(c.allocated() == 1);
    c.api.remove(pod_path("web"));  // as the API server's garbage collector does
    const auto freed = release_node(*c.store, "n1", kNow);
    REQUIRE(freed);
    CHECK(freed->addresses == 1);
    CHECK(c.allocated() == 0);
    CHECK(c.api.count(std::string(kCalico) + "blockaffinities/") == 0);
}

TEST_CASE("a Service gets its address through the status alone") {
    Cluster c;
    c.pool("lb", "192.0.2.0/28", 30, R"(,"allowedUses":["LoadBalancer"])");
    c.api.put(
        "v1/namespaces/prod/services/web",
        R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"prod"},)"
        R"("spec":{"type":"LoadBalancer","clusterIP":"10.96.0.7","ports":[{"port":80}],"sessionAffinity":"None"}})");
    std::string written;
    c.api.before_change = [&](const std::string& what) {
        if (what.find("/services/") != std::string::npos) {
            written += what + "\n";
        }
    };
    ServiceAddresses addresses(*c.store);
    SteadyTime now{};
    const auto done = addresses.run(false, now, kNow);
    INFO((done ? std::string() : done.error().msg));
    REQUIRE(done);
    REQUIRE(done->given.size() == 1);
    CHECK(written == "PATCH v1/namespaces/prod/services/web/status\n");
    const json::object service = c.api.get("v1/namespaces/prod/services/web");
    CHECK(std::string(service.at("status").at("loadBalancer").at("ingress").at(0).at("ip").as_string())
              .starts_with("192.0.2."));
    CHECK(service.at("spec").at("sessionAffinity").as_string() == "None");
    CHECK(c.allocated() == 1);
    c.api.remove("v1/namespaces/prod/services/web");
    now += std::chrono::minutes(2);
    REQUIRE(addresses.run(false, now, kNow));
    CHECK(c.allocated() == 0);
}

}  // namespace
}  // namespace manul::ipam
