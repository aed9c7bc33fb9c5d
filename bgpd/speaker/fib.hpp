#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "bgpd/rib/loc_rib.hpp"
#include "bgpd/speaker/action.hpp"
#include "net/prefix_ranges.hpp"

/// From decisions to kernel routes.
namespace manul::bgp::speaker {

/// A next hop with its share of the traffic.
struct WeightedHop {
    net::Ip next_hop;
    std::uint16_t weight = 1;

    auto operator<=>(const WeightedHop&) const = default;
};

/// Sets of next hops that kernel routes share, each once, with the number of routes that use it. Members are known by
/// address; how they are reached comes from NextHopChanged events. A member that is reached another way changes the
/// group, not the routes.
class FibGroups {
public:
    /// The group of these addresses (sorted, distinct, not empty), with one more route using it.
    [[nodiscard]] FibGroupId acquire(std::span<const WeightedHop> next_hops);
    void release(FibGroupId group);

    /// Takes the way to a next hop; groups that have it are to be told again.
    void resolve(const net::Ip& next_hop, const std::optional<Resolution>& resolution);

    /// Appends actions for groups that are new or changed; to be carried out before routes use them.
    void take_definitions(std::vector<Action>& actions);
    /// Appends actions for groups that no route uses any more.
    void take_removals(std::vector<Action>& actions);

private:
    struct Group {
        std::vector<WeightedHop> next_hops;  ///< empty: the number is free
        std::uint32_t routes = 0;
        bool announced = false;  ///< the outside knows it
        bool stale = false;      ///< in changed_
        bool unused = false;     ///< in unused_
    };

    [[nodiscard]] Group& at(FibGroupId id) noexcept { return groups_[id.value() - kFirst]; }
    void mark_changed(FibGroupId id);

    static constexpr std::uint32_t kFirst = 2;

    std::vector<Group> groups_;
    std::vector<std::uint32_t> free_;
    std::map<std::vector<WeightedHop>, FibGroupId> by_members_;
    std::unordered_map<net::Ip, Resolution> resolutions_;
    std::vector<FibGroupId> changed_;
    std::vector<FibGroupId> unused_;
    FibGroupId last_;  ///< group acquired last: most routes in a row share it
};

/// Which group the kernel route of each prefix of one family has.
template <class Key>
class FibTable {
public:
    FibTable(const rib::RibCore& core, const rib::LocRib<Key>& rib, FibGroups& groups)
        : core_(core), rib_(rib), groups_(groups) {}

    /// Brings the kernel route of a prefix in line with the decision; appends a change if there is one.
    void update(rib::Slot slot, const net::PrefixRanges& kept_from_kernel, std::vector<FibChange>& changes);

private:
    struct Share {
        net::Ip next_hop;
        float bandwidth;  ///< 0 = not known
    };

    void weigh();
    [[nodiscard]] bool set_metric(rib::Slot slot, std::uint32_t metric);
    [[nodiscard]] FibGroupId wanted(rib::Slot slot, const net::PrefixRanges& kept_from_kernel);

    const rib::RibCore& core_;
    const rib::LocRib<Key>& rib_;
    FibGroups& groups_;
    std::vector<FibGroupId> by_slot_;
    std::unordered_map<rib::Slot, std::uint32_t>
        unusual_metrics_;  ///< of kernel routes; all others have the normal one
    std::vector<WeightedHop> next_hops_;
    std::vector<Share> shares_;
};

extern template class FibTable<net::PrefixKey4>;
extern template class FibTable<net::PrefixKey6>;

}  // namespace manul::bgp::speaker
