#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "config/model/policy.hpp"
#include "config/model/resource.hpp"

namespace manul::model {

enum class TierDefaultAction : std::uint8_t { deny, pass };

struct TierSpec {
    std::optional<double> order;  ///< absent: after all tiers that have one
    TierDefaultAction default_action = TierDefaultAction::deny;
    std::optional<DenyAction> deny_action;  ///< Manul; absent: FelixConfiguration's

    bool operator==(const TierSpec&) const = default;
};

struct Tier final : ResourceOf<Kind::tier> {
    TierSpec spec;
};

/// Tiers that exist in every store; their order and default action are fixed.
struct BuiltInTier {
    std::string_view name;
    double order;
    TierDefaultAction default_action;
};
inline constexpr const char* kAdminTier = "kube-admin";
inline constexpr const char* kBaselineTier = "kube-baseline";
inline constexpr std::array<BuiltInTier, 3> kBuiltInTiers{{
    {kAdminTier, 1'000, TierDefaultAction::pass},
    {kDefaultTier, 1'000'000, TierDefaultAction::deny},
    {kBaselineTier, 10'000'000, TierDefaultAction::pass},
}};
/// The built-in tier of that name, or null.
[[nodiscard]] const BuiltInTier* built_in_tier(std::string_view name) noexcept;

}  // namespace manul::model
