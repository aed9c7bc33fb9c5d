#pragma once

#include <expected>
#include <utility>

// The only control-flow macros of the project: std::expected of libstdc++ 12 has no monadic calls.

#define MANUL_TRY_JOIN_(a, b) a##b
#define MANUL_TRY_NAME_(a, b) MANUL_TRY_JOIN_(a, b)

/// MANUL_TRY(auto value, expression): declares `value` with what the expected holds, or returns its error.
#define MANUL_TRY(declaration, ...)                                                       \
    auto MANUL_TRY_NAME_(manul_try_, __LINE__) = (__VA_ARGS__);                           \
    if (!MANUL_TRY_NAME_(manul_try_, __LINE__)) {                                         \
        return std::unexpected(std::move(MANUL_TRY_NAME_(manul_try_, __LINE__)).error()); \
    }                                                                                     \
    declaration = *std::move(MANUL_TRY_NAME_(manul_try_, __LINE__))

/// MANUL_CHECK(expression): the same for an expected whose value is not needed (usually void).
#define MANUL_CHECK(...)                                                   \
    do {                                                                   \
        auto manul_check_result = (__VA_ARGS__);                           \
        if (!manul_check_result) {                                         \
            return std::unexpected(std::move(manul_check_result).error()); \
        }                                                                  \
    } while (false)
