#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include "felix/model/shared.hpp"

namespace manul::felix {

/// Objects by their content, for as long as somebody holds them: equal ones are the same object.
template <class T>
class Interned {
public:
    /// The object for which `is_it` holds, if there is one.
    template <class Predicate>
    [[nodiscard]] std::optional<Shared<T>> find(std::size_t hash, const Predicate& is_it) const {
        const auto [first, last] = known_.equal_range(hash);
        for (auto at = first; at != last; ++at) {
            if (auto known = at->second.lock(); known != nullptr && is_it(*known)) {
                return Shared<T>(std::move(known));
            }
        }
        return std::nullopt;
    }
    Shared<T> add(std::size_t hash, Shared<T> value) {
        known_.emplace(hash, value.pointer());
        if (known_.size() > swept_at_) {
            std::erase_if(known_, [](const auto& entry) { return entry.second.expired(); });
            swept_at_ = 2 * known_.size() + 1024;
        }
        return value;
    }
    [[nodiscard]] Shared<T> one(std::size_t hash, const T& value) {
        const auto known = find(hash, [&value](const T& other) { return other == value; });
        return known ? *known : add(hash, Shared<T>(value));
    }

private:
    std::unordered_multimap<std::size_t, std::weak_ptr<const T>> known_;
    std::size_t swept_at_ = 1024;  ///< number of entries at which those that nobody holds are removed
};

}  // namespace manul::felix
