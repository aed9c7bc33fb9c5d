#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/strong_id.hpp"
#include "bgpd/wire/update.hpp"
#include "net/ip.hpp"

namespace manul::bgp::rib {

using NextHopId = Id<struct NextHopTag, std::uint32_t>;
/// Of routes that start here: always reachable, metric 0.
inline constexpr NextHopId kSelfNextHop{0};

/// Number of an interface's name, for filters that ask for it. 0 = none.
using InterfaceId = Id<struct InterfaceTag, std::uint16_t>;
inline constexpr InterfaceId kNoInterface{0};

/// The names that routes lead over. Few, so they are never forgotten.
class InterfaceNames {
public:
    [[nodiscard]] InterfaceId id(std::string_view name);
    [[nodiscard]] std::string_view operator[](InterfaceId id) const noexcept { return names_[id.value()]; }

private:
    std::vector<std::string> names_{""};
};

/// All next hops that attribute sets refer to, whether packets can be sent to them, and how far they are (decision step
/// "metric to the next hop"). There is no list of dependents: after a change the tables are walked once, in slices, and
/// routes whose next hop is marked are decided again.
class NextHopTable {
public:
    NextHopTable();

    struct Entry {
        wire::NextHop next_hop;
        std::uint32_t references = 0;  ///< attribute sets
        std::uint32_t metric = 0;
        InterfaceId interface;
        bool reachable = false;
        bool changed = false;  ///< since the walk under way began, or waiting for the next one
        bool fresh = false;    ///< came into use in this turn: all its routes are in the log already
    };

    /// The number of the next hop, with one more reference.
    [[nodiscard]] NextHopId acquire(const wire::NextHop& next_hop);
    void release(NextHopId id);
    void add_reference(NextHopId id) noexcept;

    [[nodiscard]] const Entry& operator[](NextHopId id) const noexcept { return entries_[id.value()]; }
    [[nodiscard]] bool reachable(NextHopId id) const noexcept { return entries_[id.value()].reachable; }

    /// Takes the answer about an address; `metric` absent: unreachable. True when the tables must be walked. Another
    /// interface alone is no reason: only filters ask for it.
    bool resolve(const net::Ip& address, std::optional<std::uint32_t> metric, InterfaceId interface = kNoInterface);
    /// The interface that the address was last resolved over.
    [[nodiscard]] InterfaceId interface_of(const net::Ip& address) const noexcept {
        const auto known = addresses_.find(address);
        return known == addresses_.end() ? kNoInterface : known->second.interface;
    }
    /// Some next hop is marked as changed.
    [[nodiscard]] bool any_changed() const noexcept { return any_changed_; }
    /// Ends a walk: nothing is marked as changed any more.
    void clear_changed() noexcept;
    /// Ends a turn: what came into use in it is no longer fresh.
    void end_turn() noexcept;

    /// Addresses that came into use or went out of use since the last call: to be watched, or no longer.
    struct Watch {
        net::Ip address;
        bool wanted;
    };
    [[nodiscard]] std::vector<Watch> take_watches();

private:
    struct Hash {
        std::size_t operator()(const wire::NextHop& next_hop) const noexcept;
    };
    struct Address {
        std::uint32_t users = 0;  ///< entries with this address (they differ in the link-local part)
        bool watched = false;     ///< what the outside was told
        std::optional<std::uint32_t> metric;
        InterfaceId interface;
    };

    std::vector<Entry> entries_;
    std::vector<std::uint32_t> free_;
    std::unordered_map<wire::NextHop, std::uint32_t, Hash> by_value_;
    std::unordered_map<net::Ip, Address> addresses_;
    std::vector<net::Ip> touched_;
    std::vector<std::uint32_t> fresh_;
    std::uint32_t last_ = 0;  ///< the entry acquired last: most UPDATEs in a row share it
    bool any_changed_ = false;
};

}  // namespace manul::bgp::rib
