#include "net/prefix_set.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace manul::net {

namespace {

__extension__ using Number = unsigned __int128;

/// Addresses from `first` to `last`, both included.
struct Range {
    Family family;
    Number first;
    Number last;
};

Number to_number(const Ip& ip) noexcept {
    Number number = 0;
    for (const std::uint8_t byte : ip.bytes()) {
        number = number << 8U | byte;
    }
    return number;
}

Ip to_ip(Family family, Number number) noexcept {
    std::array<std::uint8_t, 16> bytes{};
    const std::size_t size = address_bits(family) / 8U;
    for (std::size_t i = size; i-- > 0; number >>= 8U) {
        bytes[i] = static_cast<std::uint8_t>(number);
    }
    return *Ip::from_bytes(std::span(bytes).first(size));
}

Range to_range(const Prefix& prefix) noexcept {
    return {prefix.family(), to_number(prefix.address()), to_number(prefix.last())};
}

/// The highest address of a family as a number.
Number highest(Family family) noexcept { return ~Number{0} >> (128U - address_bits(family)); }

/// Sorts and joins ranges that overlap or touch.
std::vector<Range> joined(std::vector<Range> ranges) {
    std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) {
        return a.family != b.family ? a.family < b.family : a.first < b.first;
    });
    std::vector<Range> out;
    for (const Range& range : ranges) {
        if (!out.empty() && out.back().family == range.family &&
            (out.back().last == highest(range.family) || range.first <= out.back().last + 1)) {
            out.back().last = std::max(out.back().last, range.last);
        } else {
            out.push_back(range);
        }
    }
    return out;
}

/// Cuts a range into the fewest prefixes: always the largest that starts here and fits.
void append_prefixes(Range range, std::vector<Prefix>& out) {
    const std::uint8_t bits = address_bits(range.family);
    while (true) {
        std::uint8_t free_bits = 0;
        while (free_bits < bits) {
            const Number size = Number{1} << free_bits;  // of the prefix tried so far
            const bool aligned = (range.first & size) == 0;
            const Number last = range.first + (size - 1) + size;
            if (!aligned || last > range.last || last < range.first) {
                break;
            }
            ++free_bits;
        }
        out.push_back(*Prefix::masked(to_ip(range.family, range.first), static_cast<std::uint8_t>(bits - free_bits)));
        const Number last = to_number(out.back().last());
        if (last >= range.last) {
            return;
        }
        range.first = last + 1;
    }
}

std::vector<Prefix> to_prefixes(const std::vector<Range>& ranges) {
    std::vector<Prefix> out;
    for (const Range& range : ranges) {
        append_prefixes(range, out);
    }
    return out;
}

}  // namespace

PrefixSet::PrefixSet(std::span<const Prefix> prefixes) {
    std::vector<Range> ranges;
    ranges.reserve(prefixes.size());
    for (const Prefix& prefix : prefixes) {
        ranges.push_back(to_range(prefix));
    }
    prefixes_ = to_prefixes(joined(std::move(ranges)));
}

bool PrefixSet::contains(const Prefix& prefix) const noexcept {
    return std::any_of(prefixes_.begin(), prefixes_.end(), [&](const Prefix& mine) { return mine.contains(prefix); });
}

std::vector<Prefix> without(const Prefix& whole, std::span<const Prefix> holes) {
    std::vector<Range> taken;
    for (const Prefix& hole : holes) {
        if (hole.contains(whole)) {
            return {};
        }
        if (whole.contains(hole)) {
            taken.push_back(to_range(hole));
        }
    }
    std::vector<Range> left;
    Range rest = to_range(whole);
    for (const Range& hole : joined(std::move(taken))) {
        if (rest.first < hole.first) {
            left.push_back({rest.family, rest.first, hole.first - 1});
        }
        if (hole.last == rest.last) {
            return to_prefixes(left);
        }
        rest.first = hole.last + 1;
    }
    left.push_back(rest);
    return to_prefixes(left);
}

}  // namespace manul::net
