#pragma once

#include <vector>

#include "base/error.hpp"
#include "felix/eval/packet.hpp"

namespace manul::felix::io {

/// The connections that the kernel knows in this network namespace, both families, each as policy saw its first packet:
/// from the client's own address to the address behind destination translation. Needs CAP_NET_ADMIN.
[[nodiscard]] Result<std::vector<Packet>> read_flows();

}  // namespace manul::felix::io
