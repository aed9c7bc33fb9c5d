#include "felix/calc/profiles.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/model/profile.hpp"
#include "config/model/resource.hpp"
#include "felix/calc/identity.hpp"
#include "felix/calc/rule_scanner.hpp"
#include "felix/calc/sequencer.hpp"
#include "felix/model/address_set.hpp"
#include "felix/model/policy.hpp"

namespace manul::felix {

namespace {

bool is_derived(const std::string& name) {
    return name == model::kDefaultAllowProfile || derived_profile(name).has_value();
}

/// Labels of derived ones never clash: each has a prefix of its own.
bool may_clash(const std::vector<std::string>& names) {
    return std::ranges::count_if(names, std::not_fn(is_derived)) > 1;
}

}  // namespace

void Profiles::put_profile(const std::string& name, const model::ProfileSpec& spec) {
    if (is_derived(name)) {
        return;
    }
    stored_.insert_or_assign(name, spec);
    dirty_.insert(name);
    labels_changed_(name, spec.labels_to_apply);
}

void Profiles::remove_profile(const std::string& name) {
    if (stored_.erase(name) != 0) {
        dirty_.insert(name);
        labels_changed_(name, {});
    }
}

void Profiles::put_namespace(const std::string& name, const model::StringMap& labels) {
    NamespaceRecord& record = namespaces_[name];
    const bool existed = record.exists();
    record.has_object = true;
    record.labels = labels;
    update_namespace(name, existed);
}

void Profiles::remove_namespace(const std::string& name) {
    NamespaceRecord& record = namespaces_[name];
    const bool existed = record.exists();
    record.has_object = false;
    record.labels.clear();
    update_namespace(name, existed);
}

void Profiles::enter_namespace(const std::string& name) {
    NamespaceRecord& record = namespaces_[name];
    const bool existed = record.exists();
    ++record.contents;
    if (!existed) {
        update_namespace(name, existed);
    }
}

void Profiles::leave_namespace(const std::string& name) {
    NamespaceRecord& record = namespaces_[name];
    --record.contents;
    if (!record.exists()) {
        update_namespace(name, true);
    }
}

void Profiles::update_namespace(const std::string& name, bool existed) {
    const NamespaceRecord& record = namespaces_[name];
    const std::string profile = namespace_profile(name);
    labels_changed_(profile, record.exists() ? namespace_labels(name, record.labels) : model::StringMap());
    if (record.exists() == existed) {
        return;
    }
    dirty_.insert(profile);
    const std::string accounts = account_profile(name, "");
    for (auto at = uses_.lower_bound(accounts); at != uses_.end() && at->first.starts_with(accounts); ++at) {
        dirty_.insert(at->first);
        update_account(name, at->first.substr(accounts.size()));
    }
    for (const auto& [account, labels] : record.accounts) {
        update_account(name, account);
    }
    if (!record.exists() && record.accounts.empty()) {
        namespaces_.erase(name);
    }
}

void Profiles::put_account(const std::string& ns, const std::string& name, const model::StringMap& labels) {
    namespaces_[ns].accounts.insert_or_assign(name, labels);
    update_account(ns, name);
}

void Profiles::remove_account(const std::string& ns, const std::string& name) {
    const auto found = namespaces_.find(ns);
    if (found != namespaces_.end() && found->second.accounts.erase(name) != 0) {
        update_account(ns, name);
        if (!found->second.exists() && found->second.accounts.empty()) {
            namespaces_.erase(found);
        }
    }
}

/// An account without an object still has its name, for as long as some endpoint runs under it. None exists without its
/// namespace.
void Profiles::update_account(const std::string& ns, const std::string& name) {
    const std::string profile = account_profile(ns, name);
    const auto record = namespaces_.find(ns);
    model::StringMap labels;
    if (record != namespaces_.end() && record->second.exists()) {
        const auto object = record->second.accounts.find(name);
        if (object != record->second.accounts.end()) {
            labels = account_labels(name, object->second);
        } else if (uses_.contains(profile)) {
            labels = account_labels(name, {});
        }
    }
    labels_changed_(profile, labels);
}

void Profiles::use(const std::vector<std::string>& names, bool local) {
    if (local && may_clash(names)) {
        ++together_[names];
    }
    for (const std::string& name : names) {
        Uses& uses = uses_[name];
        if (uses.all++ == 0) {
            if (const auto derived = derived_profile(name); derived && derived->account) {
                update_account(derived->ns, *derived->account);
            }
        }
        if (local && uses.local++ == 0) {
            dirty_.insert(name);
        }
    }
}

void Profiles::release(const std::vector<std::string>& names, bool local) {
    if (const auto list = local ? together_.find(names) : together_.end();
        list != together_.end() && --list->second == 0) {
        together_.erase(list);
    }
    for (const std::string& name : names) {
        const auto found = uses_.find(name);
        if (local && --found->second.local == 0) {
            dirty_.insert(name);
        }
        if (--found->second.all == 0) {
            uses_.erase(found);
            if (const auto derived = derived_profile(name); derived && derived->account) {
                update_account(derived->ns, *derived->account);
            }
        }
    }
}

void Profiles::flush(Sequencer& sequencer) {
    for (const std::string& name : std::exchange(dirty_, {})) {
        const auto uses = uses_.find(name);
        const bool needed = uses != uses_.end() && uses->second.local != 0;
        notes_.erase(name);
        std::vector<SetSpec> sets;
        if (needed) {
            sequencer.set_profile(build(name, sets));
        } else {
            sequencer.drop_profile(name);
        }
        std::vector<SetId> wanted;
        for (const SetSpec& set : sets) {
            sets_.want(set);
            wanted.push_back(set.id);
        }
        for (const SetId& id : std::exchange(wanted_sets_[name], std::move(wanted))) {
            sets_.unwant(id);
        }
        if (!needed) {
            wanted_sets_.erase(name);
        }
    }
}

std::set<std::pair<std::string, std::string>> Profiles::clashes() const {
    std::set<std::pair<std::string, std::string>> found;
    for (const auto& [names, endpoints] : together_) {
        std::map<std::string, std::pair<std::string, std::string>> first;  // of each label: profile and value
        for (const std::string& name : names) {
            const auto stored = stored_.find(name);
            if (stored == stored_.end()) {
                continue;
            }
            for (const auto& [key, value] : stored->second.labels_to_apply) {
                const auto [known, is_new] = first.try_emplace(key, name, value);
                if (!is_new && known->second.second != value) {
                    found.emplace(name, "label " + key + " has another value in profile " + known->second.first +
                                            ", which counts for endpoints that list that one first");
                }
            }
        }
    }
    return found;
}

bool Profiles::namespace_exists(const std::string& name) const {
    const auto found = namespaces_.find(name);
    return found != namespaces_.end() && found->second.exists();
}

Profile Profiles::build(const std::string& name, std::vector<SetSpec>& sets) {
    if (name == model::kDefaultAllowProfile) {
        return allow_all_profile(name);
    }
    if (const auto derived = derived_profile(name)) {
        if (!namespace_exists(derived->ns)) {
            return missing_profile(name);
        }
        return derived->account ? empty_profile(name) : allow_all_profile(name);
    }
    const auto stored = stored_.find(name);
    if (stored == stored_.end()) {
        return missing_profile(name);
    }
    auto scanned = scan_profile(name, stored->second);
    if (!scanned) {
        notes_[name] = {scanned.error().message + "; the profile denies everything"};
        return missing_profile(name);
    }
    if (!scanned->notes.empty()) {
        notes_[name] = std::move(scanned->notes);
    }
    sets = std::move(scanned->sets);
    return std::move(scanned->profile);
}

}  // namespace manul::felix
