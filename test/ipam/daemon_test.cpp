#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <expected>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/core.h>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <catch2/catch.hpp>

#include "base/control.hpp"
#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/model/workload_endpoint.hpp"
#include "config/store/sqlite.hpp"
#include "ipam/io/teardown.hpp"
#include "ipam/local/client.hpp"
#include "net/netlink/encode.hpp"
#include "net/netlink/netns.hpp"
#include "net/netlink/socket.hpp"

// The program itself, over its real sockets, with real links in a network namespace of this test.

namespace manul::ipam {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

bool eventually(const std::function<bool()>& wanted) {
    const auto deadline = Clock::now() + 20s;
    while (!wanted()) {
        if (Clock::now() > deadline) {
            return false;
        }
        std::this_thread::sleep_for(5ms);
    }
    return true;
}

/// One node: directories, a store file, a network namespace, and manul-ipamd in it.
class Node {
public:
    Node() {
        static int count = 0;
        directory_ = std::filesystem::temp_directory_path() / fmt::format("manul-ipamd-{}-{}", ::getpid(), ++count);
        std::filesystem::create_directories(directory_);
        auto scope = netlink::NetnsScope::create();
        REQUIRE(scope);
        scope_.emplace(*std::move(scope));
        auto socket = netlink::Socket::open();
        REQUIRE(socket);
        links.emplace(*std::move(socket));
        store = store::open_sqlite((directory_ / "store.db").string());
    }
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;
    ~Node() {
        stop(SIGKILL);
        std::filesystem::remove_all(directory_);
    }

    void start(const std::string& store_path = {}) {
        const char* program = std::getenv("MANUL_IPAMD");
        REQUIRE(program != nullptr);
        pid_ = ::fork();
        REQUIRE(pid_ >= 0);
        if (pid_ == 0) {
            const std::string path = store_path.empty() ? (directory_ / "store.db").string() : store_path;
            ::setenv("MANUL_NODE_NAME", "n1", 1);
            ::setenv("MANUL_DATASTORE_TYPE", "sqlite", 1);
            ::setenv("MANUL_DATASTORE_PATH", path.c_str(), 1);
            ::setenv("MANUL_RUN_DIR", (directory_ / "run").c_str(), 1);
            ::setenv("MANUL_STATE_DIR", (directory_ / "state").c_str(), 1);
            ::setenv("MANUL_NODE_ADDRESS_DETECTION_IPV4", "none", 1);
            ::setenv("MANUL_NODE_ADDRESS_DETECTION_IPV6", "none", 1);
            ::setenv("MANUL_LOG_LEVEL", "info", 1);
            ::execl(program, program, nullptr);
            std::_Exit(127);
        }
        if (store_path.empty()) {
            REQUIRE(eventually([&] { return status_of("inSync") == boost::json::value(true); }));
        }
    }
    /// The exit status.
    int stop(int signal) {
        if (pid_ <= 0) {
            return 0;
        }
        ::kill(pid_, signal);
        int status = 0;
        ::waitpid(std::exchange(pid_, 0), &status, 0);
        return status;
    }

    void put(model::Kind kind, const std::string& ns, const std::string& name, const std::string& document) const {
        const model::Key key{kind, ns, name};
        if (!store->update(key, document, std::nullopt)) {
            const auto created = store->create(key, document);
            CAPTURE(created ? "" : created.error().message);
            REQUIRE(created);
        }
    }
    void put_pool(const std::string& cidr = "10.0.0.0/24", int block_size = 26) const {
        put(model::Kind::ip_pool, "", "p",
            fmt::format(
                R"({{"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{{"name":"p"}},"spec":{{"cidr":"{}","blockSize":{}}}}})",
                cidr, block_size));
    }
    std::size_t count(model::Kind kind) const {
        const auto listing = store->list({.kind = kind, .ns = std::nullopt, .name_prefix = {}});
        REQUIRE(listing);
        return listing->items.size();
    }
    std::optional<model::WorkloadEndpointSpec> endpoint(const std::string& ns, const std::string& name) const {
        const auto object = store->get({model::Kind::workload_endpoint, ns, name});
        if (!object) {
            return std::nullopt;
        }
        const auto decoded = codec::decode(model::Kind::workload_endpoint, *object->document, codec::Mode::strict);
        REQUIRE(decoded.ok());
        return model::as<model::WorkloadEndpoint>(*decoded.resource)->spec;
    }

    /// May be called on any thread, which Catch's macros may not.
    std::expected<Answer, ClientError> call(const Request& request) const {
        const auto now = Clock::now();
        MANUL_TRY(auto client, Client::connect((directory_ / "run" / "cni.sock").string(), now + 20s, now + 30s));
        MANUL_CHECK(client.send(request));
        return client.receive();
    }
    Answer ask(const Request& request) const {
        auto answer = call(request);
        REQUIRE(answer);
        return *std::move(answer);
    }
    boost::json::value status_of(std::string_view field) const {
        const auto answer = control::call((directory_ / "run" / "ipamd.sock").string(), {{"op", "status"}}, 5s);
        const auto* object = answer ? answer->if_object() : nullptr;
        const auto* value = object != nullptr ? object->if_contains(field) : nullptr;
        return value != nullptr ? *value : boost::json::value(nullptr);
    }

    void make_link(const std::string& name, const std::string& alias) {
        netlink::RequestBuffer requests;
        netlink::VethPair pair;
        pair.local.name = name;
        pair.peer.name = fmt::format("peer{}", ++peers_);  // a pod's would be in its own namespace
        netlink::create_veth(requests, pair);
        std::uint32_t index = 0;
        REQUIRE(links->request(requests, [&](const netlink::MessageView& message) {
            if (const auto event = netlink::decode_event(message)) {
                if (const auto* changed = std::get_if<netlink::Changed<netlink::Link>>(&*event)) {
                    index = changed->value.index;
                }
            }
        }));
        netlink::RequestBuffer change;
        netlink::LinkChange up;
        up.index = index;
        up.up = true;
        up.alias = alias;
        netlink::change_link(change, up);
        REQUIRE(links->request(change));
    }
    /// As the plugin makes the way to the pod.
    void add_way(const std::string& link_name, const net::Ip& address) {
        const auto link = links->link(link_name);
        REQUIRE((link && *link));
        netlink::RequestBuffer request;
        netlink::put_neighbour(request, {.ifindex = (*link)->index, .address = address, .mac = (*link)->mac});
        REQUIRE(links->request(request));
    }
    /// Somebody deletes the store's file; the next program that opens it makes a new one.
    void lose_store() {
        store.reset();
        for (const char* suffix : {"", "-wal", "-shm"}) {
            std::filesystem::remove((directory_ / "store.db").string() + suffix);
        }
        store = store::open_sqlite((directory_ / "store.db").string());
    }
    bool has_link(const std::string& name) {
        const auto link = links->link(name);
        REQUIRE(link);
        return link->has_value();
    }
    [[nodiscard]] std::filesystem::path state() const { return directory_ / "state"; }

    std::unique_ptr<store::Store> store;
    std::optional<netlink::Socket> links;

private:
    std::filesystem::path directory_;
    std::optional<netlink::NetnsScope> scope_;
    pid_t pid_ = 0;
    int peers_ = 0;
};

Request pod_request(Op op, const std::string& container, const std::string& pod) {
    Request request;
    request.op = op;
    request.network = "net";
    request.attachment = {container, "eth0"};
    request.args = {{"K8S_POD_NAMESPACE", "prod"}, {"K8S_POD_NAME", pod}};
    request.host_interface = "cali" + pod;
    return request;
}

TEST_CASE("a pod's life: ADD, CHECK, labels, DEL with its link") {
    Node node;
    node.put_pool();
    node.start();
    CHECK(node.count(model::Kind::node) == 1);
    const Answer added = node.ask(pod_request(Op::add, "c1", "web"));
    REQUIRE_FALSE(added.error);
    REQUIRE(added.ips.size() == 1);
    node.make_link("caliweb", "c1");

    Request check = pod_request(Op::check, "c1", "web");
    check.ips = added.ips;
    CHECK_FALSE(node.ask(check).error);
    CHECK_FALSE(node.ask(pod_request(Op::status, "", "")).error);

    node.put(
        model::Kind::pod, "prod", "web",
        R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"prod"},"spec":{"serviceAccountName":"robot","containers":[{"name":"c"}]}})");
    CHECK(eventually([&] { return node.endpoint("prod", "n1-k8s-web-eth0")->service_account_name == "robot"; }));

    CHECK_FALSE(node.ask(pod_request(Op::del, "c1", "web")).error);
    CHECK_FALSE(node.ask(pod_request(Op::del, "c1", "web")).error);
    CHECK(eventually([&] { return node.count(model::Kind::ipam_handle) == 0; }));
    CHECK_FALSE(node.has_link("caliweb"));
    CHECK_FALSE(node.endpoint("prod", "n1-k8s-web-eth0"));
    CHECK(eventually([&] { return node.count(model::Kind::node_report) == 1; }));
    CHECK(node.count(model::Kind::ipam_block) == 1);
    REQUIRE(node.store->remove({model::Kind::ip_pool, "", "p"}, std::nullopt));
    CHECK(eventually([&] { return node.count(model::Kind::ipam_block) == 0; }));
    CHECK(WEXITSTATUS(node.stop(SIGTERM)) == 0);
}

TEST_CASE("a new sandbox gets its name although the old link is still there") {
    Node node;
    node.put_pool();
    node.start();
    const Answer old = node.ask(pod_request(Op::add, "old", "web"));
    REQUIRE_FALSE(old.error);
    node.make_link("caliweb", "old");
    const Answer taken = node.ask(pod_request(Op::add, "new", "web"));
    REQUIRE_FALSE(taken.error);
    CHECK_FALSE(node.has_link("caliweb"));  // the plugin can make its own now
    node.make_link("caliweb", "new");
    CHECK(eventually([&] { return node.count(model::Kind::ipam_handle) == 1; }));
    CHECK_FALSE(node.ask(pod_request(Op::del, "old", "web")).error);
    CHECK(eventually([&] { return node.status_of("waitingDeletes") == boost::json::value(0); }));
    CHECK(node.has_link("caliweb"));
    CHECK(node.endpoint("prod", "n1-k8s-web-eth0")->container_id == "new");
}

TEST_CASE("an id that is used again at once gets an attachment of its own") {
    Node node;
    node.put_pool();
    node.start();
    const Answer first = node.ask(pod_request(Op::add, "c1", "web"));
    node.make_link("caliweb", "c1");
    CHECK_FALSE(node.ask(pod_request(Op::del, "c1", "web")).error);
    const Answer second = node.ask(pod_request(Op::add, "c1", "web"));  // waits for the DEL
    REQUIRE_FALSE(second.error);
    CHECK(second.ips != first.ips);
    CHECK_FALSE(node.has_link("caliweb"));
    CHECK(node.status_of("waitingDeletes") == boost::json::value(0));
    CHECK(node.endpoint("prod", "n1-k8s-web-eth0"));
    CHECK(node.count(model::Kind::ipam_handle) == 1);
}

TEST_CASE("an ADD right after a DEL gets the address that it frees, asked for by name or the last one") {
    Node node;
    node.put(
        model::Kind::ip_pool, "", "p",
        R"({"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"p"},"spec":{"cidr":"10.0.0.0/31","blockSize":31}})");
    node.start();
    REQUIRE_FALSE(node.ask(pod_request(Op::add, "c0", "stays")).error);
    for (const bool by_name : {false, true}) {
        const Answer first = node.ask(pod_request(Op::add, "c1", "first"));
        REQUIRE_FALSE(first.error);
        CHECK_FALSE(node.ask(pod_request(Op::del, "c1", "first")).error);
        Request request = pod_request(Op::add, "c2", "second");
        if (by_name) {
            request.ips = first.ips;
        }
        const Answer second = node.ask(request);
        UNSCOPED_INFO((second.error ? second.error->msg : std::string("good")));
        CHECK(second.ips == first.ips);
        CHECK_FALSE(node.ask(pod_request(Op::del, "c2", "second")).error);
    }
    // Where nothing is being freed, the refusal comes at once.
    REQUIRE_FALSE(node.ask(pod_request(Op::add, "c3", "third")).error);
    CHECK(node.ask(pod_request(Op::add, "c4", "fourth")).error->code == 11);
}

TEST_CASE("a DEL takes the link that was made after an earlier DEL of the same container had looked for it") {
    Node node;
    node.put_pool();
    node.start();
    REQUIRE_FALSE(node.ask(pod_request(Op::add, "c1", "web")).error);
    CHECK_FALSE(node.ask(pod_request(Op::del, "c1", "web")).error);
    CHECK(eventually([&] { return node.status_of("waitingDeletes") == boost::json::value(0); }));
    node.make_link("caliweb", "c1");  // its plugin was slower than that
    CHECK_FALSE(node.ask(pod_request(Op::del, "c1", "web")).error);
    CHECK(eventually([&] { return !node.has_link("caliweb"); }));
}

TEST_CASE("a DEL that was answered is carried out although the daemon is killed") {
    Node node;
    node.put_pool();
    node.start();
    for (int i = 0; i < 5; ++i) {
        const std::string pod = fmt::format("pod{}", i);
        REQUIRE_FALSE(node.ask(pod_request(Op::add, "c" + pod, pod)).error);
        node.make_link("cali" + pod, "c" + pod);
    }
    for (int i = 0; i < 5; ++i) {
        const std::string pod = fmt::format("pod{}", i);
        REQUIRE_FALSE(node.ask(pod_request(Op::del, "c" + pod, pod)).error);
    }
    node.stop(SIGKILL);
    node.start();
    CHECK(eventually([&] { return node.count(model::Kind::ipam_handle) == 0; }));
    CHECK(node.count(model::Kind::workload_endpoint) == 0);
    CHECK_FALSE(node.has_link("calipod3"));
}

TEST_CASE("what the plugin journaled while the daemon was away is released") {
    Node node;
    node.put_pool();
    node.start();
    REQUIRE_FALSE(node.ask(pod_request(Op::add, "c1", "web")).error);
    node.stop(SIGTERM);
    const auto journal = node.state() / "cni-journal";
    std::filesystem::create_directories(journal);
    std::ofstream(journal / "one.json") << encode(pod_request(Op::del, "c1", "web"));
    std::ofstream(journal / "two.json") << "{";
    std::ofstream(journal / ".three.json.17") << "{";
    node.start();
    CHECK(eventually([&] { return node.count(model::Kind::ipam_handle) == 0; }));
    CHECK_FALSE(std::filesystem::exists(journal / "one.json"));
    CHECK(std::filesystem::exists(journal / "two.json.refused"));
    CHECK(std::filesystem::exists(journal / ".three.json.17"));
}

TEST_CASE("a journaled DEL of another network does not stand for the attachment's own") {
    Node node;
    node.put_pool();
    node.start();
    REQUIRE_FALSE(node.ask(pod_request(Op::add, "c1", "web")).error);
    node.make_link("caliweb", "c1");
    node.stop(SIGKILL);
    Request other = pod_request(Op::del, "c1", "web");
    other.network = "other";
    const auto journal = node.state() / "cni-journal";
    std::filesystem::create_directories(journal);
    std::ofstream(journal / "one.json") << encode(other);
    node.start();
    CHECK(eventually([&] {
        std::ifstream log(node.state() / "ipamd-deletes.log");
        std::string line;
        bool done = false;
        while (std::getline(log, line)) {
            done = done || line.starts_with("E ");
        }
        return done;
    }));
    CHECK(node.has_link("caliweb"));
    CHECK(node.count(model::Kind::ipam_handle) == 1);
    CHECK_FALSE(node.ask(pod_request(Op::del, "c1", "web")).error);
    CHECK(eventually([&] { return node.count(model::Kind::ipam_handle) == 0; }));
    CHECK_FALSE(node.has_link("caliweb"));
}

TEST_CASE("a DEL of an unknown container removes its link and nobody else's") {
    Node node;
    node.put_pool();
    node.start();
    REQUIRE_FALSE(node.ask(pod_request(Op::add, "c1", "web")).error);
    node.make_link("caliweb", "c1");
    node.make_link("calileft", "c2");
    CHECK_FALSE(node.ask(pod_request(Op::del, "c2", "left")).error);
    CHECK(eventually([&] { return !node.has_link("calileft"); }));
    CHECK(node.has_link("caliweb"));
    CHECK(node.count(model::Kind::ipam_handle) == 1);
}

TEST_CASE("a DEL that has nothing to do, or was logged before, writes nothing") {
    Node node;
    node.put_pool();
    node.start();
    const auto logged = [&node] {
        std::ifstream log(node.state() / "ipamd-deletes.log");
        std::string line;
        std::size_t deletions = 0;
        while (std::getline(log, line)) {
            deletions += line.starts_with("D ") ? 1U : 0U;
        }
        return deletions;
    };
    CHECK_FALSE(node.ask(pod_request(Op::del, "c9", "never")).error);
    CHECK(logged() == 0);
    REQUIRE_FALSE(node.ask(pod_request(Op::add, "c1", "web")).error);
    node.make_link("caliweb", "c1");
    CHECK_FALSE(node.ask(pod_request(Op::del, "c1", "web")).error);
    CHECK_FALSE(node.ask(pod_request(Op::del, "c1", "web")).error);
    CHECK(eventually([&] { return node.count(model::Kind::ipam_handle) == 0; }));
    CHECK(eventually([&] { return node.status_of("waitingDeletes") == boost::json::value(0); }));
    CHECK_FALSE(node.has_link("caliweb"));
    // One line that says what to delete, and soon one that says that it was done.
    CHECK(logged() == 1);
    // Known again after the next ADD, and after a restart.
    REQUIRE_FALSE(node.ask(pod_request(Op::add, "c1", "web")).error);
    node.stop(SIGKILL);
    node.start();
    CHECK_FALSE(node.ask(pod_request(Op::del, "c1", "web")).error);
    CHECK(eventually([&] { return node.count(model::Kind::workload_endpoint) == 0; }));
}

TEST_CASE("a link that another plugin made stays when its endpoint goes") {
    Node node;
    node.start();
    Request request = pod_request(Op::add, "c1", "web");
    request.policy_only = true;
    request.host_interface = "veth7";
    request.ips = {*net::Ip::parse("192.0.2.5")};
    REQUIRE_FALSE(node.ask(request).error);
    node.make_link("veth7", "");
    CHECK_FALSE(node.ask(pod_request(Op::del, "c1", "web")).error);
    CHECK(eventually([&] { return node.count(model::Kind::workload_endpoint) == 0; }));
    CHECK(node.has_link("veth7"));
}

TEST_CASE("GC releases what the runtime does not know") {
    Node node;
    node.put_pool();
    node.start();
    for (const char* pod : {"a", "b", "c"}) {
        REQUIRE_FALSE(node.ask(pod_request(Op::add, std::string("c") + pod, pod)).error);
    }
    Request gc;
    gc.op = Op::gc;
    gc.network = "net";
    gc.valid_attachments = {{"cb", "eth0"}};
    CHECK_FALSE(node.ask(gc).error);
    CHECK(eventually([&] { return node.count(model::Kind::workload_endpoint) == 1; }));
    CHECK(node.endpoint("prod", "n1-k8s-b-eth0"));
}

TEST_CASE("many plugins at once get different addresses") {
    Node node;
    node.put_pool("10.0.0.0/22");
    node.start();
    std::vector<std::vector<net::Ip>> got(8);
    {
        std::vector<std::jthread> threads;
        for (std::size_t t = 0; t < got.size(); ++t) {
            threads.emplace_back([&, t] {
                for (int i = 0; i < 10; ++i) {
                    const std::string pod = fmt::format("p{}x{}", t, i);
                    if (const auto answer = node.call(pod_request(Op::add, "c" + pod, pod))) {
                        got[t].insert(got[t].end(), answer->ips.begin(), answer->ips.end());
                    }
                }
            });
        }
    }
    std::set<net::Ip> all;
    for (const auto& one : got) {
        all.insert(one.begin(), one.end());
    }
    CHECK(all.size() == 80);
}

TEST_CASE("without a datastore pods are refused with the reason, and DELs are still taken") {
    Node node;
    node.start("/proc/nowhere/store.db");
    const Answer answer = node.ask(pod_request(Op::add, "c1", "web"));
    REQUIRE(answer.error);
    CHECK(answer.error->code == 11);
    CHECK_FALSE(node.ask(pod_request(Op::del, "c1", "web")).error);
    CHECK(node.status_of("inSync") == boost::json::value(false));
    CHECK(eventually([&] { return node.status_of("problem").is_string(); }));
}

TEST_CASE("an address of a pod that runs is nobody else's after the store was deleted") {
    const bool restarted = GENERATE(false, true);
    CAPTURE(restarted);
    Node node;
    node.put_pool("10.0.0.0/29", 29);
    node.start();
    std::set<net::Ip> in_use;
    for (const std::string id : {"a", "b", "c"}) {
        const Answer added = node.ask(pod_request(Op::add, id, id));
        REQUIRE_FALSE(added.error);
        node.make_link("cali" + id, id);
        node.add_way("cali" + id, added.ips.front());
        in_use.insert(added.ips.front());
    }
    if (restarted) {
        node.stop(SIGKILL);
    }
    node.lose_store();
    node.put_pool("10.0.0.0/29", 29);
    if (restarted) {
        node.start();
    }
    for (std::size_t i = in_use.size(); i < 8; ++i) {
        const Answer added = node.ask(pod_request(Op::add, fmt::format("new{}", i), fmt::format("p{}", i)));
        REQUIRE_FALSE(added.error);
        CHECK(in_use.insert(added.ips.front()).second);
    }
    CHECK(node.ask(pod_request(Op::add, "late", "late")).error);
    const Answer again =
        node.ask(pod_request(Op::add, "a2", "a"));  // a new sandbox: the old one's link is in its place
    CHECK_FALSE(again.error);
    CHECK_FALSE(node.has_link("calia"));
    CHECK_FALSE(node.ask(pod_request(Op::del, "b", "b")).error);  // an old one ends, and its address is free
    CHECK(eventually([&] { return !node.has_link("calib"); }));
    CHECK_FALSE(node.ask(pod_request(Op::add, "late", "late")).error);
}

TEST_CASE("a Node that is deleted under a living daemon comes back") {
    Node node;
    node.put_pool();
    node.start();
    REQUIRE(node.store->remove({model::Kind::node, "", "n1"}, std::nullopt));
    CHECK(eventually([&] { return node.count(model::Kind::node) == 1; }));
}

TEST_CASE("automatic host endpoints do not wait for the next round of chores") {
    Node node;
    node.start();
    REQUIRE(eventually([&] { return node.count(model::Kind::lease) == 1; }));
    node.put(
        model::Kind::kube_controllers_configuration, "", "default",
        R"({"apiVersion":"projectcalico.org/v3","kind":"KubeControllersConfiguration","metadata":{"name":"default"},"spec":{"controllers":{"node":{"hostEndpoint":{"autoCreate":"Enabled"}}}}})");
    CHECK(eventually([&] { return node.count(model::Kind::host_endpoint) == 1; }));
}

}  // namespace
}  // namespace manul::ipam
