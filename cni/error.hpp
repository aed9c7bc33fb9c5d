#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <utility>

namespace manul::cni {

/// Codes of the CNI specification and of its reference library.
enum class Code : std::uint16_t {
    incompatible_version = 1,
    unsupported_field = 2,
    invalid_environment = 4,
    io_failure = 5,
    cannot_decode = 6,
    invalid_config = 7,
    invalid_netns = 8,
    try_again = 11,
    not_available = 50,
    limited_connectivity = 51,
    check_failed = 100,
    internal = 999,
};

/// What a failed call answers. `msg` carries the reason on its own: runtimes show it first.
struct CniError {
    std::uint16_t code = 0;
    std::string msg;
    std::string details;

    bool operator==(const CniError&) const = default;
};

template <class T>
using CniResult = std::expected<T, CniError>;

[[nodiscard]] inline std::unexpected<CniError> refuse(Code code, std::string msg, std::string details = {}) {
    return std::unexpected(CniError{static_cast<std::uint16_t>(code), std::move(msg), std::move(details)});
}

}  // namespace manul::cni
