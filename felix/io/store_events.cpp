#include "felix/io/store_events.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/model/tier.hpp"
#include "config/model/validate.hpp"
#include "felix/calc/policy_source.hpp"

namespace manul::felix::io {

namespace {

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

bool is_made_by_people(model::Kind kind) {
    // ipamd makes the Profile of a network with its first pod.
    return kind != model::Kind::profile && std::ranges::any_of(kFollowedKinds, [kind](const FollowedKind& followed) {
               return followed.kind == kind && followed.applied_by_people;
           });
}

bool is_made_by_people(const model::Key& key) {
    const bool built_in = key.kind == model::Kind::tier && model::built_in_tier(key.name) != nullptr;
    return is_made_by_people(key.kind) && !built_in;
}

Event event_of(const store::Object& object) {
    codec::Decoded decoded = codec::decode_and_validate(object.key.kind, *object.document, codec::Mode::lenient);
    if (decoded.ok()) {
        return ResourcePut{std::move(decoded.resource)};
    }
    ResourceRefused refused{object.key, object.revision, joined(decoded.findings), nullptr};
    if (policy_kind(object.key.kind) && decoded.resource && model::policy_scope_is_readable(decoded.findings)) {
        refused.readable_scope = std::move(decoded.resource);
    }
    return refused;
}

std::vector<Event> events_of(const std::vector<const store::Object*>& objects) {
    constexpr std::size_t kWorthAThread = 256;
    constexpr std::size_t kAtOnce = 16;
    std::vector<Event> events(objects.size());
    std::atomic<std::size_t> next{0};
    const auto decode = [&] {
        for (std::size_t first = next.fetch_add(kAtOnce); first < objects.size(); first = next.fetch_add(kAtOnce)) {
            for (std::size_t i = first; i < std::min(first + kAtOnce, objects.size()); ++i) {
                events[i] = event_of(*objects[i]);
            }
        }
    };
    if (objects.size() >= kWorthAThread && std::thread::hardware_concurrency() > 1) {
        const std::jthread helper(decode);
        decode();
    } else {
        decode();
    }
    return events;
}

bool is_followed(model::Kind kind, const store::Store& store) {
    return kind != model::Kind::secret || store.transactional();
}

store::StoreResult<std::vector<Event>> read_everything(store::Store& store) {
    std::vector<Event> events;
    for (const FollowedKind& followed : kFollowedKinds) {
        if (!is_followed(followed.kind, store)) {
            continue;
        }
        MANUL_TRY(const store::Listing listing, store.list({followed.kind, std::nullopt, {}}));
        std::vector<const store::Object*> all;
        all.reserve(listing.items.size());
        for (const store::Object& object : listing.items) {
            all.push_back(&object);
        }
        std::ranges::move(events_of(all), std::back_inserter(events));
    }
    events.emplace_back(StoreInSync{});
    return events;
}

}  // namespace manul::felix::io
