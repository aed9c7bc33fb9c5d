#include "felix/render/names.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "base/sha256.hpp"
#include "felix/model/address_set.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/policy_id.hpp"

namespace manul::felix::render::names {

namespace {

constexpr std::size_t kHashBytes = 12;
constexpr std::string_view kTier = "t_";
constexpr std::string_view kClass = "c_";
constexpr std::string_view kPrefixes = "n_";
// The kernel takes 127 characters; shorter names keep listings readable.
constexpr std::size_t kReadable = 64;

/// The text itself when it fits, else its beginning and a hash of the whole.
std::string bounded(std::string text) {
    if (text.size() <= kReadable) {
        return text;
    }
    const std::string hash = sha256_hex(text, kHashBytes);
    text.resize(kReadable);
    return text + "_" + hash;
}

std::string_view short_kind(PolicyKind kind) {
    switch (kind) {
        case PolicyKind::network_policy:
            return "np";
        case PolicyKind::global_network_policy:
            return "gnp";
        case PolicyKind::kubernetes_network_policy:
            return "knp";
        case PolicyKind::admin_network_policy:
            return "anp";
        case PolicyKind::baseline_admin_network_policy:
            return "banp";
        case PolicyKind::cluster_network_policy:
            return "kcnp";
    }
    return {};
}

}  // namespace

std::string policy_chain(const PolicyId& policy) {
    std::string text = "p_";
    text.append(short_kind(policy.kind)).append("_").append(policy.ns).append("_").append(policy.name);
    return bounded(std::move(text));
}

std::string tier_identity(const TierPolicies& tier) {
    std::string identity = tier.tier;
    identity += tier.end == TierEnd::deny ? "\ndeny" : "\npass";
    if (tier.deny_action) {
        identity += *tier.deny_action == DenyAction::reject ? "\nreject" : "\ndrop";
    }
    for (const PolicyId& policy : tier.policies) {
        identity += '\n';
        identity += policy.to_string();
    }
    return identity;
}

std::string tier_chain(std::string_view tier, std::string_view identity) {
    std::string text(kTier);
    text.append(tier.substr(0, kReadable)).append("_").append(sha256_hex(identity, kHashBytes));
    return text;
}

std::string host_chain(std::string_view endpoint) { return bounded("e_" + std::string(endpoint)); }

std::string class_identity(const std::vector<std::string>& tiers, const std::vector<std::string>& profiles) {
    std::string text;
    for (const std::string& tier : tiers) {
        text += tier;
        text += '\n';
    }
    text += "profiles";
    for (const std::string& profile : profiles) {
        text += '\n';
        text += profile;
    }
    return text;
}

std::string class_chain(std::string_view identity) { return std::string(kClass) + sha256_hex(identity, kHashBytes); }

std::string profile_chain(std::string_view profile) { return bounded("f_" + std::string(profile)); }

std::string member_set(const SetId& id) {
    std::string text = id.text;
    text[1] = '_';
    return text;
}

std::string prefix_set(const SetId& id) { return std::string(kPrefixes) + id.text.substr(2); }

SetId set_of(std::string_view name) {
    std::string text(name);
    text[0] = is_prefix_set(name) ? 's' : text[0];
    text[1] = ':';
    return SetId{std::move(text)};
}

bool is_tier_chain(std::string_view name) noexcept { return name.starts_with(kTier); }
bool is_class_chain(std::string_view name) noexcept { return name.starts_with(kClass); }
bool is_prefix_set(std::string_view name) noexcept { return name.starts_with(kPrefixes); }

}  // namespace manul::felix::render::names
