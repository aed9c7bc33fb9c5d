#pragma once

#include <span>
#include <vector>

#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::net {

/// A set of addresses of both families, held as the fewest prefixes that cover exactly these addresses (10.0.0.0/25 and
/// 10.0.0.128/25 become 10.0.0.0/24). Two sets of the same addresses are equal. For configuration-sized sets: every
/// operation is linear in the number of prefixes.
class PrefixSet {
public:
    PrefixSet() = default;
    explicit PrefixSet(std::span<const Prefix> prefixes);

    [[nodiscard]] bool empty() const noexcept { return prefixes_.empty(); }
    /// In order; none contains another and no two can be joined.
    [[nodiscard]] const std::vector<Prefix>& prefixes() const noexcept { return prefixes_; }

    /// Every address of the prefix is in the set.
    [[nodiscard]] bool contains(const Prefix& prefix) const noexcept;
    [[nodiscard]] bool contains(const Ip& address) const noexcept { return contains(Prefix::host(address)); }

    bool operator==(const PrefixSet&) const = default;

private:
    std::vector<Prefix> prefixes_;
};

/// The fewest prefixes that cover what is left of `whole` without the addresses of `holes`, in order.
[[nodiscard]] std::vector<Prefix> without(const Prefix& whole, std::span<const Prefix> holes);

}  // namespace manul::net
