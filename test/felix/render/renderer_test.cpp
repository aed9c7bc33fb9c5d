#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <catch2/catch.hpp>

#include "felix/model/address_set.hpp"
#include "felix/model/update.hpp"
#include "felix/render/names.hpp"
#include "felix/render/print.hpp"
#include "felix/render/renderer.hpp"
#include "felix/render/skeleton.hpp"
#include "net/ip.hpp"
#include "test/felix/nft/fake_kernel.hpp"
#include "test/felix/render/cases.hpp"
#include "test/felix/render/random_model.hpp"

namespace manul::felix::test {

namespace {

using nft::Scope;
using render::Renderer;
using render::Ruleset;
using render::TableId;

/// The class chain that a group leads to; group numbers themselves depend on history.
std::string class_of(const Ruleset& ruleset, TableId table, std::uint32_t group) {
    const auto& map = ruleset.tables.at({net::Family::v4, table}).sets.at(std::string(render::names::kClassMap));
    const auto element = map.elements.find(render::ElementKey::group(group));
    return element == map.elements.end() ? "none" : element->second.verdict.chain;
}

Ruleset without_groups(Ruleset ruleset) {
    for (auto& [key, table] : ruleset.tables) {
        if (const auto map = table.sets.find(render::names::kClassMap); map != table.sets.end()) {
            map->second.elements.clear();
        }
    }
    return ruleset;
}

void apply(Ruleset& ruleset, const render::Output& output) {
    for (const render::Change& change : output.changes) {
        render::apply(ruleset, change);
    }
}

std::vector<Batch> one_endpoint(const std::vector<std::string_view>& members) {
    const auto policy = PolicyBuilder("p").in(Action::allow, [](auto& r) { r.source.sets = {selector("s")}; });
    return {{SetAdded{address_set("s", members)}, policy.update(),
             EndpointBuilder("a", "10.65.0.2").in({tier("default", {policy.id()})}).update(), InSync{}}};
}

}  // namespace

TEST_CASE("a walk of random changes ends where rendering from scratch ends, and the kernel accepts every step") {
    for (unsigned seed = 1; seed <= 30; ++seed) {
        RandomModel model(seed);
        // The lists are short: every other walk takes them for long ones.
        const auto limits = seed % 2 == 0 ? render::DispatchLimits{} : render::DispatchLimits{1, 0};
        Renderer renderer(limits);
        Ruleset wanted;
        nft::Tracker tracker;
        FakeKernel kernel;
        std::mt19937 random(seed);
        for (int i = 0; i < 40; ++i) {
            CAPTURE(seed, i);
            const render::Output output = renderer.apply(model.step());
            apply(wanted, output);
            for (const render::Change& change : output.changes) {
                tracker.change(change);
            }
            if (random() % 4 == 0) {
                continue;  // a failed commit: the next one makes up for it
            }
            if (random() % 6 == 0) {
                kernel.tamper();
                tracker.adopt(kernel.dump());
            }
            for (const Scope scope : {Scope::keep_unused, Scope::everything}) {
                const nft::Transaction transaction = tracker.plan(scope);
                REQUIRE(kernel.commit(transaction) == "");
                tracker.committed(transaction);
            }
            renderer.settle();
            REQUIRE(tracker.plan(Scope::everything).empty());
            REQUIRE(render::same(kernel.content(), wanted));
        }
        Renderer fresh(limits);
        Ruleset scratch;
        apply(scratch, fresh.apply(model.everything()));
        REQUIRE(render::print(without_groups(wanted)) == render::print(without_groups(scratch)));
        for (const std::string& interface : model.interfaces()) {
            for (const TableId table : {TableId::egress, TableId::ingress}) {
                CHECK(class_of(wanted, table, renderer.group_of(interface).value()) ==
                      class_of(scratch, table, fresh.group_of(interface).value()));
            }
        }
    }
}

TEST_CASE("a pod that joins an existing class touches no rule") {
    Renderer renderer;
    const auto endpoint = [](std::string_view name, std::string_view address) {
        return EndpointBuilder(name, address).profile("kns.default").update();
    };
    (void)renderer.apply({allow_all_profile("kns.default"), endpoint("a", "10.65.0.2"), InSync{}});
    const render::Output output = renderer.apply({endpoint("b", "10.65.0.3")});
    CHECK(output.changes.empty());
    CHECK(output.links == std::vector<render::LinkGroup>{{"calib", renderer.group_of("calia")}});
}

TEST_CASE("a change of members is a change of elements alone") {
    Renderer renderer;
    (void)renderer.apply(one_endpoint({"10.0.0.1"}).front());
    SetMembers added;
    added.v4.addresses = {ip("10.0.0.2")};
    const render::Output output = renderer.apply({SetMembersChanged{selector("s"), added, {}}});
    REQUIRE(output.changes.size() == 1);
    CHECK(std::holds_alternative<render::ChangeElements>(output.changes.front()));
}

TEST_CASE("a set gets its set of prefixes, and the rules that look it up, with the first prefix") {
    Renderer renderer;
    Ruleset ruleset;
    apply(ruleset, renderer.apply(one_endpoint({"10.0.0.1"}).front()));
    SetMembers added;
    added.v4.prefixes = {net("192.0.2.0/24")};
    apply(ruleset, renderer.apply({SetMembersChanged{selector("s"), added, {}}}));
    CHECK(render::same(ruleset, rendered(one_endpoint({"10.0.0.1", "192.0.2.0/24"}))));
    apply(ruleset, renderer.apply({SetMembersChanged{selector("s"), {}, added}}));
    CHECK(render::same(ruleset, rendered(one_endpoint({"10.0.0.1"}))));
}

TEST_CASE("a released group is not given out before links were moved") {
    Renderer renderer;
    const auto with_profile = [](std::string_view profile) {
        return EndpointBuilder("a", "10.65.0.2").profile(profile).update();
    };
    (void)renderer.apply({with_profile("one"), InSync{}});
    const std::uint32_t first = renderer.group_of("calia").value();
    (void)renderer.apply({with_profile("two")});
    CHECK(renderer.group_of("calia").value() != first);
    renderer.settle();
    (void)renderer.apply({with_profile("three")});
    CHECK(renderer.group_of("calia").value() == first);
}

TEST_CASE("a restart keeps the groups of pairs that still exist") {
    Renderer before;
    Ruleset ruleset;
    apply(ruleset, before.apply({EndpointBuilder("x", "10.65.0.9").profile("other").update(),
                                 EndpointBuilder("a", "10.65.0.2").profile("kns.default").update(), InSync{}}));
    const std::uint32_t group = before.group_of("calia").value();
    Renderer after;
    after.reserve_group({class_of(ruleset, TableId::egress, group), class_of(ruleset, TableId::ingress, group)}, group);
    (void)after.apply({EndpointBuilder("new", "10.65.0.3").profile("third").update(),
                       EndpointBuilder("a", "10.65.0.2").profile("kns.default").update(), InSync{}});
    CHECK(after.group_of("calia") == group);
    CHECK(after.group_of("calinew") != group);
}

TEST_CASE("a removed endpoint gives its interface no group") {
    Renderer renderer;
    const auto endpoint = EndpointBuilder("a", "10.65.0.2");
    (void)renderer.apply({endpoint.update(), InSync{}});
    const render::Output output = renderer.apply({EndpointRemoved{endpoint.endpoint.key}});
    CHECK(output.links == std::vector<render::LinkGroup>{{"calia", std::nullopt}});
}

TEST_CASE("an interface that passes from one endpoint to another in one batch belongs to the new one") {
    Renderer renderer;
    auto old_endpoint = EndpointBuilder("a", "10.65.0.2");
    auto new_endpoint = EndpointBuilder("b", "10.65.0.3").profile("p");
    new_endpoint.endpoint.interface = "calia";
    (void)renderer.apply({old_endpoint.update(), InSync{}});
    const render::Output output = renderer.apply({EndpointRemoved{old_endpoint.endpoint.key}, new_endpoint.update()});
    CHECK(output.links == std::vector<render::LinkGroup>{{"calia", renderer.group_of("calia")}});
    CHECK(renderer.group_of("calia").has_value());
}

TEST_CASE("the origin of a rule id is found") {
    Renderer renderer;
    const auto policy = PolicyBuilder("p", "default").in(Action::allow).in(Action::deny);
    (void)renderer.apply(
        {policy.update(), EndpointBuilder("a", "10.65.0.2").in({tier("default", {policy.id()})}).update(), InSync{}});
    const auto origin = renderer.origin(policy.policy.ingress[1].id.value());
    REQUIRE(origin);
    CHECK(origin->owner == "NetworkPolicy/default/p");
    CHECK(origin->index == 1);
    CHECK_FALSE(renderer.origin(1));
}

}  // namespace manul::felix::test
