#include "felix/io/store_events.hpp"

#include <string>
#include <utility>

#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/model/validate.hpp"

namespace manul::felix::io {

namespace {

bool is_policy(model::Kind kind) {
    return kind == model::Kind::network_policy || kind == model::Kind::global_network_policy ||
           kind == model::Kind::kubernetes_network_policy;
}

std::string joined(const model::Findings& findings) {
    std::string text;
    for (const model::Finding& finding : findings) {
        if (finding.severity == model::Finding::Severity::error) {
            text += text.empty() ? "" : "; ";
            text += finding.to_string();
        }
    }
    return text;
}

}  // namespace

Event event_of(const store::Object& object) {
    codec::Decoded decoded = codec::decode_and_validate(object.key.kind, *object.document, codec::Mode::lenient);
    if (decoded.ok()) {
        return ResourcePut{std::move(decoded.resource)};
    }
    ResourceRefused refused{object.key, object.revision, joined(decoded.findings), nullptr};
    if (is_policy(object.key.kind) && decoded.resource && model::policy_scope_is_readable(decoded.findings)) {
        refused.readable_scope = std::move(decoded.resource);
    }
    return refused;
}

store::StoreResult<std::vector<Event>> read_everything(store::Store& store) {
    std::vector<Event> events;
    for (const FollowedKind& followed : kFollowedKinds) {
        MANUL_TRY(const store::Listing listing, store.list({followed.kind, std::nullopt, {}}));
        for (const store::Object& object : listing.items) {
            events.push_back(event_of(object));
        }
    }
    events.emplace_back(StoreInSync{});
    return events;
}

}  // namespace manul::felix::io
