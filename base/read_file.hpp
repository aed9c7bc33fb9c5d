#pragma once

#include <cstddef>
#include <limits>
#include <string>

#include "base/error.hpp"

namespace manul {

/// The whole content of a file; pipes are read to their end (`-f <(command)`). The error is "PATH: reason", for a
/// directory too, and for more than `limit` bytes.
[[nodiscard]] Result<std::string> read_file(const std::string& path,
                                            std::size_t limit = std::numeric_limits<std::size_t>::max());

/// The same of a file with a password, token or key, which others than its owner may not read.
[[nodiscard]] Result<std::string> read_secret_file(const std::string& path);

}  // namespace manul
