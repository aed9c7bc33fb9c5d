#include "felix/calc/active_policy.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/try.hpp"
#include "config/model/kind.hpp"
#include "config/model/policy.hpp"
#include "config/model/resource.hpp"
#include "config/model/selector.hpp"
#include "config/model/tier.hpp"
#include "felix/calc/address_sets.hpp"
#include "felix/calc/identity.hpp"
#include "felix/calc/label_index.hpp"
#include "felix/calc/policy_order.hpp"
#include "felix/calc/policy_source.hpp"
#include "felix/calc/rule_scanner.hpp"
#include "felix/calc/sequencer.hpp"
#include "felix/model/address_set.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/rule_id.hpp"
#include "felix/model/shared.hpp"

namespace manul::felix {

namespace {

PolicyPlace place_of(const PolicySource& source) {
    PolicyPlace place;
    place.id = source.id;
    place.order_text = source.id.order_text();
    place.tier = source.spec->tier;
    place.order = source.spec->order;
    place.do_not_track = source.do_not_track;
    place.pre_dnat = source.pre_dnat;
    place.apply_on_forward = source.apply_on_forward;
    for (const model::PolicyType type : model::effective_types(*source.spec)) {
        (type == model::PolicyType::ingress ? place.ingress : place.egress) = true;
    }
    return place;
}

}  // namespace

// --- input -----------------------------------------------------------------------------------------------------------

Result<void> ActivePolicies::put_policy(const model::ResourcePtr& resource) {
    const std::optional<PolicySource> source = policy_source(resource);
    MANUL_TRY(const model::Selector selector, endpoint_selector(*source));

    PolicyRecord& record = policies_[source->id];
    record.resource = resource;
    record.needed_everywhere = source->needed_everywhere();
    PolicyPlace place = place_of(*source);
    place.rank = record.place.rank;
    place.number = record.place.number;
    if (record.place != place) {
        order_.leave(record.place);
        record.place = std::move(place);
        order_.enter(record.place);
        touch_endpoints(record);
    }
    select(record, selector);
    dirty_policies_.insert(source->id);
    return {};
}

void ActivePolicies::remove_policy(const PolicyId& id) {
    const auto found = policies_.find(id);
    if (found == policies_.end()) {
        return;
    }
    select(found->second, std::nullopt);
    found->second.resource = nullptr;
    dirty_policies_.insert(id);
}

void ActivePolicies::select(PolicyRecord& record, std::optional<model::Selector> selector) {
    if (record.selector == selector) {
        return;
    }
    MatchChanges changes;
    if (record.selector) {
        index_.remove_selector(record.selector_id, changes);
        apply(changes);
        by_selector_[record.selector_id.value()] = nullptr;
        changes.clear();
    }
    record.selector = std::move(selector);
    if (record.selector) {
        record.selector_id = index_.add_selector(*record.selector, changes);
        if (record.selector_id.value() >= by_selector_.size()) {
            by_selector_.resize(std::size_t{record.selector_id.value()} + 1);
        }
        by_selector_[record.selector_id.value()] = &record;
        apply(changes);
    }
}

void ActivePolicies::put_tier(const std::string& name, const model::TierSpec& spec) {
    if (order_.put_tier(name, spec)) {
        touch_tier(name);
    }
}

void ActivePolicies::remove_tier(const std::string& name) {
    if (order_.remove_tier(name)) {
        touch_tier(name);
    }
}

void ActivePolicies::touch_tier(const std::string& name) {
    classes_.touch_everything();
    for (const ItemId host : hosts_) {
        dirty_endpoints_.insert(*endpoint_keys_[host.value()]);
    }
    for (const auto& [id, record] : policies_) {
        if (record.place.tier == name) {
            dirty_policies_.insert(id);  // its deny action may come from the tier
        }
    }
}

void ActivePolicies::put_endpoint(const model::Key& key, const Identity& identity) {
    MatchChanges changes;
    auto found = endpoints_.find(key);
    if (found == endpoints_.end()) {
        const ItemId item = index_.add_item(identity.labels, identity.parents, changes);
        found = endpoints_.emplace(key, item).first;
        if (item.value() >= endpoint_keys_.size()) {
            endpoint_keys_.resize(std::size_t{item.value()} + 1);
        }
        endpoint_keys_[item.value()] = key;
    } else {
        index_.update_item(found->second, identity.labels, identity.parents, changes);
    }
    if (key.kind == model::Kind::host_endpoint) {
        hosts_.insert(found->second);
    } else {
        classes_.put(found->second, identity.parents);
    }
    dirty_endpoints_.insert(key);
    apply(changes);
}

void ActivePolicies::remove_endpoint(const model::Key& key) {
    const auto found = endpoints_.find(key);
    if (found == endpoints_.end()) {
        return;
    }
    MatchChanges changes;
    index_.remove_item(found->second, changes);
    apply(changes);
    classes_.remove(found->second);
    hosts_.erase(found->second);
    endpoint_keys_[found->second.value()].reset();
    endpoints_.erase(found);
    dirty_endpoints_.insert(key);
}

void ActivePolicies::set_parent_labels(const std::string& parent, const model::StringMap& labels) {
    MatchChanges changes;
    index_.set_parent_labels(parent, labels, changes);
    apply(changes);
}

void ActivePolicies::apply(const MatchChanges& changes) {
    for (const MatchChange& change : changes) {
        PolicyRecord& record = *by_selector_[change.selector.value()];
        const bool was_active = record.is_active();
        record.endpoints = change.started ? record.endpoints + 1 : record.endpoints - 1;
        if (record.is_active() != was_active) {
            dirty_policies_.insert(record.place.id);
        }
        note(change.item);
    }
}

/// What selects the endpoint changed, or the endpoint is new.
void ActivePolicies::note(ItemId item) {
    if (hosts_.contains(item)) {
        dirty_endpoints_.insert(*endpoint_keys_[item.value()]);
    } else {
        classes_.note(item);
    }
}

void ActivePolicies::touch_endpoints(const PolicyRecord& record) {
    if (!record.selector) {
        return;
    }
    classes_.touch(record.selector_id);
    for (const ItemId host : hosts_) {
        if (std::ranges::binary_search(index_.matches(host), record.selector_id)) {
            dirty_endpoints_.insert(*endpoint_keys_[host.value()]);
        }
    }
}

// --- output ----------------------------------------------------------------------------------------------------------

std::set<model::Key> ActivePolicies::flush(Sequencer& sequencer) {
    for (const PolicyId& id : std::exchange(dirty_policies_, {})) {
        const auto found = policies_.find(id);
        if (found == policies_.end()) {
            continue;
        }
        if (found->second.is_active()) {
            tell(found->second, sequencer);
        } else {
            forget(found->second, sequencer);
        }
        if (found->second.resource == nullptr) {
            order_.leave(found->second.place);
            policies_.erase(found);
        }
    }
    classes_.flush([this](std::span<const SelectorId> matches) { return order_.lists(places(matches)); }, sequencer,
                   [this](ItemId item) { dirty_endpoints_.insert(*endpoint_keys_[item.value()]); });
    return std::exchange(dirty_endpoints_, {});
}

std::array<HostEndpoint::Lists, 4> ActivePolicies::host_lists(const model::Key& endpoint) {
    return order_.host_lists(places(index_.matches(endpoints_.at(endpoint))));
}

std::vector<const PolicyPlace*> ActivePolicies::places(std::span<const SelectorId> selectors) const {
    std::vector<const PolicyPlace*> out;
    out.reserve(selectors.size());
    for (const SelectorId selector : selectors) {
        out.push_back(&by_selector_[selector.value()]->place);
    }
    return out;
}

void ActivePolicies::tell(PolicyRecord& record, Sequencer& sequencer) {
    const std::optional<PolicySource> source = policy_source(record.resource);
    auto scanned = scan_policy(*source, order_.deny_action(record.place.tier));
    if (!scanned) {
        scanned = deny_all(*source, scanned.error().message);
    }
    // Wanted first: a set that the old and the new rules share must not go in between.
    std::vector<SetId> wanted;
    for (const SetSpec& set : scanned->sets) {
        sets_.want(set);
        wanted.push_back(set.id);
    }
    for (const SetId& id : std::exchange(record.sets, std::move(wanted))) {
        sets_.unwant(id);
    }
    notes_.erase(record.place.id);
    if (!scanned->notes.empty()) {
        notes_.emplace(record.place.id, std::move(scanned->notes));
    }
    sequencer.set_policy(std::move(scanned->policy));
    record.sent = true;
}

void ActivePolicies::forget(PolicyRecord& record, Sequencer& sequencer) {
    for (const SetId& id : std::exchange(record.sets, {})) {
        sets_.unwant(id);
    }
    notes_.erase(record.place.id);
    if (std::exchange(record.sent, false)) {
        sequencer.drop_policy(record.place.id);
    }
}

/// What is not understood must not open anything.
ScannedPolicy ActivePolicies::deny_all(const PolicySource& source, const std::string& reason) {
    const PolicyPlace place = place_of(source);
    ScannedPolicy out;
    out.policy.id = source.id;
    out.policy.tier = place.tier;
    out.policy.order = place.order;
    out.policy.has_ingress = place.ingress;
    out.policy.has_egress = place.egress;
    out.policy.do_not_track = place.do_not_track;
    out.policy.pre_dnat = place.pre_dnat;
    out.policy.apply_on_forward = place.apply_on_forward;
    for (const Direction direction : {Direction::ingress, Direction::egress}) {
        if (out.policy.applies(direction)) {
            Rule rule;
            rule.id = rule_id(source.id, direction, "deny", 0);
            (direction == Direction::ingress ? out.policy.ingress : out.policy.egress) = {rule};
        }
    }
    out.notes = {reason + "; the policy denies what it selects"};
    return out;
}

}  // namespace manul::felix
