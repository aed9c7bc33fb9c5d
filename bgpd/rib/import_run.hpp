#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "bgpd/policy/filter.hpp"
#include "bgpd/policy/import_rules.hpp"
#include "bgpd/rib/loc_rib.hpp"

namespace manul::bgp::rib {

/// Judges prefixes that share one set of received attributes: the refusal that concerns all of them, martians, and the
/// peer's import filter. What an accepting rule makes of the attributes is worked out once a rule. The results are held
/// until the run ends.
class ImportRun {
public:
    struct Verdict {
        AttributeId attributes;
        policy::Refusal refusal = policy::Refusal::none;
    };

    /// `filter` may be null. `refusal` is what judge_attributes() said.
    ImportRun(RibCore& core, AttributeId received, policy::Refusal refusal, const policy::FilterProgram* filter,
              policy::PeerType peer, const policy::OwnAddresses& own) noexcept
        : core_(core), received_(received), refusal_(refusal), filter_(filter), peer_(peer), own_(own) {
        core_.attributes.add_reference(received_);
    }
    ~ImportRun() {
        for (const auto& [rule, made] : made_) {
            core_.attributes.release(made);
        }
        core_.attributes.release(received_);
    }
    ImportRun(const ImportRun&) = delete;
    ImportRun& operator=(const ImportRun&) = delete;

    template <class Key>
    [[nodiscard]] Verdict judge(const Key& key) {
        if (refusal_ != policy::Refusal::none) {
            return {received_, refusal_};
        }
        if (const auto refusal = policy::judge_prefix(key, own_); refusal != policy::Refusal::none) {
            return {received_, refusal};
        }
        if (filter_ == nullptr) {
            return {received_, policy::Refusal::none};
        }
        if (!route_ && filter_->asks_for_route()) {
            route_ = route();
        }
        const std::size_t rule = filter_->match(key, peer_, route_ ? *route_ : policy::FilterRoute{});
        if (rule == policy::FilterProgram::kNoMatch) {
            return {received_, policy::Refusal::none};
        }
        if ((*filter_)[rule].action == policy::FilterAction::reject) {
            return {received_, policy::Refusal::filtered};
        }
        return {changed_by(rule), policy::Refusal::none};
    }

private:
    [[nodiscard]] policy::FilterRoute route() const noexcept {
        const AttributeSet& set = core_.attributes[received_];
        return {set.canonical(), true, core_.interfaces[core_.next_hops[set.next_hop].interface],
                policy::priority_of(set.local_pref)};
    }
    [[nodiscard]] AttributeId changed_by(std::size_t rule) {
        const auto& operations = (*filter_)[rule].operations;
        if (operations.empty()) {
            return received_;
        }
        for (const auto& [number, made] : made_) {
            if (number == rule) {
                return made;
            }
        }
        const AttributeId made = core_.attributes.intern_filtered(
            policy::with_operations(operations, core_.attributes[received_].canonical()), received_);
        made_.emplace_back(rule, made);
        return made;
    }

    RibCore& core_;
    AttributeId received_;
    policy::Refusal refusal_;
    const policy::FilterProgram* filter_;
    policy::PeerType peer_;
    const policy::OwnAddresses& own_;
    std::optional<policy::FilterRoute> route_;  ///< the received route as filters see it
    std::vector<std::pair<std::size_t, AttributeId>> made_;
};

}  // namespace manul::bgp::rib
