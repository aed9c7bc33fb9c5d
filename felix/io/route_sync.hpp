#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "felix/model/config.hpp"
#include "felix/model/route.hpp"
#include "net/netlink/socket.hpp"

namespace manul::felix::io {

/// Host routes to the workloads of this node. They carry felix's protocol number and a metric of their own, one below
/// what others use: a replacement ignores the protocol, so routes of different owners must never share a metric. Only
/// routes with both are ever replaced or deleted; where the configuration gives other numbers, those with the numbers
/// that held before as well, once their successors stand.
///
/// The kernel drops IPv4 routes of a link that goes down without a word; so whatever happens to a link, its routes are
/// put again. It also drops those whose source address goes, and takes none with a source that the node does not have:
/// they stand without it meanwhile.
class RouteSync {
public:
    [[nodiscard]] static Result<RouteSync> open();

    void configure(const Config& config);
    /// list() follows.
    void set_own_addresses(std::set<net::Ip> addresses) { own_ = std::move(addresses); }
    /// Reads back what the kernel holds of ours. Until sweep() nothing is deleted that is not known to be unwanted.
    [[nodiscard]] Result<void> list();

    void want(const WorkloadRoute& route);
    void forget(const net::Prefix& prefix);
    [[nodiscard]] bool wants(const net::Prefix& prefix) const { return wanted_.contains(prefix); }
    /// The link of that name is up with this index, or it is not there or down (nothing), also if only for a moment.
    void link_changed(const std::string& interface, std::optional<std::uint32_t> index);
    /// The kernel told that the route is gone. True when it is one that should be there.
    bool removed(const netlink::Route& route);
    /// The link of that name has another one now, and still the routes that lead over it.
    void link_renamed(const std::string& interface);
    /// Routes name an address of the node as their source, so that they depend on it.
    [[nodiscard]] bool names_sources() const noexcept { return numbers_.source_v4 || numbers_.source_v6; }

    /// Writes what is missing, in one batch. Routes over links that are not there wait for them.
    void program();
    /// Everything wanted is known now: routes of ours that nobody wants are deleted by the next program().
    void sweep() noexcept { swept_ = true; }

    /// Every wanted route over the interface is in the kernel.
    [[nodiscard]] bool complete(const std::string& interface) const;
    [[nodiscard]] std::size_t wanted() const noexcept { return wanted_.size(); }
    /// Routes that could not be written though their link is there; another attempt is worth while.
    [[nodiscard]] bool has_failures() const noexcept { return !failed_.empty(); }

private:
    explicit RouteSync(netlink::Socket socket) : socket_(std::move(socket)) {}

    /// What the configuration says of our routes.
    struct Numbers {
        std::uint8_t protocol = 177;
        std::uint32_t metric_v4 = 1023;
        std::uint32_t metric_v6 = 1023;
        std::optional<net::Ip> source_v4;
        std::optional<net::Ip> source_v6;

        bool operator==(const Numbers&) const = default;
    };
    /// A route of ours, wanted or in the kernel.
    struct Held {
        std::uint32_t index = 0;  ///< of the link that it leads over
        std::uint8_t protocol = 0;
        std::uint32_t metric = 0;
        std::optional<net::Ip> source;

        bool operator==(const Held&) const = default;
    };
    struct Operation;

    [[nodiscard]] Held to(const net::Prefix& prefix, std::uint32_t index) const;
    [[nodiscard]] std::optional<Operation> next_operation(const net::Prefix& prefix) const;
    [[nodiscard]] bool is_ours(const netlink::Route& route) const;
    [[nodiscard]] static netlink::Route message(const net::Prefix& prefix, const Held& held);
    [[nodiscard]] bool write();
    void carried_out(const Operation& operation);
    void refused(const Operation& operation, int code);
    [[nodiscard]] bool adopt(const Operation& operation);
    void remove_retired();

    netlink::Socket socket_;
    Numbers numbers_;
    std::set<net::Ip> own_;                    ///< addresses of the node
    std::set<std::uint8_t> former_protocols_;  ///< of this process
    bool swept_ = false;

    std::map<net::Prefix, std::string> wanted_;
    std::map<std::string, std::set<net::Prefix>> by_interface_;
    std::map<std::string, std::uint32_t> links_;
    std::map<net::Prefix, Held> kernel_;
    /// Routes of ours in the kernel besides those: with former numbers, or over a link that is no workload's any more.
    std::vector<std::pair<net::Prefix, Held>> retired_;
    std::set<net::Prefix> dirty_;
    std::set<net::Prefix> failed_;
};

}  // namespace manul::felix::io
