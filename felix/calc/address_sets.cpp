#include "felix/calc/address_sets.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/model/kind.hpp"
#include "config/model/resource.hpp"
#include "felix/calc/identity.hpp"
#include "felix/calc/label_index.hpp"
#include "felix/calc/rule_scanner.hpp"
#include "felix/model/address_set.hpp"
#include "felix/model/update.hpp"
#include "net/prefix.hpp"

namespace manul::felix {

namespace {

/// Calls `visit` for every (address, protocol, port) that the object has under the set's port name.
template <class Visit>
void for_each_port(const SetSpec& spec, const Contribution& contribution, const Visit& visit) {
    for (const NamedPort& port : contribution.ports) {
        if (port.name != spec.port_name || (spec.protocol && port.protocol != *spec.protocol)) {
            continue;
        }
        for (const net::Prefix& net : contribution.nets) {
            if (net.is_host()) {
                visit(PortMember{net.address(), port.protocol, port.port});
            }
        }
    }
}

void append(SetMembers& members, const net::Prefix& net) {
    FamilyMembers& family = members.of(net.family());
    if (net.is_host()) {
        family.addresses.push_back(net.address());
    } else {
        family.prefixes.push_back(net);
    }
}

void append(SetMembers& members, const PortMember& port) { members.of(port.address.family()).ports.push_back(port); }

void sort(FamilyMembers& members) {
    std::ranges::sort(members.addresses);
    std::ranges::sort(members.prefixes);
    std::ranges::sort(members.ports);
}

void sort(SetMembers& members) {
    sort(members.v4);
    sort(members.v6);
}

}  // namespace

void AddressSets::want(const SetSpec& spec) {
    std::unique_ptr<WantedSet>& set = sets_[spec.id];
    if (set == nullptr) {
        set = std::make_unique<WantedSet>();
        set->spec = spec;
        Pool& pool = pool_of(spec);
        MatchChanges changes;
        set->selector = pool.index.add_selector(spec.selector, changes);
        pool.by_selector[set->selector] = set.get();
        apply(pool, changes);
    }
    ++set->references;
    dirty_.insert(spec.id);
}

void AddressSets::unwant(const SetId& id) {
    --sets_.at(id)->references;
    dirty_.insert(id);
}

void AddressSets::put_item(const model::Key& key, const Identity& identity) {
    Pool& pool = pool_of(key);
    MatchChanges changes;
    const auto found = pool.ids.find(key);
    if (found == pool.ids.end()) {
        const ItemId id = pool.index.add_item(identity.labels, identity.parents, changes);
        pool.ids.emplace(key, id);
        if (id.value() >= pool.contributions.size()) {
            pool.contributions.resize(std::size_t{id.value()} + 1);
        }
        pool.contributions[id.value()] = identity.contribution;
    } else {
        const ItemId id = found->second;
        Contribution& contribution = pool.contributions[id.value()];
        if (contribution != identity.contribution) {
            // The new addresses come before the old ones go, so that what is in both is never missing.
            for (const SelectorId selector : pool.index.matches(id)) {
                add_members(*pool.by_selector.at(selector), identity.contribution);
                remove_members(*pool.by_selector.at(selector), contribution);
            }
            contribution = identity.contribution;
        }
        pool.index.update_item(id, identity.labels, identity.parents, changes);
    }
    apply(pool, changes);
}

void AddressSets::remove_item(const model::Key& key) {
    Pool& pool = pool_of(key);
    const auto found = pool.ids.find(key);
    if (found == pool.ids.end()) {
        return;
    }
    MatchChanges changes;
    pool.index.remove_item(found->second, changes);
    apply(pool, changes);
    pool.contributions[found->second.value()] = {};
    pool.ids.erase(found);
}

void AddressSets::set_parent_labels(const std::string& parent, const model::StringMap& labels) {
    MatchChanges changes;
    endpoints_.index.set_parent_labels(parent, labels, changes);
    apply(endpoints_, changes);
}

void AddressSets::apply(Pool& pool, const MatchChanges& changes) {
    for (const MatchChange& change : changes) {
        WantedSet& set = *pool.by_selector.at(change.selector);
        const Contribution& contribution = pool.contributions[change.item.value()];
        if (change.started) {
            add_members(set, contribution);
        } else {
            remove_members(set, contribution);
        }
    }
}

void AddressSets::add_members(WantedSet& set, const Contribution& contribution) {
    dirty_.insert(set.spec.id);
    if (set.spec.kind == SetKind::addresses) {
        set.nets.reserve(contribution.nets.size());
        for (const net::Prefix& net : contribution.nets) {
            set.nets.add(net);
        }
    } else {
        for_each_port(set.spec, contribution, [&set](const PortMember& port) { set.ports.add(port); });
    }
}

void AddressSets::remove_members(WantedSet& set, const Contribution& contribution) {
    dirty_.insert(set.spec.id);
    if (set.spec.kind == SetKind::addresses) {
        for (const net::Prefix& net : contribution.nets) {
            set.nets.remove(net);
        }
    } else {
        for_each_port(set.spec, contribution, [&set](const PortMember& port) { set.ports.remove(port); });
    }
}

SetMembersChanged AddressSets::members_delta(WantedSet& set) {
    SetMembersChanged delta;
    delta.id = set.spec.id;
    const auto added = [&delta](const auto& member) { append(delta.added, member); };
    const auto removed = [&delta](const auto& member) { append(delta.removed, member); };
    set.nets.take_delta(added, removed);
    set.ports.take_delta(added, removed);
    sort(delta.added);
    sort(delta.removed);
    return delta;
}

std::map<SetId, SetSnapshot> AddressSets::snapshot() const {
    std::map<SetId, SetSnapshot> out;
    for (const auto& [id, set] : sets_) {
        if (!set->announced) {
            continue;
        }
        SetSnapshot& copy = out[id];
        copy.kind = set->spec.kind;
        copy.description = set->spec.description();
        for (const auto& [net, count] : set->nets.counts()) {
            if (net.is_host()) {
                copy.addresses.insert(net.address());
            } else {
                copy.prefixes.insert(net);
            }
        }
        for (const auto& [port, count] : set->ports.counts()) {
            copy.ports.insert(port);
        }
    }
    return out;
}

AddressSets::Delta AddressSets::take_delta() {
    Delta delta;
    for (const SetId& id : std::exchange(dirty_, {})) {
        const auto found = sets_.find(id);
        WantedSet& set = *found->second;
        if (set.references == 0) {
            if (set.announced) {
                delta.removed.push_back(SetRemoved{id});
            }
            Pool& pool = pool_of(set.spec);
            pool.by_selector.erase(set.selector);
            MatchChanges ignored;
            pool.index.remove_selector(set.selector, ignored);
            sets_.erase(found);
            continue;
        }
        SetMembersChanged members = members_delta(set);
        if (!set.announced) {
            set.announced = true;
            delta.added.push_back(
                SetAdded{AddressSet{id, set.spec.kind, set.spec.description(), std::move(members.added)}});
        } else if (!members.added.empty() || !members.removed.empty()) {
            delta.changed.push_back(std::move(members));
        }
    }
    return delta;
}

}  // namespace manul::felix
