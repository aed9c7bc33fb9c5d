#include "config/store/admission.hpp"

#include <algorithm>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/try.hpp"
#include "config/model/kind.hpp"
#include "config/model/policy.hpp"
#include "config/model/tier.hpp"
#include "config/store/backend.hpp"
#include "config/store/document.hpp"
#include "config/store/store.hpp"

namespace manul::store {

namespace json = boost::json;
using model::Kind;

namespace {

constexpr std::string_view kTierLabel = "projectcalico.org/tier";
constexpr std::string_view kNamespaceNameLabel = "kubernetes.io/metadata.name";

bool is_policy(Kind kind) { return kind == Kind::network_policy || kind == Kind::global_network_policy; }

/// Labels that the store maintains: what they say is always true, whatever the writer put there.
void set_label(json::object& document, std::string_view label, std::string_view value) {
    json::value& labels = document["metadata"].get_object()["labels"];
    if (!labels.is_object()) {
        labels.emplace_object();
    }
    labels.get_object()[label] = value;
}

std::string_view tier_of(const json::object& document) {
    const json::value* spec = document.if_contains("spec");
    const json::value* tier = spec != nullptr && spec->is_object() ? spec->get_object().if_contains("tier") : nullptr;
    return tier != nullptr && tier->is_string() && !tier->get_string().empty() ? std::string_view(tier->get_string())
                                                                               : model::kDefaultTier;
}

}  // namespace

StoreResult<json::object> admit_document(const model::Key& key, std::string_view text, Checks checks) {
    MANUL_TRY(json::object document, parse_document(key, text));
    if (checks == Checks::full && is_policy(key.kind)) {
        set_label(document, kTierLabel, std::string(tier_of(document)));
    } else if (checks == Checks::full && key.kind == Kind::namespace_) {
        set_label(document, kNamespaceNameLabel, key.name);
    }
    return document;
}

StoreResult<Dependencies> admit_writes(Backend&, std::span<const PlannedWrite> writes) {
    for (const PlannedWrite& write : writes) {
        if (write.after.empty() && write.key.kind == Kind::tier &&
            std::ranges::find(model::kBuiltInTiers, write.key.name, &model::BuiltInTier::name) !=
                model::kBuiltInTiers.end()) {
            return std::unexpected(error(StoreError::Code::unsupported,
                                         fmt::format("tier {} is built in and cannot be deleted", write.key.name)));
        }
    }
    return Dependencies{};
}

}  // namespace manul::store
