#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "config/codec/tree.hpp"

namespace manul::codec {

/// The keys of one map while it grows. To look at all of them for each new one costs least where they are few, and
/// takes minutes where somebody sends a hundred thousand.
class SeenKeys {
public:
    /// The line of the value that the map has by this key; nothing when it has none.
    [[nodiscard]] std::optional<std::uint32_t> line_of(const Tree& map, const std::string& key) {
        if (map.children.size() < kFew) {
            const Tree* found = map.find(key);
            return found == nullptr ? std::nullopt : std::optional(found->line);
        }
        for (; known_ < map.children.size(); ++known_) {
            lines_.try_emplace(map.children[known_].key, map.children[known_].line);
        }
        const auto found = lines_.find(key);
        return found == lines_.end() ? std::nullopt : std::optional(found->second);
    }

private:
    static constexpr std::size_t kFew = 32;

    std::unordered_map<std::string, std::uint32_t> lines_;
    std::size_t known_ = 0;  ///< children that are in `lines_`
};

}  // namespace manul::codec
