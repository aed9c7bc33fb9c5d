#include "net/prefix_table.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>

namespace {

using namespace manul::net;

template <class K>
struct Counter {
    using Key = K;
    K prefix;
    std::uint32_t value = 0;

    [[nodiscard]] K key() const { return prefix; }
    static Counter with_key(const K& key) { return {key, 0}; }
    static Counter unused(std::uint32_t next) { return {K{{}, 0xff}, next}; }
    [[nodiscard]] bool is_unused() const { return prefix.length == 0xff; }
    [[nodiscard]] std::uint32_t next_unused() const { return value; }
};

template <class Key>
Key random_key(std::mt19937& random);

template <>
PrefixKey4 random_key(std::mt19937& random) {
    const auto length = static_cast<std::uint8_t>(random() % 33);
    return PrefixKey4{0x0a000000U | (static_cast<std::uint32_t>(random()) & 0xfff), 32}.cut(length);
}

template <>
PrefixKey6 random_key(std::mt19937& random) {
    const auto length = static_cast<std::uint8_t>(random() % 129);
    return PrefixKey6{{0x20010db8, 0, 0, static_cast<std::uint32_t>(random()) & 0xfff}, 128}.cut(length);
}

}  // namespace

TEMPLATE_TEST_CASE("a prefix table behaves like an ordered map whatever the order of changes", "", PrefixKey4,
                   PrefixKey6) {
    using Table = PrefixTable<Counter<TestType>>;
    std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): a fixed seed, so that a failure repeats
    Table table;
    std::map<TestType, std::pair<std::uint32_t, std::uint32_t>> model;  // slot and value
    for (int step = 0; step < 60'000; ++step) {
        const TestType key = random_key<TestType>(random);
        const bool removing = random() % 100 < (step % 20'000 < 10'000 ? 20U : 80U);
        const auto known = model.find(key);
        if (!removing) {
            const auto [slot, added] = table.insert(key);
            REQUIRE(added == (known == model.end()));
            if (!added) {
                REQUIRE(slot == known->second.first);
            }
            table[slot].value = static_cast<std::uint32_t>(step);
            model[key] = {slot, static_cast<std::uint32_t>(step)};
        } else if (known != model.end()) {
            table.erase(table.find(key));
            model.erase(known);
        } else {
            REQUIRE(table.find(key) == Table::kNone);
        }
        REQUIRE(table.size() == model.size());
        if (step % 1000 == 0) {
            const auto slots = table.sorted(TestType{});
            REQUIRE(slots.size() == model.size());
            auto expected = model.begin();
            for (const auto slot : slots) {
                REQUIRE(table.is_used(slot));
                REQUIRE(table[slot].key() == expected->first);
                REQUIRE(slot == expected->second.first);
                REQUIRE(table[slot].value == expected->second.second);
                ++expected;
            }
        }
    }
}

TEMPLATE_TEST_CASE("longest match finds what a search over all prefixes finds", "", PrefixKey4, PrefixKey6) {
    using Table = PrefixTable<Counter<TestType>>;
    std::mt19937 random(2);  // NOLINT(cert-msc51-cpp)
    Table table;
    std::set<TestType> model;
    for (int i = 0; i < 300; ++i) {
        const TestType key = random_key<TestType>(random);
        table.insert(key);
        model.insert(key);
    }
    for (int i = 0; i < 2000; ++i) {
        const TestType wanted = random_key<TestType>(random);
        std::optional<TestType> best;
        for (const TestType& key : model) {
            if (key.length <= wanted.length && wanted.cut(key.length) == key && (!best || key.length > best->length)) {
                best = key;
            }
        }
        const auto found = table.longest_match(wanted);
        REQUIRE((found != Table::kNone) == best.has_value());
        if (best) {
            REQUIRE(table[found].key() == *best);
        }
    }
}

TEST_CASE("a table lists the first prefixes inside another one, in order") {
    PrefixTable<Counter<PrefixKey4>> table;
    for (const char* text : {"10.0.0.0/8", "10.1.0.0/16", "10.0.0.0/24", "10.0.0.64/26", "11.0.0.0/8", "0.0.0.0/0"}) {
        table.insert(PrefixKey4::from(*Prefix::parse(text)));
    }
    const auto slots = table.sorted(PrefixKey4::from(*Prefix::parse("10.0.0.0/8")), 3);
    REQUIRE(slots.size() == 3);
    CHECK(table[slots[0]].key().to_prefix().to_string() == "10.0.0.0/8");
    CHECK(table[slots[1]].key().to_prefix().to_string() == "10.0.0.0/24");
    CHECK(table[slots[2]].key().to_prefix().to_string() == "10.0.0.64/26");
}

TEST_CASE("a million IPv4 prefixes in entries of 16 bytes take less than 34 bytes each") {
    struct Entry {
        using Key = PrefixKey4;
        std::uint32_t address;
        std::uint8_t length;
        std::uint32_t a;
        std::uint32_t next;
        [[nodiscard]] PrefixKey4 key() const { return {address, length}; }
        static Entry with_key(const PrefixKey4& key) { return {key.address, key.length, 0, 0}; }
        static Entry unused(std::uint32_t next) { return {0, 0xff, 0, next}; }
        [[nodiscard]] bool is_unused() const { return length == 0xff; }
        [[nodiscard]] std::uint32_t next_unused() const { return next; }
    };
    static_assert(sizeof(Entry) == 16);
    PrefixTable<Entry> table;
    for (std::uint32_t i = 0; i < 1'000'000; ++i) {
        table.insert({0x0a000000U + (i << 4U), 28});
    }
    CHECK(table.memory_bytes() < 34U * 1'000'000);
    CHECK(table.size() == 1'000'000);
    CHECK(table.find({0x0a000000U, 27}) == PrefixTable<Entry>::kNone);
}

TEST_CASE("keys convert to prefixes and back") {
    for (const char* text : {"0.0.0.0/0", "10.1.2.0/23", "255.255.255.255/32"}) {
        const Prefix prefix = *Prefix::parse(text);
        CHECK(PrefixKey4::from(prefix).to_prefix() == prefix);
    }
    for (const char* text : {"::/0", "2001:db8:8::/45", "2001:db8::ffff:1/128", "fe80::/10"}) {
        const Prefix prefix = *Prefix::parse(text);
        CHECK(PrefixKey6::from(prefix).to_prefix() == prefix);
        CHECK(PrefixKey6::host(prefix.address()).cut(prefix.length()) == PrefixKey6::from(prefix));
    }
}
