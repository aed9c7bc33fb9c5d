#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <random>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "felix/model/address_set.hpp"
#include "felix/model/rule_id.hpp"
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

/// Without what depends on history: groups, and that there was something to translate once.
Ruleset without_groups(Ruleset ruleset) {
    for (auto& [key, table] : ruleset.tables) {
        if (const auto post = table.chains.find("post"); post != table.chains.end() && post->second->rules().empty()) {
            table.chains.erase(post);
        }
        if (const auto map = table.sets.find(render::names::kClassMap); map != table.sets.end()) {
            map->second.elements.clear();
        }
    }
    return ruleset;
}

void replace_all(std::string& text, const std::string& what, const std::string& with) {
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) {
        text.replace(at, what.size(), with);
    }
}

/// The maps and chains of a table whose names have `part` in them, without that part.
std::string content_of(const std::vector<std::string>& blocks, const std::string& part) {
    std::string content;
    for (std::string block : blocks) {
        if (block.substr(0, block.find('{')).find(part) != std::string::npos) {
            replace_all(block, part, "@");
            content += block;
        }
    }
    return content;
}

/// Names of tier and class chains depend on history, since lists are edited in place. Here they get names made of what
/// they hold.
class Canonical {
public:
    explicit Canonical(const Ruleset& ruleset) {
        for (const auto& [key, table] : without_groups(ruleset).tables) {
            add(key, table);
        }
        std::ranges::sort(blocks_);
    }
    [[nodiscard]] const std::vector<std::string>& blocks() const { return blocks_; }
    [[nodiscard]] std::string name(TableId table, const std::string& chain) const {
        return names_.at({{net::Family::v4, table}, chain});
    }

private:
    void add(const render::TableKey& key, const render::Table& table) {
        std::vector<std::string> blocks;
        const std::string whole = render::print(key, table);
        std::string text = whole;
        const std::string end = "\n  }\n";
        for (std::size_t at = text.find(end); at != std::string::npos; at = text.find(end)) {
            blocks.push_back(text.substr(0, at + end.size()));
            text.erase(0, at + end.size());
        }
        // Tier chains are those that something calls; the calls of their own parts (`_1`) are no tiers.
        static const std::regex kTierCall("jump (t_\\S+)\n");
        std::set<std::string> tiers;
        for (std::sregex_iterator call(whole.begin(), whole.end(), kTierCall), none; call != none; ++call) {
            if (!std::string((*call)[1]).ends_with("_1")) {
                tiers.insert((*call)[1]);
            }
        }
        std::set<std::string> classes;
        for (const auto& [chain, content] : table.chains) {
            if (chain.starts_with("c_")) {
                classes.insert(chain);
            }
        }
        for (const auto& [prefix, found] : {std::pair{"t_", &tiers}, std::pair{"c_", &classes}}) {
            for (const std::string& chain : *found) {
                const std::string canonical = prefix + fmt::format("{:x}", render::fnv1a(content_of(blocks, chain)));
                names_[{key, chain}] = canonical;
                for (std::string& block : blocks) {
                    replace_all(block, chain, canonical);
                }
            }
        }
        for (std::string& block : blocks) {
            blocks_.push_back(std::string(render::name(key.id)) + (key.family == net::Family::v4 ? " 4\n" : " 6\n") +
                              std::move(block));
        }
    }

    std::map<std::pair<render::TableKey, std::string>, std::string> names_;
    std::vector<std::string> blocks_;
};

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
            if (random() % 2 == 0) {
                for (const nft::ObjectName& chain : tracker.unread_chains()) {
                    tracker.adopt_rules(chain, kernel.rules(chain.table, chain.name));
                }
                REQUIRE(tracker.unread_chains().empty());
            }
            for (const Scope scope : {Scope::keep_unused, Scope::everything}) {
                const nft::Transaction transaction = tracker.plan(scope);
                REQUIRE(kernel.commit(transaction) == "");
                const bool large = random() % 3 == 0;  // no handles are told then
                tracker.committed(transaction, large ? std::vector<nft::RuleHandle>{} : kernel.told());
            }
            renderer.settle();
            REQUIRE(tracker.plan(Scope::everything).empty());
            REQUIRE(render::same(kernel.content(), wanted));
        }
        Renderer fresh(limits);
        Ruleset scratch;
        apply(scratch, fresh.apply(model.everything()));
        const Canonical walked(wanted);
        const Canonical from_scratch(scratch);
        REQUIRE(walked.blocks() == from_scratch.blocks());
        for (const std::string& interface : model.interfaces()) {
            for (const TableId table : {TableId::egress, TableId::ingress}) {
                CHECK(walked.name(table, class_of(wanted, table, renderer.group_of(interface).value())) ==
                      from_scratch.name(table, class_of(scratch, table, fresh.group_of(interface).value())));
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

TEST_CASE("a policy for all endpoints of a list is one edit, wherever the list is used") {
    Renderer renderer;
    Ruleset ruleset;
    const auto old_policy = PolicyBuilder("old").in(Action::allow);
    const auto new_policy = PolicyBuilder("new").in(Action::deny);
    const auto endpoint = [&](std::string_view name, const char* profile, std::vector<PolicyId> policies) {
        return EndpointBuilder(name, "10.65.0.2").in({tier("default", std::move(policies))}).profile(profile).update();
    };
    const auto all = [&](const std::vector<PolicyId>& policies) {
        return Batch{endpoint("a", "one", policies), endpoint("b", "two", policies), endpoint("c", "two", policies)};
    };
    Batch start{old_policy.update()};
    std::ranges::copy(all({old_policy.id()}), std::back_inserter(start));
    apply(ruleset, renderer.apply(start));
    const std::uint32_t group = renderer.group_of("calia").value();

    Batch added{new_policy.update()};
    std::ranges::copy(all({old_policy.id(), new_policy.id()}), std::back_inserter(added));
    const render::Output output = renderer.apply(added);
    apply(ruleset, output);
    CHECK(renderer.group_of("calia") == group);
    CHECK(output.changes.size() == 2);  // the tier, in two families
    // Of endpoints that part, none takes the list with it.
    apply(ruleset, renderer.apply({endpoint("b", "two", {new_policy.id()})}));
    CHECK(renderer.group_of("calia") == group);
    CHECK(renderer.group_of("calib") != group);
    // The name that the edited list left is not taken twice.
    apply(ruleset, renderer.apply({endpoint("c", "one", {old_policy.id()})}));
    CHECK(class_of(ruleset, TableId::ingress, renderer.group_of("calic").value()) !=
          class_of(ruleset, TableId::ingress, group));
    Renderer fresh;
    Ruleset scratch;
    apply(scratch, fresh.apply({old_policy.update(), new_policy.update(),
                                endpoint("a", "one", {old_policy.id(), new_policy.id()}),
                                endpoint("b", "two", {new_policy.id()}), endpoint("c", "one", {old_policy.id()})}));
    CHECK(Canonical(ruleset).blocks() == Canonical(scratch).blocks());
}

TEST_CASE("a policy more in a long list of ports is an element of its map, and no rule of the list") {
    Renderer renderer;
    Ruleset ruleset;
    std::vector<PolicyId> ids;
    const auto policy = [](std::size_t n, std::uint16_t port) {
        return PolicyBuilder(fmt::format("p{}", n)).in(Action::allow, [port](felix::Rule& rule) {
            rule.protocol = net::kTcp;
            rule.destination.ports = {*net::PortRange::make(port, port)};
        });
    };
    const auto endpoint = [&ids] { return EndpointBuilder("a", "10.65.0.2").in({tier("default", ids)}).update(); };
    Batch start;
    for (std::size_t i = 0; i < 20; ++i) {
        start.emplace_back(policy(i, static_cast<std::uint16_t>(100 + i)).update());
        ids.push_back(policy(i, 1).id());
    }
    start.emplace_back(endpoint());
    apply(ruleset, renderer.apply(start));
    const auto elements_alone = [&](const Batch& batch, std::size_t add, std::size_t remove) {
        const render::Output output = renderer.apply(batch);
        apply(ruleset, output);
        for (const render::Change& change : output.changes) {
            const auto* chain = std::get_if<render::PutChain>(&change);
            CHECK((chain == nullptr || chain->name.starts_with("p_")));
            if (const auto* elements = std::get_if<render::ChangeElements>(&change)) {
                CHECK(elements->add.size() == add);
                CHECK(elements->remove.size() == remove);
            }
        }
    };
    ids.insert(ids.begin() + 3, policy(20, 1).id());
    elements_alone({policy(20, 200).update(), endpoint()}, 1, 0);
    elements_alone({policy(20, 201).update()}, 1, 1);
    ids.erase(ids.begin() + 3);
    elements_alone({endpoint(), PolicyRemoved{policy(20, 1).id()}}, 0, 1);
    Renderer fresh;
    Ruleset scratch;
    apply(scratch, fresh.apply(start));
    CHECK(Canonical(ruleset).blocks() == Canonical(scratch).blocks());
}

TEST_CASE("long lists that policies come into, leave, and change in are what rendering from scratch gives") {
    for (unsigned seed = 1; seed <= 12; ++seed) {
        std::mt19937 random(seed);
        const auto upto = [&random](std::size_t most) { return random() % (most + 1); };
        const render::DispatchLimits limits{3, 2};
        const std::size_t ports = seed % 3 == 0 ? 12 : 60;  // few: policies share some
        const std::size_t oddities = seed % 2 == 0 ? 40 : 1000;
        const auto policy = [&](std::size_t n) {
            PolicyBuilder builder(fmt::format("p{}", n));
            for (std::size_t i = upto(2) + 1; i > 0; --i) {
                const Action action = upto(oddities) == 0 ? Action::pass : Action::allow;
                builder.in(action, [&](felix::Rule& rule) {
                    if (upto(oddities) != 0) {
                        const auto port = static_cast<std::uint16_t>(1000 + upto(ports));
                        rule.protocol = net::kTcp;
                        rule.destination.ports = {*net::PortRange::make(port, port)};
                    }
                });
            }
            return builder;
        };
        const auto id = [](std::size_t n) { return PolicyBuilder(fmt::format("p{}", n)).id(); };
        std::map<std::size_t, PolicyBuilder> policies;
        std::vector<std::size_t> order;
        const auto endpoint = [&](std::string_view name, std::size_t step) {
            std::vector<PolicyId> ids;
            for (std::size_t i = 0; i < order.size(); i += step) {
                ids.push_back(id(order[i]));
            }
            EndpointBuilder builder(name, "10.65.0.2");
            return (ids.empty() ? builder : builder.in({tier("default", ids)})).update();
        };
        Renderer renderer(limits);
        Ruleset ruleset;
        for (std::size_t step = 0; step < 40; ++step) {
            CAPTURE(seed, step);
            Batch batch;
            std::optional<std::size_t> gone;
            const std::size_t at = order.empty() ? 0 : upto(order.size() - 1);
            const std::size_t choice = upto(9);
            if (order.size() < 6 || choice < 4) {
                policies.emplace(step, policy(step));
                batch.emplace_back(policies.at(step).update());
                order.insert(order.begin() + static_cast<std::ptrdiff_t>(at), step);
            } else if (choice < 6) {
                gone = order[at];
                policies.erase(*gone);
                order.erase(order.begin() + static_cast<std::ptrdiff_t>(at));
            }
            if (choice >= 5 && choice < 9 && !order.empty()) {
                const std::size_t edited = order[upto(order.size() - 1)];
                policies.insert_or_assign(edited, policy(edited));
                batch.emplace_back(policies.at(edited).update());
            }
            if (choice == 9) {
                std::swap(order[at], order[upto(order.size() - 1)]);
            }
            batch.emplace_back(endpoint("a", 1));
            batch.emplace_back(endpoint("b", 2));
            if (gone) {
                batch.emplace_back(PolicyRemoved{id(*gone)});
            }
            apply(ruleset, renderer.apply(batch));
            Batch everything;
            for (const auto& [n, builder] : policies) {
                everything.emplace_back(builder.update());
            }
            everything.emplace_back(endpoint("a", 1));
            everything.emplace_back(endpoint("b", 2));
            Renderer fresh(limits);
            Ruleset scratch;
            apply(scratch, fresh.apply(everything));
            REQUIRE(Canonical(ruleset).blocks() == Canonical(scratch).blocks());
        }
    }
}

TEST_CASE("lists that a namespace alone gets are an edit of its class: no interface changes its group") {
    Renderer renderer;
    Ruleset ruleset;
    const auto old_policy = PolicyBuilder("old").in(Action::allow);
    const auto new_policy = PolicyBuilder("new").in(Action::deny);
    const PolicyLists before(std::vector<Shared<TierPolicies>>{tier("default", {old_policy.id()})});
    const PolicyLists now(
        std::vector<Shared<TierPolicies>>{tier("first", {new_policy.id()}), tier("default", {old_policy.id()})});
    const auto endpoint = [](std::string_view name, const char* profile, const PolicyLists& lists) {
        auto out = EndpointBuilder(name, "10.65.0.2").profile(profile);
        out.endpoint.ingress = lists;
        return out.update();
    };
    apply(ruleset, renderer.apply({old_policy.update(), endpoint("a", "one", before), endpoint("b", "two", before)}));
    const auto one = renderer.group_of("calia");
    const auto two = renderer.group_of("calib");
    const auto check = [&](const PolicyLists& of_one, const PolicyLists& of_two) {
        CHECK(renderer.group_of("calia") == one);
        CHECK(renderer.group_of("calib") == two);
        Renderer fresh;
        Ruleset scratch;
        apply(scratch, fresh.apply({old_policy.update(), new_policy.update(), endpoint("a", "one", of_one),
                                    endpoint("b", "two", of_two)}));
        CHECK(Canonical(ruleset).blocks() == Canonical(scratch).blocks());
    };
    const render::Output first =
        renderer.apply({new_policy.update(), ListsReplaced{Direction::ingress, before, now, {"one"}}});
    apply(ruleset, first);
    CHECK(first.links.empty());
    check(now, before);
    const render::Output second = renderer.apply({ListsReplaced{Direction::ingress, before, now, {"two"}}});
    apply(ruleset, second);
    CHECK(second.changes.size() == 2);  // the class, in two families
    check(now, now);
    apply(ruleset, renderer.apply({ListsReplaced{Direction::ingress, now, before, {"one"}}}));
    check(before, now);
}

TEST_CASE("lists of a class that were replaced one by one can be replaced as a whole afterwards") {
    Renderer renderer;
    Ruleset ruleset;
    const auto one = PolicyBuilder("one").in(Action::allow);
    const auto two = PolicyBuilder("two").in(Action::deny);
    const auto with = [](const PolicyLists& lists) {
        auto endpoint = EndpointBuilder("a", "10.65.0.2");
        endpoint.endpoint.ingress = lists;
        return endpoint.update();
    };
    const auto list = [](std::vector<PolicyId> policies) {
        return PolicyLists(std::vector<Shared<TierPolicies>>{tier("default", std::move(policies))});
    };
    const PolicyLists first = list({one.id()});
    const PolicyLists second = list({two.id()});
    const PolicyLists none{std::vector<Shared<TierPolicies>>{}};
    apply(ruleset, renderer.apply({one.update(), two.update(), with(first), InSync{}}));
    apply(ruleset, renderer.apply({with(second)}));
    apply(ruleset, renderer.apply({ListsReplaced{Direction::ingress, second, none, {}}}));
    CHECK(renderer.policies_of("calia", "default", Direction::ingress).empty());
    Renderer fresh;
    Ruleset scratch;
    apply(scratch, fresh.apply({one.update(), two.update(), with(none), InSync{}}));
    CHECK(Canonical(ruleset).blocks() == Canonical(scratch).blocks());
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

TEST_CASE("a policy of a host endpoint may lose its rules or get a Pass, and then other rules again") {
    const HostEndpoint::Lists both{PolicyLists({tier("default", {PolicyBuilder("p").id()}, TierEnd::pass)}), {}};
    HostEndpoint host{.key = {EndpointKind::host, {}, "up"}, .interfaces = {"up0"}};
    host.stages.fill(both);
    const auto denying = PolicyBuilder("p").in(Action::deny);
    Ruleset wanted;
    Renderer fresh;
    apply(wanted, fresh.apply({denying.update(), HostEndpointUpdated{Shared<HostEndpoint>(host)}, InSync{}}));
    for (const PolicyBuilder& between : {PolicyBuilder("p"), PolicyBuilder("p").in(Action::pass)}) {
        Renderer renderer;
        Ruleset ruleset;
        apply(ruleset, renderer.apply({PolicyBuilder("p").in(Action::allow).update(),
                                       HostEndpointUpdated{Shared<HostEndpoint>(host)}, InSync{}}));
        apply(ruleset, renderer.apply({between.update()}));
        apply(ruleset, renderer.apply({denying.update()}));
        CHECK(Canonical(ruleset).blocks() == Canonical(wanted).blocks());
    }
}

TEST_CASE("the origin of a rule id is found") {
    Renderer renderer;
    const auto policy = PolicyBuilder("p", "default").in(Action::allow).in(Action::deny);
    (void)renderer.apply(
        {policy.update(), EndpointBuilder("a", "10.65.0.2").in({tier("default", {policy.id()})}).update(), InSync{}});
    const auto origins = renderer.origins();
    REQUIRE(origins.contains(policy.policy.ingress[1].id.value()));
    const render::RuleOrigin& origin = origins.at(policy.policy.ingress[1].id.value());
    CHECK(origin.owner == "NetworkPolicy/default/p");
    CHECK(origin.index == 1);
    CHECK(origin.action == Action::deny);
    CHECK_FALSE(origins.contains(1));

    const render::RuleOrigin& end = origins.at(tier_end_id("default", Direction::ingress).value());
    CHECK(end.owner.empty());
    CHECK(end.tier == "default");
    CHECK(renderer.policies_of("calia", "default", Direction::ingress) == std::vector{policy.id()});
    CHECK(renderer.policies_of("calib", "default", Direction::ingress).empty());
}

}  // namespace manul::felix::test
