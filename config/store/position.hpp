#pragma once

#include <optional>

#include "config/store/store.hpp"

namespace manul::store {

/// What a Watch may offer besides: up to where its take() gave everything of the kinds that are still followed. It
/// moves on although nothing happens to them, so that a later watch from there is not compacted.
class Positioned {
public:
    virtual ~Positioned() = default;
    [[nodiscard]] virtual std::optional<Revision> position() = 0;
};

/// Nothing when the watch cannot tell.
[[nodiscard]] inline std::optional<Revision> position_of(Watch& watch) {
    auto* const positioned = dynamic_cast<Positioned*>(&watch);
    return positioned == nullptr ? std::nullopt : positioned->position();
}

}  // namespace manul::store
