#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "bgpd/policy/filter.hpp"
#include "net/prefix.hpp"
#include "net/prefix_key.hpp"

namespace manul::bgp::policy {

/// What is added to every route that leaves inside a prefix, own or relayed (BGPConfiguration prefixAdvertisements).
struct Marking {
    net::Prefix within;
    std::vector<FilterOperation> operations;
};

/// All markings of a speaker, asked for each route that is sent. They are put on last, on the way out: well-known
/// communities among them speak to the receiver and do not keep the route here.
class Markings {
public:
    Markings() = default;
    explicit Markings(std::span<const Marking> markings);

    /// Number of what is added to the prefix; 0: nothing.
    template <class Key>
    [[nodiscard]] std::uint16_t of(const Key& key) const noexcept {
        for (const auto& [within, number] : entries(key)) {
            if (within.length <= key.length && key.cut(within.length) == within) {
                return number;
            }
        }
        return 0;
    }
    [[nodiscard]] const std::vector<FilterOperation>& operator[](std::uint16_t number) const noexcept {
        return operations_[number - 1U];
    }
    /// How many there are.
    [[nodiscard]] std::size_t size() const noexcept { return operations_.size(); }

    bool operator==(const Markings&) const = default;

private:
    template <class Key>
    struct Entry {
        Key within;
        std::uint16_t number;

        bool operator==(const Entry&) const = default;
    };
    [[nodiscard]] const std::vector<Entry<net::PrefixKey4>>& entries(const net::PrefixKey4&) const noexcept {
        return v4_;
    }
    [[nodiscard]] const std::vector<Entry<net::PrefixKey6>>& entries(const net::PrefixKey6&) const noexcept {
        return v6_;
    }

    // Longest first. What contains a prefix contains one another, so the longest one stands for all of them.
    std::vector<Entry<net::PrefixKey4>> v4_;
    std::vector<Entry<net::PrefixKey6>> v6_;
    std::vector<std::vector<FilterOperation>> operations_;
};

}  // namespace manul::bgp::policy
