#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/overloaded.hpp"
#include "felix/nft/tracker.hpp"
#include "felix/nft/wire.hpp"
#include "felix/render/print.hpp"

namespace manul::felix::test {

/// nf_tables as far as transactions are concerned: all or nothing, and it refuses what the kernel refuses (what is not
/// there cannot be deleted, what is in use neither, what is named must exist, ranges must not overlap).
class FakeKernel {
public:
    /// Why it was refused; empty when the transaction is in force.
    std::string commit(const nft::Transaction& transaction) {
        const auto before = tables_;
        const auto handles_before = handles_;
        told_.clear();
        for (command_ = 0; command_ < transaction.size(); ++command_) {
            const nft::Command& command = transaction[command_];
            std::string problem = std::visit([this](const auto& c) { return run(c); }, command);
            if (!problem.empty()) {
                tables_ = before;
                handles_ = handles_before;
                return nft::describe(command) + ": " + problem;
            }
        }
        return {};
    }

    /// The content as a ruleset, to compare with what is wanted.
    [[nodiscard]] const render::Ruleset& content() const { return tables_; }

    /// Of the rules that the last transaction made.
    [[nodiscard]] const std::vector<nft::RuleHandle>& told() const { return told_; }

    /// What a dump of a chain tells.
    [[nodiscard]] std::vector<nft::KernelChain::Rule> rules(const render::TableKey& key,
                                                            const std::string& name) const {
        const render::Chain& chain = *tables_.tables.at(key).chains.at(name);
        std::vector<nft::KernelChain::Rule> list;
        for (std::size_t i = 0; i < chain.rules().size(); ++i) {
            list.push_back({chain.fingerprints()[i], handles_.at({key, name})[i], chain.rules()[i].id != 0});
        }
        return list;
    }

    /// What a dump tells.
    [[nodiscard]] nft::KernelState dump() const {
        nft::KernelState state;
        for (const auto& [key, table] : tables_.tables) {
            nft::KernelTable& dumped = state[key];
            for (const auto& [name, chain] : table.chains) {
                dumped.chains[name] = {chain->hook(), rules(key, name), false};
            }
            for (const auto& [name, set] : table.sets) {
                nft::KernelSet& entry = dumped.sets[name];
                entry.shape = set.type.shape;
                entry.key_type = nft::key_type(key.family, set.type.fields);
                for (const auto& [element, value] : set.elements) {
                    if (set.type.shape == render::SetType::Shape::verdicts) {
                        entry.verdicts.emplace(element, value.verdict);
                    }
                }
            }
        }
        return state;
    }

    /// Somebody else empties a chain.
    void tamper() {
        for (auto& [key, table] : tables_.tables) {
            for (auto& [name, chain] : table.chains) {
                chain = render::Chain::make(key.family, {}, chain->hook());
                handles_[{key, name}].clear();
                return;
            }
        }
    }

private:
    render::Table* table(const render::TableKey& key) {
        const auto found = tables_.tables.find(key);
        return found == tables_.tables.end() ? nullptr : &found->second;
    }

    static bool refers(const render::Verdict& verdict, const std::string& chain) { return verdict.chain == chain; }

    static bool chain_in_use(const render::Table& table, const std::string& name) {
        for (const auto& [other, chain] : table.chains) {
            for (const render::Rule& rule : chain->rules()) {
                for (const render::Action& action : rule.actions) {
                    const auto* verdict = std::get_if<render::Verdict>(&action);
                    if (verdict != nullptr && refers(*verdict, name)) {
                        return true;
                    }
                }
            }
        }
        for (const auto& [other, set] : table.sets) {
            for (const auto& [key, element] : set.elements) {
                if (refers(element.verdict, name)) {
                    return true;
                }
            }
        }
        return false;
    }

    static bool set_in_use(const render::Table& table, const std::string& name) {
        for (const auto& [other, chain] : table.chains) {
            for (const render::Rule& rule : chain->rules()) {
                for (const render::Match& match : rule.matches) {
                    const auto* lookup = std::get_if<render::MatchSet>(&match);
                    if (lookup != nullptr && lookup->set == name) {
                        return true;
                    }
                }
                for (const render::Action& action : rule.actions) {
                    const auto* lookup = std::get_if<render::LookupVerdict>(&action);
                    if (lookup != nullptr && lookup->map == name) {
                        return true;
                    }
                }
            }
        }
        return false;
    }

    static std::string missing_reference(const render::Table& table, const render::Chain& chain) {
        for (const render::Rule& rule : chain.rules()) {
            for (const render::Match& match : rule.matches) {
                const auto* lookup = std::get_if<render::MatchSet>(&match);
                if (lookup != nullptr && !table.sets.contains(lookup->set)) {
                    return "no set " + lookup->set;
                }
            }
            for (const render::Action& action : rule.actions) {
                const auto* verdict = std::get_if<render::Verdict>(&action);
                if (verdict != nullptr && !verdict->chain.empty() && !table.chains.contains(verdict->chain)) {
                    return "no chain " + verdict->chain;
                }
            }
        }
        return {};
    }

    std::string run(const nft::AddTable& c) {
        tables_.tables[c.table];
        return {};
    }
    std::string run(const nft::DeleteTable& c) {
        std::erase_if(handles_, [&c](const auto& entry) { return entry.first.first == c.table; });
        return tables_.tables.erase(c.table) == 0 ? "no such table" : "";
    }
    std::string run(const nft::AddChain& c) {
        render::Table* t = table(c.table);
        if (t == nullptr) {
            return "no table";
        }
        t->chains.try_emplace(c.name, render::Chain::make(c.table.family, {}, c.chain->hook()));
        handles_[{c.table, c.name}];
        return {};
    }
    std::string run(const nft::DeleteChain& c) {
        render::Table* t = table(c.table);
        if (t == nullptr || !t->chains.contains(c.name)) {
            return "no such chain";
        }
        if (chain_in_use(*t, c.name)) {
            return "chain is in use";
        }
        t->chains.erase(c.name);
        handles_.erase({c.table, c.name});
        return {};
    }
    std::string run(const nft::FlushChain& c) {
        render::Table* t = table(c.table);
        if (t == nullptr || !t->chains.contains(c.name)) {
            return "no such chain";
        }
        auto& chain = t->chains.at(c.name);
        chain = render::Chain::make(c.table.family, {}, chain->hook());
        handles_.at({c.table, c.name}).clear();
        return {};
    }
    std::string run(const nft::FillChain& c) {
        render::Table* t = table(c.table);
        if (t == nullptr || !t->chains.contains(c.name)) {
            return "no such chain";
        }
        if (std::string missing = missing_reference(*t, *c.chain); !missing.empty()) {
            return missing;
        }
        auto& chain = t->chains.at(c.name);
        std::vector<render::RulePtr> rules = chain->shared_rules();
        rules.insert(rules.end(), c.chain->shared_rules().begin(), c.chain->shared_rules().end());
        chain = render::Chain::make(std::move(rules), chain->hook());
        for (std::size_t i = 0; i < c.chain->rules().size(); ++i) {
            handles_.at({c.table, c.name}).push_back(number(i));
        }
        return {};
    }
    std::string run(const nft::EditChain& c) {
        render::Table* t = table(c.table);
        if (t == nullptr || !t->chains.contains(c.name)) {
            return "no such chain";
        }
        auto& chain = t->chains.at(c.name);
        std::vector<render::RulePtr> rules = chain->shared_rules();
        std::vector<std::uint64_t>& handles = handles_.at({c.table, c.name});
        const auto find = [&handles](std::uint64_t handle) {
            return std::ranges::find(handles, handle) - handles.begin();
        };
        for (const std::uint64_t handle : c.remove) {
            const auto at = find(handle);
            if (at == std::ssize(handles)) {
                return "no such rule";
            }
            rules.erase(rules.begin() + at);
            handles.erase(handles.begin() + at);
        }
        for (const nft::EditChain::Insertion& added : c.insert) {
            const auto at = added.before == 0 ? std::ssize(handles) : find(added.before);
            if (added.before != 0 && at == std::ssize(handles)) {
                return "no such rule";
            }
            rules.insert(rules.begin() + at, c.chain->shared_rules().at(added.rule));
            handles.insert(handles.begin() + at, number(added.rule));
        }
        chain = render::Chain::make(std::move(rules), chain->hook());
        return missing_reference(*t, *chain);
    }
    std::uint64_t number(std::size_t rule) {
        told_.push_back({command_, rule, ++last_handle_});
        return last_handle_;
    }
    std::string run(const nft::AddSet& c) {
        render::Table* t = table(c.table);
        if (t == nullptr) {
            return "no table";
        }
        t->sets.try_emplace(c.name, render::Set{c.type, {}, {}});
        return {};
    }
    std::string run(const nft::DeleteSet& c) {
        render::Table* t = table(c.table);
        if (t == nullptr || !t->sets.contains(c.name)) {
            return "no such set";
        }
        if (set_in_use(*t, c.name)) {
            return "set is in use";
        }
        t->sets.erase(c.name);
        return {};
    }
    render::Set* set(const render::TableKey& key, const std::string& name) {
        render::Table* t = table(key);
        const auto found = t == nullptr ? render::ByName<render::Set>::iterator{} : t->sets.find(name);
        return t == nullptr || found == t->sets.end() ? nullptr : &found->second;
    }
    std::string run(const nft::FlushSet& c) {
        render::Set* s = set(c.table, c.name);
        if (s == nullptr) {
            return "no such set";
        }
        s->members = nullptr;
        s->elements.clear();
        return {};
    }
    std::string run(const nft::AddElements& c) {
        render::Set* s = set(c.table, c.set);
        if (s == nullptr) {
            return "no such set";
        }
        if (c.members) {
            auto members = std::make_shared<render::Members>(s->member_keys());
            for (const render::ElementKey& key : *c.members) {
                members->insert(key);
            }
            s->members = std::move(members);
        }
        for (const render::Element& element : c.elements) {
            if (s->type.shape == render::SetType::Shape::members) {
                auto members = std::make_shared<render::Members>(s->member_keys());
                members->insert(element.key);
                s->members = std::move(members);
                continue;
            }
            if (!element.verdict.chain.empty() && !table(c.table)->chains.contains(element.verdict.chain)) {
                return "no chain " + element.verdict.chain;
            }
            for (const auto& [key, other] : s->elements) {
                const bool same_key = key == element.key;
                const bool overlaps =
                    s->type.shape == render::SetType::Shape::ranges && key <= element.end && element.key <= other.end;
                if ((same_key || overlaps) && other != element) {
                    return "element exists";
                }
            }
            s->elements.insert_or_assign(element.key, element);
        }
        return {};
    }
    std::string run(const nft::DeleteElements& c) {
        render::Set* s = set(c.table, c.set);
        if (s == nullptr) {
            return "no such set";
        }
        for (const render::Element& element : c.elements) {
            auto members = std::make_shared<render::Members>(s->member_keys());
            const bool gone = s->type.shape == render::SetType::Shape::members ? members->erase(element.key)
                                                                               : s->elements.erase(element.key) != 0;
            s->members = std::move(members);
            if (!gone) {
                return "no such element";
            }
        }
        return {};
    }

    render::Ruleset tables_;
    std::map<std::pair<render::TableKey, std::string>, std::vector<std::uint64_t>> handles_;  ///< of rules, in order
    std::uint64_t last_handle_ = 0;
    std::size_t command_ = 0;
    std::vector<nft::RuleHandle> told_;
};

}  // namespace manul::felix::test
