#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "net/netlink/encode.hpp"
#include "net/netlink/socket.hpp"

namespace manul::bgp::io {

/// Sends batches of requests to the kernel on a thread of its own: for a route the kernel takes longer than the whole
/// speaker, and works in the context of whoever sends. Outcomes come in the order of the batches. The thread is started
/// by the first batch.
class RouteWriter {
public:
    using Outcome = netlink::SocketResult<std::vector<netlink::RefusedRequest>>;

    explicit RouteWriter(netlink::Socket socket);
    /// Ends the batch at hand and drops the rest.
    ~RouteWriter();
    RouteWriter(const RouteWriter&) = delete;
    RouteWriter& operator=(const RouteWriter&) = delete;

    /// Readable when `take` has an outcome.
    [[nodiscard]] int fd() const noexcept;
    [[nodiscard]] std::uint32_t port() const noexcept;

    void submit(netlink::RequestBuffer requests);
    /// The next outcome, if it is there. Call it until it is not.
    [[nodiscard]] std::optional<Outcome> take();
    /// The next outcome. Precondition: there is a batch whose outcome has not been taken.
    [[nodiscard]] Outcome wait();
    /// Sends on the caller's thread, waiting as `socket` does, and empties `requests`. What the kernel refused; absent,
    /// and logged, when the connection failed.
    std::optional<std::vector<netlink::RefusedRequest>> send(netlink::RequestBuffer& requests);
    /// Some `send` failed, so what took effect is unknown.
    [[nodiscard]] bool has_failed() const noexcept { return has_failed_; }
    void forget_failure() noexcept { has_failed_ = false; }
    /// For other requests on the caller's thread: waits until no batch is under way. Valid until the next `submit`.
    [[nodiscard]] netlink::Socket& socket();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
    bool has_failed_ = false;
};

}  // namespace manul::bgp::io
