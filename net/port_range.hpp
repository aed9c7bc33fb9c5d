#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace manul::net {

/// An inclusive range of TCP, UDP or SCTP ports; never empty, never port 0.
class PortRange {
public:
    [[nodiscard]] static std::optional<PortRange> make(std::uint16_t first, std::uint16_t last) noexcept {
        if (first == 0 || last < first) {
            return std::nullopt;
        }
        return PortRange(first, last);
    }
    /// "80" or "80:90" (Calico's form), decimal without leading zeros.
    [[nodiscard]] static std::optional<PortRange> parse(std::string_view text) noexcept;

    [[nodiscard]] constexpr std::uint16_t first() const noexcept { return first_; }
    [[nodiscard]] constexpr std::uint16_t last() const noexcept { return last_; }
    [[nodiscard]] constexpr bool contains(std::uint16_t port) const noexcept { return first_ <= port && port <= last_; }
    [[nodiscard]] std::string to_string() const;

    auto operator<=>(const PortRange&) const = default;

private:
    constexpr PortRange(std::uint16_t first, std::uint16_t last) noexcept : first_(first), last_(last) {}

    std::uint16_t first_;
    std::uint16_t last_;
};

/// IP protocol number, 1-255.
class Protocol {
public:
    [[nodiscard]] static constexpr std::optional<Protocol> make(std::uint8_t number) noexcept {
        if (number == 0) {
            return std::nullopt;
        }
        return Protocol(number);
    }
    /// `TCP UDP ICMP ICMPv6 SCTP UDPLite` in exactly this letter case, or a decimal number 1-255.
    [[nodiscard]] static std::optional<Protocol> parse(std::string_view text) noexcept;

    [[nodiscard]] constexpr std::uint8_t number() const noexcept { return number_; }
    /// TCP, UDP and SCTP carry ports that policy can match; UDPLite does not count (Calico's rule).
    [[nodiscard]] constexpr bool has_ports() const noexcept { return number_ == 6 || number_ == 17 || number_ == 132; }
    /// The name if the protocol has one here, else the number.
    [[nodiscard]] std::string to_string() const;

    auto operator<=>(const Protocol&) const = default;

private:
    constexpr explicit Protocol(std::uint8_t number) noexcept : number_(number) {}
    friend constexpr Protocol known_protocol(std::uint8_t number) noexcept;

    std::uint8_t number_;
};

constexpr Protocol known_protocol(std::uint8_t number) noexcept { return Protocol(number); }

inline constexpr Protocol kIcmp = known_protocol(1);
inline constexpr Protocol kTcp = known_protocol(6);
inline constexpr Protocol kUdp = known_protocol(17);
inline constexpr Protocol kIcmpv6 = known_protocol(58);
inline constexpr Protocol kSctp = known_protocol(132);
inline constexpr Protocol kUdpLite = known_protocol(136);

}  // namespace manul::net
