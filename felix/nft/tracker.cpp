#include "felix/nft/tracker.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/overloaded.hpp"
#include "felix/nft/rule_diff.hpp"
#include "felix/nft/wire.hpp"
#include "felix/render/ruleset.hpp"

namespace manul::felix::nft {

/// The parts of a plan in the order in which they go to the kernel: what is named comes before what names it, and what
/// names is gone before what was named.
struct Tracker::Steps {
    Transaction remove_tables_first;  // replaced ones
    Transaction add_tables;
    Transaction remove_base_chains;  // those whose hook changed
    Transaction add_sets;
    Transaction add_chains;
    Transaction members;
    Transaction rules;
    Transaction verdicts;
    Transaction flush_chains;
    Transaction remove_sets;  // before chains: maps name these
    Transaction remove_chains;
    Transaction remove_tables;

    [[nodiscard]] Transaction joined() && {
        Transaction all;
        for (Transaction* part :
             {&remove_tables_first, &add_tables, &remove_base_chains, &add_sets, &add_chains, &members, &rules,
              &verdicts, &flush_chains, &remove_sets, &remove_chains, &remove_tables}) {
            std::ranges::move(*part, std::back_inserter(all));
        }
        return all;
    }
};

namespace {

/// Links on their way to another class still need the element of the old one. Elements for ports have no such users.
bool is_class_map(const SetType& type) {
    return type.shape == SetType::Shape::verdicts &&
           (type.fields.front() == render::Field::in_group || type.fields.front() == render::Field::out_group);
}

bool has_counted(const std::vector<KernelChain::Rule>& rules) {
    return std::ranges::any_of(rules, &KernelChain::Rule::counted);
}

bool knows_handles(const std::vector<KernelChain::Rule>& rules) {
    return std::ranges::all_of(rules, [](const KernelChain::Rule& rule) { return rule.handle != 0; });
}

KernelChain::Rule rule_of(const render::Chain& chain, std::size_t i) {
    return {chain.fingerprints()[i], 0, chain.rules()[i].id != 0};
}

template <class Map>
auto find_value(Map& map, const std::string& key) -> decltype(&map.begin()->second) {
    const auto found = map.find(key);
    return found == map.end() ? nullptr : &found->second;
}

}  // namespace

bool KernelChain::holds(const render::Chain& chain) const {
    return std::ranges::equal(rules, chain.fingerprints(), {}, &Rule::fingerprint);
}

const render::Table* Tracker::wanted_table(const TableKey& key) const {
    const auto found = wanted_.tables.find(key);
    return found == wanted_.tables.end() ? nullptr : &found->second;
}

const Tracker::AppliedTable* Tracker::applied_table(const TableKey& key) const {
    const auto found = applied_.find(key);
    return found == applied_.end() ? nullptr : &found->second;
}

KernelChain* Tracker::applied_chain(const TableKey& key, const std::string& chain) {
    const auto table = applied_.find(key);
    return table == applied_.end() ? nullptr : find_value(table->second.chains, chain);
}

Tracker::AppliedSet* Tracker::applied_set(const TableKey& key, const std::string& set) {
    const auto table = applied_.find(key);
    return table == applied_.end() ? nullptr : find_value(table->second.sets, set);
}

// --- what is wanted -------------------------------------------------------------------------------------------------

void Tracker::change(const render::Change& change) {
    std::visit(overloaded{
                   [&](const render::PutTable& c) { dirty_[c.table]; },
                   [&](const render::RemoveTable& c) {
                       mark_everything(c.table);
                       forget_contents(c.table);
                   },
                   [&](const render::PutChain& c) {
                       dirty_[c.table].chains.insert(c.name);
                       if (!withheld_.empty()) {
                           release({c.table, ObjectName::Kind::chain, c.name});
                       }
                   },
                   [&](const render::RemoveChain& c) { dirty_[c.table].chains.insert(c.name); },
                   [&](const render::PutSet& c) { dirty_[c.table].sets.insert(c.name); },
                   [&](const render::RemoveSet& c) {
                       dirty_[c.table].sets.insert(c.name);
                       if (AppliedSet* applied = applied_set(c.table, c.name)) {
                           forget_content(*applied);
                       }
                   },
                   [&](const render::ChangeElements& c) {
                       dirty_[c.table].sets.insert(c.set);
                       release({c.table, ObjectName::Kind::set, c.set});
                       track_members(c);
                   },
               },
               change);
    render::apply(wanted_, change);
}

void Tracker::track_members(const render::ChangeElements& change) {
    AppliedSet* applied = applied_set(change.table, change.set);
    if (applied == nullptr || applied->unknown) {
        return;
    }
    if (applied->shape != SetType::Shape::members) {
        applied->touched.insert(change.remove.begin(), change.remove.end());
        std::ranges::transform(change.add, std::inserter(applied->touched, applied->touched.end()), &Element::key);
        return;
    }
    // Each change of membership flips whether the kernel differs in that member.
    const auto flip = [applied](const ElementKey& member, bool missing) {
        if (applied->pending.erase(member) == 0) {
            applied->pending.emplace(member, missing);
        }
    };
    for (const ElementKey& member : change.remove) {
        flip(member, false);
    }
    for (const Element& element : change.add) {
        flip(element.key, true);
    }
}

template <class Look>
void Tracker::each_kept(Look look) const {
    for (const auto& [key, dirty] : dirty_) {
        const AppliedTable* applied = applied_table(key);
        const render::Table* wanted = wanted_table(key);
        if (applied != nullptr && wanted != nullptr && !applied->replace) {
            look(key, dirty, *applied, *wanted);
        }
    }
}

std::vector<ObjectName> Tracker::unread_sets(std::size_t most) const {
    std::vector<ObjectName> names;
    each_kept([&](const TableKey& key, const auto& dirty, const auto& applied, const auto& wanted) {
        for (const std::string& set : dirty.sets) {
            const AppliedSet* have = find_value(applied.sets, set);
            const render::Set* want = find_value(wanted.sets, set);
            if (have != nullptr && want != nullptr && have->unknown && have->shape == SetType::Shape::members &&
                want->member_keys().size() <= most) {
                names.push_back({key, ObjectName::Kind::set, set});
            }
        }
    });
    return names;
}

void Tracker::adopt_members(const ObjectName& set, const render::Members& members) {
    AppliedSet* applied = applied_set(set.table, set.name);
    const render::Table* table = wanted_table(set.table);
    const render::Set* wanted = table == nullptr ? nullptr : find_value(table->sets, set.name);
    if (applied == nullptr || wanted == nullptr) {
        return;
    }
    applied->unknown = false;
    applied->pending.clear();
    for (const ElementKey& member : wanted->member_keys()) {
        if (!members.contains(member)) {
            applied->pending.emplace(member, true);
        }
    }
    for (const ElementKey& member : members) {
        if (!wanted->member_keys().contains(member)) {
            applied->pending.emplace(member, false);
        }
    }
}

std::vector<ObjectName> Tracker::unread_chains() const {
    std::vector<ObjectName> names;
    each_kept([&](const TableKey& key, const auto& dirty, const auto& applied, const auto& wanted) {
        for (const std::string& chain : dirty.chains) {
            const KernelChain* have = find_value(applied.chains, chain);
            const ChainPtr* want = find_value(wanted.chains, chain);
            if (have != nullptr && have->written && want != nullptr && have->hook == (*want)->hook() &&
                !knows_handles(have->rules) && !have->holds(**want) &&
                RuleDiff(have->rules, (*want)->fingerprints()).keeps_any()) {
                names.push_back({key, ObjectName::Kind::chain, chain});
            }
        }
    });
    return names;
}

void Tracker::adopt_rules(const ObjectName& chain, std::vector<KernelChain::Rule> rules) {
    KernelChain* applied = applied_chain(chain.table, chain.name);
    if (applied != nullptr && std::ranges::equal(applied->rules, rules, {}, &KernelChain::Rule::fingerprint,
                                                 &KernelChain::Rule::fingerprint)) {
        applied->rules = std::move(rules);
    }
}

void Tracker::forget_contents(const TableKey& key) {
    const auto applied = applied_.find(key);
    if (applied == applied_.end()) {
        return;
    }
    for (auto& [name_of_set, set] : applied->second.sets) {
        forget_content(set);
    }
}

/// Should the set be wanted again before it was removed, what it holds counts for nothing.
void Tracker::forget_content(AppliedSet& set) {
    set.unknown = set.shape != SetType::Shape::verdicts;
    for (const auto& [key, element] : set.elements) {
        set.touched.insert(key);
    }
}

void Tracker::mark_everything(const TableKey& key) {
    DirtyTable& dirty = dirty_[key];
    if (const render::Table* wanted = wanted_table(key)) {
        for (const auto& [chain, content] : wanted->chains) {
            dirty.chains.insert(chain);
        }
        for (const auto& [set, content] : wanted->sets) {
            dirty.sets.insert(set);
        }
    }
    if (const AppliedTable* applied = applied_table(key)) {
        for (const auto& [chain, content] : applied->chains) {
            dirty.chains.insert(chain);
        }
        for (const auto& [set, content] : applied->sets) {
            dirty.sets.insert(set);
        }
    }
}

void Tracker::adopt(const KernelState& kernel) {
    applied_.clear();
    dirty_.clear();
    for (const auto& [key, table] : kernel) {
        AppliedTable& applied = applied_[key];
        applied.chains.insert(table.chains.begin(), table.chains.end());
        applied.orphan = table.orphan;
        for (const auto& [set, content] : table.sets) {
            AppliedSet& known = applied.sets[set];
            known.shape = content.shape;
            known.unknown = content.shape != SetType::Shape::verdicts;
            for (const auto& [element, verdict] : content.verdicts) {
                known.elements.emplace(element, Element{element, {}, verdict});
            }
            if (const render::Table* wanted = wanted_table(key)) {
                const render::Set* same_name = find_value(wanted->sets, set);
                if (same_name != nullptr && (same_name->type.shape != content.shape ||
                                             key_type(key.family, same_name->type.fields) != content.key_type)) {
                    applied.replace = true;
                }
            }
        }
    }
    for (const auto& [key, table] : wanted_.tables) {
        mark_everything(key);
    }
    for (const auto& [key, table] : applied_) {
        mark_everything(key);
        touch_elements(key);
    }
}

void Tracker::touch_elements(const TableKey& key) {
    const render::Table* wanted = wanted_table(key);
    for (auto& [name_of_set, applied] : applied_.at(key).sets) {
        std::ranges::transform(applied.elements, std::inserter(applied.touched, applied.touched.end()),
                               [](const auto& entry) { return entry.first; });
        const render::Set* want = wanted == nullptr ? nullptr : find_value(wanted->sets, name_of_set);
        if (want != nullptr) {
            std::ranges::transform(want->elements, std::inserter(applied.touched, applied.touched.end()),
                                   [](const auto& entry) { return entry.first; });
        }
    }
}

// --- the plan -------------------------------------------------------------------------------------------------------

Transaction Tracker::take_over() const {
    Transaction transaction;
    each_kept([&transaction](const TableKey& key, const auto& /*dirty*/, const auto& applied, const auto& /*wanted*/) {
        if (applied.orphan) {
            transaction.emplace_back(AddTable{key});
        }
    });
    return transaction;
}

Transaction Tracker::plan(Scope scope) const {
    Steps steps;
    for (const auto& [key, dirty] : dirty_) {
        plan_table(key, dirty, scope, steps);
    }
    return std::move(steps).joined();
}

void Tracker::plan_table(const TableKey& key, const DirtyTable& dirty, Scope scope, Steps& steps) const {
    const AppliedTable* applied = applied_table(key);
    if (wanted_table(key) == nullptr) {
        if (applied != nullptr && scope == Scope::everything) {
            steps.remove_tables.emplace_back(DeleteTable{key});
        }
        return;
    }
    if (applied != nullptr && applied->replace) {
        steps.remove_tables_first.emplace_back(DeleteTable{key});
    }
    if (applied == nullptr || applied->replace) {
        steps.add_tables.emplace_back(AddTable{key});
    }
    for (const std::string& set : dirty.sets) {
        plan_set(key, set, scope, steps);
    }
    for (const std::string& chain : dirty.chains) {
        plan_chain(key, chain, scope, steps);
    }
}

void Tracker::plan_chain(const TableKey& key, const std::string& chain, Scope scope, Steps& steps) const {
    const AppliedTable* table = applied_table(key);
    const KernelChain* applied = table == nullptr || table->replace ? nullptr : find_value(table->chains, chain);
    const ChainPtr* wanted = find_value(wanted_table(key)->chains, chain);
    if (!withheld_.empty() && is_withheld({key, ObjectName::Kind::chain, chain})) {
        if (applied == nullptr && wanted != nullptr && !(*wanted)->hook()) {
            const ChainPtr closed = render::Chain::make(key.family, {{{}, {render::Count{}, render::drop()}}});
            steps.add_chains.emplace_back(AddChain{key, chain, closed});
            steps.rules.emplace_back(FillChain{key, chain, closed});
        }
        return;
    }
    if (wanted == nullptr) {
        if (applied != nullptr && scope == Scope::everything) {
            steps.flush_chains.emplace_back(FlushChain{key, chain, has_counted(applied->rules)});
            steps.remove_chains.emplace_back(DeleteChain{key, chain});
        }
        return;
    }
    if (applied != nullptr && applied->hook != (*wanted)->hook()) {
        steps.remove_base_chains.emplace_back(FlushChain{key, chain, has_counted(applied->rules)});
        steps.remove_base_chains.emplace_back(DeleteChain{key, chain});
        applied = nullptr;
    }
    if (applied == nullptr) {
        steps.add_chains.emplace_back(AddChain{key, chain, *wanted});
    } else if (applied->holds(**wanted)) {
        return;
    } else if (const RuleDiff diff(applied->rules, (*wanted)->fingerprints());
               applied->written && diff.keeps_any() && knows_handles(applied->rules)) {
        EditChain edit{key, chain, *wanted, {}, false, diff.insertions(), {}};
        for (const KernelChain::Rule& rule : diff.removed()) {
            edit.remove.push_back(rule.handle);
            edit.counted = edit.counted || rule.counted;
        }
        steps.rules.emplace_back(std::move(edit));
        return;
    } else if (!applied->rules.empty()) {
        steps.rules.emplace_back(FlushChain{key, chain, has_counted(applied->rules)});
    }
    if (!(*wanted)->rules().empty()) {
        steps.rules.emplace_back(FillChain{key, chain, *wanted});
    }
}

void Tracker::plan_set(const TableKey& key, const std::string& set, Scope scope, Steps& steps) const {
    const AppliedTable* table = applied_table(key);
    const AppliedSet* applied = table == nullptr || table->replace ? nullptr : find_value(table->sets, set);
    const render::Set* wanted = find_value(wanted_table(key)->sets, set);
    if (!withheld_.empty() && is_withheld({key, ObjectName::Kind::set, set})) {
        return;
    }
    if (wanted == nullptr) {
        if (applied != nullptr && scope == Scope::everything) {
            steps.remove_sets.emplace_back(DeleteSet{key, set});
        }
        return;
    }
    if (applied == nullptr) {
        steps.add_sets.emplace_back(AddSet{key, set, wanted->type});
    } else if (applied->unknown) {
        steps.members.emplace_back(FlushSet{key, set});
    }
    DeleteElements remove{key, set, wanted->type, {}};
    AddElements add{key, set, wanted->type, {}, nullptr};
    if (wanted->type.shape != SetType::Shape::members && (applied == nullptr || applied->unknown)) {
        for (const auto& [element_key, element] : wanted->elements) {
            add.elements.push_back(element);
        }
    } else if (wanted->type.shape != SetType::Shape::members) {
        for (const ElementKey& element_key : applied->touched) {
            const auto now = applied->elements.find(element_key);
            const auto other = wanted->elements.find(element_key);
            const bool is_there = now != applied->elements.end();
            const bool unused = other == wanted->elements.end();
            const bool may_wait = unused && is_class_map(wanted->type);
            if (is_there && (unused ? !may_wait || scope == Scope::everything : other->second != now->second)) {
                remove.elements.push_back(now->second);
            }
            if (!unused && (!is_there || other->second != now->second)) {
                add.elements.push_back(other->second);
            }
        }
    } else if (applied == nullptr || applied->unknown) {
        add.members = wanted->members;
    } else {
        for (const auto& [member, missing] : applied->pending) {
            (missing ? add.elements : remove.elements).push_back({member, {}, {}});
        }
    }
    Transaction& step = wanted->type.shape == SetType::Shape::verdicts ? steps.verdicts : steps.members;
    if (!remove.elements.empty()) {
        step.emplace_back(std::move(remove));
    }
    if (add.size() != 0) {
        step.emplace_back(std::move(add));
    }
}

// --- what the kernel holds ------------------------------------------------------------------------------------------

void Tracker::committed(const Transaction& transaction, const std::vector<RuleHandle>& handles) {
    for (const Command& command : transaction) {
        std::visit([this](const auto& c) { note(c); }, command);
    }
    KernelChain* chain = nullptr;
    for (std::size_t i = 0; i < handles.size(); ++i) {
        const RuleHandle& rule = handles[i];
        if (i == 0 || rule.command != handles[i - 1].command) {
            chain = std::visit(overloaded{
                                   [&](const FillChain& c) { return applied_chain(c.table, c.name); },
                                   [&](const EditChain& c) { return applied_chain(c.table, c.name); },
                                   [](const auto&) -> KernelChain* { return nullptr; },
                               },
                               transaction.at(rule.command));
        }
        if (chain != nullptr && rule.rule < chain->rules.size()) {
            chain->rules[rule.rule].handle = rule.handle;
        }
    }
    for (auto entry = dirty_.begin(); entry != dirty_.end();) {
        auto& [key, dirty] = *entry;
        settle_elements(key, dirty);
        clean(key, dirty);
        const bool table_agrees = (wanted_table(key) == nullptr) == (applied_table(key) == nullptr);
        entry = table_agrees && dirty.chains.empty() && dirty.sets.empty() ? dirty_.erase(entry) : std::next(entry);
    }
}

/// Touched elements that agree by now need no more looks.
void Tracker::settle_elements(const TableKey& key, const DirtyTable& dirty) {
    const render::Table* wanted = wanted_table(key);
    for (const std::string& set : dirty.sets) {
        const render::Set* want = wanted == nullptr ? nullptr : find_value(wanted->sets, set);
        AppliedSet* have = applied_set(key, set);
        if (want == nullptr || have == nullptr) {
            continue;
        }
        std::erase_if(have->touched, [&](const ElementKey& element) {
            const auto now = have->elements.find(element);
            const auto other = want->elements.find(element);
            return now == have->elements.end() ? other == want->elements.end()
                                               : other != want->elements.end() && other->second == now->second;
        });
    }
}

void Tracker::clean(const TableKey& key, DirtyTable& dirty) const {
    const render::Table* wanted = wanted_table(key);
    const AppliedTable* applied = applied_table(key);
    std::erase_if(dirty.chains, [&](const std::string& chain) {
        const ChainPtr* want = wanted == nullptr ? nullptr : find_value(wanted->chains, chain);
        const KernelChain* have = applied == nullptr ? nullptr : find_value(applied->chains, chain);
        return want == nullptr ? have == nullptr
                               : have != nullptr && have->hook == (*want)->hook() && have->holds(**want);
    });
    std::erase_if(dirty.sets, [&](const std::string& set) {
        const render::Set* want = wanted == nullptr ? nullptr : find_value(wanted->sets, set);
        const AppliedSet* have = applied == nullptr ? nullptr : find_value(applied->sets, set);
        if (want == nullptr || have == nullptr) {
            return want == nullptr && have == nullptr;
        }
        return !have->unknown && have->pending.empty() && have->touched.empty();
    });
}

void Tracker::note(const AddTable& c) { applied_[c.table].orphan = false; }
void Tracker::note(const DeleteTable& c) { applied_.erase(c.table); }
void Tracker::note(const AddChain& c) {
    applied_[c.table].chains.insert_or_assign(c.name, KernelChain{c.chain->hook(), {}, true});
}
void Tracker::note(const DeleteChain& c) { applied_[c.table].chains.erase(c.name); }
void Tracker::note(const FlushChain& c) { applied_[c.table].chains[c.name].rules.clear(); }
void Tracker::note(const FillChain& c) {
    KernelChain& chain = applied_[c.table].chains[c.name];
    chain.written = true;
    std::vector<KernelChain::Rule>& rules = chain.rules;
    rules.clear();
    for (std::size_t i = 0; i < c.chain->rules().size(); ++i) {
        rules.push_back(rule_of(*c.chain, i));
    }
}
void Tracker::note(const EditChain& c) {
    std::vector<KernelChain::Rule>& rules = applied_[c.table].chains[c.name].rules;
    std::erase_if(rules, [&c](const KernelChain::Rule& rule) {
        return std::ranges::find(c.remove, rule.handle) != c.remove.end();
    });
    for (const EditChain::Insertion& added : c.insert) {
        rules.insert(rules.begin() + static_cast<std::ptrdiff_t>(added.rule), rule_of(*c.chain, added.rule));
    }
}
void Tracker::note(const AddSet& c) {
    AppliedSet set;
    set.shape = c.type.shape;
    applied_[c.table].sets.insert_or_assign(c.name, std::move(set));
}
void Tracker::note(const DeleteSet& c) { applied_[c.table].sets.erase(c.name); }
void Tracker::note(const FlushSet& c) {
    AppliedSet& set = applied_[c.table].sets[c.name];
    set.unknown = false;
    set.pending.clear();
    set.elements.clear();
    set.touched.clear();
}
void Tracker::note(const AddElements& c) {
    AppliedSet& set = applied_[c.table].sets[c.set];
    if (c.members) {
        set.pending.clear();  // it has all that is wanted
    }
    for (const Element& element : c.elements) {
        if (c.type.shape == SetType::Shape::members) {
            set.pending.erase(element.key);
        } else {
            set.elements.insert_or_assign(element.key, element);
        }
    }
}
void Tracker::note(const DeleteElements& c) {
    AppliedSet& set = applied_[c.table].sets[c.set];
    for (const Element& element : c.elements) {
        if (c.type.shape == SetType::Shape::members) {
            set.pending.erase(element.key);
        } else {
            set.elements.erase(element.key);
        }
    }
}

}  // namespace manul::felix::nft
