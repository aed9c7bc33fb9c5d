#include "serve/secrets.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/base64.hpp"
#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/codec/secret.hpp"
#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"
#include "config/model/referenced_secret.hpp"
#include "config/store/watched_kinds.hpp"

namespace manul::serve {

namespace json = boost::json;

namespace {

// As config/rollback.cpp writes it.
constexpr const char* kRollbackRecord = "manul-rollback";
constexpr const char* kChanges = "changes";

json::object* object_in(json::object& object, std::string_view key) {
    json::value* value = object.if_contains(key);
    return value == nullptr ? nullptr : value->if_object();
}

/// The record without the Secrets that the change wrote: hosts have to know what policies were, and no more.
std::optional<std::string> without_secrets(std::string_view document) {
    std::error_code failed;
    json::value parsed = json::parse({document.data(), document.size()}, failed);
    json::object* record = failed ? nullptr : parsed.if_object();
    json::object* data = record == nullptr ? nullptr : object_in(*record, "data");
    json::value* changes = data == nullptr ? nullptr : data->if_contains(kChanges);
    const auto text = changes != nullptr && changes->is_string()
                          ? base64_decode(std::string_view(changes->get_string()))
                          : std::nullopt;
    json::value content = text ? json::parse(*text, failed) : json::value();
    json::object* change = failed ? nullptr : content.if_object();
    json::value* objects = change == nullptr ? nullptr : change->if_contains("objects");
    if (objects == nullptr || !objects->is_array()) {
        return std::nullopt;
    }
    json::array kept;
    for (json::value& entry : objects->get_array()) {
        const json::value* kind = entry.is_object() ? entry.get_object().if_contains("kind") : nullptr;
        if (kind != nullptr && kind->is_string() && kind->get_string() != "Secret") {
            kept.push_back(std::move(entry));
        }
    }
    *objects = std::move(kept);
    // What `kubectl apply` noted of itself may have the same content, and nothing else of the record is of use.
    json::object shown{{"apiVersion", "v1"}, {"kind", "Secret"}};
    json::object metadata;
    for (const char* key : {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"}) {
        const json::object* all = object_in(*record, "metadata");
        if (const json::value* value = all == nullptr ? nullptr : all->if_contains(key)) {
            metadata[key] = *value;
        }
    }
    shown["metadata"] = std::move(metadata);
    if (const json::value* type = record->if_contains("type")) {
        shown["type"] = *type;
    }
    shown["data"] = json::object{{kChanges, base64_encode(json::serialize(content))}};
    return json::serialize(shown);
}

}  // namespace

store::StoreResult<ReferencedSecrets> read_referenced_secrets(store::Store& store) {
    ReferencedSecrets out;
    for (const model::Kind kind : model::kReferringKinds) {
        MANUL_TRY(const store::Listing listing, store.list({.kind = kind, .ns = {}, .name_prefix = {}}));
        for (const store::Object& object : listing.items) {
            if (object.document->find("secretKeyRef") == std::string::npos) {
                continue;  // most of them: there may be thousands
            }
            const auto decoded = codec::decode(kind, *object.document, codec::Mode::lenient);
            std::string name = decoded.resource ? model::referenced_secret(*decoded.resource) : std::string();
            if (!name.empty()) {
                out.names.insert(std::move(name));
                out.since = std::max(out.since, store::parse_revision(object.revision).value_or(0));
            }
        }
    }
    return out;
}

std::string SecretView::shown(std::string_view document) const {
    if (everything_) {
        return std::string(document);
    }
    if (referenced_) {
        const auto tree = codec::parse_json(document);
        const std::string_view name = tree ? tree->text_at("metadata", "name") : std::string_view{};
        if (tree && tree->text_at("metadata", "namespace") == model::kSecretsNamespace) {
            if (name == kRollbackRecord) {
                if (auto record = without_secrets(document)) {
                    return *std::move(record);
                }
            } else if (referenced_->names.contains(name)) {
                return std::string(document);
            }
        }
    }
    return codec::masked_secret(document).value_or("{}");
}

}  // namespace manul::serve
