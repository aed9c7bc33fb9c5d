#include <algorithm>
#include <catch2/catch.hpp>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <unistd.h>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include "config/codec/json.hpp"
#include "config/store/kubernetes.hpp"
#include "test/config/scripted_api.hpp"
#include "test/ctl/moving.hpp"

// `datastore migrate` with Kubernetes at the other end: a server that says what a real kube-apiserver 1.30 with our
// custom resources said to the same requests (test/tools/record_api.py). A request that it was never asked is a
// failure.

using namespace manul;
using namespace manul::ctl;
using manul::test::MovingTool;

namespace {

struct Exchange {
    std::string request;  ///< method and target
    std::string body;
    int status;
    std::string answer;
    bool used = false;
};

std::vector<Exchange> recorded(const std::string& name) {
    std::ifstream file(MANUL_RECORDED "/" + name);
    std::vector<Exchange> out;
    for (std::string line; std::getline(file, line);) {
        const boost::json::object row = boost::json::parse(line).as_object();
        const auto text = [&](const char* field) { return std::string(row.at(field).as_string()); };
        out.push_back({text("method") + " " + text("target"), text("body"),
                       static_cast<int>(row.at("status").as_int64()), text("answer")});
    }
    REQUIRE_FALSE(out.empty());
    return out;
}

std::string read_file(const std::string& name) {
    std::ifstream file(MANUL_RECORDED "/" + name);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// Answers each request as it was answered, in the order of those to the same target; what is written must be the same.
class Replay {
public:
    explicit Replay(const std::string& name)
        : exchanges_(recorded(name)), api_([this](const auto& request, const auto& to) { return reply(request, to); }) {
        path_ = std::filesystem::temp_directory_path() / ("manul-replay-" + std::to_string(::getpid()));
        std::ofstream(path_) << R"({"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c",)"
                                R"("context":{"cluster":"c","user":"u"}}],"users":[{"name":"u","user":{}}],"clusters":)"
                                R"([{"name":"c","cluster":{"server":")"
                             << api_.address() << R"("}}]})";
    }
    ~Replay() { std::filesystem::remove(path_); }
    Replay(const Replay&) = delete;
    Replay& operator=(const Replay&) = delete;

    [[nodiscard]] std::unique_ptr<store::Store> open() const {
        return store::open_kubernetes({.kubeconfig = path_.string(), .context = {}});
    }
    /// What was asked otherwise than recorded, and what was not asked.
    [[nodiscard]] std::vector<std::string> differences() const {
        const std::lock_guard lock(mutex_);
        std::vector<std::string> out = strange_;
        for (const Exchange& exchange : exchanges_) {
            if (!exchange.used) {
                out.push_back("never asked: " + exchange.request);
            }
        }
        return out;
    }

private:
    bool reply(const test::ScriptedRequest& request, const test::ScriptedConnection& to) {
        const std::string asked = request.method + " " + request.target;
        const std::lock_guard lock(mutex_);
        const auto found = std::ranges::find_if(
            exchanges_, [&](const Exchange& known) { return !known.used && known.request == asked; });
        if (found == exchanges_.end()) {
            strange_.push_back("unknown: " + asked);
            to.answer(500, "{}");
            return true;
        }
        if (found->body != request.body) {
            strange_.push_back("otherwise: " + asked + "\n  " + request.body + "\n  " + found->body);
        }
        found->used = true;
        to.answer(found->status, found->answer);
        return true;
    }

    mutable std::mutex mutex_;
    std::vector<Exchange> exchanges_;
    std::vector<std::string> strange_;
    std::filesystem::path path_;
    test::ScriptedApi api_;
};

}  // namespace

TEST_CASE("a cluster's objects go into Kubernetes as a real API server takes them") {
    const Replay replay("import.jsonl");
    MovingTool tool(replay.open());
    tool.type = config::DatastoreType::kubernetes;
    const auto done = tool.import_text(read_file("dump.yaml"));
    INFO(tool.err);
    CHECK(done == ExitCode::ok);
    CHECK(replay.differences() == std::vector<std::string>{});
}

TEST_CASE("what Kubernetes holds goes into another datastore") {
    const Replay replay("export.jsonl");
    MovingTool from(replay.open());
    from.type = config::DatastoreType::kubernetes;
    const std::string dump = from.export_all("json");
    CHECK(replay.differences() == std::vector<std::string>{});
    MovingTool to;
    const auto done = to.import_text(dump);
    INFO(to.err);
    REQUIRE(done == ExitCode::ok);

    MovingTool original;  // what had gone in
    REQUIRE(original.import_text(read_file("dump.yaml")) == ExitCode::ok);
    for (const auto& [kind, ns, name] : {std::tuple{model::Kind::ip_pool, "", "p"},
                                         {model::Kind::tier, "", "ops"},
                                         {model::Kind::bgp_peer, "", "peer"},
                                         {model::Kind::bgp_filter, "", "f"},
                                         {model::Kind::network_policy, "prod", "ops.web"},
                                         {model::Kind::global_network_policy, "", "gnp"},
                                         {model::Kind::global_network_set, "", "nets"},
                                         {model::Kind::felix_configuration, "", "default"},
                                         {model::Kind::host_endpoint, "", "h"},
                                         {model::Kind::bgp_configuration, "", "default"},
                                         {model::Kind::ip_reservation, "", "r"},
                                         {model::Kind::staged_global_network_policy, "", "st"},
                                         {model::Kind::network_set, "prod", "ns1"},
                                         {model::Kind::kube_controllers_configuration, "", "default"}}) {
        const model::Key key{kind, ns, name};
        CAPTURE(key.to_string());
        CHECK(codec::same_content(to.document(key), original.document(key)));
    }
    CHECK(to.document({model::Kind::node, "", "n1"}).find("192.0.2.1/24") != std::string::npos);
}

TEST_CASE("nothing is written into a cluster that lacks a node or a namespace of the dump") {
    const Replay replay("refused.jsonl");
    MovingTool tool(replay.open());
    tool.type = config::DatastoreType::kubernetes;
    CHECK(tool.import_text(read_file("dump.yaml")) == ExitCode::failed);
    CHECK(tool.complains("Node(n1)"));
    CHECK(tool.complains("Namespace(prod)"));
    CHECK(replay.differences() == std::vector<std::string>{});
}
