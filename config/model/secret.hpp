#pragma once

#include <string>

#include "config/model/resource.hpp"

namespace manul::model {

/// What stands for every value of a secret where people see it: "***" in base64.
inline constexpr const char* kSecretMask = "Kioq";

struct Secret final : ResourceOf<Kind::secret> {
    StringMap data;         ///< base64
    StringMap string_data;  ///< plain texts, as written by people; stored as data
    std::string type;
    bool immutable = false;
};

}  // namespace manul::model
