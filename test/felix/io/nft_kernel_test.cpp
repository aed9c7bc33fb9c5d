#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <regex>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <unistd.h>
#include <catch2/catch.hpp>

#include "felix/io/nft_apply.hpp"
#include "felix/nft/isolate.hpp"
#include "felix/nft/rule_diff.hpp"
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
    tracker.committed(transaction, result.rules);
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
    // Compared by expressions and elements nothing differs, whatever the kernel adds to what it was given.
    const auto contents = socket->contents([](const auto&, const auto&) { return true; });
    REQUIRE(contents);
    for (const nft::Difference& difference : nft::verify(tracker.wanted(), *contents)) {
        FAIL_CHECK(c.name << ": " << difference.object << " " << difference.problem << ": " << difference.wanted);
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

nft::Attempt attempt(io::NftSocket& socket, nft::Tracker& tracker, const nft::Transaction& transaction) {
    const io::CommitResult result = socket.commit(transaction);
    if (result.outcome == io::CommitResult::Outcome::done) {
        tracker.committed(transaction, result.rules);
        return {nft::Attempt::Outcome::done, std::nullopt, {}};
    }
    return {nft::Attempt::Outcome::refused, result.command, result.problems.front()};
}

}  // namespace

TEST_CASE("a chain that the kernel refuses is named and closed, and the others are in force") {
    auto scope = netlink::NetnsScope::create();
    auto socket = io::NftSocket::open();
    REQUIRE((scope && socket));
    const render::TableKey table{net::Family::v4, render::TableId::ingress};
    const auto chain = [&](std::vector<render::Rule> rules) {
        return render::Chain::make(net::Family::v4, std::move(rules));
    };
    nft::Tracker tracker;
    tracker.change(render::PutTable{table});
    tracker.change(render::PutChain{table, "p_good", chain({{{}, {render::accept()}, 1}})});
    tracker.change(render::PutChain{table, "p_bad", chain({{{}, {render::Log{77, std::string(200, 'x')}}, 2}})});
    tracker.change(
        render::PutChain{table, "t", chain({{{}, {render::jump("p_bad")}}, {{}, {render::jump("p_good")}}})});
    const nft::Isolation result =
        nft::commit_what_goes(tracker, nft::Scope::everything,
                              [&](nft::Transaction& transaction) { return attempt(*socket, tracker, transaction); });
    CHECK(result.outcome == nft::Attempt::Outcome::done);
    REQUIRE(result.withheld.size() == 1);
    CHECK(nft::describe(result.withheld.front().object) == "table ip manul_i, chain p_bad");
    const std::string listed = listing();
    CHECK(listed.find("chain p_good {\n\t\taccept") != std::string::npos);
    CHECK(listed.find("chain p_bad {\n\t\tcounter packets 0 bytes 0 drop") != std::string::npos);
}

TEST_CASE("tables that belong to a socket are nobody else's, outlive it, and pass to the next") {
    auto scope = netlink::NetnsScope::create();
    REQUIRE(scope);
    const render::TableKey table{net::Family::v4, render::TableId::ingress};
    nft::Tracker tracker;
    tracker.change(render::PutTable{table});
    {
        auto owner = io::NftSocket::open_owner();
        auto stranger = io::NftSocket::open();
        REQUIRE((owner && stranger));
        commit(*owner, tracker, nft::Scope::everything);
        const nft::Transaction removal{nft::DeleteTable{table}};
        const io::CommitResult theirs = stranger->commit(removal);
        if (theirs.outcome == io::CommitResult::Outcome::done) {
            return;  // a kernel without owners
        }
        CHECK(theirs.error == EPERM);
    }
    auto next = io::NftSocket::open_owner();
    REQUIRE(next);
    const auto snapshot = next->read();
    REQUIRE(snapshot);
    CHECK(snapshot->state.at(table).orphan);
    tracker.adopt(snapshot->state);
    // A base chain that is new since: the kernel has none of it together with the new owner.
    const render::Hook hook{render::Hook::Type::filter, render::Hook::Point::input, 0};
    tracker.change(
        render::PutChain{table, "in_hook", render::Chain::make(net::Family::v4, {{{}, {render::accept()}}}, hook)});
    const nft::Isolation taken =
        nft::commit_what_goes(tracker, nft::Scope::everything,
                              [&](nft::Transaction& transaction) { return attempt(*next, tracker, transaction); });
    CHECK(taken.outcome == nft::Attempt::Outcome::done);
    CHECK(listing().find("hook input") != std::string::npos);
    auto stranger = io::NftSocket::open();
    REQUIRE(stranger);
    CHECK(stranger->commit({nft::DeleteTable{table}}).error == EPERM);
}

TEST_CASE("members of a set are read back, unless they are too many") {
    auto scope = netlink::NetnsScope::create();
    auto socket = io::NftSocket::open();
    REQUIRE((scope && socket));
    const render::TableKey table{net::Family::v6, render::TableId::egress};
    const auto members = std::make_shared<render::Members>();
    for (std::uint64_t i = 0; i < 5000; ++i) {
        members->insert(render::ElementKey(*ip("fd00::").plus(i)));
    }
    nft::Tracker tracker;
    tracker.change(render::PutTable{table});
    tracker.change(
        render::PutSet{table, "s_1", {{render::Field::source_address}, render::SetType::Shape::members}, members});
    commit(*socket, tracker, nft::Scope::everything);
    const auto read = socket->members(table, "s_1", 5000);
    REQUIRE((read && *read));
    CHECK(**read == *members);
    const auto cut = socket->members(table, "s_1", 4999);
    REQUIRE(cut);
    CHECK_FALSE(*cut);
}

TEST_CASE(
    "of an edited chain the rules that stay are not touched, whether the kernel told their handles or they were read") {
    auto scope = netlink::NetnsScope::create();
    auto socket = io::NftSocket::open();
    REQUIRE((scope && socket));
    const render::TableKey table{net::Family::v4, render::TableId::ingress};
    nft::Tracker tracker;
    tracker.change(render::PutTable{table});
    std::mt19937 random(7);
    std::vector<nft::KernelChain::Rule> before;
    std::vector<std::uint64_t> order(14);
    std::iota(order.begin(), order.end(), 1);
    for (int round = 0; round < 120; ++round) {
        std::vector<render::Rule> rules;
        std::swap(order[random() % order.size()], order[random() % order.size()]);
        for (const std::uint64_t id : order) {
            if (random() % 4 != 0) {
                // Half of them have anonymous sets, which come and go with their rules.
                const auto port = static_cast<std::uint16_t>(id);
                const render::MatchPort ports{render::Side::source,
                                              {*net::PortRange::make(port, port), *net::PortRange::make(1000, 1001)}};
                const std::vector<render::Match> tests{render::MatchProtocol{6}, ports};
                rules.push_back(
                    {id % 2 == 0 ? tests : std::vector<render::Match>{}, {render::Count{}, render::drop()}, id});
            }
        }
        const render::ChainPtr chain = render::Chain::make(net::Family::v4, std::move(rules));
        tracker.change(render::PutChain{table, "p", chain});
        const auto unread = tracker.unread_chains();
        for (const nft::ObjectName& name : unread) {
            const auto read = socket->rules(name.table, name.name);
            REQUIRE((read && *read));
            tracker.adopt_rules(name, **read);
        }
        const nft::Transaction transaction = tracker.plan(nft::Scope::everything);
        if (!transaction.empty()) {
            const io::CommitResult result = socket->commit(transaction);
            CAPTURE(round, result.problems);
            REQUIRE(result.outcome == io::CommitResult::Outcome::done);
            tracker.committed(transaction, round % 3 == 0 ? std::vector<nft::RuleHandle>{} : result.rules);
        }
        const auto now = socket->rules(table, "p");
        REQUIRE((now && *now));
        REQUIRE(nft::KernelChain{std::nullopt, **now, false}.holds(*chain));
        const nft::RuleDiff diff(before, chain->fingerprints());
        const std::size_t fresh = static_cast<std::size_t>(std::ranges::count_if(**now, [&before](const auto& rule) {
            return std::ranges::find(before, rule.handle, &nft::KernelChain::Rule::handle) == before.end();
        }));
        CHECK(fresh == diff.insertions().size());
        before = **now;
    }
}

TEST_CASE("the kernel lists every golden ruleset alike, loaded by the encoder or by nft from its text") {
    for (const Case& c : cases()) {
        DYNAMIC_SECTION(c.name) { CHECK(through_encoder(c) == through_text(c)); }
    }
}

}  // namespace manul::felix::test
