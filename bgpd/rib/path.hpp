#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "bgpd/policy/route.hpp"
#include "bgpd/rib/attribute_pool.hpp"
#include "bgpd/rib/chunk.hpp"
#include "net/prefix_key.hpp"

namespace manul::bgp::rib {

/// Marks of one path, in one byte: why it was refused (four bits), and what the last decision made of it.
class PathFlags {
public:
    constexpr PathFlags() noexcept = default;

    [[nodiscard]] static constexpr PathFlags received(policy::Refusal refusal) noexcept {
        return PathFlags(static_cast<std::uint8_t>(refusal));
    }
    /// A route that starts here. `blackhole`: the kernel gets a route that drops.
    [[nodiscard]] static constexpr PathFlags local(bool blackhole) noexcept {
        return PathFlags(blackhole ? kBlackholeBit : 0);
    }

    [[nodiscard]] constexpr policy::Refusal refusal() const noexcept {
        return static_cast<policy::Refusal>(bits_ & kRefusalMask);
    }
    [[nodiscard]] constexpr bool accepted() const noexcept { return (bits_ & kRefusalMask) == 0; }
    [[nodiscard]] constexpr bool selected() const noexcept { return (bits_ & kSelectedBit) != 0; }
    [[nodiscard]] constexpr bool multipath() const noexcept { return (bits_ & kMultipathBit) != 0; }
    [[nodiscard]] constexpr bool blackhole() const noexcept { return (bits_ & kBlackholeBit) != 0; }

    /// Another verdict; what the decision made of the path is to be found out anew.
    constexpr void set_refusal(policy::Refusal refusal) noexcept {
        bits_ = static_cast<std::uint8_t>((bits_ & ~(kRefusalMask | kSelectedBit | kMultipathBit)) |
                                          static_cast<std::uint8_t>(refusal));
    }
    /// A path is stale when its generation is another than its source's (rib/source.hpp).
    [[nodiscard]] constexpr bool generation() const noexcept { return (bits_ & kGenerationBit) != 0; }
    constexpr void set_generation(bool generation) noexcept { set(kGenerationBit, generation); }

    constexpr void set_selected(bool on) noexcept { set(kSelectedBit, on); }
    constexpr void set_multipath(bool on) noexcept { set(kMultipathBit, on); }

    /// Equal but for what the decision wrote, and for the generation.
    [[nodiscard]] constexpr bool same_path(PathFlags other) const noexcept {
        return ((bits_ ^ other.bits_) & (kRefusalMask | kBlackholeBit)) == 0;
    }

private:
    static constexpr std::uint8_t kRefusalMask = 0x0f;
    static constexpr std::uint8_t kSelectedBit = 0x10;
    static constexpr std::uint8_t kMultipathBit = 0x20;
    static constexpr std::uint8_t kBlackholeBit = 0x40;
    static constexpr std::uint8_t kGenerationBit = 0x80;

    constexpr explicit PathFlags(std::uint8_t bits) noexcept : bits_(bits) {}
    constexpr void set(std::uint8_t bit, bool on) noexcept {
        bits_ = static_cast<std::uint8_t>(on ? bits_ | bit : bits_ & ~bit);
    }

    std::uint8_t bits_ = 0;
};

/// One path of a prefix, by value.
struct Path {
    AttributeId attributes;  ///< kNoAttributes: there is no path
    SourceId source;
    PathFlags flags;
};

/// A path behind the first of its prefix.
struct PathNode {
    AttributeId attributes;
    std::uint32_t next = 0;  ///< number of the next node, 0 = none
    SourceId source;
    PathFlags flags;
};
static_assert(sizeof(PathNode) == 12);

/// All further paths, by numbers from 1.
class PathPool {
public:
    [[nodiscard]] PathNode& operator[](std::uint32_t number) noexcept { return pages_[number / kPage][number % kPage]; }
    [[nodiscard]] const PathNode& operator[](std::uint32_t number) const noexcept {
        return pages_[number / kPage][number % kPage];
    }

    [[nodiscard]] std::uint32_t add(const PathNode& node) {
        std::uint32_t number = first_free_;
        if (number != 0) {
            first_free_ = (*this)[number].next;
        } else {
            if (end_ / kPage >= pages_.size()) {
                pages_.push_back(std::make_unique_for_overwrite<PathNode[]>(kPage));  // NOLINT
            }
            number = end_++;
        }
        (*this)[number] = node;
        ++used_;
        return number;
    }
    void remove(std::uint32_t number) {
        (*this)[number].next = first_free_;
        first_free_ = number;
        if (--used_ == 0) {
            pages_.clear();
            first_free_ = 0;
            end_ = 1;
        }
    }

private:
    static constexpr std::size_t kPage = 1024;

    std::vector<std::unique_ptr<PathNode[]>> pages_;  // NOLINT(modernize-avoid-c-arrays)
    std::uint32_t first_free_ = 0;
    std::uint32_t end_ = 1;
    std::size_t used_ = 0;
};

/// What the table holds for a prefix: 16 bytes for IPv4, 28 for IPv6. The first path is here, the others in the pool.
/// After a decision the first path is the selected one, if any is.
template <class K>
struct RibEntry {
    using Key = K;

    typename K::Address address{};
    std::uint8_t length = 0;
    PathFlags flags;
    SourceId source;
    AttributeId attributes;
    std::uint32_t more = 0;  ///< first node in the pool; while the slot is unused, the next unused slot

    [[nodiscard]] Key key() const noexcept { return {address, length}; }
    [[nodiscard]] static RibEntry with_key(const Key& key) noexcept {
        RibEntry entry;
        entry.address = key.address;
        entry.length = key.length;
        return entry;
    }
    [[nodiscard]] static RibEntry unused(std::uint32_t next) noexcept {
        RibEntry entry;
        entry.length = 0xff;
        entry.more = next;
        return entry;
    }
    [[nodiscard]] bool is_unused() const noexcept { return length == 0xff; }
    [[nodiscard]] std::uint32_t next_unused() const noexcept { return more; }

    [[nodiscard]] bool has_path() const noexcept { return attributes != kNoAttributes; }
    [[nodiscard]] bool has_selected() const noexcept { return has_path() && flags.selected(); }
    [[nodiscard]] Path first() const noexcept { return {attributes, source, flags}; }
};
static_assert(sizeof(RibEntry<net::PrefixKey4>) == 16);
static_assert(sizeof(RibEntry<net::PrefixKey6>) == 28);

}  // namespace manul::bgp::rib
