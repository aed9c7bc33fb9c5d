#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "felix/model/address_set.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/policy_id.hpp"

/// Names of chains and sets: stable from run to run (a restart must find its objects again), readable where the length
/// allows it, unique because whatever is cut off is in a hash of 96 bits of SHA-256.
namespace manul::felix::render::names {

/// Element `group -> class chain` of each of the two policy tables.
inline constexpr std::string_view kClassMap = "class";
/// Pools with natOutgoing, and all pools.
inline constexpr std::string_view kNatPools = "pools";
inline constexpr std::string_view kAllPools = "all_pools";
/// Addresses of the cluster's nodes.
inline constexpr std::string_view kNodes = "nodes";

/// `p_<kind>_<namespace>_<name>`.
[[nodiscard]] std::string policy_chain(const PolicyId& policy);
/// Everything that tells two tier chains apart.
[[nodiscard]] std::string tier_identity(const TierPolicies& tier);
/// `t_<tier>_<hash>`; `identity` is the tier's list of policies.
[[nodiscard]] std::string tier_chain(std::string_view tier, std::string_view identity);
/// `e_<name>`, of a host endpoint.
[[nodiscard]] std::string host_chain(std::string_view endpoint);
/// What a class chain calls: chains of tiers, and profiles.
[[nodiscard]] std::string class_identity(const std::vector<std::string>& tiers,
                                         const std::vector<std::string>& profiles);
/// `c_<hash>`; `identity` is the list of tier chains and profiles.
[[nodiscard]] std::string class_chain(std::string_view identity);
/// `f_<profile>`.
[[nodiscard]] std::string profile_chain(std::string_view profile);

/// The single addresses of a selector, `s_<hash>`; of a set of named ports, `p_<hash>`.
[[nodiscard]] std::string member_set(const SetId& id);
/// Its prefixes, `n_<hash>`.
[[nodiscard]] std::string prefix_set(const SetId& id);
/// The set that a name made by the two functions above stands for.
[[nodiscard]] SetId set_of(std::string_view name);

/// Which of the functions above made a name.
[[nodiscard]] bool is_tier_chain(std::string_view name) noexcept;
[[nodiscard]] bool is_class_chain(std::string_view name) noexcept;
[[nodiscard]] bool is_prefix_set(std::string_view name) noexcept;

}  // namespace manul::felix::render::names
