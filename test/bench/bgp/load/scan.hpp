#pragma once

#include <optional>

#include "base/bytes.hpp"
#include "net/ip.hpp"

namespace manul::bench {

/// What an UPDATE says, as far as the load generator asks. Prefixes are as they stand there.
struct ScannedUpdate {
    ByteView withdrawn;
    ByteView announced;
    ByteView next_hop;
    ByteView as_path;
    ByteView mp_withdrawn;
    ByteView mp_announced;
    ByteView mp_next_hop;
    net::Family mp_withdrawn_family = net::Family::v6;
    net::Family mp_announced_family = net::Family::v6;
};

/// Finds the parts of an UPDATE and checks nothing but their lengths: a generator that took as long as the speaker
/// would measure itself. Nothing: lengths do not add up, or a family that nobody asked for.
[[nodiscard]] std::optional<ScannedUpdate> scan_update(ByteView body);

}  // namespace manul::bench
