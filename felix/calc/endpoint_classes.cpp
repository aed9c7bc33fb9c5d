#include "felix/calc/endpoint_classes.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "felix/calc/label_index.hpp"
#include "felix/calc/sequencer.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/policy_id.hpp"

namespace manul::felix {

namespace {

constexpr std::array kDirections{Direction::ingress, Direction::egress};

std::size_t at(Direction direction) { return static_cast<std::size_t>(direction); }

}  // namespace

void EndpointClasses::note(ItemId item) {
    if (item.value() >= members_.size()) {
        members_.resize(std::size_t{item.value()} + 1);
    }
    Member& member = members_[item.value()];
    if (!std::exchange(member.changed, true)) {
        changed_.push_back(item);
        if (member.number) {
            ++classes_[*member.number].changed;
        }
    }
}

void EndpointClasses::remove(ItemId item) {
    if (item.value() >= members_.size()) {
        return;
    }
    if (members_[item.value()].changed) {
        std::erase(changed_, item);
    }
    if (members_[item.value()].number) {
        leave(item);
    }
    members_[item.value()] = {};
}

// --- who is in which class -------------------------------------------------------------------------------------------

void EndpointClasses::settle(const Moved& moved) {
    for (const ItemId item : std::exchange(changed_, {})) {
        Member& member = members_[item.value()];
        if (!member.changed) {
            continue;  // moved with its class
        }
        if (!member.number || !move_whole(*member.number)) {
            move(item);
            moved(item);
        }
    }
}

/// All members changed, and alike. False: they part, or join others.
bool EndpointClasses::move_whole(Number number) {
    Class& one = classes_[number];
    if (one.changed != one.items.size()) {
        return false;
    }
    const std::span<const SelectorId> matches = index_.matches(one.items.front());
    const bool alike =
        std::ranges::all_of(one.items, [&](ItemId item) { return std::ranges::equal(index_.matches(item), matches); });
    if (!alike) {
        return false;
    }
    if (!std::ranges::equal(one.matches, matches)) {
        std::vector<SelectorId> now(matches.begin(), matches.end());
        if (!by_matches_.try_emplace(now, number).second) {
            return false;
        }
        by_matches_.erase(one.matches);
        one.matches = std::move(now);
    }
    mark(number);
    one.changed = 0;
    for (const ItemId item : one.items) {
        members_[item.value()].changed = false;
    }
    return true;
}

void EndpointClasses::move(ItemId item) {
    const std::span<const SelectorId> matches = index_.matches(item);
    if (members_[item.value()].number) {
        leave(item);
    }
    members_[item.value()].changed = false;
    const auto [known, is_new] =
        by_matches_.try_emplace(std::vector<SelectorId>(matches.begin(), matches.end()), Number{0});
    if (is_new) {
        if (free_.empty()) {
            known->second = static_cast<Number>(classes_.size());
            classes_.emplace_back();
        } else {
            known->second = free_.back();
            free_.pop_back();
        }
        classes_[known->second] = {};
        classes_[known->second].matches = known->first;
    }
    // An id of a selector may have been given to another one meanwhile, so the lists of the class are looked at too.
    mark(known->second);
    join(item, known->second);
}

void EndpointClasses::join(ItemId item, Number number) {
    Class& one = classes_[number];
    members_[item.value()].number = number;
    members_[item.value()].slot = one.items.size();
    one.items.push_back(item);
}

void EndpointClasses::leave(ItemId item) {
    Member& member = members_[item.value()];
    const Number number = *member.number;
    Class& one = classes_[number];
    if (member.changed) {
        --one.changed;
    }
    const ItemId last = one.items.back();
    one.items[member.slot] = last;
    members_[last.value()].slot = member.slot;
    one.items.pop_back();
    member.number.reset();
    if (one.items.empty()) {
        remove_class(number);
    }
}

void EndpointClasses::remove_class(Number number) {
    Class& one = classes_[number];
    if (one.lists != nullptr) {
        count(*one.lists, false);
        orphans_.push_back(std::move(one.lists));
    }
    by_matches_.erase(one.matches);
    one = {};
    free_.push_back(number);
}

void EndpointClasses::mark(Number number) {
    if (!std::exchange(classes_[number].dirty, true)) {
        dirty_.push_back(number);
    }
}

void EndpointClasses::mark_touched() {
    std::ranges::sort(touched_);
    const bool everything = std::exchange(everything_, false);
    for (Number number = 0; number < classes_.size() && (everything || !touched_.empty()); ++number) {
        const Class& one = classes_[number];
        const auto has = [&one](SelectorId selector) { return std::ranges::binary_search(one.matches, selector); };
        if (!one.items.empty() && (everything || std::ranges::any_of(touched_, has))) {
            mark(number);
        }
    }
    touched_.clear();
}

// --- what classes have -----------------------------------------------------------------------------------------------

void EndpointClasses::flush(const MakeLists& make, Sequencer& sequencer, const Moved& moved) {
    settle(moved);
    mark_touched();
    std::vector<Plan> plans = make_plans(make);
    for (const Direction direction : kDirections) {
        replace_whole_lists(direction, plans, sequencer);
    }
    // What is left goes to members one by one; those that the dataplane knows keep the old lists until then.
    for (Plan& plan : plans) {
        Class& one = classes_[plan.number];
        if (one.lists->ingress.same_as(plan.now.ingress) && one.lists->egress.same_as(plan.now.egress)) {
            continue;
        }
        count(*one.lists, false);
        set_lists(one, std::move(plan.now));
        std::ranges::for_each(one.items, moved);
    }
    orphans_.clear();
}

/// What the lists of the classes that are dirty should be, those of new classes excepted, which have theirs at once:
/// their members are told one by one.
std::vector<EndpointClasses::Plan> EndpointClasses::make_plans(const MakeLists& make) {
    std::vector<Plan> plans;
    for (const Number number : std::exchange(dirty_, {})) {
        Class& one = classes_[number];
        if (!std::exchange(one.dirty, false)) {
            continue;  // it went, and perhaps came again
        }
        EndpointLists now = make(one.matches);
        if (one.lists == nullptr) {
            set_lists(one, std::move(now));
        } else {
            plans.push_back({number, std::move(now)});
        }
    }
    return plans;
}

/// Finds lists that all their classes leave for the same list, which nobody had.
void EndpointClasses::replace_whole_lists(Direction direction, const std::vector<Plan>& plans, Sequencer& sequencer) {
    struct Fate {
        PolicyLists now;
        std::vector<Number> classes;
    };
    std::unordered_map<const void*, Fate> fates;
    for (const Plan& plan : plans) {
        const PolicyLists& before = classes_[plan.number].lists->of(direction);
        const PolicyLists& now = plan.now.of(direction);
        if (before.same_as(now)) {
            continue;
        }
        Fate& fate = fates.try_emplace(&*before, Fate{now, {}}).first->second;
        if (fate.now.same_as(now)) {
            fate.classes.push_back(plan.number);
        }
    }
    auto& users = users_[at(direction)];
    for (const Plan& plan : plans) {  // in their order, which makes the same batch of the same events
        const PolicyLists before = classes_[plan.number].lists->of(direction);
        const auto fate = fates.find(&*before);
        if (fate == fates.end() || fate->second.classes.size() != users.at(&*before)) {
            continue;
        }
        const PolicyLists now = fate->second.now;
        const bool had = users.contains(&*now) || std::ranges::any_of(orphans_, [&](const auto& orphan) {
                             return orphan->of(direction).same_as(now);
                         });
        if (had) {
            continue;
        }
        for (const Number number : fate->second.classes) {
            classes_[number].lists->of(direction) = now;
        }
        for (const auto& orphan : orphans_) {
            if (orphan->of(direction).same_as(before)) {
                orphan->of(direction) = now;
            }
        }
        users.emplace(&*now, fate->second.classes.size());
        users.erase(&*before);
        fates.erase(fate);
        sequencer.replace_lists(direction, before, now);
    }
}

void EndpointClasses::set_lists(Class& one, EndpointLists lists) {
    one.lists = std::make_shared<EndpointLists>(std::move(lists));
    count(*one.lists, true);
}

void EndpointClasses::count(const EndpointLists& lists, bool added) {
    for (const Direction direction : kDirections) {
        auto& users = users_[at(direction)];
        const auto list = users.try_emplace(&*lists.of(direction), 0).first;
        list->second = added ? list->second + 1 : list->second - 1;
        if (list->second == 0) {
            users.erase(list);
        }
    }
}

}  // namespace manul::felix
