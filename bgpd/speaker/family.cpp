#include "bgpd/speaker/family.hpp"

#include <algorithm>
#include <utility>

namespace manul::bgp::speaker {

namespace {

/// A sweep mostly looks and rarely finds, so its slices are longer than those of work that encodes. What it finds goes
/// through the whole turn, whose parts should find each other's memory in the cache.
constexpr rib::Slot kSweepSlots = 4 * kSlotsPerTurn;
constexpr std::size_t kFoundPerTurn = kSlotsPerTurn;
/// More is in the log after a deferral, or when hundreds of peers send their tables at once.
constexpr std::size_t kDecisionsPerTurn = 2 * std::size_t{kSlotsPerTurn};

}  // namespace

template <class Key>
UpdateGroup<Key>* Family<Key>::find(rib::GroupId number) const noexcept {
    const auto at = std::ranges::find_if(groups_, [&](const Numbered& each) { return each.number == number; });
    return at == groups_.end() ? nullptr : at->group.get();
}

template <class Key>
rib::GroupId Family<Key>::unused_number() const noexcept {
    rib::GroupId number = 1;
    while (std::ranges::any_of(groups_, [&](const Numbered& each) { return each.number == number; })) {
        ++number;
    }
    return number;
}

template <class Key>
void Family<Key>::join(Outlet& outlet, const policy::ExportTarget& target, const wire::WriteContext& context) {
    auto told = ToldBefore::nothing;
    const auto is_for = [&](const UpdateGroup<Key>& group) {
        return group.out().target().same_group(target) && group.out().context() == context;
    };
    if (const UpdateGroup<Key>* group = group_of(outlet.source)) {
        if (is_for(*group)) {
            return;
        }
        outlet.told_ids[rib::family_index(Key::kFamily)] = group->out().told_ids();
        leave(outlet);
        told = ToldBefore::anything;
    }
    auto at = std::ranges::find_if(groups_, [&](const Numbered& each) { return is_for(*each.group); });
    if (at == groups_.end()) {
        const rib::GroupId number = unused_number();
        groups_.push_back({number, std::make_unique<UpdateGroup<Key>>(core_, rib_, packer_, number, target, context)});
        at = groups_.end() - 1;
    }
    core_.sources[outlet.source].groups[rib::family_index(Key::kFamily)] = at->number;
    at->group->join(outlet, told);
}

template <class Key>
void Family<Key>::leave(const Outlet& outlet) {
    rib::GroupId& number = core_.sources[outlet.source].groups[rib::family_index(Key::kFamily)];
    if (UpdateGroup<Key>* group = find(std::exchange(number, 0))) {
        group->leave(outlet);
        std::erase_if(groups_, [](const Numbered& each) { return each.group->empty(); });
    }
}

template <class Key>
void Family<Key>::repeat(const Outlet& outlet) {
    if (UpdateGroup<Key>* group = find(core_.sources[outlet.source].groups[rib::family_index(Key::kFamily)])) {
        group->repeat(outlet);
    }
}

template <class Key>
void Family<Key>::retarget(const std::shared_ptr<const net::PrefixRanges>& relayable,
                           const std::shared_ptr<const policy::Markings>& markings,
                           const std::function<policy::FilterPtr(const std::vector<std::string>&)>& rules_of) {
    for (Numbered& each : groups_) {
        const policy::ExportTarget& target = each.group->out().target();
        auto rules = rules_of(target.filters);
        const bool same_markings =
            target.markings == markings || (target.markings && markings && *target.markings == *markings);
        if (!policy::same_rules(target.filter, rules) || *target.relayable != *relayable || !same_markings) {
            each.group->retarget(relayable, markings, std::move(rules));
        }
    }
}

template <class Key>
void Family<Key>::judge_exports_again() {
    for (Numbered& each : groups_) {
        const auto& filter = each.group->out().target().filter;
        if (filter && filter->asks_for_interface()) {
            each.group->judge_again();
        }
    }
}

template <class Key>
void Family<Key>::sweep_slice() {
    const rib::Slot from = sweep_next_;
    sweep_next_ = rib_.sweep(from, kSweepSlots, kFoundPerTurn);
    if (sweep_all_) {
        rib_.touch_range(from, sweep_next_ - from);
    }
    if (sweep_next_ >= rib_.end()) {
        sweeping_ = false;
        sweep_all_ = false;
    }
}

template <class Key>
void Family<Key>::decide(std::vector<FibChange>& fib) {
    if (sweeping_ && (held_ || !rib_.undecided())) {  // else the log would grow faster than it is read
        sweep_slice();
    }
    changes_.clear();
    if (held_ || !rib_.pending()) {
        return;
    }
    rib_.decide(changes_, kDecisionsPerTurn);
    if (program_kernel_) {
        for (const auto& touched : rib_.touched()) {
            fib_.update(touched.slot, kept_from_kernel_, fib);
        }
    }
}

template <class Key>
bool Family<Key>::send(std::vector<Action>& actions) {
    bool more = sweeping_;
    if (held_) {
        return more;
    }
    for (Numbered& each : groups_) {
        each.group->turn(changes_, rib_.touched(), actions);
        more = each.group->work(actions) || more;
    }
    if (rib_.pending()) {
        const bool behind =
            std::ranges::any_of(groups_, [](const Numbered& each) { return each.group->anybody_behind(); });
        rib_.end_turn([&](rib::Slot slot) {
            return behind && std::ranges::any_of(groups_, [&](const Numbered& each) {
                       return each.group->anybody_behind() && each.group->awaits(slot);
                   });
        });
    }
    return more || rib_.undecided();
}

template class Family<net::PrefixKey4>;
template class Family<net::PrefixKey6>;

}  // namespace manul::bgp::speaker
