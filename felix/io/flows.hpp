#pragma once

#include <optional>
#include <vector>

#include "base/error.hpp"
#include "felix/eval/packet.hpp"

namespace manul::felix::io {

/// A connection as policy saw its first packet: from the client's own address to the address behind destination
/// translation, and what the client dialed where that is something else.
struct Flow {
    Packet packet;
    std::optional<Packet> before_dnat;
};

/// The connections that the kernel knows in this network namespace, both families. Needs CAP_NET_ADMIN.
[[nodiscard]] Result<std::vector<Flow>> read_flows();

}  // namespace manul::felix::io
