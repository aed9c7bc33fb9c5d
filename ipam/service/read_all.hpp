#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/codec/json.hpp"
#include "config/store/store.hpp"
#include "ipam/core/draft.hpp"
#include "ipam/service/store_source.hpp"

namespace manul::ipam {

/// All objects of a kind. Fails when one cannot be understood: a chore never acts on a part of the truth.
template <class T>
[[nodiscard]] Outcome<std::vector<std::pair<store::Object, std::shared_ptr<const T>>>> read_all(store::Store& store) {
    const auto listing = store.list({.kind = T::kKind, .ns = std::nullopt, .name_prefix = {}});
    if (!listing) {
        return std::unexpected(store_failure(listing.error()));
    }
    if (!listing->damaged.empty()) {
        return refuse(ErrorCode::try_again, listing->damaged.front().key.to_string() + " cannot be read");
    }
    std::vector<std::pair<store::Object, std::shared_ptr<const T>>> out;
    for (const store::Object& object : listing->items) {
        const auto decoded = codec::decode(T::kKind, *object.document, codec::Mode::lenient);
        const auto view = model::as<T>(decoded.resource);
        if (!view) {
            return refuse(ErrorCode::try_again, object.key.to_string() + " cannot be read");
        }
        out.emplace_back(object, view);
    }
    return out;
}

}  // namespace manul::ipam
