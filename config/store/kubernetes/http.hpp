#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "config/store/kubernetes/access.hpp"

/// HTTP/1.1 over TLS to one server, as far as the API server needs it. The network libraries (Boost.Beast, OpenSSL) are
/// seen in http.cpp alone, which is a module of its own.
namespace manul::store::kubernetes {

struct HttpRequest {
    std::string method;
    std::string target;  ///< path and query
    std::string body;
    std::string content_type;
    std::string token;  ///< bearer token; empty: none
};

struct HttpResponse {
    unsigned status = 0;
    std::string body;
    std::optional<std::chrono::seconds> retry_after;
};

struct HttpFailure {
    std::string message;
    bool was_sent = false;  ///< the server may have acted on the request
    bool ended = false;     ///< the connection ended before anything of the answer came
};

/// Where the server is.
struct HttpServer {
    bool tls = true;
    std::string host;
    std::string port;
    std::string base;         ///< path in front of every target
    std::string server_name;  ///< that its certificate must be for
    bool skip_verification = false;
    std::string where;       ///< what named it, for messages
    std::string user_agent;  ///< its part before the slash is who a server takes for the owner of changed fields
};
[[nodiscard]] Result<HttpServer> parse_server(const Access& access);

/// One connection that is kept and made again when needed; calls block. One thread at a time. A question (GET) that a
/// kept connection did not answer because the server was ending it is asked once more on a new one (RFC 9110, 9.2.2).
class HttpClient {
public:
    virtual ~HttpClient() = default;

    /// `identity` is used when a connection has to be made.
    [[nodiscard]] virtual std::expected<HttpResponse, HttpFailure> send(
        const HttpRequest& request, const std::function<Result<TlsIdentity>()>& identity,
        std::chrono::milliseconds timeout) = 0;
};

/// Answers that go on: each one a connection of its own, all of them run by one thread, on which all handlers are
/// called. Destruction ends the thread; no handler is called after that.
class HttpStreams {
public:
    struct Handler {
        std::function<void(unsigned status)> on_status;
        std::function<void(std::string_view bytes)> on_data;
        /// Nothing more comes. A failure, or nothing when the answer was complete.
        std::function<void(const std::optional<HttpFailure>& failure)> on_end;
    };

    virtual ~HttpStreams() = default;

    /// Runs `action` on the thread after `delay`. From any thread.
    virtual void after(std::chrono::milliseconds delay, std::function<void()> action) = 0;
    /// On the thread. An answer that is silent for `idle` has failed.
    virtual void open(HttpRequest request, const TlsIdentity& identity, std::chrono::milliseconds idle,
                      Handler handler) = 0;
};

/// What the module with the network libraries offers (http.cpp).
struct HttpModule {
    std::unique_ptr<HttpClient> (*make_client)(HttpServer server);
    std::unique_ptr<HttpStreams> (*make_streams)(HttpServer server);
};
[[nodiscard]] Result<const HttpModule*> load_http_module();

}  // namespace manul::store::kubernetes
