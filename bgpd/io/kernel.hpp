#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/daemon.hpp"
#include "base/error.hpp"
#include "bgpd/io/fib_sync.hpp"
#include "bgpd/io/next_hop_watch.hpp"
#include "bgpd/speaker/action.hpp"
#include "bgpd/speaker/event.hpp"
#include "net/netlink/monitor.hpp"
#include "net/netlink/route_dump.hpp"
#include "net/netlink/socket.hpp"

namespace boost::asio {
class io_context;
}

namespace manul::bgp::io {

/// The kernel as bgpd sees it: listens to links, addresses and routes, answers about next hops, and keeps the routes of
/// FibSync in force, also when links go down and up.
class Kernel {
public:
    /// `program` false: nothing is written (a pure reflector). `on_change`: call `take_changes` and `work`.
    Kernel(boost::asio::io_context& io, bool program, std::function<void()> on_change);

    /// Opens the sockets and begins to read everything, which `work` goes on with.
    [[nodiscard]] Result<void> start();
    /// All has been read once.
    [[nodiscard]] bool loaded() const noexcept { return loaded_; }

    /// What of the configuration concerns the kernel's side: the ways to peers, and whether host routes are asked for.
    void configure(const speaker::Configuration& configuration);
    void track(const speaker::TrackNextHop& what);
    void define(const speaker::FibGroup& group);
    void change(const speaker::FibBatch& batch);
    void complete();

    [[nodiscard]] speaker::Links links() const { return watch_.links(); }
    [[nodiscard]] bool take_link_change() noexcept { return watch_.take_link_change(); }

    /// Events for the speaker.
    void take_changes(std::vector<speaker::Event>& events) { watch_.changes(events); }
    /// A slice of route programming; true when there is more that can be done now.
    bool work();
    /// No route waits to be programmed.
    [[nodiscard]] bool settled() const noexcept { return !fib_ || fib_->settled(); }
    [[nodiscard]] std::optional<FibSync::Counts> counts() const;
    /// Families of which the kernel holds routes of ours; both where none are ours to hold.
    [[nodiscard]] wire::FamilySet families();

private:
    /// What is read in slices: everything, or (cheaper) only what is left of our own routes.
    struct Reading {
        bool everything = false;
        net::Family family = net::Family::v4;
        netlink::RouteDump dump;
        NextHopWatch watch;                  ///< fed beside the one in use
        std::vector<netlink::Event> events;  ///< that came meanwhile, for the fresh watch
        int attempts = 1;                    ///< a list that changes under our feet is begun anew
    };

    [[nodiscard]] netlink::SocketResult<void> begin_reading(bool everything, int attempts);
    [[nodiscard]] netlink::SocketResult<void> read_slice();
    [[nodiscard]] netlink::SocketResult<netlink::RouteDump> list_routes(net::Family family, bool everything);
    void end_reading();
    void read_failed(const netlink::SocketError& error);
    void listen();
    void on_monitor();
    void take(const netlink::Event& event);
    void look_again();

    boost::asio::io_context& io_;
    bool program_;
    std::function<void()> on_change_;
    NextHopWatch watch_;
    std::optional<netlink::Monitor> monitor_;
    std::optional<netlink::Socket> socket_;
    std::optional<FibSync> fib_;
    std::unique_ptr<ReadableWatch> written_;  ///< a batch of routes is done
    std::unique_ptr<ReadableWatch> readable_;
    Timer look_again_;    ///< links have changed: programs again what the kernel dropped
    Timer retry_;         ///< refused routes
    Timer listen_again_;  ///< after news of pods
    std::optional<Reading> reading_;
    bool reload_ = false;
    bool loaded_ = false;
};

}  // namespace manul::bgp::io
