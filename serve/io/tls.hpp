#pragma once

#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ssl/context.hpp>

#include "base/error.hpp"
#include "serve/io/http_server.hpp"

/// OpenSSL's side of the server; part of its module.
namespace manul::serve {

using TlsContext = std::shared_ptr<boost::asio::ssl::context>;

/// TLS 1.2 and later. Clients are asked for a certificate when there is an authority to verify it by.
[[nodiscard]] Result<TlsContext> make_tls(const ServerIdentity& identity);

/// Whom a verified certificate is for; empty when there is none, or it has not exactly one common name.
struct ClientCertificate {
    std::string common_name;
    std::vector<std::string> organizations;
};
[[nodiscard]] ClientCertificate client_certificate(SSL* session);

}  // namespace manul::serve
