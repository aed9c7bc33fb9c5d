#include "net/prefix_set.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace {

using namespace manul::net;

PrefixSet make(std::initializer_list<const char*> texts) {
    std::vector<Prefix> prefixes;
    for (const char* text : texts) {
        prefixes.push_back(*Prefix::parse(text));
    }
    return PrefixSet(prefixes);
}

std::string text(const PrefixSet& set) {
    std::string out;
    for (const Prefix& prefix : set.prefixes()) {
        out += (out.empty() ? "" : " ") + prefix.to_string();
    }
    return out;
}

/// Numbers of the prefix's addresses inside 10.0.0.0/24, the whole world of the property test.
void add_members(const Prefix& prefix, std::set<int>& out) {
    for (int i = 0; i < 256; ++i) {
        if (prefix.contains(Ip(Ip4(0x0a000000U + static_cast<std::uint32_t>(i))))) {
            out.insert(i);
        }
    }
}

std::vector<Prefix> random_prefixes(std::mt19937& random) {
    std::vector<Prefix> prefixes;
    for (auto count = random() % 12; count > 0; --count) {
        const auto length = static_cast<std::uint8_t>(25 + random() % 8);
        prefixes.push_back(*Prefix::masked(Ip4(0x0a000000U + static_cast<std::uint32_t>(random() % 256)), length));
    }
    return prefixes;
}

}  // namespace

TEST_CASE("a prefix set is the smallest cover of its addresses") {
    CHECK(text(make({"10.0.0.0/25", "10.0.0.128/25"})) == "10.0.0.0/24");
    CHECK(text(make({"10.0.0.0/24", "10.0.0.64/26"})) == "10.0.0.0/24");
    CHECK(text(make({"10.0.0.128/25", "10.0.1.0/24"})) == "10.0.0.128/25 10.0.1.0/24");
    CHECK(text(make({"0.0.0.0/1", "128.0.0.0/1"})) == "0.0.0.0/0");
    CHECK(text(make({"::/1", "8000::/1", "255.255.255.255/32"})) == "255.255.255.255/32 ::/0");
    CHECK(make({}).empty());
}

TEST_CASE("a prefix set agrees with a set of single addresses") {
    std::mt19937 random(3);  // NOLINT(cert-msc51-cpp): a fixed seed, so that a failure repeats
    for (int round = 0; round < 300; ++round) {
        const std::vector<Prefix> prefixes = random_prefixes(random);
        const PrefixSet set(prefixes);
        std::set<int> expected;
        for (const Prefix& prefix : prefixes) {
            add_members(prefix, expected);
        }
        std::set<int> held;
        for (const Prefix& prefix : set.prefixes()) {
            add_members(prefix, held);
        }
        REQUIRE(held == expected);
        for (const Prefix& probe : random_prefixes(random)) {
            std::set<int> wanted;
            add_members(probe, wanted);
            REQUIRE(set.contains(probe) == std::ranges::includes(expected, wanted));
        }
    }
}

TEST_CASE("a prefix without some of its addresses") {
    const auto left = [](const char* whole, std::initializer_list<const char*> texts) {
        std::vector<Prefix> holes;
        for (const char* one : texts) {
            holes.push_back(*Prefix::parse(one));
        }
        std::string out;
        for (const Prefix& prefix : manul::net::without(*Prefix::parse(whole), holes)) {
            out += prefix.to_string() + " ";
        }
        return out;
    };
    CHECK(left("10.0.0.0/24", {}) == "10.0.0.0/24 ");
    CHECK(left("10.0.0.0/24", {"10.0.1.0/24", "fd00::/8"}) == "10.0.0.0/24 ");
    CHECK(left("10.0.0.0/24", {"10.0.0.0/16"}).empty());
    CHECK(left("10.0.0.0/30", {"10.0.0.1/32"}) == "10.0.0.0/32 10.0.0.2/31 ");
    CHECK(left("10.0.0.0/30", {"10.0.0.0/32", "10.0.0.3/32"}) == "10.0.0.1/32 10.0.0.2/32 ");
    CHECK(left("0.0.0.0/0", {"128.0.0.0/1"}) == "0.0.0.0/1 ");
    CHECK(left("::/0", {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", "::/1"}).starts_with("8000::/2 c000::/3 "));
    CHECK(left("10.0.0.0/24", {"10.0.0.0/25", "10.0.0.64/26", "10.0.0.128/26"}) == "10.0.0.192/26 ");
}
