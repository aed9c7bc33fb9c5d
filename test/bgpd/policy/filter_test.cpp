#include "bgpd/policy/filter.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <regex>

#include "bgpd/policy/export_rules.hpp"
#include "test/bgpd/rib/routes.hpp"

namespace {

using namespace manul;
using namespace manul::bgp;
using policy::CidrMatch;
using policy::FilterAction;
using policy::FilterProgram;
using policy::FilterRoute;
using policy::FilterRule;
using policy::PeerType;
using test::canonical;
using test::RouteSpec;

FilterRule rule(CidrMatch match, const std::string& cidr, std::optional<std::uint8_t> low = {},
                std::optional<std::uint8_t> high = {}) {
    FilterRule rule;
    rule.cidr_match = match;
    rule.cidr = *net::Prefix::parse(cidr);
    rule.min_length = low;
    rule.max_length = high;
    return rule;
}

bool holds(const FilterRule& one, const std::string& prefix, const FilterRoute& route = {},
           PeerType peer = PeerType::external) {
    const FilterProgram program({one});
    const auto parsed = *net::Prefix::parse(prefix);
    return (parsed.family() == net::Family::v4 ? program.match(net::PrefixKey4::from(parsed), peer, route)
                                               : program.match(net::PrefixKey6::from(parsed), peer, route)) == 0;
}

TEST_CASE("a rule without conditions holds for every route") {
    CHECK(holds({}, "0.0.0.0/0"));
    CHECK(holds({}, "2001:db8::/32"));
}

TEST_CASE("match operators compare prefixes as their names say") {
    CHECK(holds(rule(CidrMatch::equal, "10.0.0.0/8"), "10.0.0.0/8"));
    CHECK_FALSE(holds(rule(CidrMatch::equal, "10.0.0.0/8"), "10.1.0.0/16"));
    CHECK_FALSE(holds(rule(CidrMatch::not_equal, "10.0.0.0/8"), "10.0.0.0/8"));
    CHECK(holds(rule(CidrMatch::not_equal, "10.0.0.0/8"), "10.1.0.0/16"));
    CHECK(holds(rule(CidrMatch::in, "10.0.0.0/8"), "10.0.0.0/8"));
    CHECK(holds(rule(CidrMatch::in, "10.0.0.0/8"), "10.255.0.0/32"));
    CHECK_FALSE(holds(rule(CidrMatch::in, "10.0.0.0/8"), "11.0.0.0/16"));
    CHECK_FALSE(holds(rule(CidrMatch::in, "10.0.0.0/8"), "0.0.0.0/0"));
    CHECK(holds(rule(CidrMatch::not_in, "10.0.0.0/8"), "0.0.0.0/0"));
    CHECK_FALSE(holds(rule(CidrMatch::not_in, "10.0.0.0/8"), "10.1.2.3/32"));
    CHECK(holds(rule(CidrMatch::in, "2001:db8::/32"), "2001:db8:ffff::/48"));
    CHECK_FALSE(holds(rule(CidrMatch::in, "2001:db8::/32"), "2001:db9::/48"));
    CHECK(holds(rule(CidrMatch::in, "0.0.0.0/0"), "203.0.113.7/32"));
}

TEST_CASE("a length range narrows what is inside; nothing shorter is inside, however small the minimum") {
    const auto between = rule(CidrMatch::in, "10.0.0.0/8", 16, 24);
    CHECK(holds(between, "10.1.0.0/16"));
    CHECK(holds(between, "10.1.2.0/24"));
    CHECK_FALSE(holds(between, "10.1.2.128/25"));
    CHECK_FALSE(holds(between, "10.0.0.0/8"));
    CHECK(holds(rule(CidrMatch::not_in, "10.0.0.0/8", 16, 24), "10.0.0.0/8"));
    CHECK_FALSE(holds(rule(CidrMatch::in, "10.0.0.0/8", 0, 32), "0.0.0.0/0"));
    CHECK_FALSE(holds(rule(CidrMatch::in, "10.0.0.0/8", 0, 32), "8.0.0.0/6"));
    CHECK(holds(rule(CidrMatch::in, "10.0.0.0/8", 0, 32), "10.0.0.0/8"));
    CHECK(holds(rule(CidrMatch::in, "10.0.0.0/8", {}, 9), "10.0.0.0/8"));
    CHECK_FALSE(holds(rule(CidrMatch::in, "10.0.0.0/8", {}, 9), "10.0.0.0/10"));
    CHECK(holds(rule(CidrMatch::in, "2001:db8::/32", 64, {}), "2001:db8::1/128"));
    CHECK_FALSE(holds(rule(CidrMatch::in, "2001:db8::/32", 64, {}), "2001:db8::/48"));
}

TEST_CASE("conditions on the way and the kind of a route") {
    FilterRule remote;
    remote.remote_peers_only = true;
    CHECK(holds(remote, "10.0.0.0/8", {.attributes = {}, .from_peer = true}));
    CHECK_FALSE(holds(remote, "10.0.0.0/8"));

    FilterRule over;
    over.interface = "eth*";
    CHECK(holds(over, "10.0.0.0/8", {.attributes = {}, .interface = "eth0"}));
    CHECK_FALSE(holds(over, "10.0.0.0/8", {.attributes = {}, .interface = "veth0"}));
    CHECK_FALSE(holds(over, "10.0.0.0/8"));  // leads over none
    over.interface = "*";
    CHECK(holds(over, "10.0.0.0/8"));

    FilterRule elevated;
    elevated.priority = 512;
    CHECK(holds(elevated, "10.0.0.0/8", {.attributes = {}, .priority = 512}));
    CHECK_FALSE(holds(elevated, "10.0.0.0/8", {.attributes = {}, .priority = 1024}));

    FilterRule internal;
    internal.peer_type = PeerType::internal;
    CHECK(holds(internal, "10.0.0.0/8", {}, PeerType::internal));
    CHECK_FALSE(holds(internal, "10.0.0.0/8", {}, PeerType::external));
}

TEST_CASE("conditions on attributes") {
    RouteSpec spec;
    spec.as_path = {65001, 65002, 65003};
    spec.communities = {*wire::Community::parse("65000:7")};
    Bytes bytes = canonical(spec);
    wire::PathAttributes attributes = wire::decode_attributes(bytes);
    attributes.add(*wire::LargeCommunity::parse("65000:1:2"));
    bytes.clear();
    wire::encode_attributes(attributes, bytes);
    const FilterRoute route{.attributes = bytes};

    FilterRule one;
    one.as_path_prefix = {65001, 65002};
    CHECK(holds(one, "10.0.0.0/8", route));
    one.as_path_prefix = {65002};
    CHECK_FALSE(holds(one, "10.0.0.0/8", route));
    one.as_path_prefix = {65001, 65002, 65003, 65004};
    CHECK_FALSE(holds(one, "10.0.0.0/8", route));
    one = {};
    one.community = *wire::Community::parse("65000:7");
    CHECK(holds(one, "10.0.0.0/8", route));
    one.community = *wire::Community::parse("65000:8");
    CHECK_FALSE(holds(one, "10.0.0.0/8", route));
    one.community = *wire::LargeCommunity::parse("65000:1:2");
    CHECK(holds(one, "10.0.0.0/8", route));
    one.community = *wire::LargeCommunity::parse("65000:2:1");
    CHECK_FALSE(holds(one, "10.0.0.0/8", route));
}

TEST_CASE("the first rule that holds decides") {
    auto reject = rule(CidrMatch::in, "10.1.0.0/16");
    reject.action = FilterAction::reject;
    const FilterProgram program({reject, rule(CidrMatch::in, "10.0.0.0/8"), FilterRule{}});
    const auto match = [&](const char* prefix) {
        return program.match(net::PrefixKey4::from(*net::Prefix::parse(prefix)), PeerType::external, {});
    };
    CHECK(match("10.1.2.0/24") == 0);
    CHECK(match("10.2.2.0/24") == 1);
    CHECK(match("192.0.2.0/24") == 2);
    CHECK(FilterProgram().match(net::PrefixKey4{}, PeerType::external, {}) == FilterProgram::kNoMatch);
}

TEST_CASE("operations change attributes in order") {
    const RouteSpec spec{.as_path = {65009}};
    const Bytes changed =
        policy::with_operations({policy::PrependAsPath{{*net::Asn::make(65001), *net::Asn::make(65002)}},
                                 policy::AddCommunity{*wire::Community::parse("65000:1")},
                                 policy::AddCommunity{*wire::Community::parse("65000:1")},
                                 policy::AddCommunity{*wire::LargeCommunity::parse("1:2:3")}, policy::SetPriority{512}},
                                canonical(spec));
    const wire::PathAttributes attributes = wire::decode_attributes(changed);
    CHECK(attributes.path().to_string() == "65001 65002 65009");
    CHECK(attributes.communities.size() == 1);
    CHECK(attributes.large_communities.size() == 1);
    CHECK(attributes.local_pref == 2147483647U - 512U);
    CHECK(policy::priority_of(*attributes.local_pref) == 512);
    CHECK(policy::priority_of(100) == policy::kNormalPriority);
}

TEST_CASE("a star in a glob stands for any run of characters") {
    CHECK(policy::glob_matches("*", ""));
    CHECK(policy::glob_matches("eth*", "eth"));
    CHECK(policy::glob_matches("*.10*", "bond0.100"));
    CHECK(policy::glob_matches("a*b*c", "aXbXbc"));
    CHECK_FALSE(policy::glob_matches("a*b*c", "aXbXb"));
    CHECK_FALSE(policy::glob_matches("eth0", "eth01"));
    CHECK_FALSE(policy::glob_matches("", "eth0"));
    CHECK(policy::glob_matches("a.b", "a.b"));
    CHECK_FALSE(policy::glob_matches("a.b", "axb"));
}

// A second evaluator, written from the words of the resource and with other means: prefixes as strings of bits, globs
// as regular expressions, attributes decoded in full.
std::string bits_of(const net::Prefix& prefix) {
    std::string bits;
    for (const std::uint8_t byte : prefix.address().bytes()) {
        for (int bit = 7; bit >= 0; --bit) {
            bits += (byte >> bit & 1) != 0 ? '1' : '0';
        }
    }
    return bits.substr(0, prefix.length());
}

bool naive_holds(const FilterRule& rule, const net::Prefix& prefix, PeerType peer, const FilterRoute& route) {
    const wire::PathAttributes attributes = wire::decode_attributes(route.attributes);
    if (rule.cidr_match) {
        const std::string wanted = bits_of(rule.cidr);
        const std::string given = bits_of(prefix);
        bool inside = false;
        if (!rule.min_length && !rule.max_length) {
            inside = given.starts_with(wanted);
        } else {
            const std::size_t low = rule.min_length ? *rule.min_length : wanted.size();
            const std::size_t high =
                rule.max_length ? *rule.max_length : (prefix.family() == net::Family::v4 ? 32 : 128);
            inside = given.size() >= low && given.size() <= high && given.starts_with(wanted);
        }
        const bool same = given == wanted && inside;
        const bool fits = *rule.cidr_match == CidrMatch::equal       ? same
                          : *rule.cidr_match == CidrMatch::not_equal ? !same
                          : *rule.cidr_match == CidrMatch::in        ? inside
                                                                     : !inside;
        if (!fits) {
            return false;
        }
    }
    if (rule.remote_peers_only && !route.from_peer) {
        return false;
    }
    if (!rule.interface.empty()) {
        const std::string pattern = std::regex_replace(rule.interface, std::regex("\\*"), ".*");
        if (!std::regex_match(std::string(route.interface), std::regex(pattern))) {
            return false;
        }
    }
    if (rule.peer_type && *rule.peer_type != peer) {
        return false;
    }
    if (rule.community) {
        bool found = false;
        for (const auto& each : attributes.communities) {
            found = found || (std::holds_alternative<wire::Community>(*rule.community) &&
                              std::get<wire::Community>(*rule.community) == each);
        }
        for (const auto& each : attributes.large_communities) {
            found = found || (std::holds_alternative<wire::LargeCommunity>(*rule.community) &&
                              std::get<wire::LargeCommunity>(*rule.community) == each);
        }
        if (!found) {
            return false;
        }
    }
    std::string wanted_path;
    for (const std::uint32_t as : rule.as_path_prefix) {
        wanted_path += std::to_string(as) + " ";
    }
    if (!(attributes.path().to_string() + " ").starts_with(wanted_path)) {
        return false;
    }
    return !rule.priority || *rule.priority == route.priority;
}

/// Values from small sets, so that rules and routes meet often.
class Random {
public:
    explicit Random(std::uint32_t seed) : engine_(seed) {}
    std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(engine_); }
    bool one_in(std::size_t n) { return below(n) == 0; }

    net::Prefix prefix(bool v4) {
        static const std::vector<std::string> k4{"10.0.0.0", "10.64.0.0", "10.64.3.0", "10.64.3.4", "172.16.0.0"};
        static const std::vector<std::string> k6{"2001:db8::", "2001:db8:1::", "2001:db8:1:2::3", "fd00::"};
        static const std::vector<std::uint8_t> kLengths4{0, 6, 8, 10, 16, 24, 26, 32};
        static const std::vector<std::uint8_t> kLengths6{0, 16, 32, 48, 64, 122, 128};
        const auto& lengths = v4 ? kLengths4 : kLengths6;
        const auto& addresses = v4 ? k4 : k6;
        return *net::Prefix::masked(*net::Ip::parse(addresses[below(addresses.size())]),
                                    lengths[below(lengths.size())]);
    }
    std::uint8_t length(bool v4) { return static_cast<std::uint8_t>(below(v4 ? 33 : 129)); }
    std::variant<wire::Community, wire::LargeCommunity> community() {
        if (one_in(2)) {
            return wire::Community{static_cast<std::uint32_t>(65000U << 16U | below(3))};
        }
        return wire::LargeCommunity{65000, 1, static_cast<std::uint32_t>(below(3))};
    }
    FilterRule rule(bool v4) {
        FilterRule rule;
        if (!one_in(4)) {
            rule.cidr_match = static_cast<CidrMatch>(below(4));
            rule.cidr = prefix(v4);
            if (one_in(2)) {
                rule.min_length = length(v4);
            }
            if (one_in(2)) {
                rule.max_length = length(v4);
            }
        }
        rule.remote_peers_only = one_in(5);
        if (one_in(5)) {
            rule.interface = std::vector<std::string>{"eth*", "eth0", "*0", "*", "b*d*0"}[below(5)];
        }
        if (one_in(5)) {
            rule.peer_type = one_in(2) ? PeerType::external : PeerType::internal;
        }
        if (one_in(4)) {
            rule.community = community();
        }
        for (std::size_t n = one_in(4) ? 1 + below(2) : 0; n > 0; --n) {
            rule.as_path_prefix.push_back(static_cast<std::uint32_t>(65001 + below(2)));
        }
        if (one_in(6)) {
            rule.priority = one_in(2) ? 512 : 1024;
        }
        return rule;
    }
    Bytes attributes() {
        wire::PathAttributes attributes;
        for (std::size_t n = below(4); n > 0; --n) {
            attributes.prepend(*net::Asn::make(static_cast<std::uint32_t>(65001 + below(2))));
        }
        for (std::size_t n = below(3); n > 0; --n) {
            std::visit([&](const auto& each) { attributes.add(each); }, community());
        }
        Bytes out;
        wire::encode_attributes(attributes, out);
        return out;
    }

private:
    std::mt19937 engine_;
};

TEST_CASE("random filters and routes: the same first rule as a naive evaluator finds") {
    Random random(20260921);
    std::size_t matched = 0;
    for (int round = 0; round < 20000; ++round) {
        const bool v4 = random.one_in(2);
        std::vector<FilterRule> rules(1 + random.below(4));
        for (FilterRule& rule : rules) {
            rule = random.rule(v4);
        }
        const net::Prefix prefix = random.prefix(v4);
        const Bytes attributes = random.attributes();
        const FilterRoute route{
            .attributes = attributes,
            .from_peer = random.one_in(2),
            .interface = std::vector<std::string_view>{"", "eth0", "eth10", "bond0"}[random.below(4)],
            .priority = random.one_in(2) ? 1024U : 512U};
        const PeerType peer = random.one_in(2) ? PeerType::external : PeerType::internal;
        std::size_t expected = FilterProgram::kNoMatch;
        for (std::size_t i = 0; i < rules.size() && expected == FilterProgram::kNoMatch; ++i) {
            if (naive_holds(rules[i], prefix, peer, route)) {
                expected = i;
            }
        }
        const FilterProgram program(rules);
        const std::size_t found = v4 ? program.match(net::PrefixKey4::from(prefix), peer, route)
                                     : program.match(net::PrefixKey6::from(prefix), peer, route);
        INFO(round << ": " << prefix.to_string());
        REQUIRE(found == expected);
        matched += found != FilterProgram::kNoMatch ? 1 : 0;
    }
    CHECK(matched > 5000);
    CHECK(matched < 19000);
}

}  // namespace
