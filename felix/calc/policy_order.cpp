#include "felix/calc/policy_order.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/model/policy.hpp"
#include "config/model/tier.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/host_endpoint.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"

namespace manul::felix {

namespace {

double or_last(std::optional<double> order) noexcept { return order.value_or(std::numeric_limits<double>::infinity()); }

TierEnd end_of(model::TierDefaultAction action) noexcept {
    return action == model::TierDefaultAction::pass ? TierEnd::pass : TierEnd::deny;
}

std::size_t hash_of(const std::vector<TierPolicies>& lists) {
    std::size_t hash = lists.size();
    const auto mix = [&hash](std::size_t value) { hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL; };
    for (const TierPolicies& tier : lists) {
        mix(std::hash<std::string>{}(tier.tier));
        mix(tier.end == TierEnd::deny ? 1 : 2);
        for (const PolicyId& id : tier.policies) {
            mix(std::hash<PolicyId>{}(id));
        }
    }
    return hash;
}

}  // namespace

bool PolicyPlace::applies_at(HostStage stage) const noexcept {
    switch (stage) {
        case HostStage::untracked:
            return do_not_track;
        case HostStage::pre_dnat:
            return pre_dnat;
        case HostStage::forward:
            return applies_to_workloads() && apply_on_forward;
        case HostStage::normal:
            return applies_to_workloads();
    }
    std::unreachable();
}

PolicyOrder::PolicyOrder() {
    for (const model::BuiltInTier& built_in : model::kBuiltInTiers) {
        tiers_[std::string(built_in.name)] = Tier{built_in.order, end_of(built_in.default_action), std::nullopt};
    }
}

bool PolicyOrder::put_tier(const std::string& name, const model::TierSpec& spec) {
    Tier tier{spec.order, end_of(spec.default_action), std::nullopt};
    if (spec.deny_action) {
        tier.deny_action = *spec.deny_action == model::DenyAction::drop ? DenyAction::drop : DenyAction::reject;
    }
    if (const model::BuiltInTier* built_in = model::built_in_tier(name)) {
        tier.order = built_in->order;
        tier.end = end_of(built_in->default_action);
    }
    return set(name, tier);
}

bool PolicyOrder::remove_tier(const std::string& name) {
    if (const model::BuiltInTier* built_in = model::built_in_tier(name)) {
        return set(name, Tier{built_in->order, end_of(built_in->default_action), std::nullopt});
    }
    return set(name, std::nullopt);
}

bool PolicyOrder::set(const std::string& name, const std::optional<Tier>& tier) {
    const Tier* current = find(name);
    const bool same = current == nullptr ? !tier : tier && *current == *tier;
    if (same) {
        return false;
    }
    if (tier) {
        tiers_[name] = *tier;
    } else {
        tiers_.erase(name);
    }
    return true;
}

const PolicyOrder::Tier* PolicyOrder::find(const std::string& name) const {
    const auto found = tiers_.find(name);
    return found == tiers_.end() ? nullptr : &found->second;
}

std::optional<DenyAction> PolicyOrder::deny_action(const std::string& tier) const {
    const Tier* found = find(tier);
    return found != nullptr ? found->deny_action : std::nullopt;
}

/// Tiers that do not exist come last.
PolicyOrder::TierRank PolicyOrder::rank(std::string_view name) const {
    const auto tier = tiers_.find(name);
    return tier == tiers_.end() ? TierRank{true, 0.0, name} : TierRank{false, or_last(tier->second.order), name};
}

std::vector<TierPolicies> PolicyOrder::one_direction(std::span<const PolicyPlace* const> sorted,
                                                     Direction direction) const {
    std::vector<TierPolicies> out;
    for (const PolicyPlace* place : sorted) {
        if (!(direction == Direction::ingress ? place->ingress : place->egress)) {
            continue;
        }
        if (out.empty() || out.back().tier != place->tier) {
            const Tier* tier = find(place->tier);
            out.push_back(TierPolicies{place->tier,
                                       tier != nullptr ? tier->end : TierEnd::deny,
                                       tier != nullptr ? tier->deny_action : std::nullopt,
                                       {}});
        }
        out.back().policies.push_back(place->id);
    }
    return out;
}

std::vector<const PolicyPlace*> PolicyOrder::sorted(std::span<const PolicyPlace* const> policies) const {
    struct Ranked {
        TierRank tier;
        double order;
        const PolicyPlace* place;
    };
    std::vector<Ranked> ranked;
    ranked.reserve(policies.size());
    for (const PolicyPlace* place : policies) {
        ranked.push_back({rank(place->tier), or_last(place->order), place});
    }
    std::ranges::sort(ranked, [](const Ranked& a, const Ranked& b) {
        return a.tier != b.tier     ? a.tier < b.tier
               : a.order != b.order ? a.order < b.order
                                    : a.place->order_text < b.place->order_text;
    });
    std::vector<const PolicyPlace*> out;
    out.reserve(ranked.size());
    std::ranges::transform(ranked, std::back_inserter(out), &Ranked::place);
    return out;
}

EndpointLists PolicyOrder::lists(std::span<const PolicyPlace* const> policies) {
    std::vector<const PolicyPlace*> applicable = sorted(policies);
    std::erase_if(applicable, [](const PolicyPlace* place) { return !place->applies_to_workloads(); });
    return EndpointLists{intern(one_direction(applicable, Direction::ingress)),
                         intern(one_direction(applicable, Direction::egress))};
}

std::array<HostEndpoint::Lists, 4> PolicyOrder::host_lists(std::span<const PolicyPlace* const> policies) {
    const std::vector<const PolicyPlace*> all = sorted(policies);
    std::array<HostEndpoint::Lists, 4> out;
    for (std::size_t i = 0; i < out.size(); ++i) {
        const auto stage = static_cast<HostStage>(i);
        std::vector<const PolicyPlace*> applicable;
        std::ranges::copy_if(all, std::back_inserter(applicable),
                             [stage](const PolicyPlace* place) { return place->applies_at(stage); });
        const auto of = [&](Direction direction) {
            std::vector<TierPolicies> lists = one_direction(applicable, direction);
            if (stage == HostStage::untracked || stage == HostStage::pre_dnat) {
                for (TierPolicies& tier : lists) {
                    tier.end = TierEnd::pass;
                }
            }
            return intern(std::move(lists));
        };
        out[i] = {of(Direction::ingress), of(Direction::egress)};
    }
    return out;
}

PolicyLists PolicyOrder::intern(std::vector<TierPolicies> lists) {
    const std::size_t hash = hash_of(lists);
    const auto [first, last] = interned_.equal_range(hash);
    for (auto at = first; at != last;) {
        const auto known = at->second.lock();
        if (known == nullptr) {
            at = interned_.erase(at);
        } else if (*known == lists) {
            return PolicyLists(known);
        } else {
            ++at;
        }
    }
    auto shared = std::make_shared<const std::vector<TierPolicies>>(std::move(lists));
    interned_.emplace(hash, shared);
    return PolicyLists(std::move(shared));
}

}  // namespace manul::felix
