#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "config/model/kind.hpp"
#include "config/store/store.hpp"

/// What a datastore must offer below ObjectStore: bytes by key, one compare-and-swap transaction, a change feed. A
/// backend knows nothing of what is inside a document; everything that is the same for all of them (identity fields,
/// defaults, checks, limits, writes that change nothing) is done once, in object_store.
namespace manul::store {

/// One stored document, without metadata.resourceVersion (the backend's own revision is that).
struct Row {
    model::Key key;
    Revision revision;
    std::shared_ptr<const std::string> body;  ///< null: the stored bytes fail their checksum
};

/// Several keys as they were at one moment, in the order asked for.
struct Snapshot {
    std::vector<std::optional<Row>> rows;
    Revision revision;  ///< of the store at that moment
};

/// One part of a transaction. `put` writes `body`; `check` only compares.
struct Mutation {
    enum class Type : std::uint8_t { put, remove, check };

    Type type;
    model::Key key;
    std::string body;
    Precondition precondition;
};

/// Precondition: no object of the kind was created or changed after the revision. It closes the gap that preconditions
/// on keys leave open: an object that did not exist when its kind was read.
struct KindUnchanged {
    model::Kind kind;
    Revision since;
};

class Backend {
public:
    virtual ~Backend() = default;

    [[nodiscard]] virtual StoreResult<Snapshot> read(std::span<const model::Key> keys) = 0;
    /// One of them, where nobody asks for the store's revision.
    [[nodiscard]] virtual StoreResult<std::optional<Row>> find(const model::Key& key) {
        auto snapshot = read(std::span(&key, 1));
        if (!snapshot) {
            return std::unexpected(std::move(snapshot).error());
        }
        return std::move(snapshot->rows.front());
    }
    /// In the order of keys, and, unlike rows, as callers see them (`add_row`): a list of a hundred thousand is copied
    /// once, from the datastore's memory.
    [[nodiscard]] virtual StoreResult<Listing> scan(const ListQuery& query) = 0;
    /// All or nothing; `conflict` when a precondition does not hold. Returns the one new revision.
    [[nodiscard]] virtual StoreResult<Revision> commit(std::span<const Mutation> mutations,
                                                       std::span<const KindUnchanged> kinds) = 0;
    [[nodiscard]] virtual bool transactional() const noexcept = 0;
    [[nodiscard]] virtual StoreResult<std::string> identity() = 0;
    /// Events carry documents as rows do: without metadata.resourceVersion.
    [[nodiscard]] virtual StoreResult<std::unique_ptr<Watch>> watch(std::span<const WatchStart> starts) = 0;
};

}  // namespace manul::store
