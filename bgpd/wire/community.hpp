#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

/// Communities: standard (RFC 1997), extended (RFC 4360) and large (RFC 8092).
namespace manul::bgp::wire {

struct Community {
    std::uint32_t value = 0;

    /// "65000:100" with two numbers of 16 bits.
    [[nodiscard]] static std::optional<Community> parse(std::string_view text) noexcept;
    /// The well-known ones by name ("no-export"), others "65000:100".
    [[nodiscard]] std::string to_string() const;
    auto operator<=>(const Community&) const = default;
};

inline constexpr Community kGracefulShutdown{0xffff0000};  // RFC 8326
inline constexpr Community kLlgrStale{0xffff0006};         // RFC 9494
inline constexpr Community kNoLlgr{0xffff0007};            // RFC 9494
inline constexpr Community kBlackhole{0xffff029a};         // RFC 7999
inline constexpr Community kNoExport{0xffffff01};
inline constexpr Community kNoAdvertise{0xffffff02};
inline constexpr Community kNoExportSubconfed{0xffffff03};
inline constexpr Community kNoPeer{0xffffff04};  // RFC 3765

struct ExtendedCommunity {
    std::uint64_t value = 0;

    /// Octets a second of the link bandwidth community (draft-ietf-idr-link-bandwidth), transitive or not; nothing for
    /// others and for values that are no bandwidth.
    [[nodiscard]] std::optional<float> link_bandwidth() const noexcept;
    /// "rt:64512:7", "ro:192.0.2.1:7", others "0x" and 16 hex digits.
    [[nodiscard]] std::string to_string() const;
    auto operator<=>(const ExtendedCommunity&) const = default;
};

struct LargeCommunity {
    std::uint32_t global = 0;
    std::uint32_t local1 = 0;
    std::uint32_t local2 = 0;

    /// "64512:1:2" with three numbers of 32 bits.
    [[nodiscard]] static std::optional<LargeCommunity> parse(std::string_view text) noexcept;
    [[nodiscard]] std::string to_string() const;
    auto operator<=>(const LargeCommunity&) const = default;
};

/// Looks for a community in the value of a COMMUNITIES attribute (a multiple of four octets).
[[nodiscard]] bool contains_community(ByteView communities, Community wanted) noexcept;
[[nodiscard]] bool contains_community(ByteView large_communities, LargeCommunity wanted) noexcept;

/// Large communities that come more than once are sent by nobody and taken once (RFC 8092 section 3). If there are any,
/// sets `out` to the value of the attribute with each where it comes first.
[[nodiscard]] bool without_repetitions(ByteView large_communities, Bytes& out);

}  // namespace manul::bgp::wire
