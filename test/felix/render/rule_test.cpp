#include <variant>
#include <vector>

#include <catch2/catch.hpp>

#include "felix/render/print.hpp"
#include "felix/render/rule.hpp"

// Properties of single rules that the listings of whole situations do not show at a glance.
namespace manul::felix::test {

namespace {

std::vector<render::Rule> rendered(const Rule& rule) {
    const Config config;
    return render::render_rule(rule,
                               {net::Family::v4, Direction::ingress, &config, [](const SetId&) { return false; }});
}

Rule allow() {
    Rule rule;
    rule.action = Action::allow;
    return rule;
}

}  // namespace

TEST_CASE("a rule whose protocol is the one that it excludes is left out") {
    Rule rule = allow();
    rule.protocol = net::kTcp;
    rule.not_protocol = net::kUdp;
    CHECK(rendered(rule).size() == 1);
    rule.not_protocol = net::kTcp;
    CHECK(rendered(rule).empty());
}

TEST_CASE("a rule for a service's ports in a protocol that has none is left out") {
    Rule rule = allow();
    rule.protocol = *net::Protocol::make(99);
    CHECK(rendered(rule).size() == 1);
    rule.destination.named_ports = {SetId::of_named_port("all()", "", "http")};
    CHECK(rendered(rule).empty());
    rule.protocol = net::kSctp;
    CHECK(rendered(rule).size() == 1);
}

TEST_CASE("excluded ports of any protocol are looked up only where there are ports") {
    Rule rule = allow();
    rule.destination.not_named_ports = {SetId::of_named_port("all()", "", "http")};
    const auto rules = rendered(rule);
    REQUIRE(rules.size() == 4);
    CHECK(rules[0].matches == std::vector<render::Match>{render::MatchProtocol{6, true},
                                                         render::MatchProtocol{17, true},
                                                         render::MatchProtocol{132, true}});
    CHECK(std::holds_alternative<render::MatchSet>(rules[1].matches.back()));
    rule.protocol = net::kTcp;
    CHECK(rendered(rule).size() == 1);
}

TEST_CASE("an allow writes the connection mark without a look at connections, so it holds for packets that have none") {
    Rule rule = allow();
    rule.id = RuleId(0xffff'ffff'ffff'ffff);
    const auto rules = rendered(rule);
    REQUIRE(rules.size() == 1);
    CHECK(rules[0].matches.empty());
    CHECK(rules[0].actions ==
          std::vector<render::Action>{render::Count{}, render::SetCtMark{0x7fff'ffff}, render::accept()});
}

TEST_CASE("a rule that earlier versions wrote in another form is not taken for theirs") {
    const auto differs = [](const render::Rule& rule) {
        return render::fingerprint(net::Family::v4, rule) != render::fnv1a(render::print(net::Family::v4, rule));
    };
    const auto ports = net::PortRange::make(40000, 40009);
    REQUIRE(ports);
    CHECK(differs({{}, {render::Masquerade{ports}}, 0}));
    CHECK_FALSE(differs({{}, {render::Masquerade{}}, 0}));
}

}  // namespace manul::felix::test
