#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"

/// Documents of kind Secret: what people see of them, and what a person's document becomes when it is stored.
namespace manul::codec {

/// `document` with model::kSecretMask in place of every value, in the annotation of `kubectl apply` too.
[[nodiscard]] Result<std::string> masked_secret(std::string_view document);

/// `document` with the plain texts of `stringData` moved into `data`, and with the stored value wherever the mask
/// stands. Fails when the mask stands where nothing is stored (`stored` absent: a new object).
[[nodiscard]] Result<std::string> completed_secret(std::string_view document, std::optional<std::string_view> stored);

}  // namespace manul::codec
