#include "net/ip.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace manul::net {

std::optional<Ip4> Ip4::parse(std::string_view text) noexcept {
    std::uint32_t value = 0;
    for (int part = 0; part < 4; ++part) {
        const std::size_t dot = text.find('.');
        if ((dot == std::string_view::npos) != (part == 3)) {
            return std::nullopt;
        }
        const std::string_view digits = text.substr(0, dot);
        std::uint8_t octet = 0;
        const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), octet);
        if (ec != std::errc{} || end != digits.data() + digits.size() || (digits.size() > 1 && digits.front() == '0')) {
            return std::nullopt;
        }
        value = value << 8U | octet;
        text.remove_prefix(part == 3 ? text.size() : dot + 1);
    }
    return Ip4(value);
}

std::string Ip4::to_string() const {
    std::array<char, INET_ADDRSTRLEN> buffer{};
    char* at = buffer.data();
    for (const std::uint8_t octet : bytes()) {
        if (at != buffer.data()) {
            *at++ = '.';
        }
        at = std::to_chars(at, buffer.data() + buffer.size(), octet).ptr;
    }
    return {buffer.data(), at};
}

std::optional<Ip6> Ip6::parse(std::string_view text) noexcept {
    std::array<char, INET6_ADDRSTRLEN> buffer{};
    if (text.size() >= buffer.size() || text.find('\0') != std::string_view::npos) {
        return std::nullopt;
    }
    std::ranges::copy(text, buffer.begin());
    std::array<std::uint8_t, 16> bytes{};
    if (inet_pton(AF_INET6, buffer.data(), bytes.data()) != 1) {
        return std::nullopt;
    }
    return Ip6(bytes);
}

std::string Ip6::to_string() const {
    std::array<char, INET6_ADDRSTRLEN> buffer{};
    inet_ntop(AF_INET6, bytes_.data(), buffer.data(), buffer.size());
    return buffer.data();
}

std::optional<Ip> Ip::from_bytes(std::span<const std::uint8_t> bytes) noexcept {
    if (bytes.size() == 4) {
        return Ip(Ip4(bytes[0], bytes[1], bytes[2], bytes[3]));
    }
    if (bytes.size() == 16) {
        std::array<std::uint8_t, 16> copy{};
        std::ranges::copy(bytes, copy.begin());
        return Ip(Ip6(copy));
    }
    return std::nullopt;
}

std::optional<Ip> Ip::parse(std::string_view text) noexcept {
    if (text.find(':') != std::string_view::npos) {
        if (const auto v6 = Ip6::parse(text)) {
            return Ip(*v6);
        }
        return std::nullopt;
    }
    if (const auto v4 = Ip4::parse(text)) {
        return Ip(*v4);
    }
    return std::nullopt;
}

std::string Ip::to_string() const { return is_v4() ? v4().to_string() : v6().to_string(); }

bool Ip::is_unspecified() const noexcept {
    return std::ranges::all_of(bytes(), [](std::uint8_t byte) { return byte == 0; });
}

bool Ip::is_loopback() const noexcept {
    if (is_v4()) {
        return bytes_[0] == 127;
    }
    return bytes_[15] == 1 &&
           std::ranges::all_of(std::span(bytes_).first(15), [](std::uint8_t byte) { return byte == 0; });
}

bool Ip::is_multicast() const noexcept { return is_v4() ? (bytes_[0] & 0xf0U) == 0xe0 : bytes_[0] == 0xff; }

bool Ip::is_link_local() const noexcept {
    return is_v4() ? bytes_[0] == 169 && bytes_[1] == 254 : v6().is_link_local();
}

std::optional<Ip> Ip::plus(std::uint64_t count) const noexcept {
    Ip sum = *this;
    std::uint64_t carry = count;
    for (std::size_t i = bytes().size(); i-- > 0 && carry != 0;) {
        const std::uint64_t total = sum.bytes_[i] + (carry & 0xffU);
        sum.bytes_[i] = static_cast<std::uint8_t>(total);
        carry = (carry >> 8U) + (total >> 8U);
    }
    if (carry != 0) {
        return std::nullopt;
    }
    return sum;
}

std::size_t hash_bytes(std::span<const std::uint8_t> bytes, std::size_t seed) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325U ^ seed;
    for (const std::uint8_t byte : bytes) {
        hash = (hash ^ byte) * 0x100000001b3U;
    }
    return hash ^ hash >> 32U;
}

}  // namespace manul::net
