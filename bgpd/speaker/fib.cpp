#include "bgpd/speaker/fib.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

namespace manul::bgp::speaker {

FibGroupId FibGroups::acquire(std::span<const WeightedHop> next_hops) {
    assert(!next_hops.empty());
    if (last_ != kNoRoute && std::ranges::equal(at(last_).next_hops, next_hops)) {
        ++at(last_).routes;
        return last_;
    }
    const auto [known, added] = by_members_.try_emplace({next_hops.begin(), next_hops.end()});
    if (added) {
        std::uint32_t index = static_cast<std::uint32_t>(groups_.size());
        if (free_.empty()) {
            groups_.emplace_back();
        } else {
            index = free_.back();
            free_.pop_back();
        }
        known->second = FibGroupId(index + kFirst);
        groups_[index] = Group{known->first};
        mark_changed(known->second);
    }
    last_ = known->second;
    ++at(last_).routes;
    return last_;
}

void FibGroups::release(FibGroupId group) {
    if (group.value() < kFirst) {
        return;
    }
    Group& entry = at(group);
    assert(entry.routes > 0);
    if (--entry.routes == 0 && !entry.unused) {
        entry.unused = true;
        unused_.push_back(group);
    }
}

void FibGroups::mark_changed(FibGroupId id) {
    if (!std::exchange(at(id).stale, true)) {
        changed_.push_back(id);
    }
}

void FibGroups::resolve(const net::Ip& next_hop, const std::optional<Resolution>& resolution) {
    if (!resolution) {
        resolutions_.erase(next_hop);  // its routes go away by the decision; the groups live on without this member
    } else {
        resolutions_[next_hop] = *resolution;
    }
    for (std::uint32_t i = 0; i < groups_.size(); ++i) {
        if (std::ranges::binary_search(groups_[i].next_hops, next_hop, {}, &WeightedHop::next_hop)) {
            mark_changed(FibGroupId(i + kFirst));
        }
    }
}

void FibGroups::take_definitions(std::vector<Action>& actions) {
    for (const FibGroupId id : changed_) {
        Group& group = at(id);
        group.stale = false;
        if (group.routes == 0) {
            continue;
        }
        FibGroup definition{id, {}};
        for (const auto& [next_hop, weight] : group.next_hops) {
            if (const auto way = resolutions_.find(next_hop); way != resolutions_.end()) {
                definition.members.push_back({next_hop, way->second, weight});
            }
        }
        if (!definition.members.empty()) {  // else its routes are about to go
            group.announced = true;
            actions.emplace_back(std::move(definition));
        }
    }
    changed_.clear();
}

void FibGroups::take_removals(std::vector<Action>& actions) {
    for (const FibGroupId id : unused_) {
        Group& group = at(id);
        group.unused = false;
        if (group.routes > 0) {
            continue;  // taken into use again
        }
        if (group.announced) {
            actions.emplace_back(FibGroup{id, {}});
        }
        by_members_.erase(group.next_hops);
        group = Group{};
        free_.push_back(id.value() - kFirst);
        if (last_ == id) {
            last_ = kNoRoute;
        }
    }
    unused_.clear();
}

/// From the next hops and bandwidths of the paths, the selected one first, to distinct next hops with weights. Where a
/// path names no bandwidth, all are equal (draft-ietf-idr-link-bandwidth).
template <class Key>
void FibTable<Key>::weigh() {
    constexpr float kMostWeight = 100;
    const net::Ip selected = shares_.front().next_hop;
    std::ranges::sort(shares_, [](const Share& a, const Share& b) {
        return a.next_hop != b.next_hop ? a.next_hop < b.next_hop : a.bandwidth > b.bandwidth;
    });
    const auto doubles = std::ranges::unique(shares_, {}, &Share::next_hop);
    shares_.erase(doubles.begin(), doubles.end());
    if (const std::size_t most = std::max<std::size_t>(1, core_.options.multipath_max); shares_.size() > most) {
        // Others are told of the selected path, so packets take that one, whoever else there is no room for.
        const auto told = std::ranges::find(shares_, selected, &Share::next_hop);
        shares_[most - 1] = *std::max(told, shares_.begin() + static_cast<std::ptrdiff_t>(most) - 1);
        shares_.resize(most);
    }
    const float least = std::ranges::min(shares_, {}, &Share::bandwidth).bandwidth;
    const float most = std::ranges::max(shares_, {}, &Share::bandwidth).bandwidth;
    next_hops_.clear();
    for (const Share& share : shares_) {
        const float weight = least > 0 && least < most ? std::round(share.bandwidth / most * kMostWeight) : 1;
        next_hops_.push_back({share.next_hop, static_cast<std::uint16_t>(std::max(weight, 1.0F))});
    }
}

template <class Key>
FibGroupId FibTable<Key>::wanted(rib::Slot slot, const net::PrefixRanges& kept_from_kernel) {
    const auto& entry = rib_[slot];
    if (!entry.has_selected()) {
        return kNoRoute;
    }
    const bool is_static =
        entry.source == rib::kLocalSource && core_.attributes[entry.attributes].next_hop != rib::kSelfNextHop;
    if (entry.source == rib::kLocalSource && !is_static) {
        return entry.flags.blackhole() ? kBlackhole : kNoRoute;
    }
    if (policy::is_host_route(core_.sources[entry.source].traits.kind)) {
        return kNoRoute;  // the kernel has it from somebody else
    }
    if (!is_static && kept_from_kernel.contains(entry.key())) {
        return kNoRoute;
    }
    shares_.clear();
    const auto add = [&](const rib::Path& path) {
        const rib::AttributeSet& set = core_.attributes[path.attributes];
        shares_.push_back({core_.next_hops[set.next_hop].next_hop.address, set.bandwidth});
    };
    if (entry.flags.multipath()) {
        rib_.each_path(slot, [&](const rib::Path& path) {
            if (path.flags.multipath()) {
                add(path);
            }
        });
    } else {
        add(entry.first());
    }
    weigh();
    return groups_.acquire(next_hops_);
}

template <class Key>
void FibTable<Key>::update(rib::Slot slot, const net::PrefixRanges& kept_from_kernel, std::vector<FibChange>& changes) {
    if (slot >= by_slot_.size()) {
        by_slot_.resize(std::max<std::size_t>(slot + 1, by_slot_.size() + by_slot_.size() / 4));
    }
    const FibGroupId now = wanted(slot, kept_from_kernel);
    const FibGroupId before = by_slot_[slot];
    groups_.release(before);
    const bool to_gateways = now != kNoRoute && now != kBlackhole;
    const std::uint32_t metric =
        to_gateways ? policy::priority_of(core_.attributes[rib_[slot].attributes].local_pref) : policy::kNormalPriority;
    if (!set_metric(slot, metric) && now == before) {
        return;
    }
    by_slot_[slot] = now;
    changes.push_back({rib_[slot].key().to_prefix(), slot, now, metric});
}

/// True when it becomes another one.
template <class Key>
bool FibTable<Key>::set_metric(rib::Slot slot, std::uint32_t metric) {
    if (metric == policy::kNormalPriority) {
        return !unusual_metrics_.empty() && unusual_metrics_.erase(slot) > 0;
    }
    const auto [known, added] = unusual_metrics_.try_emplace(slot, metric);
    return std::exchange(known->second, metric) != metric || added;
}

template class FibTable<net::PrefixKey4>;
template class FibTable<net::PrefixKey6>;

}  // namespace manul::bgp::speaker
