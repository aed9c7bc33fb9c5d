#include <string>
#include <string_view>
#include <vector>

#include "config/codec/json.hpp"
#include "config/model/kind.hpp"
#include "config/model/rbac.hpp"
#include "serve/access.hpp"
#include "serve/rights.hpp"
#include "serve/write.hpp"

namespace manul::serve {

namespace {

const model::Key kRollbackRecord{model::Kind::secret, "manul-system", "manul-rollback"};

}  // namespace

Outcome<void> check_grants(const Access& access, const model::Key& key, std::string_view document) {
    const auto decoded = codec::decode(key.kind, document, codec::Mode::lenient);
    const Rights& rights = access.rights();
    const auto refuse = [&](const std::string& what) {
        return std::unexpected(forbidden(key.kind, key.name,
                                         "user \"" + access.caller().user +
                                             "\" is attempting to grant rights not "
                                             "currently held: " +
                                             what));
    };
    // As in Kubernetes, `escalate` is a right on the role that is written, `bind` one on the role that is bound.
    const auto judge = [&](const std::vector<model::PolicyRule>* rules, const char* verb,
                           const model::Key& role) -> Outcome<void> {
        if (access.may(verb, role) || (rules != nullptr && rights.covers(access.caller(), *rules, key.ns))) {
            return {};
        }
        return refuse(rules == nullptr ? "the role does not exist" : "a rule goes beyond them");
    };
    const auto bound = [&](const model::RoleRef& role) {
        const bool local = role.kind == model::RoleRefKind::role;
        return model::Key{local ? model::Kind::role : model::Kind::cluster_role, key.ns, role.name};
    };
    // Who writes this Secret has the server write what is in it (config/rollback.hpp).
    if (key == kRollbackRecord) {
        static const std::vector<model::PolicyRule> kEverything{
            {.verbs = {"*"}, .api_groups = {"*"}, .resources = {"*"}, .resource_names = {}, .non_resource_urls = {}}};
        return rights.covers(access.caller(), kEverything, "") ? Outcome<void>()
                                                               : refuse("the record of a change that undoes itself");
    }
    if (const auto role = model::as<model::Role>(decoded.resource)) {
        return judge(&role->rules, "escalate", key);
    }
    if (const auto cluster = model::as<model::ClusterRole>(decoded.resource)) {
        return cluster->aggregation_rule && !access.may("escalate", key)
                   ? Outcome<void>(refuse("a role that adds up others needs the verb escalate"))
                   : judge(&cluster->rules, "escalate", key);
    }
    if (const auto binding = model::as<model::RoleBinding>(decoded.resource)) {
        return judge(rights.rules_of(binding->role_ref, key.ns), "bind", bound(binding->role_ref));
    }
    if (const auto everywhere = model::as<model::ClusterRoleBinding>(decoded.resource)) {
        return judge(rights.rules_of(everywhere->role_ref, ""), "bind", bound(everywhere->role_ref));
    }
    return {};
}

}  // namespace manul::serve
