#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "net/prefix.hpp"
#include "net/prefix_key.hpp"

namespace manul::net {

/// A few prefixes, asked for each route whether one of them contains it (IP pools, service ranges). In table keys, so
/// that asking is a mask and a comparison for each.
class PrefixRanges {
public:
    PrefixRanges() = default;
    explicit PrefixRanges(std::span<const Prefix> prefixes) {
        for (const Prefix& prefix : prefixes) {
            if (prefix.family() == Family::v4) {
                v4_.push_back(PrefixKey4::from(prefix));
            } else {
                v6_.push_back(PrefixKey6::from(prefix));
            }
        }
    }

    [[nodiscard]] bool contains(const PrefixKey4& key) const noexcept { return any(v4_, key); }
    [[nodiscard]] bool contains(const PrefixKey6& key) const noexcept { return any(v6_, key); }

    /// Ranges of both.
    [[nodiscard]] PrefixRanges joined(const PrefixRanges& other) const {
        PrefixRanges both = *this;
        both.v4_.insert(both.v4_.end(), other.v4_.begin(), other.v4_.end());
        both.v6_.insert(both.v6_.end(), other.v6_.begin(), other.v6_.end());
        return both;
    }

    bool operator==(const PrefixRanges&) const = default;

private:
    template <class Key>
    static bool any(const std::vector<Key>& ranges, const Key& key) noexcept {
        return std::any_of(ranges.begin(), ranges.end(), [&](const Key& range) {
            return range.length <= key.length && key.cut(range.length) == range;
        });
    }

    std::vector<PrefixKey4> v4_;
    std::vector<PrefixKey6> v6_;
};

}  // namespace manul::net
