#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bgpd/speaker/action.hpp"
#include "bgpd/speaker/event.hpp"
#include "bgpd/speaker/neighbours.hpp"
#include "net/ip.hpp"
#include "net/netlink/decode.hpp"
#include "net/prefix.hpp"

namespace manul::bgp::io {

/// Route protocol of everything that bgpd puts into the kernel.
inline constexpr std::uint8_t kRouteProtocol = 176;
/// Felix's routes to workloads.
inline constexpr std::uint8_t kFelixProtocol = 177;

/// How next hops are reached: a copy of the kernel's main table without bgpd's own routes (a BGP route never resolves
/// another one), its links and addresses, and the next hops that the speaker asked about. No system calls: it is fed
/// with what a dump or the monitor brought, and answers with events for the speaker.
class NextHopWatch {
public:
    /// With `always_reachable` (a pure reflector, which forwards nothing) an unresolved next hop counts as reachable.
    explicit NextHopWatch(bool always_reachable) noexcept : always_reachable_(always_reachable) {}

    /// Takes what another one was fed with; what is followed stays.
    void replace(NextHopWatch&& fresh);
    void take(const netlink::Link& link);
    void take(const netlink::Address& address);
    void take(const netlink::Route& route);
    void remove(const netlink::Link& link);
    void remove(const netlink::Address& address);
    void remove(const netlink::Route& route);

    /// Addresses that are reached through a gateway whatever the routes say (BGPPeer reachableBy).
    void set_gateways(std::map<net::Ip, net::Ip> gateways);
    /// With a value: `changes` also brings the host's routes, but for connected prefixes of workload and service
    /// interfaces and of those that a glob names.
    void want_host_routes(std::optional<std::vector<std::string>> ignored_interfaces);
    /// Starts or ends following a next hop; `changes` brings the first answer.
    void track(const speaker::TrackNextHop& what);
    /// Appends what has become different since the last call.
    void changes(std::vector<speaker::Event>& events);

    [[nodiscard]] std::optional<speaker::Resolution> resolve(const net::Ip& next_hop) const;
    [[nodiscard]] speaker::Links links() const;
    /// Links have come, gone or changed their addresses since the last call.
    [[nodiscard]] bool take_link_change() noexcept { return std::exchange(links_changed_, false); }

private:
    struct Tracked {
        bool answered = false;
        std::optional<speaker::Resolution> resolution;
    };

    [[nodiscard]] bool usable(std::uint32_t ifindex) const;
    [[nodiscard]] std::string name_of(std::uint32_t ifindex) const;
    [[nodiscard]] std::vector<speaker::HostRoute> host_routes() const;
    void drop_routes_over(std::uint32_t ifindex);

    bool always_reachable_;
    bool dirty_ = false;
    bool addresses_changed_ = false;
    bool links_changed_ = false;
    std::map<std::uint32_t, netlink::Link> links_;
    std::vector<netlink::Address> addresses_;
    std::unordered_map<net::Prefix, std::vector<netlink::Route>> routes_;
    std::unordered_map<net::Ip, Tracked> tracked_;
    std::map<net::Ip, net::Ip> gateways_;
    std::optional<std::vector<std::string>> ignored_interfaces_;  ///< absent: nobody asks for host routes
    std::vector<speaker::HostRoute> told_host_routes_;
};

}  // namespace manul::bgp::io
