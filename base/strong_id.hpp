#pragma once

#include <compare>
#include <concepts>
#include <cstddef>
#include <functional>

namespace manul {

/// An integer that names one kind of thing and cannot be mixed up with another (peer id, slot, class id).
template <class Tag, std::unsigned_integral Rep>
class Id {
public:
    using rep = Rep;

    constexpr Id() noexcept = default;
    constexpr explicit Id(Rep value) noexcept : value_(value) {}

    [[nodiscard]] constexpr Rep value() const noexcept { return value_; }

    auto operator<=>(const Id&) const = default;

private:
    Rep value_ = 0;
};

}  // namespace manul

template <class Tag, std::unsigned_integral Rep>
struct std::hash<manul::Id<Tag, Rep>> {
    std::size_t operator()(manul::Id<Tag, Rep> id) const noexcept { return std::hash<Rep>{}(id.value()); }
};
