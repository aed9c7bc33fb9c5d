#include "serve/io/tls.hpp"

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/impl/src.hpp>

#include "base/error.hpp"

namespace manul::serve {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

std::vector<std::string> entries(X509_NAME* name, int nid) {
    std::vector<std::string> out;
    for (int at = -1; (at = ::X509_NAME_get_index_by_NID(name, nid, at)) >= 0;) {
        const ASN1_STRING* text = ::X509_NAME_ENTRY_get_data(::X509_NAME_get_entry(name, at));
        unsigned char* utf8 = nullptr;
        const int length = ::ASN1_STRING_to_UTF8(&utf8, text);
        if (length >= 0) {
            out.emplace_back(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(length));
            ::OPENSSL_free(utf8);
        }
    }
    return out;
}

}  // namespace

Result<TlsContext> make_tls(const ServerIdentity& identity) {
    auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
    error_code failed;
    context->use_certificate_chain(asio::buffer(identity.certificate), failed);
    if (failed) {
        return fail("the server's certificate cannot be read: " + failed.message());
    }
    context->use_private_key(asio::buffer(identity.key), asio::ssl::context::pem, failed);
    if (failed) {
        return fail("the server's key cannot be used with its certificate: " + failed.message());
    }
    SSL_CTX* const native = context->native_handle();
    ::SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
    static constexpr std::string_view kSessions = "manul-serve";
    ::SSL_CTX_set_session_id_context(native, reinterpret_cast<const unsigned char*>(kSessions.data()),
                                     static_cast<unsigned>(kSessions.size()));
    if (!identity.client_ca.empty()) {
        context->add_certificate_authority(asio::buffer(identity.client_ca), failed);
        if (failed) {
            return fail("the certificate authority of clients cannot be read: " + failed.message());
        }
        // Asked for, not demanded: others come with a token.
        context->set_verify_mode(asio::ssl::verify_peer);
    }
    return context;
}

ClientCertificate client_certificate(SSL* session) {
    X509* const certificate = ::SSL_get1_peer_certificate(session);
    if (certificate == nullptr) {
        return {};
    }
    ClientCertificate out;
    X509_NAME* const subject = ::X509_get_subject_name(certificate);
    if (const auto names = entries(subject, NID_commonName); names.size() == 1) {
        out = {names.front(), entries(subject, NID_organizationName)};
    }
    ::X509_free(certificate);
    return out;
}

}  // namespace manul::serve
