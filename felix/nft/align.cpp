#include "felix/nft/align.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "felix/render/names.hpp"

namespace manul::felix::nft {

namespace {

using render::Action;
using render::Chain;
using render::ChainPtr;
using render::Rule;
using render::TableId;
using render::TableKey;
using render::Verdict;
using render::names::is_class_chain;
using render::names::is_tier_chain;

/// "t_TIER_HASH"; a list's cells and parts have more behind it, its maps "m_" before it.
constexpr std::size_t kHashDigits = 24;
constexpr std::string_view kMap = "m_";

/// Rules in order: the id and the fingerprint of each.
using Signature = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

Signature signature_of(const Chain& chain) {
    Signature signature;
    for (std::size_t i = 0; i < chain.rules().size(); ++i) {
        signature.emplace_back(chain.rules()[i].id, chain.fingerprints()[i]);
    }
    return signature;
}

/// Of the comments; rules without one of ours have none.
Signature signature_of(const KernelContent::Chain& chain) {
    Signature signature;
    for (const KernelRule& rule : chain.rules) {
        signature.emplace_back(rule.mark ? std::pair(rule.mark->id, rule.mark->fingerprint) : std::pair(0UL, 0UL));
    }
    return signature;
}

/// The list whose chain, cell, part or map has this name; empty: none's.
std::string list_of(std::string_view name) {
    if (name.starts_with(kMap)) {
        name.remove_prefix(kMap.size());
    }
    if (!is_tier_chain(name)) {
        return {};
    }
    const std::size_t hash = name.find('_', name.find('_') + 1);
    return std::string(name.substr(0, hash == std::string_view::npos ? hash : hash + 1 + kHashDigits));
}

std::string renamed(const std::string& name, const std::map<std::string, std::string>& aliases) {
    if (const auto alias = aliases.find(name); alias != aliases.end()) {
        return alias->second;
    }
    const std::string list = list_of(name);
    const auto alias = list.empty() ? aliases.end() : aliases.find(list);
    if (alias == aliases.end()) {
        return name;
    }
    std::string out = name;
    return out.replace(out.find(list), list.size(), alias->second);
}

Rule renamed(Rule rule, const std::map<std::string, std::string>& aliases) {
    for (Action& action : rule.actions) {
        if (auto* verdict = std::get_if<Verdict>(&action)) {
            verdict->chain = renamed(verdict->chain, aliases);
        } else if (auto* lookup = std::get_if<render::LookupVerdict>(&action)) {
            lookup->map = renamed(lookup->map, aliases);
        }
    }
    return rule;
}

ChainPtr renamed(net::Family family, const ChainPtr& chain, const std::map<std::string, std::string>& aliases) {
    std::vector<render::RulePtr> rules = chain->shared_rules();
    bool changed = false;
    for (render::RulePtr& shared : rules) {
        if (Rule rule = renamed(shared->rule, aliases); rule != shared->rule) {
            shared = render::share(family, std::move(rule));
            changed = true;
        }
    }
    return changed ? Chain::make(std::move(rules), chain->hook()) : chain;
}

std::string target_of(const Rule& rule) {
    for (const Action& action : rule.actions) {
        if (const auto* verdict = std::get_if<Verdict>(&action); verdict != nullptr && !verdict->chain.empty()) {
            return verdict->chain;
        }
    }
    return {};
}

/// The tables of a direction in both families, in which classes and lists have the same names.
class Aligner {
public:
    struct Side {
        net::Family family;
        const render::Table* wanted;
        const KernelContent* kernel;
    };
    explicit Aligner(std::vector<Side> sides) : sides_(std::move(sides)) {
        find_lists();
        for (const std::string& name : wanted_names(is_class_chain)) {
            remember_calls(name);
        }
        std::map<Signature, std::vector<std::string>> held;
        for (const std::string& name : held_names(is_class_chain)) {
            held[resolved_held(name)].push_back(name);
        }
        for (const std::string& name : wanted_names(is_class_chain)) {
            classes_[name] = held[resolved_wanted(name)];
        }
    }

    /// Whether the kernel's class may be the wanted one, by their rules and by what is settled already.
    [[nodiscard]] bool fits(const std::string& name, const std::string& held) const {
        if (const auto known = aliases_.find(name); known != aliases_.end()) {
            return known->second == held;
        }
        const auto candidates = classes_.find(name);
        return candidates != classes_.end() && !taken_.contains(held) &&
               std::ranges::find(candidates->second, held) != candidates->second.end();
    }
    [[nodiscard]] bool is_settled(const std::string& name) const { return aliases_.contains(name); }

    void settle(const std::string& name, const std::string& held) {
        if (!alias(name, held)) {
            return;
        }
        for (const Side& side : sides_) {
            const auto& calling = side.wanted->chains.at(name)->rules();
            const auto& rules = side.kernel->chains.find(held)->second.rules;
            for (std::size_t i = 0; i < rules.size(); ++i) {
                const std::string wanted = target_of(calling[i]);
                const auto call = rules[i].mark ? calls_.find(rules[i].mark->fingerprint) : calls_.end();
                if (call != calls_.end() && lists_.contains(wanted)) {
                    alias(wanted, call->second.held);
                }
            }
        }
    }

    /// What is left is settled as it comes.
    [[nodiscard]] std::map<std::string, std::string> finish() {
        for (const auto& [name, candidates] : classes_) {
            settle_any(name, candidates);
        }
        for (const auto& [name, candidates] : lists_) {
            settle_any(name, candidates);
        }
        std::erase_if(aliases_, [](const auto& alias) { return alias.first == alias.second; });
        return std::move(aliases_);
    }

private:
    /// One call of a list's chain under one of the names that the kernel may have for it.
    struct Call {
        std::uint64_t canonical;  ///< stands for all names of lists with these rules
        std::string held;
    };
    using Names = std::vector<std::string>;

    template <class Is>
    [[nodiscard]] Names wanted_names(Is is) const {
        std::set<std::string> names;
        for (const auto& [name, chain] : sides_.front().wanted->chains) {
            if (is(name)) {
                names.insert(name);
            }
        }
        return {names.begin(), names.end()};
    }
    /// Of chains that all sides have.
    template <class Is>
    [[nodiscard]] Names held_names(Is is) const {
        Names names;
        for (const auto& [name, chain] : sides_.front().kernel->chains) {
            if (is(name) &&
                std::ranges::all_of(sides_, [&name](const Side& side) { return side.kernel->chains.contains(name); })) {
                names.push_back(name);
            }
        }
        return names;
    }

    void find_lists() {
        std::map<std::string, Names> parts;  // with the chain itself
        for (const Side& side : sides_) {
            for (const auto& [name, chain] : side.wanted->chains) {
                if (const std::string list = list_of(name); !list.empty()) {
                    parts[list].push_back(name);
                }
            }
        }
        std::map<Signature, Names> held;  // by the ids of the rules
        for (const std::string& name : held_names([](const std::string& n) { return list_of(n) == n; })) {
            Signature ids;
            for (const Side& side : sides_) {
                append_ids(ids, signature_of(side.kernel->chains.find(name)->second));
            }
            held[ids].push_back(name);
        }
        for (auto& [list, names] : parts) {
            std::ranges::sort(names);
            const auto repeated = std::ranges::unique(names);
            names.erase(repeated.begin(), repeated.end());
            Signature ids;
            for (const Side& side : sides_) {
                const auto chain = side.wanted->chains.find(list);
                append_ids(ids, chain == side.wanted->chains.end() ? Signature{} : signature_of(*chain->second));
            }
            Names& candidates = lists_[list];
            for (const std::string& name : held[ids]) {
                if (holds(list, names, name)) {
                    candidates.push_back(name);
                }
            }
            canonical_of_[list] = canonical_.try_emplace(content_of(list, names), canonical_.size() + 1).first->second;
        }
    }

    static void append_ids(Signature& ids, const Signature& of) {
        for (const auto& [id, fingerprint] : of) {
            ids.emplace_back(id, 0);
        }
        ids.emplace_back(0, 1);  // between the families
    }

    /// The kernel has the list, with all that belongs to it, under that name.
    [[nodiscard]] bool holds(const std::string& list, const Names& names, const std::string& held) const {
        const std::map<std::string, std::string> as_held{{list, held}};
        return std::ranges::all_of(sides_, [&](const Side& side) {
            return std::ranges::all_of(names, [&](const std::string& name) {
                const auto chain = side.wanted->chains.find(name);
                const auto found = side.kernel->chains.find(renamed(name, as_held));
                return chain == side.wanted->chains.end()
                           ? found == side.kernel->chains.end()
                           : found != side.kernel->chains.end() &&
                                 signature_of(*renamed(side.family, chain->second, as_held)) ==
                                     signature_of(found->second);
            });
        });
    }

    /// Its rules whatever its name is.
    [[nodiscard]] std::map<std::string, Signature> content_of(const std::string& list, const Names& names) const {
        const std::map<std::string, std::string> nameless{{list, ""}};
        std::map<std::string, Signature> content;
        for (const Side& side : sides_) {
            for (const std::string& name : names) {
                if (const auto chain = side.wanted->chains.find(name); chain != side.wanted->chains.end()) {
                    const std::string place = side.family == net::Family::v4 ? "4" : "6";
                    content[place + renamed(name, nameless)] =
                        signature_of(*renamed(side.family, chain->second, nameless));
                }
            }
        }
        return content;
    }

    void remember_calls(const std::string& name) {
        for (const Side& side : sides_) {
            const auto chain = side.wanted->chains.find(name);
            for (const Rule& rule :
                 chain == side.wanted->chains.end() ? std::vector<Rule>{} : rules_of(*chain->second)) {
                const std::string wanted = target_of(rule);
                const auto list = lists_.find(wanted);
                for (const std::string& held : list == lists_.end() ? Names{} : list->second) {
                    const Rule call = renamed(rule, {{wanted, held}});
                    calls_.try_emplace(Chain::make(side.family, {call})->fingerprints().front(),
                                       Call{canonical_of_.at(wanted), held});
                }
            }
        }
    }

    static std::vector<Rule> rules_of(const Chain& chain) { return {chain.rules().begin(), chain.rules().end()}; }

    /// With calls by what they call, not by its name: a wanted class, ...
    [[nodiscard]] Signature resolved_wanted(const std::string& name) const {
        Signature whole;
        for (const Side& side : sides_) {
            const auto chain = side.wanted->chains.find(name);
            Signature signature = chain == side.wanted->chains.end() ? Signature{} : signature_of(*chain->second);
            for (std::size_t i = 0; i < signature.size(); ++i) {
                if (const std::string called = target_of(chain->second->rules()[i]); lists_.contains(called)) {
                    signature[i].second = canonical_of_.at(called);
                }
            }
            append(whole, signature);
        }
        return whole;
    }
    /// ... and one of the kernel.
    [[nodiscard]] Signature resolved_held(const std::string& name) const {
        Signature whole;
        for (const Side& side : sides_) {
            Signature signature = signature_of(side.kernel->chains.find(name)->second);
            for (auto& [id, fingerprint] : signature) {
                if (const auto call = calls_.find(fingerprint); call != calls_.end()) {
                    fingerprint = call->second.canonical;
                }
            }
            append(whole, signature);
        }
        return whole;
    }

    static void append(Signature& whole, const Signature& signature) {
        whole.insert(whole.end(), signature.begin(), signature.end());
        whole.emplace_back(0, 1);  // between the families
    }

    void settle_any(const std::string& name, const Names& candidates) {
        if (aliases_.contains(name)) {
            return;
        }
        const auto free = [this](const std::string& held) { return !taken_.contains(held); };
        const auto chosen = std::ranges::find(candidates, name) != candidates.end() && free(name)
                                ? std::ranges::find(candidates, name)
                                : std::ranges::find_if(candidates, free);
        if (chosen == candidates.end()) {
            return;
        }
        if (is_class_chain(name)) {
            settle(name, *chosen);
        } else {
            alias(name, *chosen);
        }
    }

    bool alias(const std::string& wanted, const std::string& held) {
        const bool is_new = !aliases_.contains(wanted) && taken_.insert(held).second;
        return is_new && aliases_.emplace(wanted, held).second;
    }

    std::vector<Side> sides_;
    std::map<std::string, Names> lists_;    ///< wanted ones: the kernel's names for such rules
    std::map<std::string, Names> classes_;  ///< likewise
    std::map<std::map<std::string, Signature>, std::uint64_t> canonical_;
    std::map<std::string, std::uint64_t> canonical_of_;  ///< lists
    std::map<std::uint64_t, Call> calls_;                ///< by fingerprint of the calling rule
    std::map<std::string, std::string> aliases_;
    std::set<std::string> taken_;
};

std::optional<Aligner> aligner_of(const render::Ruleset& wanted, const KernelContents& kernel, TableId id) {
    std::vector<Aligner::Side> sides;
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        const auto table = wanted.tables.find({family, id});
        const auto held = kernel.find({family, id});
        if (table != wanted.tables.end() && held != kernel.end()) {
            sides.push_back({family, &table->second, &held->second});
        }
    }
    return sides.empty() ? std::nullopt : std::optional(Aligner(std::move(sides)));
}

/// Class chains, egress and ingress, by group.
using Pairs = std::map<std::uint32_t, std::pair<std::string, std::string>>;

Pairs wanted_pairs(const render::Ruleset& wanted) {
    Pairs pairs;
    for (const TableId id : {TableId::egress, TableId::ingress}) {
        const auto table = wanted.tables.find({net::Family::v4, id});
        const auto map = table == wanted.tables.end() ? decltype(table->second.sets.end()){}
                                                      : table->second.sets.find(render::names::kClassMap);
        if (table == wanted.tables.end() || map == table->second.sets.end()) {
            return {};
        }
        for (const auto& [key, element] : map->second.elements) {
            auto& pair = pairs[key.group_number()];
            (id == TableId::egress ? pair.first : pair.second) = element.verdict.chain;
        }
    }
    return pairs;
}

Pairs held_pairs(const KernelContents& kernel) {
    Pairs pairs;
    for (const TableId id : {TableId::egress, TableId::ingress}) {
        const auto table = kernel.find({net::Family::v4, id});
        const auto map = table == kernel.end() ? decltype(table->second.sets.end()){}
                                               : table->second.sets.find(render::names::kClassMap);
        if (table == kernel.end() || map == table->second.sets.end()) {
            return {};
        }
        for (const auto& [key, verdict] : map->second.elements) {
            auto& pair = pairs[key.group_number()];
            (id == TableId::egress ? pair.first : pair.second) = verdict.chain;
        }
    }
    return pairs;
}

/// Classes of equal rules stand in pairs: those that links are in, then those of the same names, then any that fit.
void settle_pairs(const Pairs& wanted, const Pairs& held, const std::map<std::uint32_t, std::uint32_t>& held_groups,
                  Aligner& egress, Aligner& ingress) {
    std::set<std::uint32_t> given;
    const auto settle = [&](const auto& names, std::uint32_t group, const auto& held_names) {
        const bool fit = !given.contains(group) && egress.fits(names.first, held_names.first) &&
                         ingress.fits(names.second, held_names.second);
        if (fit) {
            egress.settle(names.first, held_names.first);
            ingress.settle(names.second, held_names.second);
            given.insert(group);
        }
        return fit;
    };
    for (const auto& [group, held_group] : held_groups) {
        const auto pair = wanted.find(group);
        const auto held_pair = held.find(held_group);
        if (pair != wanted.end() && held_pair != held.end()) {
            settle(pair->second, held_group, held_pair->second);
        }
    }
    for (const bool same_names : {true, false}) {
        for (const auto& [group, names] : wanted) {
            if (egress.is_settled(names.first) && ingress.is_settled(names.second)) {
                continue;
            }
            for (const auto& [held_group, held_names] : held) {
                if ((!same_names || names == held_names) && settle(names, held_group, held_names)) {
                    break;
                }
            }
        }
    }
}

}  // namespace

Aliases find_aliases(const render::Ruleset& wanted, const KernelContents& kernel,
                     const std::map<std::uint32_t, std::uint32_t>& held_groups) {
    auto egress = aligner_of(wanted, kernel, TableId::egress);
    auto ingress = aligner_of(wanted, kernel, TableId::ingress);
    if (egress && ingress) {
        settle_pairs(wanted_pairs(wanted), held_pairs(kernel), held_groups, *egress, *ingress);
    }
    Aliases aliases;
    for (const auto& [id, aligner] : {std::pair(TableId::egress, &egress), std::pair(TableId::ingress, &ingress)}) {
        const auto names = *aligner ? (*aligner)->finish() : std::map<std::string, std::string>{};
        for (const net::Family family : {net::Family::v4, net::Family::v6}) {
            if (!names.empty() && wanted.tables.contains({family, id}) && kernel.contains({family, id})) {
                aliases.emplace(TableKey{family, id}, names);
            }
        }
    }
    return aliases;
}

void rename_chains(render::Ruleset& wanted, const Aliases& aliases) {
    for (const auto& [key, names] : aliases) {
        render::Table& table = wanted.tables.at(key);
        render::ByName<ChainPtr> chains;
        for (const auto& [name, chain] : table.chains) {
            if (renamed(name, names) != name) {
                chains.emplace(renamed(name, names), renamed(key.family, chain, names));
            }
        }
        for (const auto& [name, chain] : table.chains) {
            if (renamed(name, names) == name) {
                // The kernel may have this name for another chain: then this one is not there.
                chains.emplace(chains.contains(name) ? name + " (of other rules)" : name,
                               renamed(key.family, chain, names));
            }
        }
        table.chains = std::move(chains);
        render::ByName<render::Set> sets;
        for (auto& [name, set] : table.sets) {
            for (auto& [element_key, element] : set.elements) {
                element.verdict.chain = renamed(element.verdict.chain, names);
            }
            if (renamed(name, names) != name) {
                sets.emplace(renamed(name, names), set);
            }
        }
        for (auto& [name, set] : table.sets) {
            if (renamed(name, names) == name) {
                sets.emplace(sets.contains(name) ? name + " (of other rules)" : name, set);
            }
        }
        table.sets = std::move(sets);
    }
}

}  // namespace manul::felix::nft
