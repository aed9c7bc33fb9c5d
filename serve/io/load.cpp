#include "base/error.hpp"
#include "base/try.hpp"
#include "config/store/module.hpp"
#include "serve/io/http_server.hpp"

namespace manul::serve {

Result<const HttpServerModule*> load_http_server() {
    MANUL_TRY(void* const symbol, store::load_symbol("manul-serve.so", "manul_http_server_module", "manul"));
    // A pointer to a function is an object of dlsym by POSIX alone.
    return reinterpret_cast<const HttpServerModule* (*)()>(symbol)();
}

}  // namespace manul::serve
