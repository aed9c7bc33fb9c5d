#include <algorithm>
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "felix/nft/isolate.hpp"
#include "felix/nft/tracker.hpp"
#include "felix/nft/wire.hpp"
#include "felix/render/ruleset.hpp"
#include "net/ip.hpp"
#include "test/felix/nft/fake_kernel.hpp"
#include "test/felix/render/cases.hpp"

namespace manul::felix::test {

namespace {

using nft::Attempt;
using nft::ObjectName;
using nft::Scope;
using render::Chain;
using render::Rule;
using render::TableId;
using render::TableKey;

const TableKey kEgress{net::Family::v4, TableId::egress};
const render::SetType kAddresses{{render::Field::source_address}, render::SetType::Shape::members};

ObjectName chain_name(const std::string& name) { return {kEgress, ObjectName::Kind::chain, name}; }

render::ChainPtr chain(std::vector<Rule> rules) { return Chain::make(net::Family::v4, std::move(rules)); }

Rule allow(std::uint64_t id) { return {{}, {render::Count{}, render::accept()}, id}; }

/// A kernel that refuses to work on some objects, naming the command or not.
class Refusing {
public:
    explicit Refusing(bool tells) : tells_(tells) {}

    std::set<ObjectName> bad;
    std::size_t tries = 0;

    [[nodiscard]] Attempt operator()(nft::Tracker& tracker, nft::Transaction& transaction) {
        ++tries;
        for (std::size_t i = 0; i < transaction.size(); ++i) {
            const auto* fill = std::get_if<nft::FillChain>(&transaction[i]);
            const bool edits = std::holds_alternative<nft::EditChain>(transaction[i]);
            const bool closed = fill != nullptr && fill->chain->rules().size() == 1 && fill->chain->rules()[0].id == 0;
            const auto object = nft::object_of(transaction[i]);
            if (object && bad.contains(*object) && (edits || (fill != nullptr && !closed))) {
                return {Attempt::Outcome::refused, tells_ ? std::optional(i) : std::nullopt, "no"};
            }
        }
        const std::string problem = kernel_.commit(transaction);
        if (!problem.empty()) {
            return {Attempt::Outcome::refused, std::nullopt, problem};
        }
        tracker.committed(transaction, kernel_.told());
        return {Attempt::Outcome::done, std::nullopt, {}};
    }

    [[nodiscard]] std::vector<Rule> rules(const std::string& name) const {
        const render::RuleRange all = kernel_.content().tables.at(kEgress).chains.at(name)->rules();
        return {all.begin(), all.end()};
    }

private:
    bool tells_;
    FakeKernel kernel_;
};

nft::Isolation commit(nft::Tracker& tracker, Refusing& kernel) {
    return nft::commit_what_goes(tracker, Scope::everything,
                                 [&](nft::Transaction& transaction) { return kernel(tracker, transaction); });
}

void put(nft::Tracker& tracker, const std::string& name, std::vector<Rule> rules) {
    tracker.change(render::PutChain{kEgress, name, chain(std::move(rules))});
}

}  // namespace

TEST_CASE("one refused chain holds nothing back, is named, and is closed or stays as it was") {
    const bool tells = GENERATE(true, false);
    CAPTURE(tells);
    Refusing kernel(tells);
    nft::Tracker tracker;
    tracker.change(render::PutTable{kEgress});
    for (int i = 0; i < 20; ++i) {
        put(tracker, "p" + std::to_string(i), {allow(1)});
    }
    kernel.bad = {chain_name("p7"), chain_name("p13")};
    const nft::Isolation first = commit(tracker, kernel);
    CHECK(first.outcome == Attempt::Outcome::done);
    REQUIRE(first.withheld.size() == 2);
    CHECK(std::ranges::any_of(first.withheld, [](const auto& one) { return one.object == chain_name("p7"); }));
    CHECK(kernel.rules("p6") == std::vector<Rule>{allow(1)});
    CHECK(kernel.rules("p7") == std::vector<Rule>{{{}, {render::Count{}, render::drop()}, 0}});

    // An edit that is refused leaves the version before in force.
    kernel.bad = {chain_name("p3")};
    put(tracker, "p3", {allow(2)});
    put(tracker, "p4", {allow(2)});
    CHECK(commit(tracker, kernel).outcome == Attempt::Outcome::done);
    CHECK(kernel.rules("p3") == std::vector<Rule>{allow(1)});
    CHECK(kernel.rules("p4") == std::vector<Rule>{allow(2)});

    // Nothing is tried again until something changes or it is released.
    const std::size_t tries = kernel.tries;
    CHECK(commit(tracker, kernel).outcome == Attempt::Outcome::done);
    CHECK(kernel.tries == tries);
    kernel.bad.clear();
    for (const ObjectName& object : std::set<ObjectName>(tracker.withheld())) {
        tracker.release(object);
    }
    CHECK(commit(tracker, kernel).outcome == Attempt::Outcome::done);
    CHECK(kernel.rules("p3") == std::vector<Rule>{allow(2)});
    CHECK(kernel.rules("p7") == std::vector<Rule>{allow(1)});
}

TEST_CASE("a failure that says nothing about an object withholds nothing") {
    nft::Tracker tracker;
    tracker.change(render::PutTable{kEgress});
    put(tracker, "p", {allow(1)});
    const nft::Isolation result = nft::commit_what_goes(tracker, Scope::everything, [](nft::Transaction& /*t*/) {
        return Attempt{Attempt::Outcome::failed, 0, "not now"};
    });
    CHECK(result.outcome == Attempt::Outcome::failed);
    CHECK(result.reason == "not now");
    CHECK(tracker.withheld().empty());
}

TEST_CASE("sets that were read are corrected by their difference, others are written anew") {
    nft::Tracker tracker;
    const auto members = std::make_shared<render::Members>(
        render::Members{render::ElementKey(ip("10.0.0.1")), render::ElementKey(ip("10.0.0.2"))});
    tracker.change(render::PutTable{kEgress});
    tracker.change(render::PutSet{kEgress, "s_1", kAddresses, members});
    nft::KernelState state;
    state[kEgress].sets["s_1"].key_type = nft::key_type(net::Family::v4, kAddresses.fields);
    tracker.adopt(state);
    REQUIRE(tracker.unread_sets(1).empty());
    const auto unread = tracker.unread_sets(2);
    REQUIRE(unread.size() == 1);
    CHECK(std::holds_alternative<nft::FlushSet>(tracker.plan(Scope::everything).front()));

    tracker.adopt_members(unread.front(), {render::ElementKey(ip("10.0.0.2")), render::ElementKey(ip("10.0.0.9"))});
    const nft::Transaction plan = tracker.plan(Scope::everything);
    REQUIRE(plan.size() == 2);
    CHECK(std::get<nft::DeleteElements>(plan[0]).elements.front().key == render::ElementKey(ip("10.0.0.9")));
    CHECK(std::get<nft::AddElements>(plan[1]).elements.front().key == render::ElementKey(ip("10.0.0.1")));
    tracker.committed(plan);
    CHECK(tracker.plan(Scope::everything).empty());
}

TEST_CASE("a table whose owner went is taken over before anything else") {
    nft::Tracker tracker;
    tracker.change(render::PutTable{kEgress});
    nft::KernelState state;
    state[kEgress].orphan = true;
    tracker.adopt(state);
    put(tracker, "p", {allow(1)});
    std::vector<nft::Transaction> tried;
    const nft::Isolation result = nft::commit_what_goes(tracker, Scope::everything, [&](nft::Transaction& transaction) {
        tried.push_back(transaction);
        tracker.committed(transaction);
        return nft::Attempt{nft::Attempt::Outcome::done, std::nullopt, {}};
    });
    CHECK(result.outcome == nft::Attempt::Outcome::done);
    REQUIRE(tried.size() == 2);
    REQUIRE(tried.front().size() == 1);
    CHECK(std::holds_alternative<nft::AddTable>(tried.front().front()));
    CHECK(std::ranges::none_of(
        tried.back(), [](const nft::Command& command) { return std::holds_alternative<nft::AddTable>(command); }));
    CHECK(tracker.take_over().empty());
    CHECK(tracker.plan(Scope::everything).empty());
}

TEST_CASE("a chain that was found is written anew when it changes, one that was written is edited") {
    nft::Tracker tracker;
    FakeKernel kernel;
    const auto commit_all = [&] {
        const nft::Transaction plan = tracker.plan(Scope::everything);
        REQUIRE(kernel.commit(plan) == "");
        tracker.committed(plan, kernel.told());
        return plan;
    };
    tracker.change(render::PutTable{kEgress});
    put(tracker, "p", {allow(1), allow(2)});
    (void)commit_all();
    tracker.adopt(kernel.dump());
    CHECK(tracker.plan(Scope::everything).empty());
    put(tracker, "p", {allow(1), allow(2), allow(3)});
    CHECK(tracker.unread_chains().empty());
    CHECK(std::holds_alternative<nft::FlushChain>(commit_all().front()));  // its comments prove nothing
    put(tracker, "p", {allow(1), allow(3)});
    const nft::Transaction edit = commit_all();
    REQUIRE(edit.size() == 1);
    CHECK(std::get<nft::EditChain>(edit.front()).remove.size() == 1);
    CHECK(std::get<nft::EditChain>(edit.front()).insert.empty());
    CHECK(std::ranges::equal(kernel.content().tables.at(kEgress).chains.at("p")->rules(),
                             std::vector<Rule>{allow(1), allow(3)}));
}

}  // namespace manul::felix::test
