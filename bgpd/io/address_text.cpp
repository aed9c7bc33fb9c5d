#include "bgpd/io/address_text.hpp"

#include <net/if.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bgpd/speaker/status.hpp"
#include "net/ip.hpp"
#include "net/scoped.hpp"

namespace manul::bgp::io {

std::string address_text(const net::Ip& address) {
    const std::uint32_t scope = net::scope_of(address);
    if (scope == 0) {
        return address.to_string();
    }
    std::array<char, IF_NAMESIZE> name{};
    const bool there = ::if_indextoname(scope, name.data()) != nullptr;
    return net::without_scope(address).to_string() + "%" + (there ? std::string(name.data()) : std::to_string(scope));
}

std::string address_text(const speaker::PeerStatus& peer) {
    return peer.address.is_unspecified() ? peer.id : address_text(peer.address);
}

std::optional<net::Ip> to_address(std::string_view text) {
    const std::size_t percent = text.find('%');
    const auto ip = net::Ip::parse(text.substr(0, percent));
    if (!ip || percent == std::string_view::npos) {
        return ip;
    }
    const std::uint32_t scope = ::if_nametoindex(std::string(text.substr(percent + 1)).c_str());
    return scope != 0 && ip->is_link_local() ? std::optional(net::with_scope(*ip, scope)) : std::nullopt;
}

}  // namespace manul::bgp::io
