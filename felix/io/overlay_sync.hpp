#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "felix/model/config.hpp"
#include "felix/model/overlay.hpp"
#include "net/netlink/socket.hpp"
#include "net/prefix.hpp"

namespace manul::felix::io {

/// The tunnel devices of this node (VXLAN, RFC 7348, and IPIP, RFC 2003), what they must know of the other nodes' ends
/// (neighbours and forwarding entries: nothing is learned from packets), and the routes to other nodes' pods. The
/// routes carry felix's protocol number, the normal metric and a gateway; only such are replaced or deleted.
///
/// The kernel takes much of this away without a word when a link or an address goes: after any such event, and at
/// intervals, everything is compared with what it holds.
class OverlaySync {
public:
    [[nodiscard]] static Result<OverlaySync> open();

    void configure(const Config& config);
    void want(const TunnelDevice& device);
    void forget(TunnelKind kind);
    void want(const ClusterRoute& route);
    void forget(const net::Prefix& prefix);

    /// The next program() compares everything with what the kernel holds: something of the node's links or addresses
    /// changed, or time has passed.
    void queue_resync() noexcept { resync_queued_ = true; }
    /// Brings the kernel to what is wanted. Everything wanted must be known by then: what is left of earlier goes.
    void program();
    /// Something could not be done; another attempt, after queue_resync(), is worthwhile.
    [[nodiscard]] bool has_failures() const noexcept {
        return problems_.size() > unsupported_.size() || !failed_.empty();
    }
    /// What keeps tunnels from working, for people.
    [[nodiscard]] std::vector<std::string> problems() const;
    [[nodiscard]] std::size_t routes() const noexcept { return wanted_.size(); }

private:
    explicit OverlaySync(netlink::Socket socket) : socket_(std::move(socket)) {}

    /// Where a route of ours in the kernel leads.
    struct Held {
        net::Ip via;
        std::uint32_t ifindex = 0;
    };
    using Done = netlink::SocketResult<void>;

    void sync_device(TunnelKind kind);
    [[nodiscard]] Done remove_device(TunnelKind kind);
    [[nodiscard]] Done make_device(const TunnelDevice& wanted);
    [[nodiscard]] Done sync_address(const TunnelDevice& wanted, std::uint32_t ifindex);
    [[nodiscard]] Done sync_neighbours(const TunnelDevice& wanted, std::uint32_t ifindex);
    [[nodiscard]] Done sync_forwarding(const TunnelDevice& wanted, std::uint32_t ifindex);
    [[nodiscard]] Done send(netlink::RequestBuffer& requests);
    [[nodiscard]] netlink::SocketResult<std::uint32_t> mtu_of(const TunnelDevice& wanted);

    [[nodiscard]] bool list_routes();
    void sync_routes();
    [[nodiscard]] netlink::Route kernel_route(const net::Prefix& prefix, const Held& leads) const;
    /// Nothing while its device is not there.
    [[nodiscard]] std::optional<Held> wanted_way(const ClusterRoute& route) const;
    [[nodiscard]] bool leads_right(const ClusterRoute& route, const Held& held) const;
    [[nodiscard]] std::uint32_t metric(net::Family family) const noexcept {
        return family == net::Family::v4 ? metric_v4_ : metric_v6_;
    }

    netlink::Socket socket_;
    std::uint8_t protocol_ = 177;
    std::uint32_t metric_v4_ = 1024;
    std::uint32_t metric_v6_ = 1024;
    bool resync_queued_ = true;

    std::map<TunnelKind, TunnelDevice> devices_;
    std::set<TunnelKind> dirty_devices_;
    std::map<TunnelKind, std::uint32_t> indexes_;  ///< of devices that are in order
    std::map<TunnelKind, std::string> problems_;
    std::set<TunnelKind> unsupported_;  ///< of those: the kernel has no such devices, and an attempt looks for modules

    std::map<net::Prefix, ClusterRoute> wanted_;
    std::map<net::Prefix, Held> held_;  ///< by the kernel
    std::set<net::Prefix> dirty_routes_;
    std::set<net::Prefix> failed_;
    std::map<net::Prefix, int> refusals_;  ///< in a row
};

}  // namespace manul::felix::io
