#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "config/model/kind.hpp"
#include "config/store/kubernetes.hpp"
#include "config/store/kubernetes/watch.hpp"
#include "config/store/store.hpp"
#include "test/config/kubernetes_watch_rig.hpp"
#include "test/config/scripted_api.hpp"
#include "test/config/store_contract.hpp"

using namespace manul;
using namespace manul::test;
using model::Key;
using model::Kind;
using namespace store;
using Code = StoreError::Code;

namespace {

const Key kSet{Kind::global_network_set, "", "a"};
constexpr const char* kGroups = R"({"kind":"APIGroupList","groups":[{"name":"projectcalico.org"}]})";

/// A directory of this test, removed at its end.
class Directory {
public:
    Directory() : path_(std::filesystem::temp_directory_path() / ("manul-kube-" + std::to_string(::getpid()))) {
        std::filesystem::create_directories(path_);
    }
    ~Directory() { std::filesystem::remove_all(path_); }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;

    std::string write(const std::string& name, const std::string& text) const {
        std::ofstream(path_ / name) << text;
        return (path_ / name).string();
    }

private:
    std::filesystem::path path_;
};

/// A store over the server, which is asked for its groups first.
struct Client {
    explicit Client(const ScriptedApi& api, const std::string& user = "{}") {
        options.kubeconfig = directory.write("config", kubeconfig(api.address(), user));
        store = open_kubernetes(options);
    }
    Directory directory;
    KubernetesOptions options;
    std::unique_ptr<Store> store;
};

bool answers_groups(const ScriptedRequest& request, const ScriptedConnection& to) {
    if (request.target != "/apis") {
        return false;
    }
    to.answer(200, kGroups);
    return true;
}

}  // namespace

TEST_CASE("a list follows its pages to the end") {
    const ScriptedApi api([](const ScriptedRequest& request, const ScriptedConnection& to) {
        if (answers_groups(request, to)) {
            return true;
        }
        const bool second = request.target.find("continue=abc%2F%3D") != std::string::npos;
        to.answer(200, second ? R"({"metadata":{"resourceVersion":"7"},"items":[)" + item("b", "2") + "]}"
                              : R"({"metadata":{"resourceVersion":"7","continue":"abc/="},"items":[)" + item("a", "1") +
                                    "]}");
        return true;
    });
    Client client(api);
    const auto listing = client.store->list({.kind = Kind::global_network_set, .ns = {}, .name_prefix = {}});
    REQUIRE(listing);
    CHECK(listing->revision == "7");
    REQUIRE(listing->items.size() == 2);
    CHECK(listing->items[1].key.name == "b");
    CHECK(listing->items[0].document->find(R"("apiVersion":"projectcalico.org/v3")") != std::string::npos);
    CHECK(api.seen().at(1) == "GET /apis/projectcalico.org/v3/globalnetworksets?limit=500");
}

TEST_CASE("a list whose version went away between two pages begins anew") {
    std::atomic<int> firsts = 0;
    const ScriptedApi api([&](const ScriptedRequest& request, const ScriptedConnection& to) {
        if (answers_groups(request, to)) {
            return true;
        }
        if (request.target.find("continue") != std::string::npos) {
            to.answer(410, R"({"kind":"Status","reason":"Expired","message":"too old","metadata":{"continue":"new"}})");
        } else if (firsts++ == 0) {
            to.answer(200, R"({"metadata":{"resourceVersion":"7","continue":"c"},"items":[)" + item("old", "1") + "]}");
        } else {
            to.answer(200, R"({"metadata":{"resourceVersion":"9"},"items":[)" + item("new", "8") + "]}");
        }
        return true;
    });
    Client client(api);
    const auto listing = client.store->list({.kind = Kind::global_network_set, .ns = {}, .name_prefix = {}});
    REQUIRE(listing);
    CHECK(listing->revision == "9");
    REQUIRE(listing->items.size() == 1);
    CHECK(listing->items[0].key.name == "new");
}

TEST_CASE("a watch reads values, not chunks, and goes on from the last version when the server ends it") {
    const ScriptedApi api([](const ScriptedRequest& request, const ScriptedConnection& to) {
        if (answers_identity(request, to, "cluster-1")) {
            return true;
        }
        to.begin_chunks();
        if (request.target.find("resourceVersion=5&") != std::string::npos) {
            const std::string all = event("ADDED", item("a", "6")) + event("MODIFIED", item("a", "7")) + bookmark("9");
            for (std::size_t i = 0; i < all.size(); i += 11) {
                to.chunk(all.substr(i, 11));
            }
            to.end_chunks();
        } else if (request.target.find("resourceVersion=9&") != std::string::npos) {
            to.chunk(event("DELETED", item("a", "10")));
            to.wait_for_close();
            return false;
        }
        return true;
    });
    const auto watch = watch_sets(api, "5");
    CHECK(names(take(*watch, 3)) == "+a@6 +a@7 -a@10 ");
    const std::string first = api.seen().at(0);
    CHECK(first.find("/globalnetworksets?allowWatchBookmarks=true&resourceVersion=5&timeoutSeconds=") !=
          std::string::npos);
}

TEST_CASE("a connection that breaks in the middle of an event loses nothing") {
    std::atomic<int> opened = 0;
    const ScriptedApi api([&](const ScriptedRequest& request, const ScriptedConnection& to) {
        if (answers_identity(request, to, "cluster-1")) {
            return true;
        }
        to.begin_chunks();
        if (opened++ == 0) {
            to.chunk(event("ADDED", item("a", "6")) + event("ADDED", item("b", "7")).substr(0, 20));
            return false;
        }
        to.chunk(event("ADDED", item("b", "7")));
        to.wait_for_close();
        return false;
    });
    const auto watch = watch_sets(api, "5");
    CHECK(names(take(*watch, 2)) == "+a@6 +b@7 ");
    CHECK(api.seen().at(2).find("resourceVersion=6&") != std::string::npos);
}

TEST_CASE("another cluster in the place of the watched one, or an older state, ends the watch, the same one does not") {
    const auto [uid, version] = GENERATE(table<std::string, std::string>(
        {{"cluster-1", "5"}, {"cluster-1", "1000"}, {"cluster-1", "4"}, {"cluster-2", "1000"}}));
    std::atomic<int> opened = 0;
    const ScriptedApi api([&](const ScriptedRequest& request, const ScriptedConnection& to) {
        if (answers_identity(request, to, uid, version)) {
            return true;
        }
        if (opened++ == 0) {
            to.answer(504, R"({"kind":"Status","message":"Too large resource version","code":504})");
        } else {
            to.begin_chunks();
            to.chunk(event("ADDED", item("a", "6")));
            to.wait_for_close();
            return false;
        }
        return true;
    });
    const auto watch = watch_sets(api, "5");
    CHECK(names(take(*watch, 1)) == (uid == "cluster-1" && version != "4" ? "+a@6 " : "!@ "));
}

TEST_CASE("a version that the server no longer has ends the watch of the kind") {
    const bool as_event = GENERATE(true, false);
    const ScriptedApi api([&](const ScriptedRequest&, const ScriptedConnection& to) {
        const std::string status = R"({"kind":"Status","code":410,"reason":"Expired","message":"too old"})";
        if (as_event) {
            to.begin_chunks();
            to.chunk(event("ERROR", status));
            to.end_chunks();
        } else {
            to.answer(410, status);
        }
        return true;
    });
    const auto watch = watch_sets(api, "5");
    const auto events = take(*watch, 1);
    REQUIRE(events.size() == 1);
    CHECK(events[0].type == Event::Type::resync);
    CHECK(events[0].object.key.kind == Kind::global_network_set);
    CHECK(api.seen().size() == 1);
}

TEST_CASE("a kind that the cluster gets later is listed then") {
    std::atomic<int> asked = 0;
    const ScriptedApi api([&](const ScriptedRequest&, const ScriptedConnection& to) {
        if (asked++ < 2) {
            to.answer(404, "404 page not found\n");
        } else {
            to.answer(200, R"({"metadata":{"resourceVersion":"5"},"items":[]})");
        }
        return true;
    });
    const auto watch = watch_sets(api, "");
    const auto events = take(*watch, 1);
    REQUIRE(events.size() == 1);
    CHECK(events[0].type == Event::Type::resync);
    CHECK(asked == 3);
}

TEST_CASE("secrets that may be read by name alone are asked for by the names that resources have") {
    static constexpr const char* kSecrets = "/api/v1/namespaces/manul-system/secrets?";
    static constexpr const char* kForbidden =
        R"({"kind":"Status","code":403,"reason":"Forbidden","message":"secrets is forbidden: User \"n\" cannot list it"})";
    std::atomic<bool> allowed = false;  // the Secret "b"
    const ScriptedApi api([&](const ScriptedRequest& request, const ScriptedConnection& to) {
        const auto asks = [&](const std::string& text) { return request.target.find(text) != std::string::npos; };
        const bool watches = asks("watch=1");
        if (answers_groups(request, to) || answers_identity(request, to, "cluster-1")) {
            return true;
        }
        if (asks("/bgppeers?") && watches) {
            to.begin_chunks();
            if (asks("resourceVersion=7")) {  // another one from now on
                to.chunk(event("ADDED", R"({"metadata":{"name":"q","resourceVersion":"9"},"spec":{"peerIP":"10.0.0.3",)"
                                        R"("asNumber":65000,"password":{"secretKeyRef":{"name":"c","key":"k"}}}})"));
            }
            to.wait_for_close();
            return false;
        }
        if (asks("/bgppeers?")) {
            to.answer(200,
                      R"({"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"p"},"spec":{"peerIP":)"
                      R"("10.0.0.2","password":{"secretKeyRef":{"name":"a","key":"k"}}}},{"metadata":{"name":"r"},)"
                      R"("spec":{"password":{"secretKeyRef":{"name":"../x","key":"k"}}}}]})");
        } else if (asks("/bgpconfigurations?")) {
            to.answer(200, R"({"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"default"},"spec":)"
                           R"({"nodeMeshPassword":{"secretKeyRef":{"name":"b","key":"k"}}}}]})");
        } else if (request.target.starts_with(kSecrets) && asks("fieldSelector=metadata.name%3Da")) {
            if (watches) {
                to.begin_chunks();
                to.chunk(
                    event("MODIFIED", R"({"metadata":{"namespace":"manul-system","name":"a","resourceVersion":"8"}})"));
                to.wait_for_close();
                return false;
            }
            to.answer(200, R"({"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"namespace":"manul-system",)"
                           R"("name":"a","resourceVersion":"5"},"data":{"k":"aGVyZQ=="}}]})");
        } else if (request.target.starts_with(kSecrets) && asks("fieldSelector=metadata.name%3Db") && allowed) {
            to.answer(200, R"({"metadata":{"resourceVersion":"8"},"items":[]})");
        } else {
            to.answer(403, kForbidden);
        }
        return true;
    });
    Client client(api);
    const auto listing = client.store->list({Kind::secret, std::nullopt, {}});
    REQUIRE(listing);
    REQUIRE(listing->items.size() == 1);
    CHECK(listing->items[0].key == Key{Kind::secret, "manul-system", "a"});
    REQUIRE(listing->damaged.size() == 1);  // so that what is in force stays
    CHECK(listing->damaged[0].key == Key{Kind::secret, "manul-system", "b"});
    CHECK(listing->damaged[0].error.message.find("secrets is forbidden") != std::string::npos);
    CHECK_FALSE(client.store->list({Kind::secret, "default", {}}));  // no password is looked for there

    const auto access = kubernetes::parse_kubeconfig(kubeconfig(api.address()), "config", "");
    const auto server = kubernetes::parse_server(*access);
    const auto http = kubernetes::load_http_module();
    const auto open = [&](const Revision& peers) {
        const std::vector<WatchStart> starts{{Kind::secret, listing->revision}, {Kind::bgp_peer, peers}};
        return kubernetes::open_watch(**http, *access, *server, kubernetes::CalicoGroup::v3, "cluster-1", starts,
                                      quick());
    };
    {
        const auto watch = open("8");
        CHECK(names(take(*watch, 1)) == "+a@8 ");
        allowed = true;  // found out by asking again and again
        CHECK(names(take(*watch, 1)) == "!@ ");
    }
    allowed = false;
    const auto watch = open("7");  // a new peer refers to a Secret that nobody follows
    std::multiset<std::string> came;
    for (const Event& one : take(*watch, 3)) {
        came.insert(names({one}));
    }
    CHECK(came == std::multiset<std::string>{"+a@8 ", "+q@9 ", "!@ "});
}

TEST_CASE("a token that was replaced in its file is read again when the server refuses the old one") {
    Directory directory;
    const std::string token = directory.write("token", "old\n");
    std::atomic<bool> rotated = false;
    const ScriptedApi api([&](const ScriptedRequest& request, const ScriptedConnection& to) {
        if (!request.has(rotated ? "Bearer new\r\n" : "Bearer old\r\n")) {
            to.answer(401, R"({"kind":"Status","message":"Unauthorized","reason":"Unauthorized","code":401})");
            return true;
        }
        if (!answers_groups(request, to)) {
            to.answer(200, item("a", "1"));
        }
        return true;
    });
    Client client(api, "{tokenFile: '" + token + "'}");
    REQUIRE(client.store->get(kSet));
    rotated = true;
    const auto refused = client.store->get(kSet);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::unavailable);
    CHECK(refused.error().message.find("does not accept the credentials of") != std::string::npos);
    directory.write("token", "new\n");
    CHECK(client.store->get(kSet));
}

TEST_CASE("a busy server is asked again, one that closed the connection is connected again") {
    std::atomic<int> asked = 0;
    const ScriptedApi api([&](const ScriptedRequest& request, const ScriptedConnection& to) {
        if (answers_groups(request, to)) {
            return true;
        }
        if (asked++ < 2) {
            to.answer(429, "{}", "Retry-After: 0\r\n");
            return true;
        }
        to.answer(200, item("a", "1"));
        return false;
    });
    Client client(api);
    CHECK(client.store->get(kSet));
    CHECK(asked == 3);
    CHECK(client.store->get(kSet));
}

TEST_CASE("a question on a connection that the server is about to end is asked again on a new one") {
    std::atomic<int> answered = 0;
    const ScriptedApi api([&](const ScriptedRequest& request, const ScriptedConnection& to) {
        if (answers_groups(request, to)) {
            return true;
        }
        if (answered++ == 1) {
            return false;
        }
        to.answer(200, item("a", "7"));
        return true;
    });
    const Client client(api);
    REQUIRE(client.store->get(kSet));
    const auto again = client.store->get(kSet);
    REQUIRE(again);
    CHECK(again->revision == "7");
    CHECK(answered == 3);
}

TEST_CASE("a write whose answer got lost is not repeated, and its result is unknown") {
    std::atomic<int> writes = 0;
    const ScriptedApi api([&](const ScriptedRequest& request, const ScriptedConnection& to) {
        if (answers_groups(request, to)) {
            return true;
        }
        if (request.method == "POST") {
            ++writes;
            return false;
        }
        to.answer(404, R"({"kind":"Status","message":"x not found","details":{"name":"a"}})");
        return true;
    });
    Client client(api);
    const auto created = client.store->create(kSet, set_document("a"));
    REQUIRE_FALSE(created);
    CHECK(created.error().code == Code::unknown_result);
    CHECK(writes == 1);
}

TEST_CASE("what the server refuses is told in its own words") {
    struct Row {
        int status;
        const char* body;
        Code code;
        const char* message;
    };
    const auto row = GENERATE(values<Row>({
        {403, R"({"message":"globalnetworksets is forbidden: User \"x\" cannot get"})", Code::unavailable,
         "not allowed (403): globalnetworksets is forbidden"},
        {404, R"({"message":"\"a\" not found","details":{"name":"a"}})", Code::not_found,
         "resource does not exist: GlobalNetworkSet(a)"},
        {404, "404 page not found", Code::unavailable, "install Manul's custom resources"},
        {500, "boom", Code::unavailable, "the API server answered 500: boom"},
        {200, "[]", Code::unavailable, "no JSON object"},
    }));
    const ScriptedApi api([&](const ScriptedRequest& request, const ScriptedConnection& to) {
        if (!answers_groups(request, to)) {
            to.answer(row.status, row.body);
        }
        return true;
    });
    Client client(api);
    const auto found = client.store->get(kSet);
    REQUIRE_FALSE(found);
    CHECK(found.error().code == row.code);
    CHECK_THAT(found.error().message, Catch::Contains(row.message));
}

TEST_CASE("a client says in whose name it changes things") {
    const auto [manager, agent] = GENERATE(table<std::string, std::string>({
        {"manul-ipamd", "User-Agent: manul-ipamd/"},
        {"", "User-Agent: manul/"},
    }));
    std::atomic<int> named = 0;
    const ScriptedApi api([&, wanted = agent](const ScriptedRequest& request, const ScriptedConnection& to) {
        named += request.has(wanted) ? 1 : 0;
        return answers_groups(request, to) || (to.answer(404, "{}"), true);
    });
    Client client(api);
    client.options.manager = manager;
    CHECK_FALSE(open_kubernetes(client.options)->get(kSet));
    CHECK(named == static_cast<int>(api.seen().size()));
    CHECK(named > 0);
}

TEST_CASE("servers that cannot be reached") {
    Directory directory;
    for (const auto& [server, message] : {std::pair{"http://127.0.0.1:1", "cannot connect to 127.0.0.1:1"},
                                          {"ftp://x", "expected the server as https"}}) {
        KubernetesOptions options;
        options.kubeconfig = directory.write("config", kubeconfig(server));
        const auto found = open_kubernetes(options)->get(kSet);
        REQUIRE_FALSE(found);
        CHECK_THAT(found.error().message, Catch::Contains(message));
    }
    const ScriptedApi plain([](const ScriptedRequest&, const ScriptedConnection&) { return false; });
    KubernetesOptions options;
    options.kubeconfig = directory.write("config", kubeconfig("https" + plain.address().substr(4)));
    options.timeout = std::chrono::milliseconds(3000);
    const auto found = open_kubernetes(options)->get(kSet);
    REQUIRE_FALSE(found);
    CHECK(found.error().code == Code::unavailable);
}
