#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "felix/model/update.hpp"
#include "felix/render/ruleset.hpp"

/// What the golden, walking and kernel tests of the dataplane share: values of the model in few words, and named
/// situations made of them.
namespace manul::felix::test {

inline net::Prefix net(std::string_view text) { return net::Prefix::parse_loose(text).value(); }
inline net::Ip ip(std::string_view text) { return net::Ip::parse(text).value(); }
inline net::PortRange ports(std::uint16_t first, std::uint16_t last) { return *net::PortRange::make(first, last); }
inline net::PortRange port(std::uint16_t number) { return ports(number, number); }

/// Rules get ids in the order of their making within a policy, from its name.
struct PolicyBuilder {
    explicit PolicyBuilder(std::string_view name, std::string_view ns = {}, std::string_view tier = "default");
    PolicyBuilder& in(Action action, const std::function<void(felix::Rule&)>& edit = {});
    PolicyBuilder& out(Action action, const std::function<void(felix::Rule&)>& edit = {});
    [[nodiscard]] PolicyUpdated update() const { return {Shared<Policy>(policy)}; }
    [[nodiscard]] const PolicyId& id() const { return policy.id; }
    Policy policy;
};

[[nodiscard]] ProfileUpdated allow_all_profile(std::string_view name);
[[nodiscard]] AddressSet address_set(std::string_view selector, const std::vector<std::string_view>& members);
[[nodiscard]] SetId selector(std::string_view text);

/// One tier's part of an endpoint's list.
[[nodiscard]] TierPolicies tier(std::string_view name, std::vector<PolicyId> policies, TierEnd end = TierEnd::deny);

struct EndpointBuilder {
    EndpointBuilder(std::string_view name, std::string_view address);
    EndpointBuilder& in(std::vector<Shared<TierPolicies>> tiers);
    EndpointBuilder& out(std::vector<Shared<TierPolicies>> tiers);
    EndpointBuilder& profile(std::string_view name);
    [[nodiscard]] EndpointUpdated update() const { return {Shared<Endpoint>(endpoint)}; }
    Endpoint endpoint;
};

struct Case {
    std::string name;
    std::vector<Batch> batches;
};
[[nodiscard]] std::vector<Case> cases();

/// The ruleset that a fresh renderer wants after the batches.
[[nodiscard]] render::Ruleset rendered(const std::vector<Batch>& batches);

}  // namespace manul::felix::test
