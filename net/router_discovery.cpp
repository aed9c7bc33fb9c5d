#include "net/router_discovery.hpp"

#include <cstddef>

namespace manul::net {
namespace {

constexpr std::size_t kSolicitationSize = 8;
constexpr std::size_t kAdvertisementSize = 16;
constexpr std::uint8_t kOnLinkHopLimit = 255;
constexpr std::size_t kOptionUnit = 8;

/// Type, length in units of eight octets that is not 0, content.
bool sound_options(ByteView options) noexcept {
    while (!options.empty()) {
        const std::size_t size = options.size() < 2 ? 0 : options[1] * kOptionUnit;
        if (size == 0 || size > options.size()) {
            return false;
        }
        options = options.subspan(size);
    }
    return true;
}

}  // namespace

std::optional<RouterMessage> parse_router_message(ByteView data, std::uint8_t hop_limit, const Ip6& source) noexcept {
    if (hop_limit != kOnLinkHopLimit || data.size() < kSolicitationSize || data[1] != 0) {
        return std::nullopt;
    }
    const auto type = RouterMessage{data[0]};
    const bool advertisement = type == RouterMessage::advertisement;
    const std::size_t head = advertisement ? kAdvertisementSize : kSolicitationSize;
    if ((!advertisement && type != RouterMessage::solicitation) || data.size() < head ||
        !sound_options(data.subspan(head)) || (advertisement && !source.is_link_local())) {
        return std::nullopt;
    }
    return type;
}

Bytes encode_router_message(RouterMessage message) {
    Bytes out(message == RouterMessage::advertisement ? kAdvertisementSize : kSolicitationSize);
    out[0] = static_cast<std::uint8_t>(message);
    return out;
}

}  // namespace manul::net
