#include "felix/calc/endpoint_classes.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
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

void EndpointClasses::put(ItemId item, const std::vector<std::string>& profiles) {
    if (item.value() >= members_.size()) {
        members_.resize(std::size_t{item.value()} + 1);
    }
    Member& member = members_[item.value()];
    if (member.profiles == nullptr || *member.profiles != profiles) {
        std::size_t hash = profiles.size();
        for (const std::string& profile : profiles) {
            hash = hash * 31 + std::hash<std::string>{}(profile);
        }
        member.profiles = profiles_.one(hash, profiles).pointer();
        note(item);
    }
}

void EndpointClasses::note(ItemId item) {
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
    const bool alike = std::ranges::all_of(one.items, [&](ItemId item) {
        return members_[item.value()].profiles == one.kind.profiles &&
               std::ranges::equal(index_.matches(item), matches);
    });
    if (!alike) {
        return false;
    }
    if (!std::ranges::equal(one.kind.matches, matches)) {
        Kind now{{matches.begin(), matches.end()}, one.kind.profiles};
        if (!by_kind_.try_emplace(now, number).second) {
            return false;
        }
        by_kind_.erase(one.kind);
        one.kind = std::move(now);
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
    Member& member = members_[item.value()];
    member.changed = false;
    const auto [known, is_new] =
        by_kind_.try_emplace(Kind{{matches.begin(), matches.end()}, member.profiles}, Number{0});
    if (is_new) {
        if (free_.empty()) {
            known->second = static_cast<Number>(classes_.size());
            classes_.emplace_back();
        } else {
            known->second = free_.back();
            free_.pop_back();
        }
        classes_[known->second] = {};
        classes_[known->second].kind = known->first;
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
        count(one, false);
        orphans_.push_back({std::move(one.lists), one.kind.profiles});
    }
    by_kind_.erase(one.kind);
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
        const auto has = [&one](SelectorId selector) { return std::ranges::binary_search(one.kind.matches, selector); };
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
        count(one, false);
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
        EndpointLists now = make(one.kind.matches);
        if (one.lists == nullptr) {
            set_lists(one, std::move(now));
        } else {
            plans.push_back({number, std::move(now)});
        }
    }
    return plans;
}

/// Finds lists that all their classes, of those with the same profiles, leave for the same list, which none of them
/// had.
void EndpointClasses::replace_whole_lists(Direction direction, const std::vector<Plan>& plans, Sequencer& sequencer) {
    struct Fate {
        PolicyLists now;
        std::vector<Number> classes;
    };
    std::unordered_map<Listed, Fate, ListedHash> fates;
    const auto left_by = [&](const Plan& plan) {
        const Class& one = classes_[plan.number];
        return Listed{&*one.lists->of(direction), one.kind.profiles};
    };
    for (const Plan& plan : plans) {
        const PolicyLists& now = plan.now.of(direction);
        if (classes_[plan.number].lists->of(direction).same_as(now)) {
            continue;
        }
        Fate& fate = fates.try_emplace(left_by(plan), Fate{now, {}}).first->second;
        if (fate.now.same_as(now)) {
            fate.classes.push_back(plan.number);
        }
    }
    auto& users = users_[at(direction)];
    for (const Plan& plan : plans) {  // in their order, which makes the same batch of the same events
        const Listed left = left_by(plan);
        const auto fate = fates.find(left);
        if (fate == fates.end() || fate->second.classes.size() != users.at(left)) {
            continue;
        }
        const PolicyLists before = classes_[plan.number].lists->of(direction);
        const PolicyLists now = fate->second.now;
        const auto orphaned = [&](const Orphan& orphan, const PolicyLists& lists) {
            return orphan.profiles == left.profiles && orphan.lists->of(direction).same_as(lists);
        };
        const bool had = users.contains({&*now, left.profiles}) ||
                         std::ranges::any_of(orphans_, [&](const Orphan& orphan) { return orphaned(orphan, now); });
        if (had) {
            continue;
        }
        for (const Number number : fate->second.classes) {
            classes_[number].lists->of(direction) = now;
        }
        for (const Orphan& orphan : orphans_) {
            if (orphaned(orphan, before)) {
                orphan.lists->of(direction) = now;
            }
        }
        users.emplace(Listed{&*now, left.profiles}, fate->second.classes.size());
        users.erase(left);
        fates.erase(fate);
        sequencer.replace_lists({direction, before, now, *left.profiles});
    }
}

void EndpointClasses::set_lists(Class& one, EndpointLists lists) {
    one.lists = std::make_shared<EndpointLists>(std::move(lists));
    count(one, true);
}

void EndpointClasses::count(const Class& one, bool added) {
    for (const Direction direction : kDirections) {
        auto& users = users_[at(direction)];
        const auto list = users.try_emplace({&*one.lists->of(direction), one.kind.profiles}, 0).first;
        list->second = added ? list->second + 1 : list->second - 1;
        if (list->second == 0) {
            users.erase(list);
        }
    }
}

}  // namespace manul::felix
