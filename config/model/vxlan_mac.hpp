#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/sha1.hpp"
#include "net/ip.hpp"
#include "net/mac.hpp"

namespace manul::model {

/// The MAC of a node's VXLAN device, the same on every start: locally administered, unicast. Calico's nodes have the
/// same one and do not write it into their Nodes, so whoever finds none there takes this.
[[nodiscard]] inline net::Mac vxlan_mac(std::string_view node, net::Family family) {
    const auto hash = sha1(std::string(node) + (family == net::Family::v6 ? "-v6" : ""));
    std::array<std::uint8_t, 6> bytes{0x66};
    std::copy_n(hash.begin(), bytes.size() - 1, bytes.begin() + 1);
    return net::Mac(bytes);
}

}  // namespace manul::model
