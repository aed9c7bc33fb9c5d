#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <catch2/catch.hpp>

#include "felix/render/dispatch.hpp"
#include "felix/render/ruleset.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "test/felix/render/cases.hpp"

// A packet must meet the same end in a list and in what is made of it.
namespace manul::felix::test {

namespace {

using render::Dispatched;
using render::DispatchLimits;
using render::ListEntry;
using render::PortKey;
using render::Reach;
using render::Rule;
using render::RulePtr;
using render::share;

constexpr std::uint8_t kNoPorts = 1;
constexpr net::Family kFamily = net::Family::v4;

RulePtr jump_to(const std::string& chain) { return share(kFamily, Rule{{}, {render::jump(chain)}}); }

struct TestPacket {
    std::uint8_t protocol = 6;
    std::optional<std::uint16_t> port;
    std::uint32_t sets = 0;  ///< bit n: it is in set "s_n"
};

bool holds(const render::Match& match, const TestPacket& packet) {
    if (const auto* protocol = std::get_if<render::MatchProtocol>(&match)) {
        return (protocol->protocol == packet.protocol) != protocol->negated;
    }
    if (const auto* port = std::get_if<render::MatchPort>(&match)) {
        return packet.port && std::ranges::any_of(port->ports, [&](const auto& range) {
                                  return range.contains(*packet.port);
                              }) != port->negated;
    }
    const auto& set = std::get<render::MatchSet>(match);
    return ((packet.sets >> static_cast<unsigned>(set.set[2] - '0') & 1U) != 0) != set.negated;
}

/// What a packet met: the ids of rules that went on (Log), then of the one that ended it; 0 when the tier was left.
using Story = std::vector<std::uint64_t>;

/// Plays the kernel. False: the chain was left by its end, and the caller goes on.
class Machine {
public:
    Machine(std::map<std::string, std::vector<RulePtr>> chains,
            std::map<std::string, std::vector<render::Element>> maps)
        : chains_(std::move(chains)), maps_(std::move(maps)) {}

    Story run(const TestPacket& packet) {
        story_.clear();
        if (!walk("t", packet)) {
            story_.push_back(0);
        }
        return story_;
    }

private:
    bool walk(const std::string& chain, const TestPacket& packet) {
        for (const RulePtr& shared : chains_.at(chain)) {
            const Rule& rule = shared->rule;
            if (!std::ranges::all_of(rule.matches, [&](const auto& match) { return holds(match, packet); })) {
                continue;
            }
            std::optional<render::Verdict> verdict;
            for (const render::Action& action : rule.actions) {
                if (const auto* own = std::get_if<render::Verdict>(&action)) {
                    verdict = *own;
                } else if (const auto* lookup = std::get_if<render::LookupVerdict>(&action)) {
                    verdict = find(lookup->map, packet);
                }
            }
            if (!verdict) {
                if (rule.id != 0) {
                    story_.push_back(rule.id);
                }
                continue;
            }
            switch (verdict->kind) {
                case render::Verdict::Kind::accept:
                case render::Verdict::Kind::drop:
                    story_.push_back(rule.id);
                    return true;
                case render::Verdict::Kind::return_to_caller:
                    return false;
                case render::Verdict::Kind::go_to:
                    return walk(verdict->chain, packet);
                case render::Verdict::Kind::jump:
                    if (walk(verdict->chain, packet)) {
                        return true;
                    }
            }
        }
        return false;
    }

    std::optional<render::Verdict> find(const std::string& map, const TestPacket& packet) {
        if (!packet.port) {
            return std::nullopt;
        }
        const auto key = render::ElementKey::port(packet.protocol, *packet.port);
        for (const render::Element& element : maps_.at(map)) {
            if (element.key == key) {
                return element.verdict;
            }
        }
        return std::nullopt;
    }

    std::map<std::string, std::vector<RulePtr>> chains_;
    std::map<std::string, std::vector<render::Element>> maps_;
    Story story_;
};

/// Policies of random rules, as the renderer hands them over.
class RandomTier {
public:
    explicit RandomTier(unsigned seed, bool with_pass) : random_(seed) {
        for (std::size_t n = 2 + upto(20); n > 0; --n) {
            const bool passes = with_pass && upto(4) == 0;
            std::vector<Rule> rules;
            for (std::size_t r = 1 + upto(6); r > 0; --r) {
                rules.push_back(rule(passes));
            }
            if (passes) {
                for (const Rule& one : rules) {
                    reaches_.push_back(Reach::of(one));
                    entries_.push_back({&reaches_.back(), {}, &rules_.emplace_back(share(kFamily, one))});
                }
                in_order_.insert(in_order_.end(), rules.begin(), rules.end());
                continue;
            }
            const std::string& chain = policies_.try_emplace("p_" + std::to_string(n)).first->first;
            reaches_.push_back(Reach::of(share(kFamily, rules)));
            entries_.push_back({&reaches_.back(), chain, &rules_.emplace_back(jump_to(chain))});
            in_order_.insert(in_order_.end(), rules.begin(), rules.end());
            policies_[chain] = std::move(rules);
        }
    }

    [[nodiscard]] Machine listed(const std::vector<Rule>& end) const {
        std::vector<Rule> all = in_order_;
        all.insert(all.end(), end.begin(), end.end());
        return Machine({{"t", share(kFamily, all)}}, {});
    }

    [[nodiscard]] Machine dispatched(const std::vector<Rule>& end, const DispatchLimits& limits) const {
        Dispatched all = render::dispatch_tier(kFamily, "t", entries_, share(kFamily, end), limits);
        all.chains["t"] = all.rules;
        for (const auto& [chain, rules] : policies_) {
            Dispatched policy = render::dispatch_rules(kFamily, chain, share(kFamily, rules), limits);
            all.chains[chain] = policy.rules;
            all.chains.merge(policy.chains);
            all.maps.merge(policy.maps);
        }
        return Machine(std::move(all.chains), std::move(all.maps));
    }

    TestPacket packet() {
        TestPacket packet{protocol(), static_cast<std::uint16_t>(80 + upto(6)), static_cast<std::uint32_t>(upto(15))};
        if (packet.protocol == kNoPorts || upto(10) == 0) {
            packet.port = std::nullopt;
        }
        return packet;
    }

private:
    std::size_t upto(std::size_t most) { return std::uniform_int_distribution<std::size_t>(0, most)(random_); }
    std::uint8_t protocol() {
        constexpr std::array<std::uint8_t, 4> kProtocols{6, 6, 17, kNoPorts};
        return kProtocols[upto(kProtocols.size() - 1)];
    }
    Rule rule(bool may_pass) {
        Rule rule;
        rule.id = ++last_id_;
        switch (upto(5)) {
            case 0:
                break;
            case 1:
                rule.matches.emplace_back(render::MatchProtocol{protocol(), upto(2) == 0});
                break;
            case 2:
                rule.matches.emplace_back(render::MatchProtocol{6});
                rule.matches.emplace_back(render::MatchPort{render::Side::destination, {ports(81, 4000)}});
                break;
            case 3:
                rule.matches.emplace_back(render::MatchProtocol{17});
                rule.matches.emplace_back(
                    render::MatchPort{render::Side::destination, {port(81), ports(83, 84)}, true});
                break;
            default: {
                const auto first = static_cast<std::uint16_t>(80 + upto(5));
                rule.matches.emplace_back(render::MatchProtocol{upto(1) == 0 ? std::uint8_t{6} : std::uint8_t{17}});
                rule.matches.emplace_back(render::MatchPort{
                    render::Side::destination, {ports(first, static_cast<std::uint16_t>(first + upto(2)))}});
            }
        }
        if (upto(2) != 0) {
            rule.matches.emplace_back(
                render::MatchSet{{render::Field::source_address}, "s_" + std::to_string(upto(3)), upto(3) == 0});
        }
        const std::size_t action = upto(5);
        if (action == 0) {
            rule.actions = {render::Log{77, "L"}};
        } else if (action == 1 && may_pass) {
            rule.actions = {render::return_to_caller()};
        } else {
            rule.actions = {action % 2 == 0 ? render::accept() : render::drop()};
        }
        return rule;
    }

    std::mt19937 random_;
    std::uint64_t last_id_ = 0;
    std::deque<Reach> reaches_;
    std::deque<RulePtr> rules_;
    std::vector<ListEntry> entries_;
    std::vector<Rule> in_order_;
    std::map<std::string, std::vector<Rule>> policies_;
};

}  // namespace

TEST_CASE("random tiers end every packet as the plain list does, with the same rules on the way") {
    const std::vector<Rule> deny{{{}, {render::drop()}, 99'999}};
    std::size_t packets = 0;
    for (unsigned seed = 1; seed <= 200; ++seed) {
        RandomTier tier(seed, seed % 3 == 0);
        const std::vector<Rule> end = seed % 2 == 0 ? deny : std::vector<Rule>{};
        Machine listed = tier.listed(end);
        Machine long_lists = tier.dispatched(end, DispatchLimits{1, 0});
        Machine usual = tier.dispatched(end, DispatchLimits{});
        for (int i = 0; i < 40; ++i) {
            const TestPacket packet = tier.packet();
            const Story wanted = listed.run(packet);
            if (long_lists.run(packet) != wanted || usual.run(packet) != wanted) {
                CAPTURE(seed, packet.protocol, packet.port, packet.sets);
                FAIL("a packet met another end");
            }
            ++packets;
        }
    }
    CHECK(packets == 8000);
}

TEST_CASE("ten thousand policies with a port each cost one lookup") {
    std::deque<Reach> reaches;
    std::deque<std::string> chains;
    std::deque<RulePtr> jumps;
    std::vector<ListEntry> entries;
    for (std::uint16_t i = 0; i < 10'000; ++i) {
        const Rule rule{{render::MatchProtocol{6},
                         render::MatchPort{render::Side::destination, {port(static_cast<std::uint16_t>(i + 1))}}},
                        {render::accept()},
                        i + 1U};
        reaches.push_back(Reach::of(rule));
        chains.push_back("p" + std::to_string(i));
        entries.push_back({&reaches.back(), chains.back(), &jumps.emplace_back(jump_to(chains.back()))});
    }
    const std::vector<RulePtr> end = share(kFamily, std::vector<Rule>{{{}, {render::drop()}, 1}});
    const Dispatched list = render::dispatch_tier(kFamily, "t", entries, end, {});
    CHECK(list.rules.size() == 2);
    REQUIRE(list.chains.size() == 1);
    CHECK(list.chains.begin()->second.size() == 1);
    REQUIRE(list.maps.size() == 1);
    CHECK(list.maps.begin()->second.size() == 10'000);
}

TEST_CASE("entries without ports are not copied into cells without bound") {
    std::deque<Reach> reaches;
    std::deque<std::string> chains;
    std::deque<RulePtr> jumps;
    std::vector<ListEntry> entries;
    for (std::uint16_t i = 0; i < 2'000; ++i) {
        Rule rule{{render::MatchProtocol{6}}, {render::accept()}, i + 1U};
        if (i % 2 == 0) {
            rule.matches.emplace_back(
                render::MatchPort{render::Side::destination, {port(static_cast<std::uint16_t>(i + 1))}});
        }
        reaches.push_back(Reach::of(rule));
        chains.push_back("p" + std::to_string(i));
        entries.push_back({&reaches.back(), chains.back(), &jumps.emplace_back(jump_to(chains.back()))});
    }
    const Dispatched list = render::dispatch_tier(kFamily, "t", entries, {}, {});
    std::size_t rules = 0;
    for (const auto& [chain, content] : list.chains) {
        rules += content.size();
    }
    CHECK(rules < 100'000);  // of a million
}

TEST_CASE("a portless Deny before a port's Allow stands in the port's cell") {
    const Rule deny{{render::MatchSet{{render::Field::source_address}, "s_0"}}, {render::drop()}, 1};
    const Rule allow{
        {render::MatchProtocol{6}, render::MatchPort{render::Side::destination, {port(80)}}}, {render::accept()}, 2};
    const Dispatched list =
        render::dispatch_rules(kFamily, "p", share(kFamily, std::vector<Rule>{deny, allow}), DispatchLimits{1, 0});
    REQUIRE(list.chains.contains("p_tcp_80"));
    const std::vector<RulePtr>& cell = list.chains.at("p_tcp_80");
    REQUIRE(cell.size() == 2);
    CHECK(cell[0]->rule == deny);
    CHECK(cell[1]->rule == Rule{{}, {render::accept()}, 2});  // the port is known in the cell
}

}  // namespace manul::felix::test
