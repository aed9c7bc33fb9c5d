#include <catch2/catch.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/flat_table.hpp"

namespace manul {

namespace {

/// Few different values, so that many keys want the same place.
struct PoorHash {
    std::size_t operator()(std::uint32_t key) const noexcept { return key % 7; }
};

template <class Hash>
void walk(std::uint32_t seed, std::uint32_t keys) {
    std::mt19937 random(seed);
    FlatMap<std::uint32_t, std::string, Hash> map;
    std::map<std::uint32_t, std::string> model;
    for (int step = 0; step < 20'000; ++step) {
        const auto key = static_cast<std::uint32_t>(random() % keys);
        switch (random() % 5) {
            case 0:
            case 1:
                map[key] = std::to_string(step);
                model[key] = std::to_string(step);
                break;
            case 2:
            case 3:
                REQUIRE(map.erase(key) == (model.erase(key) != 0));
                break;
            default:
                if (const std::string* value = map.find(key)) {
                    REQUIRE(model.at(key) == *value);
                } else {
                    REQUIRE_FALSE(model.contains(key));
                }
        }
        REQUIRE(map.size() == model.size());
    }
    std::map<std::uint32_t, std::string> all;
    for (const auto& [key, value] : map) {
        REQUIRE(all.emplace(key, value).second);
    }
    CHECK(all == model);
}

}  // namespace

TEST_CASE("a flat map holds what a map holds after any additions and removals") {
    walk<std::hash<std::uint32_t>>(1, 500);
    walk<std::hash<std::uint32_t>>(2, 20);
    walk<PoorHash>(3, 200);
}

TEST_CASE("a flat set is equal to one with the same keys, in whatever order they came") {
    FlatSet<std::uint32_t> up;
    FlatSet<std::uint32_t> down;
    CHECK(up == down);
    CHECK(up.begin() == up.end());
    CHECK_FALSE(up.contains(0));
    CHECK_FALSE(up.erase(0));
    for (std::uint32_t i = 0; i < 1000; ++i) {
        CHECK(up.insert(i));
        CHECK_FALSE(up.insert(i));
    }
    down.reserve(1000);
    for (std::uint32_t i = 1000; i-- > 0;) {
        down.insert(i);
    }
    CHECK(up == down);
    down.erase(17);
    CHECK_FALSE(up == down);
    down.insert(1017);
    CHECK_FALSE(up == down);
    CHECK(FlatSet<std::uint32_t>{3, 5, 3}.size() == 2);
}

TEST_CASE("a flat table may be filled from another one, and reserved for a few more again and again") {
    FlatSet<std::uint32_t> from;
    for (std::uint32_t i = 0; i < 50'000; ++i) {
        from.insert(i * 977);
    }
    FlatSet<std::uint32_t> to;
    to.reserve(from.size());
    for (const std::uint32_t key : from) {
        to.insert(key);
    }
    CHECK(to == from);
    FlatSet<std::uint32_t> slow;
    for (std::uint32_t i = 0; i < 50'000; ++i) {
        slow.reserve(slow.size() + 1);
        slow.insert(i);
    }
    CHECK(slow.size() == 50'000);
}

}  // namespace manul
