#include "bgpd/wire/community.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "net/ip.hpp"

namespace manul::bgp::wire {
namespace {

constexpr std::array<std::pair<std::uint32_t, std::string_view>, 8> kWellKnown = {{
    {kGracefulShutdown.value, "graceful-shutdown"},
    {kLlgrStale.value, "llgr-stale"},
    {kNoLlgr.value, "no-llgr"},
    {kBlackhole.value, "blackhole"},
    {kNoExport.value, "no-export"},
    {kNoAdvertise.value, "no-advertise"},
    {kNoExportSubconfed.value, "no-export-subconfed"},
    {kNoPeer.value, "no-peer"},
}};

/// Decimal number up to `limit` at the front of `text`, which is moved behind it.
std::optional<std::uint32_t> take_number(std::string_view& text, std::uint32_t limit) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || value > limit) {
        return std::nullopt;
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return value;
}

bool take_colon(std::string_view& text) {
    if (!text.starts_with(':')) {
        return false;
    }
    text.remove_prefix(1);
    return true;
}

std::uint32_t u32_at(ByteView bytes, std::size_t at) {
    return std::uint32_t{bytes[at]} << 24U | std::uint32_t{bytes[at + 1]} << 16U | std::uint32_t{bytes[at + 2]} << 8U |
           bytes[at + 3];
}

}  // namespace

std::optional<Community> Community::parse(std::string_view text) noexcept {
    constexpr std::uint32_t kLimit = std::numeric_limits<std::uint16_t>::max();
    const auto high = take_number(text, kLimit);
    if (!high || !take_colon(text)) {
        return std::nullopt;
    }
    const auto low = take_number(text, kLimit);
    if (!low || !text.empty()) {
        return std::nullopt;
    }
    return Community{*high << 16U | *low};
}

std::string Community::to_string() const {
    for (const auto& [known, name] : kWellKnown) {
        if (known == value) {
            return std::string(name);
        }
    }
    return std::to_string(value >> 16U) + ":" + std::to_string(value & 0xffffU);
}

std::optional<float> ExtendedCommunity::link_bandwidth() const noexcept {
    constexpr std::uint64_t kSubType = 0x0004;
    if ((value >> 48U & 0xbfffU) != kSubType) {  // the transitive bit either way
        return std::nullopt;
    }
    const auto bandwidth = std::bit_cast<float>(static_cast<std::uint32_t>(value));
    return std::isfinite(bandwidth) && bandwidth > 0 ? std::optional(bandwidth) : std::nullopt;
}

std::string ExtendedCommunity::to_string() const {
    const auto type = static_cast<std::uint8_t>(value >> 56U & 0x3fU);
    const auto subtype = static_cast<std::uint8_t>(value >> 48U);
    const std::string_view kind = subtype == 2 ? "rt:" : subtype == 3 ? "ro:" : "";
    if (!kind.empty() && type == 0) {  // two-octet AS
        return std::string(kind) + std::to_string(value >> 32U & 0xffffU) + ":" + std::to_string(value & 0xffffffffU);
    }
    if (!kind.empty() && type == 1) {  // IPv4 address
        return std::string(kind) + net::Ip4(static_cast<std::uint32_t>(value >> 16U)).to_string() + ":" +
               std::to_string(value & 0xffffU);
    }
    if (!kind.empty() && type == 2) {  // four-octet AS (RFC 5668)
        return std::string(kind) + std::to_string(value >> 16U & 0xffffffffU) + ":" + std::to_string(value & 0xffffU);
    }
    std::array<char, 17> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, 16);
    const std::string text(digits.data(), end.ptr);
    return "0x" + std::string(16 - text.size(), '0') + text;
}

std::optional<LargeCommunity> LargeCommunity::parse(std::string_view text) noexcept {
    constexpr std::uint32_t kLimit = std::numeric_limits<std::uint32_t>::max();
    std::array<std::uint32_t, 3> parts{};
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (i > 0 && !take_colon(text)) {
            return std::nullopt;
        }
        const auto part = take_number(text, kLimit);
        if (!part) {
            return std::nullopt;
        }
        parts[i] = *part;
    }
    if (!text.empty()) {
        return std::nullopt;
    }
    return LargeCommunity{parts[0], parts[1], parts[2]};
}

std::string LargeCommunity::to_string() const {
    return std::to_string(global) + ":" + std::to_string(local1) + ":" + std::to_string(local2);
}

bool contains_community(ByteView communities, Community wanted) noexcept {
    for (std::size_t at = 0; at + 4 <= communities.size(); at += 4) {
        if (u32_at(communities, at) == wanted.value) {
            return true;
        }
    }
    return false;
}

bool without_repetitions(ByteView large_communities, Bytes& out) {
    constexpr std::size_t kSize = 12;
    using Value = std::array<std::uint8_t, kSize>;
    if (large_communities.size() <= kSize) {
        return false;
    }
    std::vector<Value> values(large_communities.size() / kSize);
    std::memcpy(values.data(), large_communities.data(), values.size() * kSize);
    std::vector<Value> sorted = values;
    std::ranges::sort(sorted);
    if (std::ranges::adjacent_find(sorted) == sorted.end()) {
        return false;
    }
    std::set<Value> seen;
    out.clear();
    for (const Value& value : values) {
        if (seen.insert(value).second) {
            out.insert(out.end(), value.begin(), value.end());
        }
    }
    return true;
}

bool contains_community(ByteView large_communities, LargeCommunity wanted) noexcept {
    for (std::size_t at = 0; at + 12 <= large_communities.size(); at += 12) {
        if (LargeCommunity{u32_at(large_communities, at), u32_at(large_communities, at + 4),
                           u32_at(large_communities, at + 8)} == wanted) {
            return true;
        }
    }
    return false;
}

}  // namespace manul::bgp::wire
