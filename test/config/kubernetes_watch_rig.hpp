#pragma once

#include <poll.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "config/model/kind.hpp"
#include "config/store/kubernetes/watch.hpp"
#include "config/store/store.hpp"
#include "test/config/scripted_api.hpp"

/// Watches of a scripted API server.
namespace manul::test {

inline std::string kubeconfig(const std::string& server, const std::string& user = "{}") {
    return "apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
           "clusters: [{name: c, cluster: {server: '" +
           server + "'}}]\nusers: [{name: u, user: " + user + "}]\n";
}

/// Answers the question that follows a failure of a watch.
inline bool answers_identity(const ScriptedRequest& request, const ScriptedConnection& to, const std::string& uid,
                             const std::string& version = "1000") {
    if (request.target != "/api/v1/namespaces?fieldSelector=metadata.name%3Dkube-system") {
        return false;
    }
    to.answer(200, R"({"metadata":{"resourceVersion":")" + version +
                       R"("},"items":[{"metadata":{"name":"kube-system","uid":")" + uid + R"("}}]})");
    return true;
}

inline std::string item(const std::string& name, const std::string& revision) {
    return R"({"metadata":{"name":")" + name + R"(","resourceVersion":")" + revision +
           R"("},"spec":{"nets":["10.0.0.0/8"]}})";
}

inline std::string event(const std::string& type, const std::string& object) {
    return R"({"type":")" + type + R"(","object":)" + object + "}\n";
}

inline std::string bookmark(const std::string& revision) {
    return event("BOOKMARK", R"({"metadata":{"resourceVersion":")" + revision + R"("}})");
}

inline store::kubernetes::WatchOptions quick() {
    using std::chrono::milliseconds;
    return {.first_pause = milliseconds(20),
            .longest_pause = milliseconds(100),
            .idle = milliseconds(20'000),
            .absent_poll = milliseconds(20)};
}

inline std::unique_ptr<store::Watch> watch_kinds(const ScriptedApi& api, const std::vector<store::WatchStart>& starts,
                                                 const store::kubernetes::WatchOptions& options = quick()) {
    const auto access = store::kubernetes::parse_kubeconfig(kubeconfig(api.address()), "config", "");
    REQUIRE(access);
    const auto server = store::kubernetes::parse_server(*access);
    REQUIRE(server);
    const auto http = store::kubernetes::load_http_module();
    REQUIRE(http);
    return store::kubernetes::open_watch(**http, *access, *server, store::kubernetes::CalicoGroup::v3, "cluster-1",
                                         starts, options);
}

inline std::unique_ptr<store::Watch> watch_sets(const ScriptedApi& api, const std::string& revision) {
    return watch_kinds(api, {{model::Kind::global_network_set, revision}});
}

inline std::string names(const std::vector<store::Event>& events) {
    std::string text;
    for (const store::Event& event : events) {
        text += (event.type == store::Event::Type::put       ? "+"
                 : event.type == store::Event::Type::removed ? "-"
                                                             : "!") +
                event.object.key.name + "@" + event.object.revision + " ";
    }
    return text;
}

/// Waits until something is to be taken. An error is nothing that happened, but that there is one.
inline std::string next(store::Watch& watch) {
    pollfd readable{watch.fd(), POLLIN, 0};
    REQUIRE(::poll(&readable, 1, 20'000) == 1);
    const auto taken = watch.take();
    return taken ? names(*taken) : taken.error().message;
}

}  // namespace manul::test
