#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "bgpd/rib/import_run.hpp"
#include "bgpd/rib/loc_rib.hpp"
#include "bgpd/wire/nlri.hpp"

/// From the prefixes of an UPDATE to the tables.
namespace manul::bgp::rib {

/// The prefix that starts at `at`, whose length octet has been validated for the family. Bits behind the length are
/// cleared.
[[nodiscard]] inline net::PrefixKey4 read_key(const std::uint8_t* at, net::PrefixKey4 /*family*/) noexcept {
    const std::uint8_t length = *at;
    std::uint32_t address = 0;
    switch ((length + 7U) / 8U) {
        case 4:
            address |= at[4];
            [[fallthrough]];
        case 3:
            address |= std::uint32_t{at[3]} << 8U;
            [[fallthrough]];
        case 2:
            address |= std::uint32_t{at[2]} << 16U;
            [[fallthrough]];
        case 1:
            address |= std::uint32_t{at[1]} << 24U;
            [[fallthrough]];
        default:
            break;
    }
    return net::PrefixKey4{address, 32}.cut(length);
}
[[nodiscard]] inline net::PrefixKey6 read_key(const std::uint8_t* at, net::PrefixKey6 /*family*/) noexcept {
    const std::uint8_t length = *at;
    net::PrefixKey6 key;
    key.length = 128;
    const std::size_t octets = (length + 7U) / 8U;
    for (std::size_t i = 0; i < octets; ++i) {
        key.address[i / 4] |= std::uint32_t{at[1 + i]} << (24U - 8U * (i % 4));
    }
    return key.cut(length);
}

/// Calls `f(key, hint)` for each prefix of the family of Key. Reads some ahead, so that the table's memory, which is
/// mostly not in a cache, is on its way for all of them together.
template <class Key, class F>
void each_key(const wire::NlriView& prefixes, const LocRib<Key>& rib, F&& f) {
    constexpr std::size_t kAhead = 32;
    std::array<Key, kAhead> keys;
    std::array<typename LocRib<Key>::Hint, kAhead> hints;
    auto at = prefixes.begin();
    const auto end = prefixes.end();
    while (at != end) {
        std::size_t count = 0;
        for (; count < kAhead && at != end; ++count, ++at) {
            keys[count] = read_key(at.encoded(), Key{});
            hints[count] = rib.prefetch(keys[count]);
        }
        for (std::size_t i = 0; i < count; ++i) {
            rib.prefetch_entry(hints[i]);
        }
        for (std::size_t i = 0; i < count; ++i) {
            f(keys[i], hints[i]);
        }
    }
}

template <class Key>
void withdraw_all(LocRib<Key>& rib, SourceId source, std::uint32_t path_id, const wire::NlriView& prefixes) {
    each_key<Key>(prefixes, rib, [&](const Key& key, const auto& hint) { rib.withdraw(key, hint, source, path_id); });
}

template <class Key>
void announce_all(LocRib<Key>& rib, SourceId source, const wire::NlriView& prefixes, ImportRun& run) {
    each_key<Key>(prefixes, rib, [&](const Key& key, const auto& hint) {
        const ImportRun::Verdict verdict = run.judge(key);
        rib.announce(key, hint, source, verdict.attributes, PathFlags::received(verdict.refusal));
    });
}

}  // namespace manul::bgp::rib
