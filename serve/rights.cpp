#include "serve/rights.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/codec/json.hpp"
#include "config/model/convert_kubernetes.hpp"
#include "config/model/kind.hpp"
#include "config/model/rbac.hpp"
#include "config/model/resource.hpp"
#include "serve/secrets.hpp"

namespace manul::serve {

using model::PolicyRule;

namespace {

using Texts = std::vector<std::string>;

bool has(const Texts& texts, std::string_view wanted) {
    return std::ranges::any_of(texts, [&](const std::string& text) { return text == "*" || text == wanted; });
}

bool resource_matches(const Texts& resources, const std::string& resource) {
    return std::ranges::any_of(resources, [&](const std::string& text) {
        const std::size_t slash = resource.find('/');
        return text == "*" || text == resource ||
               (slash != std::string::npos && text.starts_with("*/") && text.substr(1) == resource.substr(slash));
    });
}

bool path_matches(const Texts& paths, const std::string& path) {
    return std::ranges::any_of(paths, [&](const std::string& text) {
        return text == "*" || text == path ||
               (text.ends_with('*') && path.starts_with(std::string_view(text).substr(0, text.size() - 1)));
    });
}

bool rule_allows(const PolicyRule& rule, const Action& action) {
    if (!has(rule.verbs, action.verb)) {
        return false;
    }
    if (!action.path.empty()) {
        return path_matches(rule.non_resource_urls, action.path);
    }
    const bool named =
        rule.resource_names.empty() ||
        (!action.name.empty() && std::ranges::find(rule.resource_names, action.name) != rule.resource_names.end());
    return named && has(rule.api_groups, action.group) && resource_matches(rule.resources, action.resource);
}

/// `ns` is the binding's: there a service account needs no namespace of its own.
bool is_subject(const model::RbacSubject& subject, const std::string& ns, const Caller& caller) {
    switch (subject.kind) {
        case model::RbacSubjectKind::user:
            return subject.name == caller.user;
        case model::RbacSubjectKind::group:
            return std::ranges::find(caller.groups, subject.name) != caller.groups.end();
        case model::RbacSubjectKind::service_account:
            return caller.user ==
                   "system:serviceaccount:" + (subject.ns.empty() ? ns : subject.ns) + ":" + subject.name;
    }
    return false;
}

bool is_admin(const Caller& caller) { return std::ranges::find(caller.groups, kAdminGroup) != caller.groups.end(); }

PolicyRule rule(Texts verbs, Texts groups, Texts resources, Texts names = {}) {
    return {.verbs = std::move(verbs),
            .api_groups = std::move(groups),
            .resources = std::move(resources),
            .resource_names = std::move(names),
            .non_resource_urls = {}};
}

const Texts kRead{"get", "list", "watch"};

/// What the three daemons of a node need, and no more: everything is read, their own kinds are written.
std::vector<PolicyRule> node_rules() {
    const std::string calico = "projectcalico.org";
    return {rule(kRead, {"*"}, {"*"}),
            rule({"reveal"}, {""}, {kReferencedSecrets}),
            rule({"create", "update", "patch", "delete"}, {calico},
                 {"nodes", "nodes/status", "workloadendpoints", "hostendpoints", "ipamblocks", "ipamhandles",
                  "blockaffinities", "profiles", "caliconodestatuses", "caliconodestatuses/status"}),
            rule({"create", "update", "patch", "delete"}, {"manul.io"}, {"nodereports"}),
            rule({"create", "update", "patch", "delete"}, {"coordination.k8s.io"}, {"leases"}),
            rule({"update", "patch"}, {""}, {"services", "services/status"}),
            rule({"create", "unchecked"}, {"manul.io"}, {"transactions"}),
            rule({"get"}, {"manul.io"}, {"identity"})};
}

/// Where secrets are seen, their values are not.
std::vector<PolicyRule> view_rules() { return {rule(kRead, {"*"}, {"*"})}; }

std::vector<PolicyRule> admin_rules() {
    PolicyRule paths{
        .verbs = {"*"}, .api_groups = {}, .resources = {}, .resource_names = {}, .non_resource_urls = {"*"}};
    return {rule({"*"}, {"*"}, {"*"}), std::move(paths)};
}

/// Every right that a rule gives, one by one; "*" stays, and only "*" covers it.
template <class Visit>
bool each_right(const PolicyRule& rule, const std::string& ns, Visit visit) {
    for (const std::string& verb : rule.verbs) {
        for (const std::string& path : rule.non_resource_urls) {
            if (!visit(Action{.verb = verb, .path = path})) {
                return false;
            }
        }
        for (const std::string& group : rule.api_groups) {
            for (const std::string& resource : rule.resources) {
                const Texts names = rule.resource_names.empty() ? Texts{""} : rule.resource_names;
                for (const std::string& name : names) {
                    if (!visit(Action{verb, group, resource, ns, name, {}})) {
                        return false;
                    }
                }
            }
        }
    }
    return true;
}

using RulesByRole = std::map<std::string, std::vector<PolicyRule>, std::less<>>;

/// The rules of each ClusterRole. One with an aggregation rule has those of the roles that it selects, which may be
/// such roles themselves: view goes into edit, and edit into admin. What it says of its own counts for nothing, since
/// Kubernetes' controller writes over it.
RulesByRole summed_up(const std::vector<std::shared_ptr<const model::ClusterRole>>& roles) {
    RulesByRole own;
    std::map<std::string, std::vector<std::string>> parts;  // of each role that adds up others
    for (const auto& role : roles) {
        const std::string& name = role->metadata.name;
        if (!role->aggregation_rule) {
            own[name] = role->rules;
            continue;
        }
        for (const auto& selector : role->aggregation_rule->cluster_role_selectors) {
            const auto wanted = model::to_selector(selector);
            for (const auto& other : roles) {
                if (wanted.matches(other->metadata.labels)) {
                    parts[name].push_back(other->metadata.name);
                }
            }
        }
        parts.try_emplace(name);
    }
    for (const auto& [name, rules] : built_in_roles()) {
        own[name] = rules;  // whatever is stored by that name
        parts.erase(name);
    }
    RulesByRole out = own;
    for (const auto& [name, direct] : parts) {
        std::vector<PolicyRule>& rules = out[name];
        std::set<std::string> seen{name};
        for (std::vector<std::string> left = direct; !left.empty();) {
            const std::string part = std::move(left.back());
            left.pop_back();
            if (!seen.insert(part).second) {
                continue;
            }
            if (const auto found = own.find(part); found != own.end()) {
                rules.insert(rules.end(), found->second.begin(), found->second.end());
            } else if (const auto more = parts.find(part); more != parts.end()) {
                left.insert(left.end(), more->second.begin(), more->second.end());
            }
        }
    }
    return out;
}

}  // namespace

bool is_tiered(model::Kind kind) noexcept {
    switch (kind) {
        case model::Kind::network_policy:
        case model::Kind::global_network_policy:
        case model::Kind::staged_network_policy:
        case model::Kind::staged_global_network_policy:
            return true;
        default:
            return false;
    }
}

const std::map<std::string, std::vector<PolicyRule>, std::less<>>& built_in_roles() {
    static const std::map<std::string, std::vector<PolicyRule>, std::less<>> roles{
        {"manul-admin", admin_rules()}, {"manul-node", node_rules()}, {"manul-view", view_rules()}};
    return roles;
}

std::vector<std::pair<model::Key, std::string>> built_in_role_documents() {
    std::vector<std::pair<model::Key, std::string>> out;
    for (const auto& [name, rules] : built_in_roles()) {
        model::ClusterRole role;
        role.metadata.name = name;
        role.metadata.labels["manul.io/built-in"] = "true";
        role.rules = rules;
        out.emplace_back(role.key(), codec::encode(role));
    }
    return out;
}

std::shared_ptr<const Rights> Rights::make(const std::vector<model::ResourcePtr>& objects) {
    auto rights = std::make_shared<Rights>();
    std::vector<std::shared_ptr<const model::ClusterRole>> cluster_roles;
    for (const model::ResourcePtr& object : objects) {
        if (const auto role = model::as<model::ClusterRole>(object)) {
            cluster_roles.push_back(role);
        } else if (const auto local = model::as<model::Role>(object)) {
            rights->roles_[{local->metadata.ns, local->metadata.name}] = local->rules;
        } else if (const auto everywhere = model::as<model::ClusterRoleBinding>(object)) {
            rights->bindings_.push_back({{}, everywhere->subjects, everywhere->role_ref});
        } else if (const auto binding = model::as<model::RoleBinding>(object)) {
            rights->bindings_.push_back({binding->metadata.ns, binding->subjects, binding->role_ref});
        }
    }
    rights->cluster_roles_ = summed_up(cluster_roles);
    return rights;
}

const std::vector<PolicyRule>* Rights::rules_of(const model::RoleRef& ref, const std::string& ns) const {
    if (ref.kind == model::RoleRefKind::cluster_role) {
        const auto found = cluster_roles_.find(ref.name);
        return found == cluster_roles_.end() ? nullptr : &found->second;
    }
    const auto found = roles_.find({ns, ref.name});
    return found == roles_.end() ? nullptr : &found->second;
}

const std::vector<PolicyRule>* Rights::rules_for(const Binding& binding, const Caller& caller) const {
    const bool bound =
        std::ranges::any_of(binding.subjects, [&](const auto& one) { return is_subject(one, binding.ns, caller); });
    return bound ? rules_of(binding.role, binding.ns) : nullptr;
}

std::vector<PolicyRule> Rights::all_rules(const Caller& caller, const std::string& ns) const {
    if (is_admin(caller)) {
        return admin_rules();
    }
    std::vector<PolicyRule> out;
    for (const Binding& binding : bindings_) {
        const auto* rules = binding.ns.empty() || binding.ns == ns ? rules_for(binding, caller) : nullptr;
        if (rules != nullptr) {
            out.insert(out.end(), rules->begin(), rules->end());
        }
    }
    return out;
}

template <class Fits>
bool Rights::any_rule(const Caller& caller, const Action& action, Fits fits) const {
    return std::ranges::any_of(bindings_, [&](const Binding& binding) {
        if (!binding.ns.empty() && (binding.ns != action.ns || !action.path.empty())) {
            return false;
        }
        const auto* rules = rules_for(binding, caller);
        return rules != nullptr && std::ranges::any_of(*rules, fits);
    });
}

bool Rights::allows(const Caller& caller, const Action& action) const {
    return is_admin(caller) ||
           any_rule(caller, action, [&](const PolicyRule& rule) { return rule_allows(rule, action); });
}

bool Rights::allows_some(const Caller& caller, const Action& action) const {
    return is_admin(caller) || any_rule(caller, action, [&](const PolicyRule& rule) {
               return has(rule.verbs, action.verb) && has(rule.api_groups, action.group) &&
                      resource_matches(rule.resources, action.resource);
           });
}

bool Rights::allows_in_tier(const Caller& caller, const Action& action, const std::string& tier) const {
    const Action on_tier{.verb = "get", .group = "projectcalico.org", .resource = "tiers", .ns = {}, .name = tier};
    if (!allows(caller, on_tier)) {
        return false;
    }
    Action scoped = action;
    scoped.resource = "tier." + action.resource;
    scoped.name = tier + ".*";
    if (allows(caller, scoped)) {
        return true;
    }
    // Calico's names of policies begin with their tier already.
    scoped.name = action.name.starts_with(tier + ".") ? action.name : tier + "." + action.name;
    return !action.name.empty() && allows(caller, scoped);
}

bool Rights::covers(const Caller& caller, const std::vector<PolicyRule>& rules, const std::string& ns) const {
    return std::ranges::all_of(rules, [&](const PolicyRule& rule) {
        return each_right(rule, ns, [&](const Action& action) { return allows(caller, action); });
    });
}

}  // namespace manul::serve
