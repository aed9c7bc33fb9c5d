#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace boost::asio {
class io_context;
}

/// What a daemon tells over plain HTTP, to Prometheus and to probes:
///
///   GET /metrics                      the exposition
///   GET /healthz, /livez, /liveness   200 while every check of `live` holds, else 503
///   GET /readyz, /readiness           the same for `ready`
///
/// The body of a probe's answer has one line a check. It answers GET and HEAD, one request per connection, and reads
/// nothing but the request line: there is nothing to configure, to log in to or to write. A client gets 10 s; of more
/// than 64 clients at once the newest are turned away.
namespace manul::http_status {

/// One part of the daemon.
struct Check {
    std::string name;
    bool ok = true;
    std::string detail;  ///< why it is not, or what it is doing
};
using Checks = std::vector<Check>;

/// Called on the io_context's thread for each request. The paths of an empty function do not exist (404).
struct Pages {
    std::function<std::string()> metrics;  ///< Prometheus text exposition, format 0.0.4
    std::function<Checks()> live;
    std::function<Checks()> ready;
};

/// Listens until destroyed.
class Server {
public:
    /// `host` is an address, "localhost" (127.0.0.1), or empty for all addresses of both families. Port 0 takes a free
    /// one.
    [[nodiscard]] static Result<std::unique_ptr<Server>> listen(boost::asio::io_context& io, std::string_view host,
                                                                std::uint16_t port, Pages pages);
    virtual ~Server() = default;
    [[nodiscard]] virtual std::uint16_t port() const noexcept = 0;
};

}  // namespace manul::http_status
