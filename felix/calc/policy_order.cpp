#include "felix/calc/policy_order.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
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
#include "felix/model/shared.hpp"

namespace manul::felix {

namespace {

double or_last(std::optional<double> order) noexcept { return order.value_or(std::numeric_limits<double>::infinity()); }

TierEnd end_of(model::TierDefaultAction action) noexcept {
    return action == model::TierDefaultAction::pass ? TierEnd::pass : TierEnd::deny;
}

/// Distance of neighbours in rank, as long as none came between them.
constexpr std::uint64_t kGap = std::uint64_t{1} << 40U;

class Hash {
public:
    void mix(std::size_t value) noexcept { hash_ = (hash_ ^ value) * 0x9e3779b97f4a7c15ULL; }
    [[nodiscard]] std::size_t value() const noexcept { return hash_; }

private:
    std::size_t hash_ = 0;
};

std::size_t hash_of(const TierPolicies& tier) {
    Hash hash;
    hash.mix(std::hash<std::string>{}(tier.tier));
    hash.mix(tier.end == TierEnd::deny ? 1 : 2);
    for (const PolicyId& id : tier.policies) {
        hash.mix(std::hash<PolicyId>{}(id));
    }
    return hash.value();
}

/// Equal tiers are one object.
std::size_t hash_of(const std::vector<Shared<TierPolicies>>& lists) {
    Hash hash;
    for (const Shared<TierPolicies>& tier : lists) {
        hash.mix(std::hash<const void*>{}(&*tier));
    }
    return hash.value();
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
    const std::vector<PolicyPlace*> places(order_.begin(), order_.end());
    order_.clear();
    tiers_by_numbers_.clear();
    if (tier) {
        tiers_[name] = *tier;
    } else {
        tiers_.erase(name);
    }
    order_.insert(places.begin(), places.end());
    number_anew();
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

bool PolicyOrder::comes_before(const PolicyPlace& a, const PolicyPlace& b) const {
    if (a.tier != b.tier) {
        return rank(a.tier) < rank(b.tier);
    }
    const double order = or_last(a.order);
    const double other = or_last(b.order);
    return order != other ? order < other : a.order_text < b.order_text;
}

// --- ranks -----------------------------------------------------------------------------------------------------------

void PolicyOrder::enter(PolicyPlace& place) {
    place.number = ++last_number_;
    const auto at = order_.insert(&place).first;
    const auto next = std::next(at);
    const std::uint64_t before = at == order_.begin() ? 0 : (*std::prev(at))->rank;
    const bool at_the_end = next == order_.end() && before < std::numeric_limits<std::uint64_t>::max() - 2 * kGap;
    const std::uint64_t after = at_the_end ? before + 2 * kGap : next == order_.end() ? before : (*next)->rank;
    if (after - before < 2) {
        number_anew();
    } else {
        place.rank = before + (after - before) / 2;
    }
}

void PolicyOrder::leave(PolicyPlace& place) {
    if (place.rank != 0) {
        order_.erase(&place);
        place.rank = 0;
    }
}

void PolicyOrder::number_anew() {
    std::uint64_t rank = 0;
    for (PolicyPlace* place : order_) {
        rank += kGap;
        place->rank = rank;
    }
}

std::vector<const PolicyPlace*> PolicyOrder::sorted(Places policies) {
    std::vector<const PolicyPlace*> out(policies.begin(), policies.end());
    std::ranges::sort(out, {}, &PolicyPlace::rank);
    return out;
}

// --- lists -----------------------------------------------------------------------------------------------------------

/// `end`: of every tier, whatever the tier says.
PolicyOrder::Lists PolicyOrder::one_direction(Places sorted, Direction direction, std::optional<TierEnd> end) {
    Lists out;
    std::vector<const PolicyPlace*> of_tier;
    const auto close = [&] {
        if (of_tier.empty()) {
            return;
        }
        if (end) {
            TierPolicies tier = make_tier(of_tier);
            tier.end = *end;
            out.push_back(intern(std::move(tier)));
        } else {
            out.push_back(one_tier(of_tier));
        }
        of_tier.clear();
    };
    for (const PolicyPlace* place : sorted) {
        if (!place->applies(direction)) {
            continue;
        }
        if (!of_tier.empty() && of_tier.back()->tier != place->tier) {
            close();
        }
        of_tier.push_back(place);
    }
    close();
    return out;
}

Shared<TierPolicies> PolicyOrder::one_tier(Places policies) {
    std::vector<std::uint64_t> numbers(policies.size());
    std::ranges::transform(policies, numbers.begin(), &PolicyPlace::number);
    std::weak_ptr<const TierPolicies>& known = tiers_by_numbers_[std::move(numbers)];
    if (auto tier = known.lock()) {
        return Shared<TierPolicies>(std::move(tier));
    }
    Shared<TierPolicies> tier = intern(make_tier(policies));
    known = tier.pointer();
    if (tiers_by_numbers_.size() > swept_at_) {
        std::erase_if(tiers_by_numbers_, [](const auto& entry) { return entry.second.expired(); });
        swept_at_ = 2 * tiers_by_numbers_.size() + 1024;
    }
    return tier;
}

TierPolicies PolicyOrder::make_tier(Places policies) const {
    const std::string& name = policies.front()->tier;
    const Tier* tier = find(name);
    TierPolicies out{
        name, tier != nullptr ? tier->end : TierEnd::deny, tier != nullptr ? tier->deny_action : std::nullopt, {}};
    out.policies.reserve(policies.size());
    std::ranges::transform(policies, std::back_inserter(out.policies), &PolicyPlace::id);
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
        const bool has_no_end = stage == HostStage::untracked || stage == HostStage::pre_dnat;
        const auto of = [&](Direction direction) {
            return intern(
                one_direction(applicable, direction, has_no_end ? std::optional(TierEnd::pass) : std::nullopt));
        };
        out[i] = {of(Direction::ingress), of(Direction::egress)};
    }
    return out;
}

// --- shared objects --------------------------------------------------------------------------------------------------

Shared<TierPolicies> PolicyOrder::intern(TierPolicies tier) {
    const std::size_t hash = hash_of(tier);
    const auto known = interned_tiers_.find(hash, [&tier](const TierPolicies& other) { return other == tier; });
    return known ? *known : interned_tiers_.add(hash, std::move(tier));
}

PolicyLists PolicyOrder::intern(Lists lists) {
    const std::size_t hash = hash_of(lists);
    const auto known = interned_lists_.find(hash, [&lists](const Lists& other) {
        return std::ranges::equal(lists, other, [](const auto& a, const auto& b) { return a.same_as(b); });
    });
    return known ? *known : interned_lists_.add(hash, std::move(lists));
}

}  // namespace manul::felix
