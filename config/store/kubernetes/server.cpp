#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/try.hpp"
#include "config/store/kubernetes/access.hpp"
#include "config/store/kubernetes/http.hpp"
#include "config/store/module.hpp"

namespace manul::store::kubernetes {

Result<HttpServer> parse_server(const Access& access) {
    HttpServer server;
    std::string_view rest = access.server;
    if (rest.starts_with("https://")) {
        rest.remove_prefix(8);
    } else if (rest.starts_with("http://")) {
        rest.remove_prefix(7);
        server.tls = false;
    } else {
        return fail(access.where + ": expected the server as https://host:port, found \"" + access.server + "\"");
    }
    const std::size_t slash = rest.find('/');
    if (slash != std::string_view::npos) {
        server.base = rest.substr(slash);
        while (server.base.ends_with('/')) {
            server.base.pop_back();
        }
        rest = rest.substr(0, slash);
    }
    const std::size_t bracket = rest.rfind(']');
    const std::size_t colon = rest.find(':', bracket == std::string_view::npos ? 0 : bracket);
    server.port = colon == std::string_view::npos ? (server.tls ? "443" : "80") : std::string(rest.substr(colon + 1));
    server.host = rest.substr(0, colon);
    if (server.host.starts_with('[') && server.host.ends_with(']')) {
        server.host = server.host.substr(1, server.host.size() - 2);
    }
    if (server.host.empty()) {
        return fail(access.where + ": the server \"" + access.server + "\" names no host");
    }
    server.server_name = access.tls_server_name.empty() ? server.host : access.tls_server_name;
    server.skip_verification = access.skip_verification;
    server.where = access.where;
    return server;
}

Result<const HttpModule*> load_http_module() {
    MANUL_TRY(void* const symbol, load_symbol("manul-store-kubernetes.so", "manul_http_module", "manul-kubernetes"));
    // A pointer to a function is an object of dlsym by POSIX alone.
    return reinterpret_cast<const HttpModule* (*)()>(symbol)();
}

}  // namespace manul::store::kubernetes
