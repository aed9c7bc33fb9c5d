#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/model/kind.hpp"
#include "config/model/rbac.hpp"
#include "config/model/resource.hpp"
#include "serve/message.hpp"

/// Who may do what: the four kinds of rbac.authorization.k8s.io, as Kubernetes judges them. Rights only ever add up.
namespace manul::serve {

struct Action {
    std::string verb;
    std::string group;
    std::string resource;  ///< plural; with "/status" for that part
    std::string ns;
    std::string name;
    std::string path;  ///< instead of a resource: /metrics
};

/// One state of all roles and bindings; immutable, so that it can be shared between threads.
class Rights {
public:
    /// Others than the four kinds are ignored. The built-in roles exist in any case.
    [[nodiscard]] static std::shared_ptr<const Rights> make(const std::vector<model::ResourcePtr>& objects);

    [[nodiscard]] bool allows(const Caller& caller, const Action& action) const;

    /// The action on policies of a tier, as Calico judges it: `get` on the tier, and the verb on `tier.<resource>` for
    /// `<tier>.*` or the policy itself.
    [[nodiscard]] bool allows_in_tier(const Caller& caller, const Action& action, const std::string& tier) const;

    /// Whether any rule gives the verb on the resource, be it for certain names alone.
    [[nodiscard]] bool allows_some(const Caller& caller, const Action& action) const;

    /// All that the caller has, in the namespace and everywhere.
    [[nodiscard]] std::vector<model::PolicyRule> all_rules(const Caller& caller, const std::string& ns) const;

    /// Whether the caller has every right that the rules give; nobody can give what he has not.
    [[nodiscard]] bool covers(const Caller& caller, const std::vector<model::PolicyRule>& rules,
                              const std::string& ns) const;
    /// The rules of a role; nothing when it does not exist.
    [[nodiscard]] const std::vector<model::PolicyRule>* rules_of(const model::RoleRef& ref,
                                                                 const std::string& ns) const;

private:
    struct Binding {
        std::string ns;  ///< empty: everywhere
        std::vector<model::RbacSubject> subjects;
        model::RoleRef role;
    };

    /// Whether a rule that the caller has, and that counts in the namespace, is one that `fits` picks.
    template <class Fits>
    [[nodiscard]] bool any_rule(const Caller& caller, const Action& action, Fits fits) const;
    /// The rules of a binding; nothing when it does not bind the caller.
    [[nodiscard]] const std::vector<model::PolicyRule>* rules_for(const Binding& binding, const Caller& caller) const;

    std::map<std::string, std::vector<model::PolicyRule>, std::less<>> cluster_roles_;
    std::map<std::pair<std::string, std::string>, std::vector<model::PolicyRule>> roles_;
    std::vector<Binding> bindings_;
};

/// Policies that belong to a tier are judged by it.
[[nodiscard]] bool is_tiered(model::Kind kind) noexcept;

/// Name and rules of the roles that always exist: manul-admin, manul-view, manul-node.
[[nodiscard]] const std::map<std::string, std::vector<model::PolicyRule>, std::less<>>& built_in_roles();
/// The same as documents, to be created in the store, where people look for them.
[[nodiscard]] std::vector<std::pair<model::Key, std::string>> built_in_role_documents();

}  // namespace manul::serve
