#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace manul::ctl {

/// The JSON document indented by two spaces, for people; keys keep their order.
[[nodiscard]] Result<std::string> pretty_json(std::string_view document);

/// What `get --export` prints: the document without uid, resourceVersion, creationTimestamp, generation and status of
/// its life in this store.
[[nodiscard]] Result<std::string> exported(std::string_view document);

}  // namespace manul::ctl
