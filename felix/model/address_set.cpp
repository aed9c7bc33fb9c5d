#include "felix/model/address_set.hpp"

#include <cstddef>
#include <string>
#include <string_view>

#include "base/sha256.hpp"

namespace manul::felix {

namespace {
constexpr std::size_t kHashBytes = 16;
}

SetId SetId::of_selector(std::string_view canonical_selector) {
    return SetId{"s:" + sha256_hex(canonical_selector, kHashBytes)};
}

SetId SetId::of_named_port(std::string_view canonical_selector, std::string_view protocol, std::string_view port_name) {
    // The name comes first: it cannot hold a slash, so different triples never give one text.
    std::string text(port_name);
    text += '/';
    text += protocol;
    text += '/';
    text += canonical_selector;
    return SetId{"p:" + sha256_hex(text, kHashBytes)};
}

}  // namespace manul::felix
