#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "felix/calc/event.hpp"
#include "net/netlink/monitor.hpp"
#include "net/netlink/socket.hpp"

namespace manul::felix::io {

/// The links of the namespace and their addresses, kept up to date, and the one change that felix makes to them: their
/// group.
class InterfaceWatch {
public:
    [[nodiscard]] static Result<InterfaceWatch> open();

    [[nodiscard]] int fd() const noexcept { return monitor_.fd(); }
    struct Change {
        std::string name;
        bool interrupted = false;  ///< down, away or without IPv4 address at some point: its routes may be gone
        bool renamed = false;      ///< the link has another name now
    };
    /// Reads all links. Those that changed since they were last known, vanished ones included.
    [[nodiscard]] Result<std::vector<Change>> list();
    /// Takes what the monitor has; never blocks. Links that changed, vanished ones included, in order of events.
    [[nodiscard]] Result<std::vector<Change>> take();

    /// From now on removals of routes of this protocol are noted, whoever asked for them.
    [[nodiscard]] Result<void> follow_routes(std::uint8_t protocol);
    struct RemovedRoutes {
        std::vector<netlink::Route> routes;
        bool incomplete = false;  ///< events were lost
    };
    [[nodiscard]] bool has_removed_routes() const noexcept {
        return removed_routes_.incomplete || !removed_routes_.routes.empty();
    }
    /// Since the last call, as far as take() has seen.
    [[nodiscard]] RemovedRoutes take_removed_routes() { return std::exchange(removed_routes_, {}); }

    /// Null when there is no link of that name.
    [[nodiscard]] const netlink::Link* find(const std::string& name) const;
    [[nodiscard]] const std::map<std::string, netlink::Link>& links() const noexcept { return links_; }

    /// Of all links that have any. Kept up to date by list() and take().
    [[nodiscard]] InterfaceAddresses addresses() const;

    struct Failure {
        std::string name;
        std::string reason;
    };
    /// Puts links into groups, all in one go. A link that vanished meanwhile is no failure.
    [[nodiscard]] std::vector<Failure> set_groups(const std::vector<std::pair<std::string, std::uint32_t>>& groups);

private:
    InterfaceWatch(netlink::Monitor monitor, netlink::Socket socket);
    void learn(const netlink::Link& link, std::vector<Change>& changed);
    void forget(std::uint32_t index, std::vector<Change>& changed);
    void forget(const netlink::Address& gone, std::vector<Change>& changed);

    netlink::Monitor monitor_;
    netlink::Socket socket_;
    std::map<std::string, netlink::Link> links_;
    std::map<std::uint32_t, std::string> names_;
    std::map<std::uint32_t, std::set<net::Ip>> addresses_;
    RemovedRoutes removed_routes_;
};

}  // namespace manul::felix::io
