#include "felix/render/sets.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "felix/model/address_set.hpp"
#include "felix/render/names.hpp"
#include "felix/render/ruleset.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::felix::render {

namespace {

std::vector<ElementKey> keys_of(const FamilyMembers& members) {
    std::vector<ElementKey> keys;
    keys.reserve(members.addresses.size() + members.ports.size());
    for (const net::Ip& address : members.addresses) {
        keys.emplace_back(address);
    }
    for (const PortMember& port : members.ports) {
        keys.emplace_back(port.address, port.protocol.number(), port.port);
    }
    return keys;
}

SetType type_of(const std::string& name) {
    if (name.starts_with("p_")) {
        return {{Field::destination_address, Field::protocol, Field::destination_port}, SetType::Shape::members};
    }
    return {{Field::source_address}, names::is_prefix_set(name) ? SetType::Shape::ranges : SetType::Shape::members};
}

/// From the ranges of before to those of now. A range that changed its end is removed and added.
void compare_ranges(const std::vector<Element>& before, const std::vector<Element>& now, ChangeElements& change) {
    std::vector<Element> gone;
    std::ranges::set_difference(before, now, std::back_inserter(gone));
    for (const Element& element : gone) {
        change.remove.push_back(element.key);
    }
    std::ranges::set_difference(now, before, std::back_inserter(change.add));
}

}  // namespace

bool Sets::has_prefixes(const SetId& id, net::Family family) const {
    const auto found = sets_.find(id);
    return found != sets_.end() && !found->second.of(family).prefixes.empty();
}

bool Sets::add(const AddressSet& set, std::vector<Change>& out) { return change(set.id, set.members, {}, out); }

bool Sets::change(const SetId& id, const SetMembers& added, const SetMembers& removed, std::vector<Change>& out) {
    State& state = sets_[id];
    const bool v4 = change_family(id, state, net::Family::v4, added.v4, removed.v4, out);
    const bool v6 = change_family(id, state, net::Family::v6, added.v6, removed.v6, out);
    return v4 || v6;
}

bool Sets::change_family(const SetId& id, State& state, net::Family family, const FamilyMembers& added,
                         const FamilyMembers& removed, std::vector<Change>& out) {
    Content& content = state.of(family);
    const bool was_empty = content.is_empty();
    const bool had_prefixes = !content.prefixes.empty();
    std::vector<ElementKey> gone = keys_of(removed);
    std::vector<ElementKey> come = keys_of(added);
    content.members->reserve(content.members->size() + come.size());
    std::erase_if(gone, [&content](const ElementKey& key) { return !content.members->erase(key); });
    std::erase_if(come, [&content](const ElementKey& key) { return !content.members->insert(key); });
    for (const net::Prefix& prefix : removed.prefixes) {
        content.prefixes.erase(prefix);
    }
    content.prefixes.insert(added.prefixes.begin(), added.prefixes.end());
    count_filled(family, was_empty, content.is_empty());
    std::vector<Element> before;
    if (!removed.prefixes.empty() || !added.prefixes.empty()) {
        before = std::exchange(content.ranges, ranges_of({content.prefixes.begin(), content.prefixes.end()}));
    }
    for (const auto& [where, count] : state.references) {
        const auto& [table, as_prefixes] = where;
        if (table.family != family) {
            continue;
        }
        ChangeElements change{table, as_prefixes ? names::prefix_set(id) : names::member_set(id), {}, {}};
        if (!as_prefixes) {
            change.remove = gone;
            std::ranges::transform(come, std::back_inserter(change.add),
                                   [](const ElementKey& key) { return Element{key, {}, {}}; });
        } else if (!removed.prefixes.empty() || !added.prefixes.empty()) {
            compare_ranges(before, content.ranges, change);
        }
        if (!change.remove.empty() || !change.add.empty()) {
            out.emplace_back(std::move(change));
        }
    }
    return had_prefixes != !content.prefixes.empty();
}

void Sets::remove(const SetId& id) {
    const auto found = sets_.find(id);
    if (found != sets_.end()) {
        for (const net::Family family : {net::Family::v4, net::Family::v6}) {
            count_filled(family, found->second.of(family).is_empty(), true);
        }
        sets_.erase(found);
    }
}

void Sets::count_filled(net::Family family, bool was_empty, bool is_empty) noexcept {
    std::size_t& filled = family == net::Family::v4 ? filled_v4_ : filled_v6_;
    filled = filled + (was_empty ? 1U : 0U) - (is_empty ? 1U : 0U);
}

void Sets::acquire(const TableKey& table, const std::string& name, std::vector<Change>& out) {
    State& state = sets_[names::set_of(name)];
    const bool as_prefixes = names::is_prefix_set(name);
    if (++state.references[{table, as_prefixes}] > 1) {
        return;
    }
    const Content& content = state.of(table.family);
    if (!as_prefixes) {
        out.emplace_back(PutSet{table, name, type_of(name), content.members});
        return;
    }
    out.emplace_back(PutSet{table, name, type_of(name)});
    if (!content.ranges.empty()) {
        out.emplace_back(ChangeElements{table, name, {}, content.ranges});
    }
}

void Sets::release(const TableKey& table, const std::string& name, std::vector<Change>& out) {
    State& state = sets_[names::set_of(name)];
    const auto reference = state.references.find({table, names::is_prefix_set(name)});
    if (--reference->second == 0) {
        state.references.erase(reference);
        out.emplace_back(RemoveSet{table, name});
    }
}

}  // namespace manul::felix::render
