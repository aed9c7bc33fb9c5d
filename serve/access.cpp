#include "serve/access.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"
#include "serve/rights.hpp"
#include "serve/secrets.hpp"

namespace manul::serve {

namespace {

constexpr const char* kDefaultTier = "default";

/// Calico's names of policies begin with their tier, unless that is `default`.
std::string tier_of_name(const std::string& name) {
    const std::size_t dot = name.find('.');
    return dot == std::string::npos ? std::string(kDefaultTier) : name.substr(0, dot);
}

}  // namespace

std::string tier_of_document(const codec::Tree& document) {
    const std::string_view tier = document.text_at("spec", "tier");
    return tier.empty() ? std::string(kDefaultTier) : std::string(tier);
}

Action Access::action(std::string_view verb, const model::Key& key, std::string_view subresource) const {
    const model::KindInfo& info = model::info(key.kind);
    return {.verb = std::string(verb),
            .group = std::string(info.group),
            .resource = std::string(info.plural) + (subresource.empty() ? "" : "/" + std::string(subresource)),
            .ns = key.ns,
            .name = key.name,
            .path = {}};
}

bool Access::may(std::string_view verb, const model::Key& key, std::string_view subresource) const {
    Action wanted = action(verb, key, subresource);
    if (!is_tiered(key.kind)) {
        return rights_->allows(caller_, wanted);
    }
    wanted.resource = "tier." + wanted.resource;
    wanted.name.clear();
    return rights_->allows(caller_, wanted) &&
           rights_->allows(caller_, {.verb = "get", .group = "projectcalico.org", .resource = "tiers"});
}

bool Access::may_in_tier(std::string_view verb, const model::Key& key, const std::string& tier) const {
    return rights_->allows_in_tier(caller_, action(verb, key, {}), tier);
}

bool Access::may_somewhere(std::string_view verb, const model::Key& key) const {
    if (!is_tiered(key.kind)) {
        return may(verb, key);
    }
    Action wanted = action(verb, key, {});
    wanted.resource = "tier." + wanted.resource;
    return rights_->allows_some(caller_, wanted);
}

bool Access::may_with(std::string_view verb, const model::Key& key, const codec::Tree* document,
                      std::string_view subresource) const {
    if (may(verb, key, subresource)) {
        return true;
    }
    return is_tiered(key.kind) &&
           may_in_tier(verb, key, document == nullptr ? tier_of_name(key.name) : tier_of_document(*document));
}

bool Access::sees_secrets(std::string_view ns) const {
    return rights_->allows(caller_, {.verb = "reveal", .group = "", .resource = "secrets", .ns = std::string(ns)});
}

bool Access::sees_referenced_secrets(std::string_view ns) const {
    return rights_->allows(caller_,
                           {.verb = "reveal", .group = "", .resource = kReferencedSecrets, .ns = std::string(ns)});
}

Problem Access::refusal(std::string_view verb, const model::Key& key, std::string_view subresource) const {
    const Action refused = action(verb, key, subresource);
    return forbidden(key.kind, key.name,
                     "User \"" + caller_.user + "\" cannot " + refused.verb + " resource \"" + refused.resource +
                         "\" in API group \"" + refused.group + "\" " +
                         (key.ns.empty() ? "at the cluster scope" : "in the namespace \"" + key.ns + "\""));
}

}  // namespace manul::serve
