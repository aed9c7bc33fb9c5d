#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <catch2/catch.hpp>

#include "config/codec/json.hpp"
#include "config/model/cluster_information.hpp"
#include "config/model/ipam_block.hpp"
#include "config/store/memory.hpp"
#include "ctl/ipam/options.hpp"
#include "ctl/ipam/show.hpp"
#include "ipam/core/check_report.hpp"
#include "ipam/service/service.hpp"

using namespace manul;
using namespace manul::ctl;

namespace {

constexpr ipam::WallTime kNow{std::chrono::seconds{1'770'000'000}};

/// manulctl over a store in memory in which one node has given addresses to pods.
struct Tool {
    std::shared_ptr<store::MemoryDatabase> database = store::make_memory_database();
    std::unique_ptr<store::Store> store = store::make_memory(database);
    std::unique_ptr<store::Store> nodes_store = store::make_memory(database);
    ipam::Service service{*nodes_store, {"n1", "boot"}};
    std::filesystem::path directory =
        std::filesystem::temp_directory_path() / fmt::format("manul-ctl-ipam-{}", ::getpid());
    std::string out;
    std::string err;

    Tool() {
        std::filesystem::create_directories(directory);
        put(model::Kind::ip_pool, "p",
            R"({"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"p"},"spec":{"cidr":"10.0.0.0/24","blockSize":28}})");
        put(model::Kind::node, "n1", R"({"apiVersion":"projectcalico.org/v3","kind":"Node","metadata":{"name":"n1"}})");
        REQUIRE(service.start());
        for (const char* container : {"a", "b", "c"}) {
            add(container);
        }
    }
    Tool(const Tool&) = delete;
    Tool& operator=(const Tool&) = delete;
    ~Tool() { std::filesystem::remove_all(directory); }

    void put(model::Kind kind, const std::string& name, const std::string& document) const {
        const auto done = store->create({kind, "", name}, document);
        INFO((done ? "" : done.error().message));
        REQUIRE(done);
    }
    void add(const std::string& container) {
        ipam::Request request;
        request.op = ipam::Op::add;
        request.network = "net";
        request.attachment = {container, "eth0"};
        request.host_interface = "cali" + container;
        REQUIRE_FALSE(service.add(std::span(&request, 1), kNow).front().answer.error);
    }
    void lose_endpoint(const std::string& container) const {
        REQUIRE(
            store->remove({model::Kind::workload_endpoint, "default", "n1-cni-" + container + "-eth0"}, std::nullopt));
    }
    void lock() const {
        const auto object = store->get({model::Kind::cluster_information, "", "default"});
        REQUIRE(object);
        const auto before = model::as<model::ClusterInformation>(
            codec::decode(object->key.kind, *object->document, codec::Mode::lenient).resource);
        auto after = *before;
        after.spec.datastore_ready = false;
        REQUIRE(store->update(object->key, *codec::merge(*object->document, *before, after), std::nullopt));
    }
    Context context() {
        out.clear();
        err.clear();
        Context made{.settings = {},
                     .store = store.get(),
                     .out = [this](std::string_view text) { out += text; },
                     .err = [this](std::string_view text) { err += text; },
                     .read_standard_input = [] { return std::string(); },
                     .out_is_terminal = false};
        made.settings.node_name = "n1";
        made.settings.state_dir = directory.string();
        return made;
    }
    ExitCode check(IpamCheckOptions options) {
        options.between_looks = {};
        return ipam_check(context(), options);
    }
    bool says(std::string_view text) const { return out.find(text) != std::string::npos; }
    bool complains(std::string_view text) const { return err.find(text) != std::string::npos; }
};

TEST_CASE("ipam check finds nothing in a sound datastore, and prints what it looked at") {
    Tool tool;
    CHECK(tool.check({.fail_on_problems = true}) == ExitCode::ok);
    CHECK(tool.says("Found 1 IPAM blocks."));
    CHECK(tool.says("affinity=host:n1:"));
    CHECK(tool.says("IPAM blocks record 3 allocations."));
    CHECK(tool.says("  n1 has 3 allocations"));
    CHECK(tool.says("Node with most allocations has 3; median is 3"));
    CHECK(tool.says("Found 0 handles with no matching IPs (and 3 handles with matches)."));
    CHECK(tool.out.ends_with("Check complete; found 0 problems.\n"));
}

TEST_CASE("ipam check --repair frees what leaked, mends a damaged block, and leaves the rest alone") {
    Tool tool;
    tool.lose_endpoint("b");
    CHECK(tool.check({}) == ExitCode::ok);
    CHECK(tool.says("Found 1 IPs that are allocated in IPAM but not actually in use."));
    CHECK(tool.check({.show_problems = true, .fail_on_problems = true}) == ExitCode::failed);
    CHECK(tool.says("is allocated (handle net.b.eth0, pod default/b on node n1), but nobody uses it"));

    // The same block, damaged by hand: c's ordinal is free as well.
    const auto blocks = tool.store->list({.kind = model::Kind::ipam_block, .ns = std::nullopt, .name_prefix = {}});
    REQUIRE(blocks->items.size() == 1);
    const store::Object& object = blocks->items.front();
    const auto before =
        model::as<model::IpamBlock>(codec::decode(object.key.kind, *object.document, codec::Mode::lenient).resource);
    auto damaged = *before;
    damaged.spec.unallocated.push_back(2);
    const std::vector<store::Op> ops{
        store::Put{object.key, *codec::merge(*object.document, *before, damaged), std::nullopt}};
    REQUIRE(tool.store->transact(ops, store::Checks::own_fields_only));
    CHECK(tool.check({.show_problems = true}) == ExitCode::ok);
    CHECK(tool.says("ordinal 2 is both allocated and free"));

    CHECK(tool.check({.repair = true, .fail_on_problems = true}) == ExitCode::ok);
    CHECK(tool.says("the block is rebuilt"));
    CHECK(tool.says("the address is released"));
    CHECK(tool.says("0 are left"));
    CHECK(tool.check({.fail_on_problems = true}) == ExitCode::ok);
    CHECK(tool.says("IPAM blocks record 2 allocations."));
    // The node goes on although its block was rewritten behind its back.
    tool.add("d");
    CHECK(tool.check({.fail_on_problems = true}) == ExitCode::ok);
}

TEST_CASE("a report is JSON, on standard output alone or in a file that release reads") {
    Tool tool;
    tool.lose_endpoint("b");
    CHECK(tool.check({.output = "json"}) == ExitCode::ok);
    CHECK(tool.out.starts_with("{\"version\""));
    CHECK(ipam::parse_report(tool.out));

    const std::string path = (tool.directory / "report.json").string();
    CHECK(tool.check({.output = path}) == ExitCode::ok);
    CHECK(ipam_release(tool.context(), {.reports = {path}}) == ExitCode::failed);
    CHECK(tool.complains("the datastore is not locked"));
    tool.lock();
    CHECK(ipam_release(tool.context(), {.reports = {path}}) == ExitCode::failed);
    CHECK(tool.complains("no report was made since the datastore was last locked"));
    const std::string second = (tool.directory / "second.json").string();
    CHECK(tool.check({.output = second}) == ExitCode::ok);
    CHECK(ipam_release(tool.context(), {.reports = {path, second}}) == ExitCode::ok);
    CHECK(tool.says("Released 1 IPs successfully"));
    CHECK(ipam_release(tool.context(), {.reports = {path, second}}) == ExitCode::ok);
    CHECK(tool.says("Skipped 1 IPs; 0 errors."));
    CHECK(tool.check({.fail_on_problems = true}) == ExitCode::ok);
    CHECK(ipam_release(tool.context(), {.reports = {"/nonexistent"}}) == ExitCode::failed);
}

TEST_CASE("a handle that was written since the report is left alone") {
    Tool tool;
    const model::Key key{model::Kind::ipam_handle, {}, "leaked"};
    const auto make = [&] {
        REQUIRE(tool.store->create(
            key,
            R"({"apiVersion":"projectcalico.org/v3","kind":"IPAMHandle","metadata":{"name":"leaked"},"spec":{"handleID":"leaked","block":{"10.0.0.64/26":1}}})"));
    };
    make();
    const std::string path = (tool.directory / "report.json").string();
    tool.lock();
    CHECK(tool.check({.output = path}) == ExitCode::ok);
    REQUIRE(tool.store->remove(key, std::nullopt));
    make();  // an allocation counts here first
    CHECK(ipam_release(tool.context(), {.reports = {path}}) == ExitCode::ok);
    CHECK(tool.says("Released 0 handles; 1 skipped; 0 errors."));
    CHECK(tool.check({.output = path}) == ExitCode::ok);
    CHECK(ipam_release(tool.context(), {.reports = {path}}) == ExitCode::ok);
    CHECK(tool.says("Released 1 handles; 0 skipped; 0 errors."));
    CHECK_FALSE(tool.store->get(key));
}

TEST_CASE("one address is released by hand") {
    Tool tool;
    CHECK(ipam_release(tool.context(), {.ip = "10.0.0.256"}) == ExitCode::failed);
    CHECK(ipam_release(tool.context(), {.ip = "10.9.0.1"}) == ExitCode::failed);
    CHECK(tool.complains("IP address 10.9.0.1 is not assigned"));
    const auto blocks = tool.store->list({.kind = model::Kind::ipam_block, .ns = std::nullopt, .name_prefix = {}});
    const auto block = model::as<model::IpamBlock>(
        codec::decode(model::Kind::ipam_block, *blocks->items.front().document, codec::Mode::lenient).resource);
    const std::string address = block->spec.cidr.address().to_string();
    CHECK(ipam_release(tool.context(), {.ip = address}) == ExitCode::ok);
    CHECK(tool.says("Successfully released IP address " + address));
    CHECK(tool.complains("WorkloadEndpoint(default/n1-cni-a-eth0) still uses " + address));
    CHECK(ipam_release(tool.context(), {.ip = address}) == ExitCode::failed);
}

TEST_CASE("settings are changed one line each, and combinations that cannot be are refused") {
    Tool tool;
    CHECK(ipam_configure(
              tool.context(),
              {.strict_affinity = true, .max_blocks_per_host = 4, .persistence = "Disabled", .cooldown_seconds = 60}) ==
          ExitCode::ok);
    CHECK(tool.out ==
          "Successfully set StrictAffinity to: true\nSuccessfully set MaxBlocksPerHost to: 4\n"
          "Successfully set KubeVirtVMAddressPersistence to: Disabled\n"
          "Successfully set IPCooldownSeconds to: 60\n");
    CHECK(ipam_configure(tool.context(), {.strict_affinity = false}) == ExitCode::failed);  // maxBlocksPerHost is 4
    CHECK(ipam_configure(tool.context(), {.cooldown_seconds = 5000}) == ExitCode::failed);
    CHECK(ipam_show(tool.context(), {.configuration = true}) == ExitCode::ok);
    CHECK(tool.says("IPCooldownSeconds"));
}

TEST_CASE("a pool is split while the datastore is locked, and its addresses stay") {
    Tool tool;
    CHECK(ipam_split(tool.context(), {.parts = 4, .name = "p"}) == ExitCode::failed);
    CHECK(tool.complains("not locked"));
    tool.lock();
    CHECK(ipam_split(tool.context(), {.parts = 3, .name = "p"}) == ExitCode::failed);
    CHECK(ipam_split(tool.context(), {.parts = 4, .name = "q"}) == ExitCode::failed);
    CHECK(ipam_split(tool.context(), {.parts = 4, .cidr = "10.0.0.0/24"}) == ExitCode::ok);
    CHECK(tool.says("split-p-3 10.0.0.192/26"));
    const auto part = tool.store->get({model::Kind::ip_pool, "", "split-p-0"});
    REQUIRE(part);
    CHECK_THAT(*part->document, Catch::Contains(R"("assignmentMode":"Automatic")"));
    const auto pools = tool.store->list({.kind = model::Kind::ip_pool, .ns = std::nullopt, .name_prefix = {}});
    CHECK(pools->items.size() == 4);
    CHECK(tool.check({.fail_on_problems = true}) == ExitCode::ok);
    CHECK(tool.says("IPAM blocks record 3 allocations."));
}

TEST_CASE("why tells whose an address is, and what became of it") {
    Tool tool;
    const auto blocks = tool.store->list({.kind = model::Kind::ipam_block, .ns = std::nullopt, .name_prefix = {}});
    const auto block = model::as<model::IpamBlock>(
        codec::decode(model::Kind::ipam_block, *blocks->items.front().document, codec::Mode::lenient).resource);
    const std::string address = block->spec.cidr.address().to_string();
    std::ofstream(tool.directory / "ipam-history.log")
        << R"({"time":"2026-01-31T12:00:00Z","event":"released","address":")" << address
        << R"(","handle":"net.z.eth0","owner":"default/z","why":"its container ended"})" << "\n{torn";
    CHECK(ipam_why(tool.context(), address) == ExitCode::ok);
    CHECK(tool.says("Pool: p (10.0.0.0/24)"));
    CHECK(tool.says("State: in use since 2026-02-02T02:40:00Z"));
    CHECK(tool.says("Handle: net.a.eth0"));
    CHECK(tool.says("Used by: WorkloadEndpoint(default/n1-cni-a-eth0) on node n1"));
    CHECK(tool.says("2026-01-31T12:00:00Z released by default/z (handle net.z.eth0): its container ended"));
    CHECK(ipam_why(tool.context(), "10.0.0.250") == ExitCode::ok);
    CHECK(tool.says("Used by: nobody"));
    CHECK(ipam_why(tool.context(), "192.0.2.1") == ExitCode::ok);
    CHECK(tool.says("Pool: none"));
    CHECK(ipam_why(tool.context(), "x") == ExitCode::failed);
}

TEST_CASE("explain tells what a pod would get and why, and takes nothing") {
    Tool tool;
    CHECK(ipam_explain(tool.context(), {}) == ExitCode::ok);
    CHECK(tool.says("because the node's own block had room"));
    CHECK(tool.says("a pod on node n1 would get"));
    CHECK(ipam_explain(tool.context(), {.node = "n2"}) == ExitCode::ok);
    CHECK(tool.says("it claimed this new one"));
    CHECK(ipam_explain(tool.context(), {.pools = {"q"}}) == ExitCode::failed);
    CHECK(tool.complains("there is no IPPool q"));
    CHECK(ipam_explain(tool.context(), {.ipv6 = true}) == ExitCode::failed);
    CHECK(tool.check({.fail_on_problems = true}) == ExitCode::ok);
    CHECK(tool.says("IPAM blocks record 3 allocations."));
}

}  // namespace
