#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <regex>
#include <string>
#include <variant>

#include <unistd.h>
#include <catch2/catch.hpp>

#include "felix/io/nft_apply.hpp"
#include "felix/render/print.hpp"
#include "felix/render/renderer.hpp"
#include "net/netlink/netns.hpp"
#include "test/felix/render/cases.hpp"

// The kernel's judgement of what the encoder sends and of what the printer prints: both must list alike.
namespace manul::felix::test {

namespace {

/// Standard output of a shell command in the thread's network namespace; fails the test when the command fails.
std::string run(const std::string& command) {
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen((command + " 2>&1").c_str(), "r"), ::pclose);
    REQUIRE(pipe);
    std::string output;
    std::array<char, 4096> buffer{};
    while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) {
        output.append(buffer.data(), count);
    }
    return output;
}

/// What nft lists, without comments (our fingerprints), counters' values and handles.
std::string listing() {
    std::string text = run("nft -nn list ruleset");
    text = std::regex_replace(text, std::regex(" comment \"[0-9a-f ]*\""), "");
    return text;
}

void load_text(const std::string& text) {
    const std::string path = "/tmp/manul-nft-test-" + std::to_string(::getpid());
    std::ofstream(path) << text;
    const std::string output = run("nft -f " + path);
    std::remove(path.c_str());
    REQUIRE(output.empty());
}

void commit(io::NftSocket& socket, nft::Tracker& tracker, nft::Scope scope) {
    const nft::Transaction transaction = tracker.plan(scope);
    if (transaction.empty()) {
        return;
    }
    const io::CommitResult result = socket.commit(transaction);
    CAPTURE(result.problems);
    REQUIRE(result.outcome == io::CommitResult::Outcome::done);
    tracker.committed(transaction);
}

std::string through_encoder(const Case& c) {
    auto scope = netlink::NetnsScope::create();
    REQUIRE(scope);
    auto socket = io::NftSocket::open();
    REQUIRE(socket);
    nft::Tracker tracker;
    render::Renderer renderer;
    for (const Batch& batch : c.batches) {
        for (const render::Change& change : renderer.apply(batch).changes) {
            tracker.change(change);
        }
        commit(*socket, tracker, nft::Scope::keep_unused);
        commit(*socket, tracker, nft::Scope::everything);
        CHECK(tracker.plan(nft::Scope::everything).empty());
    }
    // What was written reads back as what is wanted: an adopting tracker rewrites set contents at most.
    const auto snapshot = socket->read();
    REQUIRE(snapshot);
    tracker.adopt(snapshot->state);
    for (const nft::Command& command : tracker.plan(nft::Scope::everything)) {
        CAPTURE(nft::describe(command));
        CHECK((std::holds_alternative<nft::FlushSet>(command) || std::holds_alternative<nft::AddElements>(command)));
    }
    commit(*socket, tracker, nft::Scope::everything);
    return listing();
}

std::string through_text(const Case& c) {
    auto scope = netlink::NetnsScope::create();
    REQUIRE(scope);
    load_text(render::print(rendered(c.batches)));
    return listing();
}

}  // namespace

TEST_CASE("the kernel lists every golden ruleset alike, loaded by the encoder or by nft from its text") {
    for (const Case& c : cases()) {
        DYNAMIC_SECTION(c.name) { CHECK(through_encoder(c) == through_text(c)); }
    }
}

}  // namespace manul::felix::test
