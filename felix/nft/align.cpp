#include "felix/nft/align.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
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

/// The chain that a rule jumps or goes to.
std::string* target_of(Rule& rule) {
    for (Action& action : rule.actions) {
        if (auto* verdict = std::get_if<Verdict>(&action); verdict != nullptr && !verdict->chain.empty()) {
            return &verdict->chain;
        }
    }
    return nullptr;
}

std::string target_of(const Rule& rule) {
    Rule copy = rule;
    const std::string* target = target_of(copy);
    return target == nullptr ? std::string() : *target;
}

std::uint64_t fingerprint_with(net::Family family, Rule rule, const std::string& target) {
    *target_of(rule) = target;
    return Chain::make(family, {std::move(rule)})->fingerprints().front();
}

class Aligner {
public:
    Aligner(const TableKey& key, const render::Table& wanted, const KernelContent& kernel)
        : family_(key.family), wanted_(wanted), kernel_(kernel) {}

    std::map<std::string, std::string> run() {
        find_tiers();
        for (const auto* entry : render::in_order(wanted_.chains)) {
            const auto& [name, chain] = *entry;
            if (is_class_chain(name)) {
                remember_calls(*chain);
            }
        }
        std::map<Signature, std::vector<std::string>> held;
        for (const auto& [name, chain] : kernel_.chains) {
            if (is_class_chain(name)) {
                held[resolved(chain)].push_back(name);
            }
        }
        for (const auto* entry : render::in_order(wanted_.chains)) {
            const auto& [name, chain] = *entry;
            if (is_class_chain(name)) {
                find_class(name, *chain, held);
            }
        }
        std::set<std::string> taken;
        for (const auto& [name, held_as] : aliases_) {
            taken.insert(held_as);
        }
        for (auto& [name, candidates] : tiers_) {
            std::erase_if(candidates, [&](const std::string& candidate) { return taken.contains(candidate); });
            if (!aliases_.contains(name) && !candidates.empty()) {
                alias(name, *taken.insert(preferred(name, candidates)).first);
            }
        }
        std::erase_if(aliases_, [](const auto& alias) { return alias.first == alias.second; });
        return std::move(aliases_);
    }

private:
    /// One call of a tier's chain under one of the names that the kernel may have for it.
    struct Call {
        std::uint64_t canonical;  ///< stands for all names of chains with these rules
        std::string held;
    };

    void find_tiers() {
        std::map<Signature, std::vector<std::string>> held;
        for (const auto& [name, chain] : kernel_.chains) {
            if (is_tier_chain(name)) {
                held[signature_of(chain)].push_back(name);
            }
        }
        for (const auto* entry : render::in_order(wanted_.chains)) {
            const auto& [name, chain] = *entry;
            if (is_tier_chain(name)) {
                const Signature signature = signature_of(*chain);
                tiers_[name] = held[signature];
                canonical_.try_emplace(signature, canonical_.size() + 1);
            }
        }
    }

    void remember_calls(const Chain& chain) {
        for (const Rule& rule : chain.rules()) {
            const std::string wanted = target_of(rule);
            const auto tier = tiers_.find(wanted);
            if (tier == tiers_.end()) {
                continue;
            }
            const std::uint64_t canonical = canonical_of(wanted);
            for (const std::string& name : tier->second) {
                calls_.try_emplace(fingerprint_with(family_, rule, name), Call{canonical, name});
            }
        }
    }

    [[nodiscard]] std::uint64_t canonical_of(const std::string& wanted_tier) const {
        return canonical_.at(signature_of(*wanted_.chains.at(wanted_tier)));
    }

    /// With calls by what they call, not by its name: a wanted chain, ...
    [[nodiscard]] Signature resolved(const Chain& chain) const {
        Signature signature = signature_of(chain);
        for (std::size_t i = 0; i < signature.size(); ++i) {
            if (const std::string called = target_of(chain.rules()[i]); tiers_.contains(called)) {
                signature[i].second = canonical_of(called);
            }
        }
        return signature;
    }
    /// ... and one of the kernel.
    [[nodiscard]] Signature resolved(const KernelContent::Chain& chain) const {
        Signature signature = signature_of(chain);
        for (auto& [id, fingerprint] : signature) {
            if (const auto call = calls_.find(fingerprint); call != calls_.end()) {
                fingerprint = call->second.canonical;
            }
        }
        return signature;
    }

    void find_class(const std::string& name, const Chain& chain, std::map<Signature, std::vector<std::string>>& held) {
        const auto found = held.find(resolved(chain));
        if (found == held.end() || found->second.empty()) {
            return;
        }
        const std::string chosen = preferred(name, found->second);
        std::erase(found->second, chosen);
        alias(name, chosen);
        const auto& rules = kernel_.chains.find(chosen)->second.rules;
        for (std::size_t i = 0; i < rules.size(); ++i) {
            const std::string wanted = target_of(chain.rules()[i]);
            const auto call = rules[i].mark ? calls_.find(rules[i].mark->fingerprint) : calls_.end();
            if (call != calls_.end() && tiers_.contains(wanted)) {
                alias(wanted, call->second.held);
            }
        }
    }

    static std::string preferred(const std::string& name, const std::vector<std::string>& candidates) {
        return std::ranges::find(candidates, name) != candidates.end() ? name : candidates.front();
    }

    void alias(const std::string& wanted, const std::string& held) { aliases_.try_emplace(wanted, held); }

    net::Family family_;
    const render::Table& wanted_;
    const KernelContent& kernel_;
    std::map<std::string, std::vector<std::string>> tiers_;  ///< wanted ones: the kernel's names for such rules
    std::map<Signature, std::uint64_t> canonical_;
    std::map<std::uint64_t, Call> calls_;  ///< by fingerprint of the calling rule
    std::map<std::string, std::string> aliases_;
};

ChainPtr renamed(net::Family family, const ChainPtr& chain, const std::map<std::string, std::string>& aliases) {
    std::vector<render::RulePtr> rules = chain->shared_rules();
    bool changed = false;
    for (render::RulePtr& shared : rules) {
        Rule rule = shared->rule;
        std::string* target = target_of(rule);
        if (const auto alias = target == nullptr ? aliases.end() : aliases.find(*target); alias != aliases.end()) {
            *target = alias->second;
            shared = render::share(family, std::move(rule));
            changed = true;
        }
    }
    return changed ? Chain::make(std::move(rules), chain->hook()) : chain;
}

}  // namespace

Aliases find_aliases(const render::Ruleset& wanted, const KernelContents& kernel) {
    Aliases aliases;
    for (const auto& [key, table] : wanted.tables) {
        const auto held = kernel.find(key);
        if ((key.id == TableId::egress || key.id == TableId::ingress) && held != kernel.end()) {
            if (auto found = Aligner(key, table, held->second).run(); !found.empty()) {
                aliases.emplace(key, std::move(found));
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
            if (const auto alias = names.find(name); alias != names.end()) {
                chains.emplace(alias->second, renamed(key.family, chain, names));
            }
        }
        for (const auto& [name, chain] : table.chains) {
            if (!names.contains(name)) {
                // The kernel may have this name for another chain: then this one is not there.
                chains.emplace(chains.contains(name) ? name + " (of other rules)" : name,
                               renamed(key.family, chain, names));
            }
        }
        table.chains = std::move(chains);
        for (auto& [name, set] : table.sets) {
            for (auto& [element_key, element] : set.elements) {
                if (const auto alias = names.find(element.verdict.chain); alias != names.end()) {
                    element.verdict.chain = alias->second;
                }
            }
        }
    }
}

}  // namespace manul::felix::nft
