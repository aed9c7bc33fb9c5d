#pragma once

#include <array>

#include "net/ip.hpp"

namespace manul::felix::render {

inline constexpr std::array kFamilies{net::Family::v4, net::Family::v6};

/// A value for each address family.
template <class T>
struct ByFamily {
    T v4{};
    T v6{};

    [[nodiscard]] T& operator[](net::Family family) noexcept { return family == net::Family::v4 ? v4 : v6; }
    [[nodiscard]] const T& operator[](net::Family family) const noexcept { return family == net::Family::v4 ? v4 : v6; }
};

}  // namespace manul::felix::render
