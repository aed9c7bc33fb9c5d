#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/try.hpp"
#include "config/model/kind.hpp"
#include "config/store/backend.hpp"
#include "config/store/document.hpp"
#include "config/store/store.hpp"

namespace manul::store::kubernetes {

/// The store as the checks against other objects see it.
class ReadBackend final : public Backend {
public:
    explicit ReadBackend(Store& store) : store_(store) {}

    [[nodiscard]] StoreResult<Snapshot> read(std::span<const model::Key> keys) override {
        Snapshot snapshot;
        for (const model::Key& key : keys) {
            auto object = store_.get(key);
            if (!object && object.error().code != StoreError::Code::not_found) {
                return std::unexpected(std::move(object).error());
            }
            snapshot.rows.push_back(object ? std::optional(Row{key, object->revision, object->document})
                                           : std::nullopt);
        }
        return snapshot;
    }
    [[nodiscard]] StoreResult<Listing> scan(const ListQuery& query) override { return store_.list(query); }
    [[nodiscard]] StoreResult<Revision> commit(std::span<const Mutation> /*mutations*/,
                                               std::span<const KindUnchanged> /*kinds*/) override {
        return std::unexpected(error(StoreError::Code::unsupported, "this view only reads"));
    }
    [[nodiscard]] bool transactional() const noexcept override { return store_.transactional(); }
    [[nodiscard]] StoreResult<std::string> identity() override { return store_.identity(); }
    [[nodiscard]] StoreResult<std::unique_ptr<Watch>> watch(std::span<const WatchStart> starts) override {
        return store_.watch(starts);
    }

private:
    Store& store_;
};

}  // namespace manul::store::kubernetes
