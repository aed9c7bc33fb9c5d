#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <catch2/catch.hpp>

#include "config/codec/json.hpp"
#include "config/model/ipam_block.hpp"
#include "config/model/ipam_handle.hpp"
#include "config/store/sqlite.hpp"
#include "ipam/service/service.hpp"
#include "test/ipam/now.hpp"

namespace manul::ipam {
namespace {

using test::kNow;

/// A directory of its own for one store file.
struct TemporaryStore {
    std::filesystem::path directory =
        std::filesystem::temp_directory_path() / fmt::format("manul-ipam-race-{}", ::getpid());
    TemporaryStore() { std::filesystem::create_directories(directory); }
    TemporaryStore(const TemporaryStore&) = delete;
    TemporaryStore& operator=(const TemporaryStore&) = delete;
    ~TemporaryStore() { std::filesystem::remove_all(directory); }
    [[nodiscard]] std::string path() const { return (directory / "store.db").string(); }
};

Request bare(const std::string& container) {
    Request request;
    request.op = Op::add;
    request.network = "net";
    request.attachment = {container, "eth0"};
    request.host_interface = "cali0";
    return request;
}

/// What one node does in a process of its own: adds and releases, and in the end holds what it writes to `out`.
int run_node(const std::string& store_path, int node, const std::string& out) {
    const auto store = store::open_sqlite(store_path);
    Service service(*store, {fmt::format("n{}", node), "boot"});
    if (!service.start()) {
        return 1;
    }
    std::map<std::string, std::string> held;
    for (int round = 0; round < 25; ++round) {
        std::vector<Request> requests;
        for (int i = 0; i < 4; ++i) {
            requests.push_back(bare(fmt::format("c{}x{}x{}", node, round, i)));
        }
        const auto results = service.add(requests, kNow);
        for (std::size_t i = 0; i < results.size(); ++i) {
            const Answer& answer = results[i].answer;
            if (!answer.error) {
                held[requests[i].attachment.container_id] = answer.ips.front().to_string();
            } else if (answer.error->code != 11 || !answer.error->msg.starts_with("no free address")) {
                return 2;
            }
        }
        if (round % 3 == 2 && held.size() > 2) {
            const Release release{"net", {held.begin()->first, "eth0"}};
            const auto done = service.release(std::span(&release, 1), kNow);
            if (!done.front() || !*done.front()) {
                return 3;
            }
            held.erase(held.begin());
        }
    }
    std::ofstream file(out);
    for (const auto& [container, ip] : held) {
        file << ip << '\n';
    }
    return 0;
}

TEST_CASE("processes that race for the last addresses of one SQLite store give each away once") {
    const TemporaryStore temporary;
    {
        const auto store = store::open_sqlite(temporary.path());
        const auto made = store->create(
            {model::Kind::ip_pool, "", "p"},
            R"({"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"p"},"spec":{"cidr":"10.0.0.0/25","blockSize":28}})");
        REQUIRE(made);
    }
    constexpr int kNodes = 4;
    std::vector<pid_t> children;
    for (int node = 0; node < kNodes; ++node) {
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            std::_Exit(run_node(temporary.path(), node, (temporary.directory / std::to_string(node)).string()));
        }
        children.push_back(child);
    }
    for (const pid_t child : children) {
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status));
        CHECK(WEXITSTATUS(status) == 0);
    }
    std::multiset<std::string> held;
    for (int node = 0; node < kNodes; ++node) {
        std::ifstream file(temporary.directory / std::to_string(node));
        for (std::string line; std::getline(file, line);) {
            held.insert(line);
        }
    }
    CHECK(held.size() > 100);
    CHECK(std::set<std::string>(held.begin(), held.end()).size() == held.size());

    // What the store says is what the processes hold, address for address.
    const auto store = store::open_sqlite(temporary.path());
    std::set<std::string> allocated;
    const auto blocks = store->list({.kind = model::Kind::ipam_block, .ns = std::nullopt, .name_prefix = {}});
    REQUIRE(blocks);
    for (const store::Object& object : blocks->items) {
        const auto decoded = codec::decode(model::Kind::ipam_block, *object.document, codec::Mode::strict);
        REQUIRE(decoded.ok());
        const auto block = Block::from_model(model::as<model::IpamBlock>(*decoded.resource)->spec);
        REQUIRE(block);
        for (std::size_t i = 0; i < block->size(); ++i) {
            if (block->owner(static_cast<Block::Ordinal>(i))) {
                CHECK(allocated.insert(block->address(static_cast<Block::Ordinal>(i)).to_string()).second);
            }
        }
    }
    CHECK(allocated == std::set<std::string>(held.begin(), held.end()));
    const auto handles = store->list({.kind = model::Kind::ipam_handle, .ns = std::nullopt, .name_prefix = {}});
    REQUIRE(handles);
    CHECK(handles->items.size() == held.size());
    const auto endpoints = store->list({.kind = model::Kind::workload_endpoint, .ns = std::nullopt, .name_prefix = {}});
    REQUIRE(endpoints);
    CHECK(endpoints->items.size() == held.size());
}

}  // namespace
}  // namespace manul::ipam
