// The etcd datastore against real etcd processes that are killed, stopped, compacted, filled, locked and replaced.

#include <poll.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "config/store/etcd.hpp"
#include "config/store/etcd/cluster.hpp"
#include "config/store/etcd/etcd_backend.hpp"
#include "config/store/etcd/keys.hpp"
#include "config/store/object_store.hpp"
#include "config/store/position.hpp"
#include "test/config/etcd_server.hpp"
#include "test/config/store_contract.hpp"

using namespace manul::test;
using namespace manul::store;
using manul::model::Key;
using manul::model::Kind;
using Code = StoreError::Code;
namespace etcd = manul::store::etcd;

namespace {

EtcdOptions options_of(std::vector<std::string> endpoints) {
    return {.endpoints = std::move(endpoints), .timeout = std::chrono::milliseconds(20'000)};
}

/// Puts one set; true when it is stored.
bool put(Store& store, const std::string& name) {
    const std::vector<Op> ops{Put{set_key(name), set_document(name), {}}};
    return store.transact(ops, Checks::full).has_value();
}

std::unique_ptr<Watch> watch_sets(Store& store, Kind kind = Kind::global_network_set) {
    const auto listing = store.list({kind, {}, {}});
    REQUIRE(listing);
    const std::vector<WatchStart> starts{{kind, listing->revision}};
    auto watch = store.watch(starts);
    REQUIRE(watch);
    return *std::move(watch);
}

/// The message of the first error that a watch reports.
std::string first_error(Watch& watch) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (std::chrono::steady_clock::now() < deadline) {
        pollfd ready{watch.fd(), POLLIN, 0};
        ::poll(&ready, 1, 200);
        if (auto events = watch.take(); !events) {
            return events.error().message;
        }
    }
    return {};
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// Certificates: an authority, a server of 127.0.0.1, a client whose name is "root", and an authority of strangers.
bool make_certificates(const std::string& directory) {
    const std::string script = fmt::format(
        "cd {} && exec >openssl.log 2>&1 && "
        "for ca in ca other; do openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=$ca -keyout $ca.key -out $ca.crt || exit 1; done && "
        "echo subjectAltName=IP:127.0.0.1 >server.ext && echo extendedKeyUsage=clientAuth >client.ext && "
        "for who in server client; do name=$who; [ $who = client ] && name=root; "
        "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=$name -keyout $who.key -out "
        "$who.csr && openssl x509 -req -in $who.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile "
        "$who.ext -out $who.crt || exit 1; done",
        directory);
    return std::system(script.c_str()) == 0;  // NOLINT(cert-env33-c): a test's own words
}

}  // namespace

TEST_CASE("an etcd key has the object's group, plural, namespace and name, and is read back") {
    const etcd::Keys keys("/manul/v1/");
    struct Row {
        Key key;
        std::string text;
    };
    const std::vector<Row> rows{
        {set_key("a"), "/manul/v1/projectcalico.org/globalnetworksets/-/a"},
        {{Kind::network_policy, "prod", "x.y"}, "/manul/v1/projectcalico.org/networkpolicies/prod/x.y"},
        {{Kind::namespace_, "", "prod"}, "/manul/v1/core/namespaces/-/prod"},
        {{Kind::lease, "a", "b"}, "/manul/v1/coordination.k8s.io/leases/a/b"},
    };
    for (const Row& row : rows) {
        CHECK(keys.of(row.key) == row.text);
        const auto parsed = keys.parse(row.key.kind, row.text);
        REQUIRE(parsed);
        CHECK(*parsed == row.key);
    }
    for (const char* foreign :
         {"/manul/v1/projectcalico.org/globalnetworksets/-/", "/manul/v1/x",
          "/manul/v1/projectcalico.org/globalnetworksets/-/a/b", "/manul/v1/projectcalico.org/globalnetworksets/ns/a",
          "/manul/v1/projectcalico.org/globalnetworksets//a"}) {
        CHECK(!keys.parse(Kind::global_network_set, foreign));
    }
    CHECK(etcd::Range::of_prefix("/a/").end == "/a0");
    CHECK(etcd::Range::of_prefix("a\xff\xff").end == "b");
    CHECK(etcd::Range::of_prefix("\xff").end == std::string(1, '\0'));
}

TEST_CASE("endpoints are URLs with a host and a port") {
    struct Row {
        std::string url;
        std::string host_port;  ///< empty: refused
        bool tls = false;
    };
    const std::vector<Row> rows{
        {"https://10.0.0.1:2379", "10.0.0.1:2379", true},
        {"http://etcd.example/", "etcd.example:2379"},
        {"10.0.0.1:4001", "10.0.0.1:4001"},
        {"https://[fd00::1]", "[fd00::1]:2379", true},
        {"https://[fd00::1]:9", "[fd00::1]:9", true},
        {"unix:///run/x", ""},
        {"http://", ""},
        {"http://a:1/b", ""},
        {"http://a:", ""},
    };
    for (const Row& row : rows) {
        CAPTURE(row.url);
        const auto parsed = etcd::parse_endpoints({row.url});
        REQUIRE(parsed.has_value() == !row.host_port.empty());
        if (parsed) {
            CHECK(parsed->front().address.host_port == row.host_port);
            CHECK(parsed->front().address.tls == row.tls);
        } else {
            CHECK(contains(parsed.error().message, row.url));
        }
    }
    CHECK(contains(etcd::parse_endpoints({}).error().message, "datastore.etcd.endpoints is not set"));
}

namespace {

/// An etcd of a few lines, whose answers may be lost after the work is done.
struct FakeServer {
    std::map<std::string, etcd::Entry> entries;
    std::int64_t revision = 1;
    std::deque<int> failures;  ///< gRPC codes of the next answers; 0: none
    bool works = true;         ///< what fails is done all the same
    std::vector<std::string> tokens;
    int logins = 0;
    std::string token_now = "t0";
};

class FakeMember final : public etcd::Member {
public:
    explicit FakeMember(FakeServer& server) : server_(server) {}

    etcd::Reply<etcd::RangeAnswer> range(const etcd::Call& call, const etcd::RangeQuery& query) override {
        if (auto failed = fail(call)) {
            return std::unexpected(*failed);
        }
        etcd::RangeAnswer out{{}, server_.revision, 7, false};
        if (const auto at = server_.entries.find(query.range.key); at != server_.entries.end()) {
            out.entries.push_back(at->second);
        }
        return out;
    }
    etcd::Reply<etcd::TxnAnswer> commit(const etcd::Call& call, const etcd::Txn& txn) override {
        const auto failed = fail(call);
        if (failed && !server_.works) {
            return std::unexpected(*failed);
        }
        etcd::TxnAnswer out{true, server_.revision, 7, {}};
        for (const etcd::Comparison& comparison : txn.comparisons) {
            const auto at = server_.entries.find(comparison.range.key);
            const std::int64_t now = at == server_.entries.end() ? 0 : at->second.revision;
            out.succeeded = out.succeeded && now == comparison.revision;
        }
        if (out.succeeded) {
            for (const etcd::Operation& operation : txn.operations) {
                const auto at = server_.entries.find(operation.key);
                if (operation.type == etcd::Operation::Type::get) {
                    out.read.push_back(at == server_.entries.end() ? std::nullopt : std::optional(at->second));
                } else if (operation.type == etcd::Operation::Type::put) {
                    out.revision = server_.revision + 1;
                    server_.entries[operation.key] = {operation.key, operation.value, out.revision};
                } else {
                    out.revision = server_.revision + 1;
                    server_.entries.erase(operation.key);
                }
            }
            server_.revision = out.revision;
        }
        if (failed) {
            return std::unexpected(*failed);
        }
        return out;
    }
    etcd::Reply<void> compact(const etcd::Call&, std::int64_t) override { return {}; }
    etcd::Reply<std::string> authenticate(const etcd::Call&, const std::string&, const std::string&) override {
        ++server_.logins;
        return server_.token_now;
    }
    std::shared_ptr<etcd::WatchStream> watch(const std::string&) override { return nullptr; }

private:
    std::optional<etcd::Failure> fail(const etcd::Call& call) {
        server_.tokens.push_back(call.token);
        if (server_.failures.empty()) {
            return std::nullopt;
        }
        const int code = server_.failures.front();
        server_.failures.pop_front();
        return code == 0 ? std::nullopt : std::optional(etcd::Failure{code, "scripted"});
    }

    FakeServer& server_;
};

etcd::EtcdBackend fake_backend(FakeServer& server, EtcdOptions options) {
    return etcd::EtcdBackend(std::move(options),
                             [&server](const etcd::MemberAddress&,
                                       const etcd::TlsMaterial&) -> manul::Result<std::unique_ptr<etcd::Member>> {
                                 return std::make_unique<FakeMember>(server);
                             });
}

Mutation mutation(Mutation::Type type, const std::string& name, const std::string& body, Precondition precondition) {
    return {type, set_key(name), body, std::move(precondition)};
}

}  // namespace

TEST_CASE("a member that is out of time at last says what it said before") {
    FakeServer server;
    EtcdOptions options = options_of({"http://a:1"});
    options.timeout = std::chrono::milliseconds(150);  // for some attempts
    auto backend = fake_backend(server, options);
    server.failures = {14, 4, 4, 4, 4, 4};
    const auto told = backend.find(set_key("a"));
    REQUIRE_FALSE(told);
    CHECK(told.error().message == "etcd (http://a:1): scripted");
    server.failures = {4, 4, 4, 4, 4, 4};
    const auto silent = backend.find(set_key("a"));
    REQUIRE_FALSE(silent);
    CHECK(silent.error().message.starts_with("etcd (http://a:1): no answer within 150 ms"));
}

TEST_CASE("a write whose answer is lost is repeated, and recognised as done") {
    FakeServer server;
    auto backend = fake_backend(server, options_of({"http://a:1", "http://b:1"}));
    const std::vector<Mutation> create{mutation(Mutation::Type::put, "a", "{}", {true, {}})};
    server.failures = {14, 0};
    const auto created = backend.commit(create, {});
    REQUIRE(created);
    CHECK(server.revision == 2);
    CHECK(*created == "2");

    // Not carried out: carried out by the second attempt.
    server.works = false;
    server.failures = {14, 4, 0};
    const std::vector<Mutation> change{mutation(Mutation::Type::put, "a", "{1}", {false, "2"})};
    CHECK(backend.commit(change, {}).value() == "3");

    // Another writer's change is a conflict, also when the first answer was lost.
    server.failures = {14};
    server.entries.begin()->second = {server.entries.begin()->first, "{other}", 4};
    server.revision = 4;
    CHECK(backend.commit(change, {}).error().code == Code::conflict);

    server.works = true;
    server.failures = {14};
    const std::vector<Mutation> removal{mutation(Mutation::Type::remove, "a", {}, {false, "4"})};
    REQUIRE(backend.commit(removal, {}));
    CHECK(server.entries.empty());
}

TEST_CASE("a write that nobody answers in time may have happened, a read just failed") {
    FakeServer server;
    auto options = options_of({"http://a:1"});
    options.timeout = std::chrono::milliseconds(50);
    auto backend = fake_backend(server, options);
    server.works = false;
    server.failures.assign(100, 14);
    const std::vector<Mutation> create{mutation(Mutation::Type::put, "a", "{}", {true, {}})};
    CHECK(backend.commit(create, {}).error().code == Code::unknown_result);
    server.failures.assign(100, 14);
    CHECK(backend.identity().error().code == Code::unavailable);
}

TEST_CASE("a token that the server no longer knows is replaced, once a call") {
    FakeServer server;
    auto options = options_of({"http://a:1"});
    options.username = "u";
    auto backend = fake_backend(server, options);
    REQUIRE(backend.identity());
    server.token_now = "t1";
    server.failures = {16, 0};
    REQUIRE(backend.identity());
    CHECK(server.logins == 2);
    CHECK(server.tokens.back() == "t1");
    server.failures = {16, 16, 0};
    CHECK(!backend.identity());
    CHECK(server.logins == 3);
}

TEST_CASE("three members: writes and watches go on while members die and come back") {
    EtcdCluster servers({.members = 3});
    const auto store = open_etcd(options_of(servers.endpoints()));
    REQUIRE(put(*store, "s0"));
    const auto watch = watch_sets(*store);
    std::vector<std::string> written;
    const auto write = [&](const std::string& name) {
        INFO(name);
        CHECK(put(*store, name));
        written.push_back(name);
    };
    write("a");
    for (int member = 0; member < 3; ++member) {
        servers.kill(member);
        write(fmt::format("without-{}", member));
        servers.start(member);
        write(fmt::format("with-{}", member));
    }
    servers.stop(1);  // alive, but silent
    write("one-is-silent");
    servers.resume(1);
    const auto events = take(*watch, written.size());
    std::vector<std::string> seen;
    for (const Event& event : events) {
        seen.push_back(event.object.key.name);
    }
    CHECK(seen == written);
}

TEST_CASE("what was compacted while a watch was away is listed again") {
    EtcdCluster servers({.members = 3});
    const auto near = open_etcd(options_of({servers.endpoint(0)}));  // knows one member only
    const auto far = open_etcd(options_of({servers.endpoint(1), servers.endpoint(2)}));
    REQUIRE(put(*near, "a"));
    const auto watch = watch_sets(*near);
    servers.kill(0);
    REQUIRE(put(*far, "b"));
    REQUIRE(put(*far, "c"));
    const auto compact = make_etcd_compactor(options_of({servers.endpoint(1), servers.endpoint(2)}));
    REQUIRE(compact());
    REQUIRE(put(*far, "d"));
    REQUIRE(compact());  // up to where the first one looked
    servers.start(0);
    const auto events = take(*watch, 1);
    REQUIRE(events.size() == 1);
    CHECK(events.front().type == Event::Type::resync);
    CHECK(near->list({Kind::global_network_set, {}, {}})->items.size() == 4);
}

TEST_CASE("a kind to which nothing happens is not listed again because the others were compacted") {
    EtcdCluster server;
    auto options = options_of(server.endpoints());
    options.progress_every = std::chrono::milliseconds(100);
    const auto store = open_etcd(options);
    const auto watch = watch_sets(*store, Kind::ip_reservation);
    for (int i = 0; i < 50; ++i) {
        REQUIRE(put(*store, fmt::format("s{}", i)));
    }
    const std::int64_t now = std::stoll(store->list({Kind::global_network_set, {}, {}})->revision);
    const auto position = [&] { return std::stoll(position_of(*watch).value_or("0")); };
    for (int i = 0; i < 200 && position() < now; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    REQUIRE(position() >= now);
    REQUIRE(server.control(fmt::format("compact {}", now)));
    server.kill(0);
    server.start(0);
    const Key key = reservation_key("r");
    REQUIRE(store->create(key, document(key, R"({"reservedCIDRs":["10.0.0.1"]})")));
    const auto events = take(*watch, 1);
    REQUIRE(events.size() == 1);
    CHECK(events.front().type == Event::Type::put);
    CHECK(events.front().object.key == key);
}

TEST_CASE("a cluster that takes another's place ends every watch, and is another store") {
    EtcdCluster server;
    const auto store = open_etcd(options_of(server.endpoints()));
    REQUIRE(put(*store, "a"));
    const std::string identity = store->identity().value();
    const auto watch = watch_sets(*store);
    server.replace();
    const auto events = take(*watch, 1);
    REQUIRE(events.size() == 1);
    CHECK(events.front().type == Event::Type::resync);
    CHECK(store->identity().value() != identity);
    CHECK(store->list({Kind::global_network_set, {}, {}})->items.empty());
}

TEST_CASE("a server that is away is waited for, and then said to be away") {
    EtcdCluster server;
    auto options = options_of(server.endpoints());
    options.timeout = std::chrono::milliseconds(300);
    const auto store = open_etcd(options);
    REQUIRE(put(*store, "a"));
    const auto watch = watch_sets(*store);
    server.kill(0);
    const auto read = store->get(set_key("a"));
    REQUIRE(!read);
    CHECK(read.error().code == Code::unavailable);
    CHECK(contains(read.error().message, server.endpoint(0)));
    CHECK(contains(first_error(*watch), server.endpoint(0)));
    CHECK(watch->problem());
    server.start(0);
    bool back = false;
    for (int i = 0; i < 100 && !back; ++i) {
        back = store->get(set_key("a")).has_value();
    }
    CHECK(back);
    for (int i = 0; i < 200 && watch->problem(); ++i) {  // nothing happens, and yet it is over
        static_cast<void>(watch->take());
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    CHECK_FALSE(watch->problem());
    REQUIRE(put(*store, "b"));
    const auto events = take(*watch, 1);
    REQUIRE(events.size() == 1);
    CHECK(events.front().object.key == set_key("b"));
}

TEST_CASE("a long list comes in pages of one moment") {
    EtcdCluster server;
    const auto store = open_etcd(options_of(server.endpoints()));
    for (int i = 0; i < 1200; i += 100) {
        std::vector<Op> ops;
        for (int k = i; k < i + 100; ++k) {
            const std::string name = fmt::format("s{:04}", k);
            ops.emplace_back(Put{set_key(name), set_document(name), {}});
        }
        REQUIRE(store->transact(ops, Checks::own_fields_only));
    }
    const auto listing = store->list({Kind::global_network_set, {}, {}});
    REQUIRE(listing);
    REQUIRE(listing->items.size() == 1200);
    CHECK(listing->items.back().key.name == "s1199");
    CHECK(store->list({Kind::global_network_set, {}, "s01"})->items.size() == 100);
}

TEST_CASE("users and passwords: a right one works beyond its token, a wrong one is named") {
    EtcdCluster server;
    REQUIRE(server.control("user add root:secret"));
    REQUIRE(server.control("user add reader:weak"));
    REQUIRE(server.control("auth enable"));
    ScratchDirectory directory;
    auto options = options_of(server.endpoints());
    options.username = "root";
    options.password_file = directory.path() + "/password";
    std::ofstream(options.password_file) << "secret\n";
    using std::filesystem::perms;
    std::filesystem::permissions(options.password_file, perms::group_read, std::filesystem::perm_options::add);
    const auto open_to_all = open_etcd(options)->get(set_key("a"));
    REQUIRE(!open_to_all);
    CHECK(contains(open_to_all.error().message, "/password: others may read it; make it mode 0600"));
    std::filesystem::permissions(options.password_file, perms::owner_read | perms::owner_write);
    const auto nameless = open_etcd(options_of(server.endpoints()))->get(set_key("a"));
    REQUIRE(!nameless);
    CHECK(contains(nameless.error().message, "it asks for a user: give datastore.etcd.username"));
    const auto store = open_etcd(options);
    REQUIRE(put(*store, "a"));
    const auto watch = watch_sets(*store);
    // Every token is of no use after this.
    REQUIRE(server.control("--user root:secret auth disable"));
    REQUIRE(server.control("auth enable"));
    REQUIRE(put(*store, "b"));
    CHECK(take(*watch, 1).front().object.key == set_key("b"));

    std::ofstream(options.password_file) << "wrong";
    const auto refused = open_etcd(options)->get(set_key("a"));
    REQUIRE(!refused);
    CHECK(contains(refused.error().message, "user \"root\" or its password is wrong"));

    options.username = "reader";
    std::ofstream(options.password_file) << "weak";
    const auto powerless = open_etcd(options)->get(set_key("a"));
    REQUIRE(!powerless);
    CHECK(contains(powerless.error().message, "user \"reader\"; it needs the right to read and write /manul/v1"));

    // What docs/operators says is enough.
    REQUIRE(server.control("--user root:secret role add manul"));
    REQUIRE(server.control("--user root:secret role grant-permission --prefix=true manul readwrite /manul/v1/"));
    REQUIRE(server.control("--user root:secret user grant-role reader manul"));
    const auto limited = open_etcd(options);
    REQUIRE(put(*limited, "by-reader"));
    CHECK(take(*watch_sets(*limited), 0).empty());
    CHECK(make_etcd_compactor(options)());

    auto nobody = options_of(server.endpoints());
    CHECK(!open_etcd(nobody)->get(set_key("a")));
}

TEST_CASE("TLS: certificates of both sides are checked, and what is wrong is said") {
    ScratchDirectory directory;
    REQUIRE(make_certificates(directory.path()));
    EtcdCluster server({.tls_directory = directory.path()});
    const auto with = [&](const std::string& ca, bool certificate) {
        auto options = options_of(server.endpoints());
        options.timeout = std::chrono::milliseconds(2'000);
        options.ca_file = directory.path() + "/" + ca;
        if (certificate) {
            options.cert_file = directory.path() + "/client.crt";
            options.key_file = directory.path() + "/client.key";
        }
        return options;
    };
    const auto store = open_etcd(with("ca.crt", true));
    REQUIRE(put(*store, "a"));
    // The certificate names the user; no password is needed.
    REQUIRE(server.control("user add root:secret"));
    REQUIRE(server.control("auth enable"));
    REQUIRE(put(*store, "b"));

    const auto why = [](const EtcdOptions& options) {
        const auto read = open_etcd(options)->get(set_key("a"));
        return read ? std::string("it works") : read.error().message;
    };
    CHECK_THAT(why(with("other.crt", true)), Catch::Matchers::Contains("not signed by an authority"));
    CHECK_THAT(why(with("ca.crt", false)), Catch::Matchers::Contains("client certificate"));
    CHECK_THAT(why(with("absent.crt", true)), Catch::Matchers::Contains("cannot read"));
    auto half = with("ca.crt", true);
    half.key_file.clear();
    CHECK_THAT(why(half), Catch::Matchers::Contains("go together"));
    auto plain = with("ca.crt", true);
    plain.endpoints.front().replace(0, 5, "http");
    CHECK_THAT(why(plain), Catch::Matchers::Contains("https://"));
}

TEST_CASE("a full database refuses writes with what to do, and goes on after it was done") {
    EtcdCluster server({.arguments = {"--quota-backend-bytes", "8000000"}});
    const auto store = open_etcd(options_of(server.endpoints()));
    REQUIRE(put(*store, "first"));
    std::string why;
    for (int i = 0; i < 40 && why.empty(); ++i) {
        const std::vector<Op> ops{
            Put{set_key("big"),
                document(set_key("big"), R"({"nets":[]})",
                         R"(,"annotations":{"x":")" + std::to_string(i) + std::string(900'000, 'x') + "\"}"),
                {}}};
        if (const auto written = store->transact(ops, Checks::own_fields_only); !written) {
            CHECK(written.error().code == Code::unavailable);
            why = written.error().message;
        }
    }
    CHECK_THAT(why, Catch::Matchers::Contains("alarm NOSPACE"));
    CHECK_THAT(why, Catch::Matchers::Contains("etcdctl alarm disarm"));
    CHECK(store->get(set_key("first")));
    CHECK(!put(*store, "second"));

    const auto compact = make_etcd_compactor(options_of(server.endpoints()));
    REQUIRE(compact());
    REQUIRE(server.control(fmt::format("compact {}", std::stoll(store->list({Kind::tier, {}, {}})->revision))));
    REQUIRE(server.control("defrag"));
    REQUIRE(server.control("alarm disarm"));
    CHECK(put(*store, "second"));
}
