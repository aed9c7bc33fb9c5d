#include "serve/protobuf.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/base64.hpp"
#include "base/error.hpp"
#include "base/try.hpp"
#include "config/codec/tree.hpp"

namespace manul::serve {

namespace json = boost::json;

namespace {

constexpr std::string_view kMagic{"k8s\0", 4};

enum class Form : std::uint8_t { text, number, boolean, message, text_map, bytes_map, int_or_string };

/// One field of a message: its number, its name in JSON, and how it is written.
struct ProtoField {
    std::uint32_t number;
    std::string_view name;
    Form form;
    bool repeated = false;
    std::span<const ProtoField> inner = {};
};

constexpr auto kOwner = std::to_array<ProtoField>({{1, "kind", Form::text},
                                                   {3, "name", Form::text},
                                                   {4, "uid", Form::text},
                                                   {5, "apiVersion", Form::text},
                                                   {6, "controller", Form::boolean},
                                                   {7, "blockOwnerDeletion", Form::boolean}});
constexpr auto kMeta = std::to_array<ProtoField>({{1, "name", Form::text},
                                                  {2, "generateName", Form::text},
                                                  {3, "namespace", Form::text},
                                                  {5, "uid", Form::text},
                                                  {6, "resourceVersion", Form::text},
                                                  {11, "labels", Form::text_map},
                                                  {12, "annotations", Form::text_map},
                                                  {13, "ownerReferences", Form::message, true, kOwner},
                                                  {14, "finalizers", Form::text, true}});
constexpr auto kNamespaceSpec = std::to_array<ProtoField>({{1, "finalizers", Form::text, true}});
constexpr auto kNamespace = std::to_array<ProtoField>(
    {{1, "metadata", Form::message, false, kMeta}, {2, "spec", Form::message, false, kNamespaceSpec}});
constexpr auto kReference = std::to_array<ProtoField>({{1, "name", Form::text}});
constexpr auto kServiceAccount = std::to_array<ProtoField>({{1, "metadata", Form::message, false, kMeta},
                                                            {3, "imagePullSecrets", Form::message, true, kReference},
                                                            {4, "automountServiceAccountToken", Form::boolean}});
constexpr auto kSecret = std::to_array<ProtoField>({{1, "metadata", Form::message, false, kMeta},
                                                    {2, "data", Form::bytes_map},
                                                    {3, "type", Form::text},
                                                    {4, "stringData", Form::text_map},
                                                    {5, "immutable", Form::boolean}});
constexpr auto kServicePort = std::to_array<ProtoField>({{1, "name", Form::text},
                                                         {2, "protocol", Form::text},
                                                         {3, "port", Form::number},
                                                         {4, "targetPort", Form::int_or_string},
                                                         {5, "nodePort", Form::number}});
constexpr auto kServiceSpec = std::to_array<ProtoField>({{1, "ports", Form::message, true, kServicePort},
                                                         {2, "selector", Form::text_map},
                                                         {3, "clusterIP", Form::text},
                                                         {4, "type", Form::text},
                                                         {5, "externalIPs", Form::text, true},
                                                         {7, "sessionAffinity", Form::text},
                                                         {8, "loadBalancerIP", Form::text},
                                                         {10, "externalName", Form::text},
                                                         {11, "externalTrafficPolicy", Form::text},
                                                         {18, "clusterIPs", Form::text, true},
                                                         {19, "ipFamilies", Form::text, true},
                                                         {21, "loadBalancerClass", Form::text},
                                                         {22, "internalTrafficPolicy", Form::text}});
constexpr auto kService = std::to_array<ProtoField>(
    {{1, "metadata", Form::message, false, kMeta}, {2, "spec", Form::message, false, kServiceSpec}});
constexpr auto kResourceAttributes = std::to_array<ProtoField>({{1, "namespace", Form::text},
                                                                {2, "verb", Form::text},
                                                                {3, "group", Form::text},
                                                                {4, "version", Form::text},
                                                                {5, "resource", Form::text},
                                                                {6, "subresource", Form::text},
                                                                {7, "name", Form::text}});
constexpr auto kPathAttributes = std::to_array<ProtoField>({{1, "path", Form::text}, {2, "verb", Form::text}});
constexpr auto kReviewSpec =
    std::to_array<ProtoField>({{1, "resourceAttributes", Form::message, false, kResourceAttributes},
                               {2, "nonResourceAttributes", Form::message, false, kPathAttributes}});
constexpr auto kAccessReview = std::to_array<ProtoField>(
    {{1, "metadata", Form::message, false, kMeta}, {2, "spec", Form::message, false, kReviewSpec}});
constexpr auto kRulesReviewSpec = std::to_array<ProtoField>({{1, "namespace", Form::text}});
constexpr auto kRulesReview = std::to_array<ProtoField>(
    {{1, "metadata", Form::message, false, kMeta}, {2, "spec", Form::message, false, kRulesReviewSpec}});
constexpr auto kSelfReview = std::to_array<ProtoField>({{1, "metadata", Form::message, false, kMeta}});
constexpr auto kSubject = std::to_array<ProtoField>(
    {{1, "kind", Form::text}, {2, "apiGroup", Form::text}, {3, "name", Form::text}, {4, "namespace", Form::text}});
constexpr auto kRoleRef =
    std::to_array<ProtoField>({{1, "apiGroup", Form::text}, {2, "kind", Form::text}, {3, "name", Form::text}});
constexpr auto kBinding = std::to_array<ProtoField>({{1, "metadata", Form::message, false, kMeta},
                                                     {2, "subjects", Form::message, true, kSubject},
                                                     {3, "roleRef", Form::message, false, kRoleRef}});
constexpr auto kRule = std::to_array<ProtoField>({{1, "verbs", Form::text, true},
                                                  {2, "apiGroups", Form::text, true},
                                                  {3, "resources", Form::text, true},
                                                  {4, "resourceNames", Form::text, true},
                                                  {5, "nonResourceURLs", Form::text, true}});
constexpr auto kExpression =
    std::to_array<ProtoField>({{1, "key", Form::text}, {2, "operator", Form::text}, {3, "values", Form::text, true}});
constexpr auto kSelector = std::to_array<ProtoField>(
    {{1, "matchLabels", Form::text_map}, {2, "matchExpressions", Form::message, true, kExpression}});
constexpr auto kAggregation = std::to_array<ProtoField>({{1, "clusterRoleSelectors", Form::message, true, kSelector}});
constexpr auto kRole = std::to_array<ProtoField>({{1, "metadata", Form::message, false, kMeta},
                                                  {2, "rules", Form::message, true, kRule},
                                                  {3, "aggregationRule", Form::message, false, kAggregation}});
constexpr auto kPreconditions = std::to_array<ProtoField>({{1, "uid", Form::text}, {2, "resourceVersion", Form::text}});
constexpr auto kDeleteOptions = std::to_array<ProtoField>({{2, "preconditions", Form::message, false, kPreconditions},
                                                           {4, "propagationPolicy", Form::text},
                                                           {5, "dryRun", Form::text, true}});

struct KnownKind {
    std::string_view name;
    std::span<const ProtoField> fields;
};
constexpr auto kKnown = std::to_array<KnownKind>({{"Namespace", kNamespace},
                                                  {"ServiceAccount", kServiceAccount},
                                                  {"Secret", kSecret},
                                                  {"Service", kService},
                                                  {"Role", kRole},
                                                  {"ClusterRole", kRole},
                                                  {"RoleBinding", kBinding},
                                                  {"ClusterRoleBinding", kBinding},
                                                  {"SelfSubjectAccessReview", kAccessReview},
                                                  {"SelfSubjectRulesReview", kRulesReview},
                                                  {"SelfSubjectReview", kSelfReview},
                                                  {"DeleteOptions", kDeleteOptions}});

Error broken() { return Error{"the body is no protocol buffers message, or one that ends too early"}; }

class Reader {
public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}

    [[nodiscard]] bool done() const noexcept { return rest_.empty(); }

    struct Item {
        std::uint32_t number = 0;
        std::uint64_t value = 0;  ///< of a varint
        std::string_view bytes;   ///< of what has a length
        bool has_length = false;
    };

    std::optional<Item> next() {
        const auto tag = varint();
        if (!tag || *tag >> 3U == 0 || *tag >> 3U > 0x1fffffff) {
            return std::nullopt;
        }
        Item item{.number = static_cast<std::uint32_t>(*tag >> 3U)};
        switch (*tag & 7U) {
            case 0: {
                const auto value = varint();
                item.value = value.value_or(0);
                return value ? std::optional(item) : std::nullopt;
            }
            case 1:
                return skip(8) ? std::optional(item) : std::nullopt;
            case 5:
                return skip(4) ? std::optional(item) : std::nullopt;
            case 2: {
                const auto length = varint();
                if (!length || *length > rest_.size()) {
                    return std::nullopt;
                }
                item.bytes = rest_.substr(0, *length);
                item.has_length = true;
                rest_.remove_prefix(*length);
                return item;
            }
            default:
                return std::nullopt;
        }
    }

private:
    std::optional<std::uint64_t> varint() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            if (rest_.empty()) {
                return std::nullopt;
            }
            const auto byte = static_cast<std::uint8_t>(rest_.front());
            rest_.remove_prefix(1);
            value |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
            if (byte < 0x80) {
                return value;
            }
        }
        return std::nullopt;
    }
    bool skip(std::size_t count) {
        if (rest_.size() < count) {
            return false;
        }
        rest_.remove_prefix(count);
        return true;
    }

    std::string_view rest_;
};

Result<json::object> message(std::string_view bytes, std::span<const ProtoField> fields);

Result<json::value> text_value(std::string_view bytes) {
    if (!codec::is_utf8(bytes)) {
        return fail("a text in the body is not UTF-8");
    }
    return json::value(bytes);
}

/// Entries of a map are messages with key 1 and value 2.
Result<void> add_entry(json::object& map, const ProtoField& field, std::string_view bytes) {
    std::string_view key;
    std::string_view value;
    for (Reader reader(bytes); !reader.done();) {
        const auto item = reader.next();
        if (!item) {
            return std::unexpected(broken());
        }
        (item->number == 1 ? key : value) = item->bytes;
    }
    MANUL_TRY(const json::value name, text_value(key));
    if (field.form == Form::bytes_map) {
        map[name.get_string()] = base64_encode(value);
        return {};
    }
    MANUL_TRY(map[name.get_string()], text_value(value));
    return {};
}

Result<json::value> int_or_string(std::string_view bytes) {
    std::uint64_t type = 0;
    std::uint64_t number = 0;
    std::string_view text;
    for (Reader reader(bytes); !reader.done();) {
        const auto item = reader.next();
        if (!item) {
            return std::unexpected(broken());
        }
        if (item->number == 3) {
            text = item->bytes;
        } else {
            (item->number == 1 ? type : number) = item->value;
        }
    }
    if (type == 0) {
        return json::value(static_cast<std::int64_t>(number));
    }
    return text_value(text);
}

Result<json::value> value_of(const ProtoField& field, const Reader::Item& item) {
    switch (field.form) {
        case Form::text:
            return text_value(item.bytes);
        case Form::number:
            return json::value(static_cast<std::int64_t>(item.value));
        case Form::boolean:
            return json::value(item.value != 0);
        case Form::int_or_string:
            return int_or_string(item.bytes);
        case Form::message:
        case Form::text_map:
        case Form::bytes_map:
            break;
    }
    MANUL_TRY(json::object inner, message(item.bytes, field.inner));
    return json::value(std::move(inner));
}

/// Empty texts and zeros are what Go writes for "not given".
bool is_given(const json::value& value) {
    return !(value.is_string() && value.get_string().empty()) && !(value.is_int64() && value.get_int64() == 0);
}

Result<json::object> message(std::string_view bytes, std::span<const ProtoField> fields) {
    json::object out;
    for (Reader reader(bytes); !reader.done();) {
        const auto item = reader.next();
        if (!item) {
            return std::unexpected(broken());
        }
        const auto field = std::ranges::find(fields, item->number, &ProtoField::number);
        if (field == fields.end()) {
            continue;  // status, and what the server sets by itself
        }
        json::value& place = out[field->name];
        if (field->form == Form::text_map || field->form == Form::bytes_map) {
            MANUL_CHECK(
                add_entry(place.is_object() ? place.get_object() : place.emplace_object(), *field, item->bytes));
            continue;
        }
        MANUL_TRY(json::value value, value_of(*field, *item));
        if (field->repeated) {
            (place.is_array() ? place.get_array() : place.emplace_array()).push_back(std::move(value));
        } else if (is_given(value)) {
            place = std::move(value);
        } else {
            out.erase(field->name);
        }
    }
    return out;
}

}  // namespace

Result<std::string> document_of_protobuf(std::string_view body) {
    if (!body.starts_with(kMagic)) {
        return fail("the body does not begin with k8s and a zero byte");
    }
    static constexpr auto kTypeMeta =
        std::to_array<ProtoField>({{1, "apiVersion", Form::text}, {2, "kind", Form::text}});
    json::object type;
    std::string_view raw;
    for (Reader reader(body.substr(kMagic.size())); !reader.done();) {
        const auto item = reader.next();
        if (!item) {
            return std::unexpected(broken());
        }
        if (item->number == 1) {
            MANUL_TRY(type, message(item->bytes, kTypeMeta));
        } else if (item->number == 2) {
            raw = item->bytes;
        }
    }
    const json::value* name = type.if_contains("kind");
    const std::string kind(name == nullptr ? std::string_view{} : std::string_view(name->get_string()));
    const auto known = std::ranges::find(kKnown, kind, &KnownKind::name);
    if (known == kKnown.end()) {
        return fail("objects of kind \"" + kind + "\" are understood as JSON alone; send application/json");
    }
    MANUL_TRY(json::object fields, message(raw, known->fields));
    for (auto& field : fields) {
        type[field.key()] = std::move(field.value());
    }
    return json::serialize(type);
}

}  // namespace manul::serve
