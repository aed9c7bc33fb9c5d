#include "config/rollback.hpp"

#include <cstdint>
#include <string_view>
#include <utility>
#include <variant>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/base64.hpp"
#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/model/secret.hpp"

namespace manul::config {

namespace {

namespace json = boost::json;
using store::StoreError;

constexpr const char* kNamespace = "manul-system";
constexpr const char* kName = "manul-rollback";
constexpr const char* kType = "manul.io/rollback";
constexpr const char* kData = "changes";
/// Each round is one more rival's write.
constexpr int kRounds = 5;

std::string encode(const PendingRollback& pending) {
    json::array objects;
    for (const PendingRollback::Entry& entry : pending.objects) {
        json::object object{{"apiVersion", model::api_version(entry.key.kind)},
                            {"kind", model::info(entry.key.kind).name},
                            {"namespace", entry.key.ns},
                            {"name", entry.key.name}};
        if (entry.before) {
            object["before"] = *entry.before;
        }
        objects.emplace_back(std::move(object));
    }
    const std::string changes =
        json::serialize(json::object{{"withinSeconds", pending.within.count()}, {"objects", std::move(objects)}});
    return json::serialize(json::object{{"apiVersion", "v1"},
                                        {"kind", "Secret"},
                                        {"metadata", {{"name", kName}, {"namespace", kNamespace}}},
                                        {"type", kType},
                                        {"data", {{kData, base64_encode(changes)}}}});
}

std::string text_at(const json::object& object, std::string_view name) {
    const auto* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string{};
}

std::optional<PendingRollback::Entry> decode_entry(const json::value& value) {
    const auto* object = value.if_object();
    if (object == nullptr) {
        return std::nullopt;
    }
    const auto kind = model::find_kind(text_at(*object, "apiVersion"), text_at(*object, "kind"));
    if (!kind) {
        return std::nullopt;
    }
    PendingRollback::Entry entry{{*kind, text_at(*object, "namespace"), text_at(*object, "name")}, std::nullopt};
    if (object->contains("before")) {
        entry.before = text_at(*object, "before");
    }
    return entry;
}

/// What the transaction needs to put one object back; nothing when somebody wrote it since, or it is as before already.
store::StoreResult<std::optional<store::Op>> undo(store::Store& store, const PendingRollback& pending,
                                                  const PendingRollback::Entry& entry, std::vector<model::Key>& left) {
    const auto stored = store.get(entry.key);
    if (!stored && stored.error().code != StoreError::Code::not_found) {
        return std::unexpected(stored.error());
    }
    if (!stored) {
        if (entry.before) {
            left.push_back(entry.key);  // deleted since: that is somebody's will too
        }
        return std::nullopt;
    }
    if (stored->revision != pending.revision) {
        left.push_back(entry.key);
        return std::nullopt;
    }
    const store::Precondition unchanged{.absent = false, .revision = stored->revision};
    if (entry.before) {
        return store::Op(store::Put{entry.key, *entry.before, unchanged});
    }
    return store::Op(store::Remove{entry.key, unchanged});
}

}  // namespace

const model::Key& rollback_key() {
    static const model::Key key{model::Kind::secret, kNamespace, kName};
    return key;
}

Result<PendingRollback> parse_rollback(const store::Object& record) {
    const auto decoded = codec::decode(model::Kind::secret, *record.document, codec::Mode::lenient);
    const auto secret = model::as<model::Secret>(decoded.resource);
    const auto data = secret ? secret->data.find(kData) : model::StringMap::const_iterator{};
    const auto text = secret && data != secret->data.end() ? base64_decode(data->second) : std::nullopt;
    boost::system::error_code ec;
    const json::value value = text ? json::parse(*text, ec) : json::value();
    const auto* object = ec ? nullptr : value.if_object();
    const auto* seconds = object == nullptr ? nullptr : object->if_contains("withinSeconds");
    const auto* objects = object == nullptr ? nullptr : object->if_contains("objects");
    if (seconds == nullptr || !seconds->is_int64() || objects == nullptr || !objects->is_array()) {
        return fail(rollback_key().to_string() + " holds no record of a change");
    }
    PendingRollback pending{std::chrono::seconds(seconds->get_int64()), {}, record.revision};
    for (const json::value& entry : objects->get_array()) {
        auto decoded_entry = decode_entry(entry);
        if (!decoded_entry) {
            return fail(rollback_key().to_string() + " names an object of a kind that this version does not know");
        }
        pending.objects.push_back(*std::move(decoded_entry));
    }
    return pending;
}

store::StoreResult<store::Revision> write_revertibly(store::Store& store, const std::vector<RevertibleWrite>& writes,
                                                     std::chrono::seconds within) {
    if (!store.transactional()) {
        return std::unexpected(
            StoreError{StoreError::Code::unsupported,
                       "this datastore cannot write several objects at once, so a change cannot undo itself",
                       {}});
    }
    for (int round = 0;; ++round) {
        PendingRollback pending{within, {}, {}};
        std::vector<store::Op> ops;
        for (const RevertibleWrite& write : writes) {
            const auto stored = store.get(write.key);
            if (!stored && stored.error().code != StoreError::Code::not_found) {
                return std::unexpected(stored.error());
            }
            if (write.expected && (!stored || stored->revision != *write.expected)) {
                return std::unexpected(StoreError{StoreError::Code::conflict,
                                                  write.key.to_string() + " is not at the revision that the file names",
                                                  {}});
            }
            const store::Precondition unchanged =
                stored ? store::Precondition{.absent = false, .revision = stored->revision}
                       : store::Precondition{.absent = true, .revision = {}};
            ops.emplace_back(store::Put{write.key, write.document, unchanged});
            pending.objects.push_back({write.key, stored ? std::optional(*stored->document) : std::nullopt});
        }
        ops.emplace_back(
            store::Put{rollback_key(), encode(pending), store::Precondition{.absent = true, .revision = {}}});
        auto written = store.transact(ops, store::Checks::full);
        const bool lost_a_race = !written && (written.error().code == StoreError::Code::conflict ||
                                              written.error().code == StoreError::Code::already_exists);
        if (!lost_a_race) {
            return written;
        }
        MANUL_TRY(const auto other, pending_rollback(store));
        if (other) {
            return std::unexpected(StoreError{
                StoreError::Code::already_exists,
                "another change waits to be confirmed: `manulctl confirm` keeps it, `manulctl rollback` undoes it",
                {}});
        }
        if (round == kRounds) {
            return written;
        }
    }
}

store::StoreResult<std::optional<PendingRollback>> pending_rollback(store::Store& store) {
    const auto record = store.get(rollback_key());
    if (!record) {
        if (record.error().code == StoreError::Code::not_found) {
            return std::nullopt;
        }
        return std::unexpected(record.error());
    }
    auto pending = parse_rollback(*record);
    if (!pending) {
        return std::unexpected(StoreError{StoreError::Code::corrupt, pending.error().message, {}});
    }
    return std::optional(*std::move(pending));
}

store::StoreResult<bool> confirm(store::Store& store) {
    const auto removed = store.remove(rollback_key(), std::nullopt);
    if (!removed && removed.error().code != StoreError::Code::not_found) {
        return std::unexpected(removed.error());
    }
    return removed.has_value();
}

store::StoreResult<std::vector<model::Key>> roll_back(store::Store& store, const PendingRollback& pending) {
    for (int round = 0;; ++round) {
        std::vector<model::Key> left;
        std::vector<store::Op> ops;
        for (const PendingRollback::Entry& entry : pending.objects) {
            MANUL_TRY(auto op, undo(store, pending, entry, left));
            if (op) {
                ops.push_back(*std::move(op));
            }
        }
        ops.emplace_back(
            store::Remove{rollback_key(), store::Precondition{.absent = false, .revision = pending.revision}});
        const auto written = store.transact(ops, store::Checks::full);
        if (written) {
            return left;
        }
        const auto code = written.error().code;
        if (code != StoreError::Code::conflict && code != StoreError::Code::not_found) {
            return std::unexpected(written.error());
        }
        const auto record = store.get(rollback_key());
        const bool gone = !record && record.error().code == StoreError::Code::not_found;
        if (gone || (record && record->revision != pending.revision)) {
            return std::vector<model::Key>{};
        }
        if (round == kRounds) {
            return std::unexpected(written.error());
        }
    }
}

}  // namespace manul::config
