#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "config/codec/json.hpp"
#include "config/store/etcd.hpp"
#include "config/store/memory.hpp"
#include "config/store/server.hpp"
#include "config/store/sqlite.hpp"
#include "ctl/datastore/migrate.hpp"
#include "ctl/ipam/options.hpp"
#include "ipam/service/service.hpp"
#include "test/config/sqlite_fixtures.hpp"
#include "test/ctl/moving.hpp"
#include "test/serve/server_process.hpp"
#ifdef MANUL_WITH_ETCD
#include "test/config/etcd_server.hpp"
#endif

using namespace manul;
using namespace manul::ctl;
using manul::test::MovingTool;
using model::Kind;

namespace {

constexpr ipam::WallTime kNow{std::chrono::seconds{1'770'000'000}};

ipam::Request add_request(const std::string& container) {
    ipam::Request request;
    request.op = ipam::Op::add;
    request.network = "net";
    request.attachment = {container, "eth0"};
    request.host_interface = "cali" + container;
    return request;
}

std::string address_of(store::Store& store, const std::string& container) {
    ipam::Service service(store, {"n1", "boot"});
    REQUIRE(service.start());
    const ipam::Request request = add_request(container);
    const auto result = service.add(std::span(&request, 1), kNow).front();
    INFO((result.answer.error ? result.answer.error->msg : ""));
    REQUIRE_FALSE(result.answer.error);
    REQUIRE(result.answer.ips.size() == 1);
    return result.answer.ips.front().to_string();
}

/// A cluster with something of most kinds, two running pods and one whose addresses are another node's.
void fill(MovingTool& tool) {
    const auto put = [&](Kind kind, const std::string& ns, const std::string& name, const std::string& rest) {
        const std::string where = ns.empty() ? "" : R"(,"namespace":")" + ns + "\"";
        tool.put({kind, ns, name}, fmt::format(R"({{"apiVersion":"{}","kind":"{}","metadata":{{"name":"{}"{}}},{}}})",
                                               model::api_version(kind), model::info(kind).name, name, where, rest));
    };
    put(Kind::ip_pool, "", "p", R"("spec":{"cidr":"10.0.0.0/24","blockSize":28})");
    put(Kind::node, "", "n1", R"("spec":{"bgp":{"ipv4Address":"192.0.2.1/24"}})");
    put(Kind::tier, "", "ops", R"("spec":{"order":10})");
    put(Kind::bgp_filter, "", "f", R"("spec":{"exportV4":[{"action":"Accept"}]})");
    put(Kind::bgp_peer, "", "peer", R"("spec":{"peerIP":"192.0.2.9","asNumber":64512,"filters":["f"]})");
    put(Kind::namespace_, "", "prod", R"("spec":{})");
    put(Kind::network_policy, "prod", "ops.web",
        R"("spec":{"tier":"ops","selector":"app == 'web'","ingress":[{"action":"Deny"}]})");
    put(Kind::kubernetes_network_policy, "prod", "front", R"("spec":{"podSelector":{},"policyTypes":["Ingress"]})");
    put(Kind::global_network_set, "", "nets", R"("spec":{"nets":["192.0.2.0/24"]})");
    put(Kind::secret, "manul-system", "bgp", R"("data":{"password":"c2VjcmV0"})");
    put(Kind::service, "prod", "web",
        R"("spec":{"type":"LoadBalancer","ports":[{"port":80}]},"status":{"loadBalancer":{"ingress":[{"ip":"198.51.100.1"}]}})");
    put(Kind::felix_configuration, "", "default", R"("spec":{"logSeverityScreen":"Warning"})");
}

/// Documents by key, but for what is its own at each place.
std::map<model::Key, std::string> content(store::Store& store) {
    std::map<model::Key, std::string> all;
    for (const model::KindInfo& info : model::all_kinds()) {
        if (info.kind == Kind::cluster_information || info.kind == Kind::lease || info.kind == Kind::node_report) {
            continue;
        }
        const auto listing = store.list({.kind = info.kind, .ns = std::nullopt, .name_prefix = {}});
        INFO((listing ? "" : describe(listing.error())));
        REQUIRE(listing);
        for (const store::Object& object : listing->items) {
            all.emplace(object.key, *object.document);
        }
    }
    return all;
}

struct Place {
    std::string name;
    std::function<std::unique_ptr<store::Store>()> open;
};

}  // namespace

TEST_CASE("a cluster moves from each datastore into the next and loses nothing, and a running pod keeps its address") {
    const test::ScratchDirectory scratch;
    const test::ServerProcess server;
    const auto database = store::make_memory_database();
    std::vector<Place> places{
        {"memory", [=] { return store::make_memory(database); }},
        {"sqlite", [&] { return store::open_sqlite(scratch.database()); }},
        {"server", [&] { return store::open_server({.kubeconfig = server.kubeconfig(), .context = {}}); }},
    };
#ifdef MANUL_WITH_ETCD
    const test::EtcdCluster etcd;
    places.push_back({"etcd", [&] {
                          return store::open_etcd(
                              {.endpoints = etcd.endpoints(), .prefix = test::EtcdCluster::fresh_prefix()});
                      }});
#endif
    places.push_back({"sqlite again", [&] { return store::open_sqlite(scratch.path() + "/second.db"); }});

    MovingTool from(places.front().open());
    fill(from);
    const std::string running = address_of(*from.store, "running");
    const std::string second = address_of(*from.store, "second");
    CHECK(running != second);

    for (std::size_t i = 1; i < places.size(); ++i) {
        CAPTURE(places[i].name);
        REQUIRE(lock_datastore(from.context()) == ExitCode::ok);
        const std::string text = from.export_all(i % 2 == 0 ? "json" : "yaml");
        MovingTool to(places[i].open());
        const auto done = to.import_text(text);
        INFO(to.err);
        REQUIRE(done == ExitCode::ok);
        REQUIRE(unlock_datastore(to.context()) == ExitCode::ok);

        const auto before = content(*from.store);
        const auto after = content(*to.store);
        for (const auto& [key, document] : before) {
            CAPTURE(key.to_string());
            REQUIRE(after.contains(key));
            CHECK(codec::same_content(after.at(key), document));
        }
        std::size_t more = 0;
        for (const auto& [key, document] : after) {  // a server makes its own roles
            more += before.contains(key) || key.kind == Kind::cluster_role ? 0U : 1U;
        }
        CHECK(more == 0);

        IpamCheckOptions options;
        options.show_problems = true;
        options.between_looks = {};
        REQUIRE(ipam_check(to.context(), options) == ExitCode::ok);
        INFO(to.out);
        CHECK(to.says("found 0 problems"));
        CHECK(address_of(*to.store, "running") == running);
        const std::string fresh = address_of(*to.store, fmt::format("new{}", i));
        CHECK(fresh != running);
        CHECK(fresh != second);
        std::swap(from.store, to.store);
    }
}
