#pragma once

#include <optional>
#include <string>
#include <string_view>

/// What a client takes as an answer (RFC 9110, 12.5.1), as Kubernetes reads it.
namespace manul::serve {

struct Format {
    bool yaml = false;
    std::string as;       ///< Table, PartialObjectMetadata or its List; empty: the objects as they are
    std::string version;  ///< of `as`: v1, v1beta1
};

inline constexpr std::string_view kAcceptedTypes = "application/json, application/yaml";

/// The best of what the header offers and this server writes; nothing when there is none.
[[nodiscard]] std::optional<Format> negotiated(std::string_view accept);

/// The type of a Content-Type, without its parameters, in lower case.
[[nodiscard]] std::string media_type(std::string_view text);

}  // namespace manul::serve
