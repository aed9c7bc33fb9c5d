#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "serve/message.hpp"
#include "serve/stream.hpp"

/// HTTP/1.1 over TLS for many clients. The network libraries (Boost.Beast, OpenSSL) are seen in http_server.cpp alone,
/// which is a module of its own, so that no other command of manulctl loads them.
///
/// What clients may cost: 32768 connections in all; each 16 KiB of header within 20 s, 3 MiB of body within 30 s. A
/// connection that is kept idle is closed after two minutes, one whose client does not read after one.
namespace manul::serve {

/// PEM texts; the certificate authority is for clients' certificates and may be empty.
struct ServerIdentity {
    std::string certificate;
    std::string key;
    std::string client_ca;
};

struct ListenOptions {
    std::string host;  ///< an address
    std::uint16_t port = 0;
    bool tls = true;
    ServerIdentity identity;
};

/// Who the connection or the request says that the client is; certificates are verified, tokens are not.
struct Credentials {
    std::string common_name;  ///< of the client's certificate; empty: it has none
    std::vector<std::string> organizations;
    std::string token;
};

/// One request that waits for its answer. Calls come from any thread; unanswered, it is answered with 500.
class Exchange {
public:
    virtual ~Exchange() = default;
    virtual void respond(Response response) = 0;
    /// Begins an answer of JSON values that goes on.
    [[nodiscard]] virtual std::shared_ptr<Stream> stream() = 0;
};

/// Called on the server's own thread; must not block.
using Handler = std::function<void(Request, Credentials, std::shared_ptr<Exchange>)>;

/// Listens until stopped or destroyed, on a thread of its own.
class HttpServer {
public:
    virtual ~HttpServer() = default;
    [[nodiscard]] virtual std::uint16_t port() const noexcept = 0;
    /// No handler is called after it. Answers that are still given arrive nowhere.
    virtual void stop() = 0;
    /// For connections that are made from now on.
    [[nodiscard]] virtual Result<void> use(const ServerIdentity& identity) = 0;
};

/// What the module offers.
struct HttpServerModule {
    Result<std::unique_ptr<HttpServer>> (*listen)(const ListenOptions& options, Handler handler);
};
[[nodiscard]] Result<const HttpServerModule*> load_http_server();

}  // namespace manul::serve
