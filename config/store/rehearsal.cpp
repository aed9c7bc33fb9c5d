#include "config/store/rehearsal.hpp"

#include <algorithm>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/model/kind.hpp"
#include "config/store/backend.hpp"
#include "config/store/document.hpp"
#include "config/store/object_store.hpp"

namespace manul::store {

namespace {

using Code = StoreError::Code;

/// What is stored, with the writes of this process over it.
class Overlay final : public Backend {
public:
    explicit Overlay(Store& base) : base_(base) {}

    [[nodiscard]] StoreResult<Snapshot> read(std::span<const model::Key> keys) override {
        Snapshot snapshot;
        for (const model::Key& key : keys) {
            MANUL_TRY(std::optional<Row> row, present(key));
            snapshot.rows.push_back(std::move(row));
        }
        return snapshot;
    }

    [[nodiscard]] StoreResult<Listing> scan(const ListQuery& query) override {
        MANUL_TRY(Listing listing, base_.list(query));
        std::erase_if(listing.items, [this](const Object& object) { return changes_.contains(object.key); });
        for (const auto& [key, row] : changes_) {
            if (row && key.kind == query.kind && (!query.ns || key.ns == *query.ns) &&
                key.name.starts_with(query.name_prefix)) {
                add_row(listing, key, row->revision, *row->body);
            }
        }
        std::ranges::sort(listing.items, {}, &Object::key);
        return listing;
    }

    /// Nobody else writes here, so what was read of other kinds still holds; a writer may have guessed what it writes.
    [[nodiscard]] StoreResult<Revision> commit(std::span<const Mutation> mutations,
                                               std::span<const KindUnchanged> /*kinds*/) override {
        for (const Mutation& mutation : mutations) {
            MANUL_TRY(const std::optional<Row> row, present(mutation.key));
            const Precondition& needed = mutation.precondition;
            if (needed.absent ? row.has_value() : !row || row->revision != needed.revision) {
                return std::unexpected(error(Code::conflict, "update conflict: " + mutation.key.to_string()));
            }
        }
        const Revision revision = "rehearsed-" + std::to_string(++commits_);
        for (const Mutation& mutation : mutations) {
            if (mutation.type == Mutation::Type::put) {
                changes_[mutation.key] =
                    Row{mutation.key, revision, std::make_shared<const std::string>(mutation.body)};
            } else if (mutation.type == Mutation::Type::remove) {
                changes_[mutation.key] = std::nullopt;
            }
        }
        return revision;
    }

    [[nodiscard]] bool transactional() const noexcept override { return true; }
    [[nodiscard]] StoreResult<std::string> identity() override { return base_.identity(); }
    [[nodiscard]] StoreResult<std::unique_ptr<Watch>> watch(std::span<const WatchStart> starts) override {
        return base_.watch(starts);
    }

private:
    StoreResult<std::optional<Row>> present(const model::Key& key) {
        const auto changed = changes_.find(key);
        return changed == changes_.end() ? stored(key) : StoreResult<std::optional<Row>>(changed->second);
    }

    StoreResult<std::optional<Row>> stored(const model::Key& key) {
        auto object = base_.get(key);
        if (!object && object.error().code == Code::not_found) {
            return std::nullopt;
        }
        if (!object && object.error().code == Code::corrupt) {
            return Row{key, {}, nullptr};
        }
        if (!object) {
            return std::unexpected(std::move(object).error());
        }
        auto body = codec::with_stored_fields(*object->document, {.resource_version = "",
                                                                  .uid = std::nullopt,
                                                                  .creation_timestamp = std::nullopt,
                                                                  .generation = std::nullopt});
        if (!body) {
            return Row{key, object->revision, nullptr};
        }
        return Row{key, object->revision, std::make_shared<const std::string>(*std::move(body))};
    }

    Store& base_;
    std::map<model::Key, std::optional<Row>> changes_;  ///< nothing: removed
    int commits_ = 0;
};

}  // namespace

std::unique_ptr<Store> make_rehearsal(Store& base) {
    return std::make_unique<ObjectStore>(std::make_unique<Overlay>(base), "manulctl");
}

}  // namespace manul::store
