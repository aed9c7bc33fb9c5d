#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/shared.hpp"
#include "felix/model/update.hpp"
#include "felix/render/by_family.hpp"
#include "felix/render/dispatch.hpp"
#include "felix/render/inputs.hpp"
#include "felix/render/ruleset.hpp"
#include "felix/render/ruleset_writer.hpp"
#include "felix/render/tier_chains.hpp"
#include "net/ip.hpp"

namespace manul::felix::render {

/// Class chains of one direction: one for all endpoints that have equal lists of policies and profiles. It calls a tier
/// chain for each of its tiers, then the chains of its profiles, and denies what none of them judged. A class whose
/// lists are replaced for all its endpoints stays what it is, under its name.
///
/// A class chain lives while somebody retains it (the Renderer does, for each pair of classes in use), a profile chain
/// while class chains list the profile.
///
/// In each batch: follow(), then the updates, then end_updates(), render(), drop_unused(), and render() again.
class ClassChains {
public:
    /// `inputs` and `writer` outlive this.
    ClassChains(Direction direction, const DispatchLimits& limits, const Inputs& inputs, RulesetWriter& writer)
        : direction_(direction), inputs_(inputs), writer_(writer), tiers_(direction, limits, inputs, writer) {}

    [[nodiscard]] TierChains& tiers() noexcept { return tiers_; }
    [[nodiscard]] const TierChains& tiers() const noexcept { return tiers_; }

    /// The profile's rules, or the kind of a set that they name, changed.
    void touch(const std::string& profile);
    /// As a policy's or profile's, of all of them.
    void touch_all_rules();
    /// The configuration changed.
    void touch_everything();
    /// The profile is gone, and no class lists it.
    void forget(const std::string& profile) { profile_users_.erase(profile); }

    /// The class chain that an endpoint has had so far; null: there is no such endpoint.
    using ClassOf = std::function<const std::string*(const EndpointKey&)>;
    /// Edits the lists that all their endpoints leave for the same new list in this batch, before the updates are
    /// looked at one by one.
    void follow(const Batch& batch, const ClassOf& class_of);
    /// `replaced` is about this direction.
    void replace_lists(const ListsReplaced& replaced);
    /// The chain for the endpoint, made (with its tiers) when it is new. Somebody must retain it then.
    [[nodiscard]] std::string chain_for(const Endpoint& endpoint);
    void retain(const std::string& chain) { ++classes_.at(chain).users; }
    void release(const std::string& chain);
    /// An endpoint has the class, or has it no more.
    void count_endpoint(const std::string& chain, bool added);
    [[nodiscard]] const PolicyLists& lists_of(const std::string& chain) const { return classes_.at(chain).lists; }

    /// All updates of the batch have been seen.
    void end_updates();
    void render();
    void drop_unused();

private:
    struct State {
        PolicyLists lists;
        std::vector<TierChains::Node*> tiers;  ///< of `lists`
        std::vector<std::string> profiles;
        std::string identity;       ///< of both
        std::size_t users = 0;      ///< pairs
        std::size_t endpoints = 0;  ///< of those pairs
    };
    /// Where classes with these lists and profiles are found: no copy of either, so others may be found there too.
    struct ListKey {
        ListKey(const PolicyLists& of_lists, const std::vector<std::string>& of_profiles);
        bool operator==(const ListKey&) const = default;

        const void* lists;
        std::size_t profiles;  ///< hash
    };
    struct ListKeyHash {
        std::size_t operator()(const ListKey& key) const noexcept {
            return std::hash<const void*>{}(key.lists) * 31 + key.profiles;
        }
    };

    [[nodiscard]] std::vector<TierChains::Move> moves(const Batch& batch, const ClassOf& class_of) const;
    [[nodiscard]] std::vector<std::string> with_lists(const ListsReplaced& replaced) const;
    [[nodiscard]] const std::vector<TierChains::Node*>& tiers_of(const PolicyLists& lists);
    void replace_lists(const std::string& chain, const PolicyLists& now);
    void set_lists(const std::string& chain, const PolicyLists& now);
    void forget_list(const std::string& chain, const State& state);
    void drop(const std::string& chain);

    void render_profile(const std::string& profile);
    void render_class(const std::string& chain);
    [[nodiscard]] std::vector<RulePtr> rules_of(const State& state, net::Family family);
    [[nodiscard]] const std::vector<RulePtr>& end(net::Family family);

    Direction direction_;
    const Inputs& inputs_;
    RulesetWriter& writer_;
    TierChains tiers_;

    std::unordered_map<std::string, State> classes_;                                      ///< by chain
    std::unordered_map<std::string, std::string> chains_;                                 ///< by identity
    std::unordered_map<ListKey, std::vector<std::string>, ListKeyHash> classes_of_list_;  ///< chains
    std::map<std::string, std::set<std::string>> profile_users_;  ///< class chains that list a profile
    ByFamily<std::vector<RulePtr>> ends_;                         ///< last rules of each class chain

    // Work of the batch at hand.
    std::set<std::string> dirty_profiles_;
    std::set<std::string> dirty_classes_;
    std::set<std::string> idle_classes_;
    // Answers that hold for the batch: endpoints share their lists.
    std::unordered_map<const void*, std::vector<TierChains::Node*>> tiers_of_list_;
    std::map<std::pair<const void*, std::vector<std::string>>, std::string> class_of_list_;
};

}  // namespace manul::felix::render
