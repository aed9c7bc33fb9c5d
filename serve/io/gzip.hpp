#pragma once

#include <string_view>

#include "serve/message.hpp"

namespace manul::serve {

/// Makes a large answer small for a client that takes gzip (RFC 1952); others are left as they are.
void compress(Response& response, std::string_view accept_encoding);

}  // namespace manul::serve
