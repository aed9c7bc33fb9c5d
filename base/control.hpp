#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/json/fwd.hpp>

#include "base/error.hpp"

namespace boost::asio {
class io_context;
}

/// Local request/response protocol over a unix stream socket: a 4-byte big-endian length, then JSON, one request per
/// connection, the answer alike; both at most 1 MiB. The same framing carries CNI requests to ipamd
/// (docs/design/cni.md) and control requests of manulctl to every daemon.
namespace manul::control {

inline constexpr std::size_t kMaxMessage = std::size_t{1} << 20U;

/// Sends the one answer to a request. May be called later, from the io_context's thread; destroying it unused answers
/// with an error, so a request is never left hanging.
using Reply = std::move_only_function<void(const boost::json::value&)>;
using Handler = std::function<void(boost::json::object request, Reply reply)>;

/// Listens on `path` (mode 0600, replacing a stale socket) and serves until destroyed. A client gets 10 s for its
/// request; malformed requests are answered with {"error": ...} and reach no handler. A socket file that somebody
/// removes is made again within two seconds.
class Server {
public:
    [[nodiscard]] static Result<std::unique_ptr<Server>> listen(boost::asio::io_context& io, const std::string& path,
                                                                Handler handler);
    virtual ~Server() = default;
};

/// Somebody listens on `path`.
[[nodiscard]] bool is_served(const std::string& path);

/// Blocking client for command-line programs.
[[nodiscard]] Result<boost::json::value> call(const std::string& path, const boost::json::object& request,
                                              std::chrono::milliseconds timeout);

}  // namespace manul::control
