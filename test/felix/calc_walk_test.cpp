// Whatever way the store's objects arrive, the dataplane must end with what a fresh start would give it. Named states
// are built from each other; lists of them are walked forwards, backwards, shuffled and squashed, with flushes at
// different moments; random walks do the same with many small objects.

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "config/model/kind.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/policy.hpp"
#include "config/model/resource.hpp"
#include "config/model/tier.hpp"
#include "felix/model/snapshot.hpp"
#include "felix/model/update.hpp"
#include "net/port_range.hpp"
#include "test/felix/accumulator.hpp"
#include "test/felix/builders.hpp"
#include "test/felix/random_objects.hpp"

namespace manul::felix::test {

namespace {

using Objects = std::map<model::Key, model::ResourcePtr>;

/// What the store holds at one moment.
struct State {
    std::string name;
    Objects objects;

    [[nodiscard]] State with(std::string new_name, const std::vector<model::ResourcePtr>& put,
                             const std::vector<model::ResourcePtr>& removed = {}) const {
        State out{std::move(new_name), objects};
        for (const model::ResourcePtr& resource : put) {
            out.objects.insert_or_assign(resource->key(), resource);
        }
        for (const model::ResourcePtr& resource : removed) {
            out.objects.erase(resource->key());
        }
        return out;
    }
};

Snapshot from_scratch(const Objects& objects) {
    World world;
    for (const auto& [key, resource] : objects) {
        world.put(resource);
    }
    return world.state();
}

/// One object that differs between two states: put, or removed when null.
using Step = std::pair<model::Key, model::ResourcePtr>;

std::vector<Step> difference(const Objects& from, const Objects& to) {
    std::vector<Step> steps;
    for (const auto& [key, resource] : from) {
        if (!to.contains(key)) {
            steps.emplace_back(key, nullptr);
        }
    }
    for (const auto& [key, resource] : to) {
        const auto known = from.find(key);
        if (known == from.end() || known->second != resource) {
            steps.emplace_back(key, resource);
        }
    }
    return steps;
}

void take(World& world, const Step& step) {
    if (step.second == nullptr) {
        world.handle(ResourceRemoved{step.first});
    } else {
        world.put(step.second);
    }
}

enum class Flush { after_every_object, after_every_state, at_the_end };

void walk(const std::vector<State>& states, Flush flush, std::mt19937* shuffle) {
    World world;
    Objects current;
    for (const State& state : states) {
        CAPTURE(state.name);
        std::vector<Step> steps = difference(current, state.objects);
        if (shuffle != nullptr) {
            std::ranges::shuffle(steps, *shuffle);
        }
        for (const Step& step : steps) {
            take(world, step);
            if (flush == Flush::after_every_object) {
                world.flush();
            }
        }
        current = state.objects;
        if (flush != Flush::at_the_end) {
            CHECK(world.state() == from_scratch(current));
        }
    }
    CHECK(world.state() == from_scratch(current));
    CHECK(world.flush().empty());
}

// --- the states ------------------------------------------------------------------------------------------------------

const model::StringMap kApp1 = {{"app", "one"}};
const model::StringMap kApp2 = {{"app", "two"}};

model::ResourcePtr local(const char* name, const char* address, const model::StringMap& labels,
                         std::vector<model::WorkloadEndpointPort> ports = {}) {
    return pod({.name = name, .ips = {address}, .labels = labels, .ports = std::move(ports)});
}

model::ResourcePtr remote(const char* name, const char* address, const model::StringMap& labels) {
    return pod({.ns = "ns2", .name = name, .ips = {address}, .labels = labels, .node = "node2"});
}

const model::ResourcePtr kFromTwo =
    policy("ns1", {.name = "from-two",
                   .selector = "app == 'one'",
                   .ingress = {allow({.source = {.selector = "app == 'two'", .namespace_selector = "all()"}})}});
const model::ResourcePtr kFromTwoWider =
    policy("ns1", {.name = "from-two",
                   .selector = "has(app)",
                   .types = {kIngress, kEgress},
                   .ingress = {allow({.source = {.selector = "has(app)"}})},
                   .egress = {allow({.protocol = net::kTcp, .destination = {.ports = {"http"}}})},
                   .order = 5});
const model::ResourcePtr kGlobal =
    global_policy({.name = "g", .ingress = {pass({.source = {.selector = "kind == 'net'"}})}, .tier = "first"});
const model::ResourcePtr kTeam = global_policy({.name = "team",
                                                .ingress = {allow({.source = {.namespace_selector = "team == 'b'"}}),
                                                            deny({.source = {.not_selector = "app == 'one'"}})},
                                                .namespace_selector = "team == 'a'"});

const State kEmpty{"empty", {}};
const State kOnePod = kEmpty.with("one pod", {local("a", "10.0.0.1", kApp1)});
const State kTwoPods = kOnePod.with("two pods", {local("b", "10.0.0.2", kApp2), remote("r", "10.1.0.1", kApp2)});
const State kPolicy = kTwoPods.with("a policy", {kFromTwo});
const State kPolicyWider = kPolicy.with("the policy edited", {kFromTwoWider});
const State kNamedPort = kPolicyWider.with("a named port", {local("b", "10.0.0.2", kApp2, {port("http", 8080)})});
const State kTier = kPolicy.with("a tier of its own", {tier("first", 1), kGlobal});
const State kTierPass = kTier.with("the tier passes", {tier("first", 2'000'000, model::TierDefaultAction::pass)});
const State kTierMissing = kTier.with("the tier is gone, its policy not", {}, {tier("first", 1)});
const State kNetworkSets = kTier.with(
    "network sets", {network_set("", "gns", {"192.0.2.0/24", "10.0.0.2/32"}, {{"kind", "net"}, {"app", "two"}}),
                     network_set("ns1", "ns", {"198.51.100.0/24", "192.0.2.0/24"}, {{"kind", "net"}})});
const State kNamespaces = kNetworkSets.with(
    "labels on namespaces", {namespace_("ns1", {{"team", "a"}}), namespace_("ns2", {{"team", "b"}}), kTeam});
const State kTeamsSwapped =
    kNamespaces.with("labels swapped", {namespace_("ns1", {{"team", "b"}}), namespace_("ns2", {{"team", "a"}})});
const State kRelabelled =
    kNamespaces.with("pods swap labels", {local("a", "10.0.0.1", kApp2), local("b", "10.0.0.2", kApp1)});
const State kAddressesSwapped =
    kNamespaces.with("pods swap addresses", {local("a", "10.0.0.2", kApp1), local("b", "10.0.0.1", kApp2)});
const State kSameAddress = kNamespaces.with("two pods, one address", {local("b", "10.0.0.1", kApp2)});
const State kSameInterface = kNamespaces.with(
    "two pods, one interface", {pod({.name = "b", .ips = {"10.0.0.2"}, .labels = kApp2, .interface = "calins1a"})});
const State kMoved = kNamespaces.with("a pod moved to this node",
                                      {pod({.ns = "ns2", .name = "r", .ips = {"10.0.0.9"}, .labels = kApp2})},
                                      {remote("r", "10.1.0.1", kApp2)});
const State kProfile = kNamespaces.with(
    "a stored profile", {pod({.name = "a", .ips = {"10.0.0.1"}, .labels = kApp1, .profiles = {{"p", "kns.ns1"}}}),
                         profile("p", {allow({.source = {.selector = "app == 'two'"}})}, {}, {{"team", "p"}})});
const State kProfileMissing = kProfile.with("the profile is gone", {}, {profile("p", {}, {})});
const State kPools = kMoved.with("pools", {pool("p1", "10.0.0.0/16", true), pool("p2", "10.1.0.0/16", false)});

const std::vector<std::vector<State>> kWalks = {
    {kEmpty, kOnePod, kTwoPods, kPolicy, kEmpty},
    {kPolicy, kPolicyWider, kNamedPort, kPolicy},
    {kTwoPods, kTier, kTierPass, kTierMissing, kTier, kPolicy},
    {kTier, kNetworkSets, kNamespaces, kTeamsSwapped, kNamespaces, kOnePod},
    {kNamespaces, kRelabelled, kAddressesSwapped, kSameAddress, kNamespaces},
    {kNamespaces, kSameInterface, kNamespaces, kSameInterface, kOnePod},
    {kNamespaces, kMoved, kPools, kNamespaces},
    {kNamespaces, kProfile, kProfileMissing, kProfile, kEmpty},
    {kNamedPort, kTierMissing, kTeamsSwapped, kSameInterface, kPools, kProfile, kEmpty, kNamedPort},
};

}  // namespace

TEST_CASE("any walk through named states ends where a fresh start would") {
    for (std::size_t i = 0; i < kWalks.size(); ++i) {
        CAPTURE(i);
        std::vector<State> states = kWalks[i];
        std::mt19937 random(static_cast<std::uint32_t>(i));
        for (const bool reversed : {false, true}) {
            for (const Flush flush : {Flush::after_every_object, Flush::after_every_state, Flush::at_the_end}) {
                CAPTURE(reversed, static_cast<int>(flush));
                walk(states, flush, nullptr);
                walk(states, flush, &random);
            }
            std::ranges::reverse(states);
        }
        for (int round = 0; round < 3; ++round) {
            std::ranges::shuffle(states, random);
            walk(states, Flush::after_every_object, &random);
        }
    }
}

TEST_CASE("going there and back between two flushes tells nothing") {
    for (const std::vector<State>& states : kWalks) {
        for (std::size_t i = 0; i + 1 < states.size(); ++i) {
            CAPTURE(states[i].name, states[i + 1].name);
            World world;
            for (const auto& [key, resource] : states[i].objects) {
                world.put(resource);
            }
            world.flush();
            for (const Step& step : difference(states[i].objects, states[i + 1].objects)) {
                take(world, step);
            }
            for (const Step& step : difference(states[i + 1].objects, states[i].objects)) {
                take(world, step);
            }
            CHECK(world.flush().empty());
        }
    }
}

// --- random walks ----------------------------------------------------------------------------------------------------

TEST_CASE("a random walk ends where a fresh start would") {
    const auto seed = GENERATE(range(1U, 13U));
    CAPTURE(seed);
    RandomObjects random(seed);
    World world;
    Objects current;
    for (int step = 0; step < 400; ++step) {
        const model::ResourcePtr object = random.any();
        if (random.below(4) == 0) {
            world.remove(object);
            current.erase(object->key());
        } else {
            world.put(object);
            current.insert_or_assign(object->key(), object);
        }
        if (random.below(3) == 0) {
            world.flush();
        }
        if (step % 20 == 0) {
            CAPTURE(step);
            CHECK(world.state() == from_scratch(current));
        }
    }
    CHECK(world.state() == from_scratch(current));
    for (const auto& [key, resource] : current) {
        world.handle(ResourceRemoved{key});
    }
    const Snapshot& empty = world.state();
    CHECK((empty.sets.empty() && empty.policies.empty() && empty.profiles.empty() && empty.endpoints.empty() &&
           empty.routes.empty()));
}

}  // namespace manul::felix::test
