#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "bgpd/io/engine.hpp"
#include "net/ip.hpp"

namespace manul::bgp::io {

/// Routes that each peer was told when they were last counted, by family (0 = IPv4).
using SentByPeer = std::map<net::Ip, std::array<std::uint32_t, 2>>;

/// The exposition of bgpd's metrics (Prometheus text format 0.0.4).
[[nodiscard]] std::string metrics_text(const Engine& engine, const SentByPeer& sent, bool datastore_lost);

}  // namespace manul::bgp::io
