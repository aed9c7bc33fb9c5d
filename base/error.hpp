#pragma once

#include <expected>
#include <string>
#include <utility>

namespace manul {

/// A failure that a person will read. The text says what was attempted, on what, and why it failed;
/// modules whose callers must tell failures apart define an error type of their own.
struct Error {
    std::string message;

    bool operator==(const Error&) const = default;
};

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(std::string message) {
    return std::unexpected(Error{std::move(message)});
}

}  // namespace manul
