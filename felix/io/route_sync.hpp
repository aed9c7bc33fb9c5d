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
/// routes with both are ever replaced or deleted; after the configuration has changed these numbers, routes with the
/// previous ones too, once their successors are in place.
///
/// The kernel silently drops the IPv4 routes of a link that goes down; so whatever happens to a link, its routes are
/// written again. It also drops routes whose source address is removed, and refuses a source that the node does not
/// have: in the meantime they are written without one.
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
    /// The link of that name is up with this index, or is or was for a moment absent or down (nothing).
    void link_changed(const std::string& interface, std::optional<std::uint32_t> index);
    /// The kernel reported that the route is gone. True if it should be there.
    bool removed(const netlink::Route& route);
    /// The link of that name has a new name now, and still has its routes.
    void link_renamed(const std::string& interface);
    /// Whether routes have an address of the node as their source and so depend on it.
    [[nodiscard]] bool names_sources() const noexcept { return numbers_.source_v4 || numbers_.source_v6; }

    /// Writes what is missing, in one batch. Routes over absent links wait for them.
    void program();
    /// Everything wanted is known now: the next program() deletes our routes that are not wanted.
    void sweep() noexcept { swept_ = true; }

    /// Whether every wanted route over the interface is in the kernel.
    [[nodiscard]] bool complete(const std::string& interface) const;
    [[nodiscard]] std::size_t wanted() const noexcept { return wanted_.size(); }
    /// Some routes could not be written although their link exists; another attempt is worthwhile.
    [[nodiscard]] bool has_failures() const noexcept { return !failed_.empty(); }

private:
    explicit RouteSync(netlink::Socket socket) : socket_(std::move(socket)) {}

    /// What the configuration says about our routes.
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
    /// Our other routes in the kernel: with former numbers, or over a link that no longer belongs to a workload.
    std::vector<std::pair<net::Prefix, Held>> retired_;
    std::set<net::Prefix> dirty_;
    std::set<net::Prefix> failed_;
};

}  // namespace manul::felix::io
