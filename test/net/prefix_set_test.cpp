#include "net/prefix_set.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <set>
#include <string>

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

/// Addresses of 10.0.0.0/24, the whole world of the property test.
std::set<int> members(const PrefixSet& set) {
    std::set<int> out;
    for (int i = 0; i < 256; ++i) {
        if (set.contains(Ip(Ip4(0x0a000000U + static_cast<std::uint32_t>(i))))) {
            out.insert(i);
        }
    }
    return out;
}

PrefixSet random_set(std::mt19937& random) {
    std::vector<Prefix> prefixes;
    for (auto count = random() % 12; count > 0; --count) {
        const auto length = static_cast<std::uint8_t>(25 + random() % 8);
        prefixes.push_back(*Prefix::masked(Ip4(0x0a000000U + static_cast<std::uint32_t>(random() % 256)), length));
    }
    return PrefixSet(prefixes);
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

TEST_CASE("difference cuts holes") {
    CHECK(text(make({"10.0.0.0/24"}).without(make({"10.0.0.0/26"}))) == "10.0.0.64/26 10.0.0.128/25");
    CHECK(make({"10.0.0.0/24"}).without(make({"10.0.0.0/8"})).empty());
    CHECK(text(make({"::/0"}).without(make({"::/1"}))) == "8000::/1");
    CHECK(text(make({"10.0.0.0/24"}).without(make({"2001:db8::/32"}))) == "10.0.0.0/24");
}

TEST_CASE("a set overlaps prefixes that contain a part of it") {
    CHECK(make({"10.0.0.0/24"}).overlaps(*Prefix::parse("10.0.0.0/8")));
    CHECK_FALSE(make({"10.0.0.0/24"}).contains(*Prefix::parse("10.0.0.0/8")));
    CHECK_FALSE(make({"10.0.0.0/24"}).overlaps(*Prefix::parse("10.0.1.0/24")));
}

TEST_CASE("set operations agree with sets of single addresses") {
    std::mt19937 random(3);  // NOLINT(cert-msc51-cpp): a fixed seed, so that a failure repeats
    for (int round = 0; round < 300; ++round) {
        const PrefixSet a = random_set(random);
        const PrefixSet b = random_set(random);
        const auto left = members(a);
        const auto right = members(b);
        std::set<int> both = left;
        both.insert(right.begin(), right.end());
        REQUIRE(members(a.united(b)) == both);
        REQUIRE(a.united(b) == b.united(a));
        std::set<int> rest;
        for (const int i : left) {
            if (!right.contains(i)) {
                rest.insert(i);
            }
        }
        REQUIRE(members(a.without(b)) == rest);
        REQUIRE(a.without(b).united(b) == a.united(b));
    }
}
