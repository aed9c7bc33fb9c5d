#include "net/prefix.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace manul::net {

namespace {

/// Byte `index` of the netmask of a prefix of `length` bits.
constexpr std::uint8_t mask_byte(std::uint8_t length, std::size_t index) noexcept {
    const std::size_t start = index * 8;
    if (length >= start + 8) {
        return 0xff;
    }
    return length <= start ? 0 : static_cast<std::uint8_t>(0xff00U >> (length - start));
}

Ip with_host_bits(const Ip& address, std::uint8_t length, bool set) noexcept {
    std::array<std::uint8_t, 16> bytes{};
    const auto in = address.bytes();
    for (std::size_t i = 0; i < in.size(); ++i) {
        const std::uint8_t mask = mask_byte(length, i);
        bytes[i] = static_cast<std::uint8_t>(set ? in[i] | static_cast<std::uint8_t>(~mask) : in[i] & mask);
    }
    return *Ip::from_bytes(std::span(bytes).first(in.size()));
}

struct Split {
    Ip address;
    std::optional<std::uint8_t> length;
};

std::optional<Split> split(std::string_view text) noexcept {
    const std::size_t slash = text.find('/');
    const auto address = Ip::parse(text.substr(0, slash));
    if (!address) {
        return std::nullopt;
    }
    if (slash == std::string_view::npos) {
        return Split{*address, std::nullopt};
    }
    const std::string_view digits = text.substr(slash + 1);
    std::uint8_t length = 0;
    const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (ec != std::errc{} || end != digits.data() + digits.size() || (digits.size() > 1 && digits.front() == '0') ||
        length > address_bits(address->family())) {
        return std::nullopt;
    }
    return Split{*address, length};
}

}  // namespace

std::optional<Prefix> Prefix::masked(Ip address, std::uint8_t length) noexcept {
    if (length > address_bits(address.family())) {
        return std::nullopt;
    }
    return Prefix(with_host_bits(address, length, false), length);
}

std::optional<Prefix> Prefix::exact(Ip address, std::uint8_t length) noexcept {
    const auto prefix = masked(address, length);
    if (!prefix || prefix->address() != address) {
        return std::nullopt;
    }
    return prefix;
}

Prefix Prefix::host(Ip address) noexcept { return {address, address_bits(address.family())}; }

std::optional<Prefix> Prefix::parse(std::string_view text) noexcept {
    const auto parts = split(text);
    if (!parts || !parts->length) {
        return std::nullopt;
    }
    return exact(parts->address, *parts->length);
}

std::optional<Prefix> Prefix::parse_loose(std::string_view text) noexcept {
    const auto parts = split(text);
    if (!parts) {
        return std::nullopt;
    }
    return masked(parts->address, parts->length.value_or(address_bits(parts->address.family())));
}

bool Prefix::contains(const Ip& address) const noexcept {
    return address.family() == family() && with_host_bits(address, length_, false) == address_;
}

bool Prefix::contains(const Prefix& other) const noexcept {
    return other.length_ >= length_ && contains(other.address_);
}

Ip Prefix::last() const noexcept { return with_host_bits(address_, length_, true); }

std::string Prefix::to_string() const { return address_.to_string() + "/" + std::to_string(length_); }

std::optional<InterfaceAddress> InterfaceAddress::parse(std::string_view text) noexcept {
    const auto parts = split(text);
    if (!parts) {
        return std::nullopt;
    }
    return InterfaceAddress{parts->address, parts->length.value_or(address_bits(parts->address.family()))};
}

Prefix InterfaceAddress::network() const noexcept { return *Prefix::masked(address, length); }

std::string InterfaceAddress::to_string() const { return address.to_string() + "/" + std::to_string(length); }

}  // namespace manul::net
