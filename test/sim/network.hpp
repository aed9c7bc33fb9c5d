#pragma once

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "bgpd/speaker/speaker.hpp"

/// Several speakers in memory: TCP as byte queues, a kernel as a map, one fake clock. Everything happens in the order
/// that the test asks for; nothing waits.
namespace manul::sim {

namespace speaker = bgp::speaker;

class Network {
public:
    /// Adds a router with these interface addresses ("10.0.0.1/24"); its number is its index.
    std::size_t add(const std::string& name, const std::vector<std::string>& addresses);

    void configure(std::size_t node, speaker::Configuration configuration);
    void originate(std::size_t node, const std::vector<std::string>& blocks);
    void host_routes(std::size_t node, std::vector<speaker::HostRoute> routes);
    void command(std::size_t node, speaker::PeerCommand command);

    /// Delivers until nothing is under way. Time stands still.
    void settle();
    /// Lets time pass, settling at each timer.
    void advance(std::chrono::seconds duration);

    /// All connections between the two end without a word, and new ones fail until joined again.
    void cut(std::size_t a, std::size_t b);
    /// Bytes between the two get lost without anybody noticing (hold timers must).
    void silence(std::size_t a, std::size_t b);
    void join(std::size_t a, std::size_t b);
    /// The process dies; the kernel keeps its routes.
    void kill(std::size_t node);
    /// The process is told to end, and does.
    void terminate(std::size_t node);
    /// It starts again with the same configuration and routes.
    void start(std::size_t node);
    void restart(std::size_t node) {
        kill(node);
        start(node);
    }
    /// The machine dies and starts again: nothing is left in the kernel.
    void reboot(std::size_t node);
    /// What BFD says about the way to a peer.
    void bfd(std::size_t node, const std::string& peer, bool up);
    /// Called whenever a kernel's routes have changed: what the packets of a test see.
    std::function<void()> on_kernel;
    /// Next hop resolution of one router; all addresses are reachable at metric 0 unless told otherwise.
    void resolve(std::size_t node, const std::string& next_hop, std::optional<std::uint32_t> metric);
    /// The kernel takes no more than so many bytes for each connection of the router, until drained; its peers are
    /// told that `exaggeration` times as many wait as really do, so that a test need not send megabytes.
    void set_window(std::size_t node, std::size_t bytes, std::size_t exaggeration) {
        nodes_[node]->window = bytes;
        nodes_[node]->exaggeration = exaggeration;
    }
    /// The router reads what waits for it, as often as called.
    void drain(std::size_t node);

    [[nodiscard]] const speaker::Speaker& operator[](std::size_t node) const { return *nodes_[node]->speaker; }
    [[nodiscard]] speaker::Time now() const { return now_; }
    [[nodiscard]] bool established(std::size_t node, const std::string& peer) const;
    [[nodiscard]] std::size_t sessions(std::size_t node) const;
    /// Kernel routes: "10.1.0.0/26" -> "10.0.0.2 10.0.0.3" or "blackhole".
    [[nodiscard]] std::map<std::string, std::string> kernel(std::size_t node) const;
    /// Selected routes: prefix -> "peer via next hop as path".
    [[nodiscard]] std::map<std::string, std::string> best(std::size_t node) const;
    /// All paths with their verdicts, for whole-state comparisons.
    [[nodiscard]] std::vector<std::string> paths(std::size_t node) const;
    [[nodiscard]] std::size_t updates_received(std::size_t node) const;
    [[nodiscard]] bool fib_complete(std::size_t node) const { return nodes_[node]->fib_complete; }
    [[nodiscard]] const std::vector<std::string>& reports(std::size_t node) const { return nodes_[node]->reports; }
    /// Bytes sent so far from one router to another, as messages would be captured.
    [[nodiscard]] const Bytes& wire(std::size_t from, std::size_t to) { return captured_[{from, to}]; }

private:
    struct Pipe {  // what one end of a connection knows
        std::size_t peer_node = 0;
        speaker::ConnectionId peer_connection;
        Bytes unread;   // arrived, not consumed
        Bytes waiting;  // sent by the peer, not taken yet by this side's kernel
    };
    struct Node {
        std::string name;
        std::vector<net::InterfaceAddress> addresses;
        std::unique_ptr<speaker::Speaker> speaker;
        std::shared_ptr<const speaker::Configuration> configuration;
        std::shared_ptr<const std::vector<speaker::LocalRoute>> routes;
        std::deque<std::function<void()>> inbox;
        std::map<speaker::ConnectionId, Pipe> pipes;
        std::set<net::Ip> expected;
        std::set<net::Prefix> ranges;
        std::map<net::Ip, std::optional<std::uint32_t>> metrics;
        std::set<net::Ip> tracked;
        std::map<net::Prefix, speaker::FibGroupId> fib;
        std::map<std::string, std::string> leftover;  ///< of an earlier run, not named yet
        bgp::wire::FamilySet in_kernel;               ///< as last told
        bool running = true;
        std::map<speaker::FibGroupId, std::vector<speaker::FibMember>> groups;
        std::vector<std::string> reports;
        std::size_t window = SIZE_MAX;
        std::size_t exaggeration = 1;
        std::uint32_t next_accepted = speaker::kFirstAcceptedConnection;
        bool listening = false;
        [[nodiscard]] bool welcomes(const net::Ip& address) const {
            return expected.contains(address) ||
                   std::ranges::any_of(ranges, [&](const net::Prefix& range) { return range.contains(address); });
        }
        bool fib_complete = false;
    };

    void handle(std::size_t node, const speaker::Event& event);
    void report_kernel(std::size_t node);
    void deliver(std::size_t node, speaker::ConnectionId connection, ByteView data);
    void carry_out(std::size_t node, const speaker::Action& action);
    void connect(std::size_t node, const speaker::Connect& request);
    void write(std::size_t node, const speaker::Write& request);
    void transmit(std::size_t node, speaker::ConnectionId connection);
    void close(std::size_t node, speaker::ConnectionId connection, const std::string& reason);
    void answer(std::size_t node, const net::Ip& next_hop);
    [[nodiscard]] std::optional<std::size_t> owner(const net::Ip& address) const;
    [[nodiscard]] bool is_cut(std::size_t a, std::size_t b) const {
        return cut_.contains({std::min(a, b), std::max(a, b)});
    }
    [[nodiscard]] bool is_silent(std::size_t a, std::size_t b) const {
        return silent_.contains({std::min(a, b), std::max(a, b)});
    }

    std::vector<std::unique_ptr<Node>> nodes_;
    std::set<std::pair<std::size_t, std::size_t>> cut_;
    std::set<std::pair<std::size_t, std::size_t>> silent_;
    std::map<std::pair<std::size_t, std::size_t>, Bytes> captured_;
    speaker::Time now_{};
};

/// A configuration with the usual values; peers are added by the test.
[[nodiscard]] speaker::Configuration make_configuration(const std::string& name, std::uint32_t as,
                                                        const std::string& address,
                                                        const std::vector<std::string>& pools);
[[nodiscard]] speaker::PeerConfig make_peer(const std::string& address, std::uint32_t remote_as,
                                            std::uint32_t local_as);

}  // namespace manul::sim
