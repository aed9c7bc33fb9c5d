#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/daemon.hpp"
#include "base/error.hpp"
#include "bgpd/bfd/sessions.hpp"
#include "bgpd/io/bfd_thread.hpp"
#include "bgpd/io/bmp_sender.hpp"
#include "bgpd/io/connection_io.hpp"
#include "bgpd/io/kernel.hpp"
#include "bgpd/io/listener.hpp"
#include "bgpd/io/router_discovery.hpp"
#include "bgpd/speaker/action.hpp"
#include "bgpd/speaker/event.hpp"
#include "bgpd/speaker/neighbours.hpp"
#include "bgpd/speaker/speaker.hpp"
#include "bgpd/speaker/status.hpp"

namespace boost::asio {
class io_context;
}

namespace manul::bgp::io {

/// Drives one Speaker: what sockets, kernel, timers and people bring becomes events, its actions become system calls.
/// One thread. A turn: read a little from every connection that is ready, then TurnEnd, then carry out what follows
/// from it and send it; while work is left, the next turn comes at once, but after other handlers of the io_context.
class Engine {
public:
    using OnPeer = std::function<void(const speaker::PeerStatus& status, bool removed)>;

    /// `program_kernel` false: routes are neither written nor needed (a pure reflector).
    Engine(boost::asio::io_context& io, bool program_kernel, OnPeer on_peer);

    /// Reads the kernel's state; the speaker starts with the first configuration.
    [[nodiscard]] Result<void> start();
    void configure(std::shared_ptr<const speaker::Configuration> configuration);
    void originate(std::shared_ptr<const std::vector<speaker::LocalRoute>> routes);
    void command(speaker::PeerCommand command);
    /// All sessions end, all routes leave the kernel; `done` is called then. Until command `enable`.
    void leave(std::string text, std::function<void()> done);
    /// The process is about to end for a restart: tells the peers. Blocks for a second at most.
    void finish();

    [[nodiscard]] const speaker::Speaker& speaker() const noexcept { return speaker_; }
    [[nodiscard]] std::optional<FibSync::Counts> fib() const { return kernel_.counts(); }
    [[nodiscard]] std::vector<bfd::SessionStatus> bfd() const { return bfd_.status(); }
    /// How long turns took so far.
    struct Turns {
        std::uint64_t count = 0;
        std::chrono::steady_clock::duration total{};
        std::chrono::steady_clock::duration longest{};
    };
    [[nodiscard]] const Turns& turns() const noexcept { return turns_; }
    /// The first tables of all peers are loaded.
    [[nodiscard]] bool in_sync() const noexcept { return in_sync_; }

private:
    void add(speaker::Event event) { events_.push_back(std::move(event)); }
    void place_peers();
    void heard(const net::Ip& router);
    void accepted(UniqueFd fd, const speaker::Endpoint& remote);
    void bfd_changed(const bfd::Changed& change);
    [[nodiscard]] std::size_t received(speaker::ConnectionId connection, ByteView data);
    void on_sockets();
    /// Hands over every waiting event and those that follow from them.
    void drain();
    void carry_out(const speaker::Action& action);
    /// Ends the turn: TurnEnd, kernel, timer.
    void turn();
    /// Another turn comes then, whatever happens; nothing: only when something happens.
    void wake_at(std::optional<std::chrono::steady_clock::time_point> when);
    void report_kernel();

    OnPeer on_peer_;
    speaker::Speaker speaker_;
    std::deque<speaker::Event> events_;
    ConnectionIo connections_;
    Listener listener_;
    RouterDiscovery discovery_;
    speaker::Neighbours neighbours_;
    std::shared_ptr<const speaker::Configuration> wanted_;         ///< as configured
    std::shared_ptr<const speaker::Configuration> configuration_;  ///< with the addresses of peers on links
    Kernel kernel_;
    BfdThread bfd_;
    BmpSender stations_;
    ReadableWatch sockets_;
    Timer timer_;
    std::optional<std::chrono::steady_clock::time_point> wakes_at_;  ///< what the timer is set to
    std::vector<speaker::Event> from_kernel_;
    bool in_sync_ = false;
    Turns turns_;
    std::optional<wire::FamilySet> in_kernel_;  ///< families, as last told
    std::function<void()> left_;
};

}  // namespace manul::bgp::io
