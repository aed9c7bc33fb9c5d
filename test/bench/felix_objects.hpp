#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "config/model/resource.hpp"

/// What a node of a given size has in its store, for felix_bench.
namespace manul::felix::bench {

struct Scale {
    const char* name;
    std::size_t endpoints;
    std::size_t classes;
    std::size_t policies;
    std::size_t members;
    std::size_t sets;
    int rounds;
};
inline constexpr Scale kLarge{"large", 10'000, 1'000, 10'000, 1'000'000, 500, 100};
inline constexpr Scale kNode{"node", 250, 50, 2'000, 100'000, 100, 200};

inline constexpr std::size_t kNamespaces = 10;
/// Policies (of both directions, and of one endpoint each) and interfaces beyond those of the scale, for the rounds.
inline constexpr std::size_t kExtra = 200;

[[nodiscard]] std::string ns_name(std::size_t app);
[[nodiscard]] std::string interface_name(std::size_t i);
/// In the namespace of the thread: an address and a route as a node has them, and `count` interfaces. False: not done.
[[nodiscard]] bool make_links(std::size_t count);

/// Pod `i` of an app; apps are classes. `solo` puts it under that solo policy.
struct PodLabels {
    std::string team = "none";
    std::string solo = "none";
};
[[nodiscard]] model::ResourcePtr pod(std::size_t i, std::size_t app, const PodLabels& labels);

/// For one app; two rules with a port and a selector each, of one direction (even numbers: ingress) or of both.
[[nodiscard]] model::ResourcePtr policy(const Scale& scale, std::size_t i, std::size_t salt = 0);
[[nodiscard]] model::ResourcePtr policy_of_both(const Scale& scale, std::size_t i, std::size_t salt = 0);
/// For the pods with that solo label: one or none.
[[nodiscard]] model::ResourcePtr solo_policy(const Scale& scale, std::size_t i, std::size_t salt = 0);

/// Denies one port to all pods.
[[nodiscard]] model::ResourcePtr policy_for_all(const std::string& name, const std::string& tier, std::uint16_t port);
/// The same for sources in namespaces of that owner.
[[nodiscard]] model::ResourcePtr policy_by_source_owner(const std::string& name, const std::string& tier,
                                                        const std::string& owner);
/// The same for sources of that team.
[[nodiscard]] model::ResourcePtr policy_by_source_team(const std::string& name, const std::string& tier,
                                                       const std::string& team);
/// The same for all pods in namespaces of that owner.
[[nodiscard]] model::ResourcePtr policy_for_owned(const std::string& name, const std::string& tier,
                                                  const std::string& owner);

[[nodiscard]] model::ResourcePtr network_set(const Scale& scale, std::size_t i, std::size_t extra = 0);
[[nodiscard]] model::ResourcePtr tier(const std::string& name, double order);
[[nodiscard]] model::ResourcePtr name_space(const std::string& name, const std::string& owner);

/// A pod that really sends or receives.
[[nodiscard]] model::ResourcePtr probe_pod(const std::string& name, const std::string& address, const std::string& role,
                                           const std::string& guest = "no");
/// Opens a UDP port of the probe pods of role "server", to all or to guests alone.
[[nodiscard]] model::ResourcePtr probe_policy(std::uint16_t port, bool guests_only);

}  // namespace manul::felix::bench
