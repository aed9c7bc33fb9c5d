#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "felix/model/config.hpp"
#include "felix/model/route.hpp"
#include "net/netlink/socket.hpp"

namespace manul::felix::io {

/// Host routes to the workloads of this node. They carry felix's protocol number and a metric of their own, one below
/// what others use: a replacement ignores the protocol, so routes of different owners must never share a metric. Only
/// routes with both are ever replaced or deleted.
///
/// The kernel drops IPv4 routes of a link that goes down without a word; so whatever happens to a link, its routes are
/// put again.
class RouteSync {
public:
    [[nodiscard]] static Result<RouteSync> open();

    void configure(const Config& config);
    /// Reads back what the kernel holds of ours. Until sweep() nothing is deleted that is not known to be unwanted.
    [[nodiscard]] Result<void> list();

    void want(const WorkloadRoute& route);
    void forget(const net::Prefix& prefix);
    [[nodiscard]] bool wants(const net::Prefix& prefix) const { return wanted_.contains(prefix); }
    /// The link of that name is up with this index, or it is not there or down (nothing), also if only for a moment.
    void link_changed(const std::string& interface, std::optional<std::uint32_t> index);

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

    struct Operation;
    [[nodiscard]] std::optional<Operation> next_operation(const net::Prefix& prefix) const;
    [[nodiscard]] netlink::Route route_to(const net::Prefix& prefix, std::uint32_t index) const;
    [[nodiscard]] bool is_ours(const netlink::Route& route) const;
    void refused(const Operation& operation, int code);

    netlink::Socket socket_;
    std::uint8_t protocol_ = 177;
    std::uint32_t metric_v4_ = 1023;
    std::uint32_t metric_v6_ = 1023;
    std::optional<net::Ip> source_v4_;
    std::optional<net::Ip> source_v6_;
    bool swept_ = false;

    std::map<net::Prefix, std::string> wanted_;
    std::map<std::string, std::set<net::Prefix>> by_interface_;
    std::map<std::string, std::uint32_t> links_;
    std::map<net::Prefix, std::uint32_t> kernel_;  ///< index of the link that our route leads over
    std::set<net::Prefix> dirty_;
    std::set<net::Prefix> failed_;
};

}  // namespace manul::felix::io
