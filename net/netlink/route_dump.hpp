#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/unique_fd.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/encode.hpp"
#include "net/netlink/socket.hpp"

namespace manul::netlink {

/// A listing of routes that is read a piece at a time, on a socket of its own, so that a table of a million routes
/// holds up nobody. What changes meanwhile may be in it or not: listen to events, too, and apply them afterwards.
class RouteDump {
public:
    [[nodiscard]] static SocketResult<RouteDump> start(const RouteFilter& filter);

    /// Reads one datagram (some hundred routes) and appends what is in it; never blocks for long, since the kernel
    /// works inside the call. True: there is more. Kind::interrupted: the table changed in a way that may have hidden
    /// routes; start again.
    [[nodiscard]] SocketResult<bool> take(std::vector<Route>& routes);

private:
    explicit RouteDump(UniqueFd fd);

    UniqueFd fd_;
    std::unique_ptr<std::uint8_t[]> buffer_;
};

}  // namespace manul::netlink
