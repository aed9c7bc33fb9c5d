#include "net/port_range.hpp"

#include <array>
#include <charconv>
#include <utility>

namespace manul::net {

namespace {

template <class T>
std::optional<T> decimal(std::string_view text) noexcept {
    T value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc{} || end != text.data() + text.size() || (text.size() > 1 && text.front() == '0')) {
        return std::nullopt;
    }
    return value;
}

constexpr std::array<std::pair<std::string_view, Protocol>, 6> kNames{
    {{"TCP", kTcp}, {"UDP", kUdp}, {"ICMP", kIcmp}, {"ICMPv6", kIcmpv6}, {"SCTP", kSctp}, {"UDPLite", kUdpLite}}};

}  // namespace

std::optional<PortRange> PortRange::parse(std::string_view text) noexcept {
    const std::size_t colon = text.find(':');
    const auto first = decimal<std::uint16_t>(text.substr(0, colon));
    const auto last = colon == std::string_view::npos ? first : decimal<std::uint16_t>(text.substr(colon + 1));
    if (!first || !last) {
        return std::nullopt;
    }
    return make(*first, *last);
}

std::string PortRange::to_string() const {
    return first_ == last_ ? std::to_string(first_) : std::to_string(first_) + ":" + std::to_string(last_);
}

std::optional<Protocol> Protocol::parse(std::string_view text) noexcept {
    for (const auto& [name, protocol] : kNames) {
        if (name == text) {
            return protocol;
        }
    }
    const auto number = decimal<std::uint8_t>(text);
    return number ? make(*number) : std::nullopt;
}

std::string Protocol::to_string() const {
    for (const auto& [name, protocol] : kNames) {
        if (protocol == *this) {
            return std::string(name);
        }
    }
    return std::to_string(number_);
}

}  // namespace manul::net
