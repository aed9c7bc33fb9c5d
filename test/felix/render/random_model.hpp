#pragma once

#include <map>
#include <random>
#include <string>
#include <vector>

#include "felix/model/update.hpp"
#include "test/felix/render/cases.hpp"

namespace manul::felix::test {

/// A small node whose policies, sets and endpoints change at random, told in batches as the calculation tells them.
class RandomModel {
public:
    explicit RandomModel(unsigned seed) : random_(seed) {}

    /// Makes a few changes and returns the batch that tells them.
    [[nodiscard]] Batch step();
    /// One batch that tells everything that holds now.
    [[nodiscard]] Batch everything() const;
    [[nodiscard]] std::vector<std::string> interfaces() const;

private:
    struct State {
        std::map<SetId, AddressSet> sets;
        std::map<PolicyId, Policy> policies;
        std::map<std::string, Profile> profiles;
        std::map<EndpointKey, Endpoint> endpoints;
        std::map<EndpointKey, HostEndpoint> hosts;
        Tunnels tunnels;
    };

    [[nodiscard]] std::size_t upto(std::size_t limit) {
        return std::uniform_int_distribution<std::size_t>(0, limit)(random_);
    }
    void change_set();
    void change_policy();
    void change_endpoint();
    void change_host();
    void change_tunnels();
    [[nodiscard]] TrafficLimits limits();
    [[nodiscard]] std::vector<Shared<TierPolicies>> lists(Direction direction);
    [[nodiscard]] PolicyLists shared(std::vector<Shared<TierPolicies>> tiers);
    [[nodiscard]] State in_use() const;
    static void replace_lists(State& before, const State& after, Direction direction, Batch& batch);
    [[nodiscard]] static Batch difference(State before, const State& after);

    std::mt19937 random_;
    std::vector<PolicyLists> lists_;
    State all_;   ///< everything that could be told
    State told_;  ///< what the batches so far add up to
};

}  // namespace manul::felix::test
