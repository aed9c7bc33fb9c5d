#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "bgpd/policy/route.hpp"
#include "bgpd/wire/attribute.hpp"
#include "bgpd/wire/capability.hpp"
#include "bgpd/wire/update.hpp"
#include "net/asn.hpp"
#include "net/ip.hpp"
#include "net/prefix_key.hpp"

/// What is accepted from peers. Without a filter that is everything but loops, martians and own addresses; a default
/// route and longer prefixes inside own blocks (addresses that another node borrowed) are accepted. An own block as an
/// exact prefix needs no rule: the route that starts here is preferred to any learned one.
namespace manul::bgp::policy {

/// This host's addresses, as the import rules ask for them.
class OwnAddresses {
public:
    OwnAddresses() = default;
    explicit OwnAddresses(std::vector<net::Ip> addresses);

    [[nodiscard]] bool contains(const net::Ip& address) const noexcept;
    [[nodiscard]] bool contains(const net::PrefixKey4& key) const noexcept;
    [[nodiscard]] bool contains(const net::PrefixKey6& key) const noexcept;

    bool operator==(const OwnAddresses&) const = default;

private:
    std::vector<net::Ip> all_;
    std::vector<net::PrefixKey4> v4_;
    std::vector<net::PrefixKey6> v6_;
};

/// What a session is, as far as import depends on it.
struct ImportContext {
    bool external = false;
    net::Asn remote_as = *net::Asn::make(1);
    net::Asn local_as = *net::Asn::make(1);
    net::Asn node_as = *net::Asn::make(1);  ///< this node's; differs from local_as with localASNumber
    net::RouterId router_id = *net::RouterId::make(1);
    std::optional<std::uint32_t> cluster_id;
    std::uint32_t allowed_own_as = 0;
    std::optional<wire::Role> role;  ///< ours towards the peer (RFC 9234)
};

/// Whether routes with these attributes and this next hop may be used: once an UPDATE.
[[nodiscard]] Refusal judge_attributes(const ImportContext& context, const wire::AttributeFacts& facts,
                                       const wire::NextHop& next_hop, const OwnAddresses& own) noexcept;

/// The route is to be marked with the peer's AS as for customers only (RFC 9234 section 5, ingress 3).
[[nodiscard]] bool gets_otc(const ImportContext& context, const wire::AttributeFacts& facts) noexcept;

/// 127/8, 169.254/16, 224/3 and longer.
[[nodiscard]] constexpr bool is_martian(const net::PrefixKey4& key) noexcept {
    const std::uint32_t top = key.address >> 24U;
    return (top == 127 && key.length >= 8) || (key.address >> 16U == 0xa9fe && key.length >= 16) ||
           (top >= 224 && key.length >= 3);
}
/// ::/128, ::1/128, fe80::/10, ff00::/8 and longer.
[[nodiscard]] constexpr bool is_martian(const net::PrefixKey6& key) noexcept {
    const std::uint32_t top = key.address[0];
    return (top >> 22U == 0xfe80U >> 6U && key.length >= 10) || (top >> 24U == 0xff && key.length >= 8) ||
           (key.length == 128 && key.address[0] == 0 && key.address[1] == 0 && key.address[2] == 0 &&
            key.address[3] <= 1);
}

/// Whether this prefix may be used at all: once a route.
template <class Key>
[[nodiscard]] Refusal judge_prefix(const Key& key, const OwnAddresses& own) noexcept {
    if (is_martian(key)) {
        return Refusal::martian;
    }
    return key.length == Key::kBits && own.contains(key) ? Refusal::own_address : Refusal::none;
}

}  // namespace manul::bgp::policy
