#include "config/store/namespaces.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <expected>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <boost/json/value.hpp>
#include <boost/system/error_code.hpp>

#include "base/try.hpp"
#include "config/model/kind.hpp"
#include "config/store/document.hpp"
#include "config/store/object_store.hpp"
#include "config/store/store.hpp"

namespace manul::store {

namespace json = boost::json;
using model::Kind;
using Code = StoreError::Code;

namespace {

constexpr std::array<std::string_view, 4> kSystem{"default", "kube-system", "kube-public", "manul-system"};
constexpr std::string_view kFinalizer = "kubernetes";
/// On endpoints that a daemon made for a pod of the running system.
constexpr std::string_view kOfPod = R"("manul.io/boot-id":)";
constexpr int kMarkingAttempts = 20;

model::Key key_of(const std::string& name) { return {Kind::namespace_, "", name}; }

json::object& object_in(json::object& parent, std::string_view field) {
    json::value& value = parent[field];
    return value.is_object() ? value.get_object() : value.emplace_object();
}

/// Who else must agree before the Namespace goes.
bool has_other_finalizers(const json::object& document) {
    const auto list = [&](std::string_view part) -> const json::array* {
        const json::value* object = document.if_contains(part);
        const json::value* found =
            object != nullptr && object->is_object() ? object->get_object().if_contains("finalizers") : nullptr;
        return found != nullptr && found->is_array() ? &found->get_array() : nullptr;
    };
    const json::array* of_metadata = list("metadata");
    const json::array* of_spec = list("spec");
    return (of_metadata != nullptr && !of_metadata->empty()) ||
           (of_spec != nullptr && std::ranges::any_of(*of_spec, [](const json::value& finalizer) {
                return !finalizer.is_string() || finalizer.get_string() != kFinalizer;
            }));
}

StoreResult<Object> mark(Store& store, const std::string& name, const std::optional<Revision>& expected,
                         std::string_view time) {
    const model::Key key = key_of(name);
    if (std::ranges::find(kSystem, name) != kSystem.end()) {
        return std::unexpected(error(Code::unsupported, "this namespace may not be deleted"));
    }
    for (int attempt = 1;; ++attempt) {
        MANUL_TRY(Object found, store.get(key));
        if (expected && found.revision != *expected) {
            return std::unexpected(error(Code::conflict, "update conflict: " + key.to_string() + " is at revision " +
                                                             found.revision + ", not " + *expected));
        }
        if (is_ending(*found.document)) {
            return found;
        }
        MANUL_TRY(json::object document, parse_document(key, *found.document));
        object_in(document, "metadata")["deletionTimestamp"] = time;
        object_in(document, "status")["phase"] = "Terminating";
        json::value& finalizers = object_in(document, "spec")["finalizers"];
        if (!finalizers.is_array()) {
            finalizers = json::array{json::string(kFinalizer)};
        }
        const Op put = Put{key, json::serialize(document), Precondition{false, found.revision}};
        const auto marked = store.transact(std::span(&put, 1), Checks::own_fields_only);
        if (marked) {
            return store.get(key);
        }
        if (marked.error().code != Code::conflict || expected || attempt == kMarkingAttempts) {
            return std::unexpected(marked.error());
        }
    }
}

/// Everything in the namespace. What cannot be read can be removed.
StoreResult<std::vector<model::Key>> content_of(Store& store, const std::string& name, std::size_t& running) {
    std::vector<model::Key> keys;
    for (const model::KindInfo& info : model::all_kinds()) {
        if (!info.namespaced) {
            continue;
        }
        MANUL_TRY(const Listing listing, store.list({.kind = info.kind, .ns = name, .name_prefix = {}}));
        for (const Object& object : listing.items) {
            const bool of_pod =
                info.kind == Kind::workload_endpoint && object.document->find(kOfPod) != std::string::npos;
            running += of_pod ? 1U : 0U;
            keys.push_back(object.key);
        }
        std::ranges::transform(listing.damaged, std::back_inserter(keys), &DamagedObject::key);
    }
    return keys;
}

StoreResult<void> finish(Store& store, const Object& marked, NamespaceEnd& end) {
    MANUL_TRY(const std::vector<model::Key> keys, content_of(store, marked.key.name, end.running));
    if (end.running > 0) {
        return {};
    }
    for (std::size_t from = 0; from < keys.size(); from += kMaxKeys) {
        std::vector<Op> ops;
        for (std::size_t i = from; i < std::min(from + kMaxKeys, keys.size()); ++i) {
            ops.emplace_back(Remove{keys[i], std::nullopt});
        }
        MANUL_CHECK(store.transact(ops, Checks::own_fields_only));
        end.removed.insert(end.removed.end(), keys.begin() + static_cast<std::ptrdiff_t>(from),
                           keys.begin() + static_cast<std::ptrdiff_t>(from + ops.size()));
    }
    MANUL_TRY(const json::object document, parse_document(marked.key, *marked.document));
    if (has_other_finalizers(document)) {
        return {};
    }
    const Op remove = Remove{marked.key, Precondition{false, marked.revision}};
    const auto removed = store.transact(std::span(&remove, 1), Checks::own_fields_only);
    if (!removed && removed.error().code != Code::conflict && removed.error().code != Code::not_found) {
        return std::unexpected(removed.error());
    }
    end.gone = removed.has_value();  // else somebody changed or removed it meanwhile: the next look tells
    return {};
}

}  // namespace

bool is_ending(std::string_view document) {
    if (document.find(R"("deletionTimestamp")") == std::string_view::npos) {
        return false;
    }
    boost::system::error_code failure;
    const json::value value = json::parse(document, failure);
    const json::value* metadata = failure || !value.is_object() ? nullptr : value.get_object().if_contains("metadata");
    return metadata != nullptr && metadata->is_object() && metadata->get_object().contains("deletionTimestamp");
}

StoreResult<Object> remove_namespace(Store& store, const std::string& name, const std::optional<Revision>& expected,
                                     std::string_view time, NamespaceEnd& end) {
    MANUL_TRY(Object marked, mark(store, name, expected, time));
    MANUL_CHECK(finish(store, marked, end));
    return marked;
}

StoreResult<std::vector<model::Key>> finish_namespaces(Store& store) {
    MANUL_TRY(const Listing listing, store.list({.kind = Kind::namespace_, .ns = {}, .name_prefix = {}}));
    std::vector<model::Key> gone;
    for (const Object& object : listing.items) {
        if (!is_ending(*object.document)) {
            continue;
        }
        NamespaceEnd end;
        MANUL_CHECK(finish(store, object, end));
        if (end.gone) {
            gone.push_back(object.key);
        }
    }
    return gone;
}

}  // namespace manul::store
