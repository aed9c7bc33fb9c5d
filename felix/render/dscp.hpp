#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "felix/model/endpoint_key.hpp"
#include "felix/model/route.hpp"
#include "felix/render/ruleset.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

/// Code points of what endpoints send out of the cluster: neither to an address pool nor to a node.
///
///   manul_raw  dscp  postrouting -150  every packet, those of established connections too
///
/// Source addresses with one code point share a rule; the chain exists while somebody asks for one.
namespace manul::felix::render {

class DscpChains {
public:
    /// What the endpoint asks for; nothing: it does not, or is gone.
    void put(const EndpointKey& key, std::optional<std::uint8_t> value, const std::vector<net::Ip>& addresses);
    /// Pools and nodes stay out.
    void render(const std::vector<IpPoolInfo>& pools, const Tunnels& tunnels, std::vector<Change>& out);

private:
    struct Wish {
        std::uint8_t value = 0;
        std::vector<net::Ip> addresses;
        bool operator==(const Wish&) const = default;
    };
    [[nodiscard]] ChainPtr wanted(net::Family family, const std::vector<net::Prefix>& inside) const;

    std::map<EndpointKey, Wish> wishes_;
    bool dirty_ = false;
    std::vector<net::Prefix> inside_;  ///< as of the last chain
    std::array<ChainPtr, 2> given_;    ///< by family
};

}  // namespace manul::felix::render
