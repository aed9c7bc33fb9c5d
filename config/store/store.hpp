#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/model/kind.hpp"

/// The datastore as everybody sees it: documents by key, compare-and-swap, watch from a revision. Calls block (daemons
/// make slow ones on their Worker); one Store object belongs to one thread at a time.
namespace manul::store {

/// Opaque (decision: compared for equality only).
using Revision = std::string;

struct StoreError {
    enum class Code : std::uint8_t {
        not_found,
        already_exists,
        conflict,        ///< the revision given is not the stored one
        invalid,         ///< refused by validation or by a check against other objects
        unsupported,     ///< for example deleting a built-in tier
        too_large,       ///< more than 100 keys or 1 MiB in one transaction
        compacted,       ///< the watch fell behind the change log, or the store was replaced: list again
        unavailable,     ///< cannot be reached, locked, full: try again later
        unknown_result,  ///< a write timed out: read back before repeating
        newer_schema,    ///< the store needs a newer version of this program
        corrupt,         ///< a stored row fails its checksum
    };
    Code code = Code::unavailable;
    std::string message;
    std::vector<std::string> details;  ///< one line a finding when there are several
};

template <class T>
using StoreResult = std::expected<T, StoreError>;

/// One stored object: the JSON document as text, with metadata.resourceVersion filled in.
struct Object {
    model::Key key;
    Revision revision;
    std::shared_ptr<const std::string> document;
};

/// A stored object that cannot be read.
struct DamagedObject {
    model::Key key;
    Revision revision;
    StoreError error;
};

struct Listing {
    std::vector<Object> items;
    Revision revision;                   ///< start of a watch that misses nothing after this list
    std::vector<DamagedObject> damaged;  ///< stored, but not among `items`: keep what is in force, and report
};

struct ListQuery {
    model::Kind kind;
    std::optional<std::string> ns;
    std::string name_prefix;
};

/// One write of a transaction. `absent` as precondition: the key must not exist; no precondition: any state.
struct Precondition {
    bool absent = false;
    Revision revision;  ///< used when not absent
};
struct Put {
    model::Key key;
    std::string document;
    std::optional<Precondition> precondition;
};
struct Remove {
    model::Key key;
    std::optional<Precondition> precondition;
};
/// A read as precondition: the key is unchanged (or absent) when the transaction commits.
struct Check {
    model::Key key;
    Precondition precondition;
};
using Op = std::variant<Put, Remove, Check>;

struct Event {
    enum class Type : std::uint8_t {
        put,
        removed,  ///< `object.document` is the last stored version, when known
        resync,   ///< the watch of this kind ended as "compacted": list again and start a new watch
    };
    Type type;
    Object object;
};

/// A stream of changes of several kinds. Wait until `fd()` is readable, then `take()`; never blocks.
class Watch {
public:
    virtual ~Watch() = default;
    [[nodiscard]] virtual int fd() const noexcept = 0;
    /// Everything that happened since the last call, in order per kind. An error is transient: the watch goes on.
    [[nodiscard]] virtual StoreResult<std::vector<Event>> take() = 0;
    /// Why some or all of the kinds cannot be followed at present, although events of the others may come. When it
    /// ends, `fd()` becomes readable, be there events or not.
    [[nodiscard]] virtual std::optional<StoreError> problem() { return std::nullopt; }
};

struct WatchStart {
    model::Kind kind;
    Revision revision;  ///< of a list of that kind
};

/// How a write is checked. `own_fields_only` (daemons' bulk IPAM writes) checks the envelope alone: the writer answers
/// for the fields, and nothing is compared with other objects.
enum class Checks : std::uint8_t { full, own_fields_only };

class Store {
public:
    virtual ~Store() = default;

    [[nodiscard]] virtual StoreResult<Object> get(const model::Key& key) = 0;
    /// One result for each key, `not_found` among them. In one question, and as of one moment, where the store can.
    [[nodiscard]] virtual std::vector<StoreResult<Object>> get_all(std::span<const model::Key> keys) {
        std::vector<StoreResult<Object>> out;
        for (const model::Key& key : keys) {
            out.push_back(get(key));
        }
        return out;
    }
    [[nodiscard]] virtual StoreResult<Listing> list(const ListQuery& query) = 0;

    /// Fills in uid, creationTimestamp and generation. Defaults that are "written on create" are added.
    [[nodiscard]] virtual StoreResult<Object> create(const model::Key& key, std::string_view document) = 0;
    /// `expected` empty: last writer wins. A write that changes nothing changes no revision.
    [[nodiscard]] virtual StoreResult<Object> update(const model::Key& key, std::string_view document,
                                                     const std::optional<Revision>& expected) = 0;
    /// Returns what was removed.
    [[nodiscard]] virtual StoreResult<Object> remove(const model::Key& key,
                                                     const std::optional<Revision>& expected) = 0;

    /// All or nothing, at most 100 keys and 1 MiB, each key once. Returns the revision of the commit, which is the new
    /// revision of every key that changed (the store's present one when nothing did). Removing an absent key without
    /// precondition changes nothing.
    [[nodiscard]] virtual StoreResult<Revision> transact(std::span<const Op> ops, Checks checks) = 0;
    [[nodiscard]] virtual bool transactional() const noexcept = 0;

    /// Changes when the store was replaced or restored; every watch then ends with resync events.
    [[nodiscard]] virtual StoreResult<std::string> identity() = 0;

    [[nodiscard]] virtual StoreResult<std::unique_ptr<Watch>> watch(std::span<const WatchStart> starts) = 0;
};

}  // namespace manul::store
