#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "bgpd/speaker/speaker.hpp"
#include "bgpd/wire/open.hpp"
#include "bgpd/wire/path_attributes.hpp"
#include "bgpd/wire/update_writer.hpp"

/// One speaker whose peers are scripts: a test says what they send, byte for byte where it must, and reads what they
/// were sent. Time stands still unless it is told to pass.
namespace manul::sim {

namespace speaker = bgp::speaker;
namespace wire = bgp::wire;

class Scripted {
public:
    /// Every peer of the configuration is made passive.
    explicit Scripted(speaker::Configuration configuration, wire::FamilySet in_kernel = {});

    void configure(speaker::Configuration configuration);
    void originate(const std::vector<std::string>& prefixes);
    void command(speaker::PeerCommand command) { handle(std::move(command)); }
    void bfd(const std::string& peer, bool up, bool on_purpose = false) {
        handle(speaker::BfdChanged{*net::Ip::parse(peer), up, on_purpose});
    }
    void finish() { handle(speaker::Finish{}); }
    void host_routes(std::vector<speaker::HostRoute> routes) {
        handle(speaker::HostRoutes{std::make_shared<const std::vector<speaker::HostRoute>>(std::move(routes))});
    }
    /// Events come one after the other without a turn's end between them, until that is over.
    void hold_turns(bool on) {
        turns_wait_ = on;
        settle();
    }
    /// The host has these interface addresses now.
    void addresses(const std::vector<std::string>& all);

    /// The peer connects and sends this OPEN and a KEEPALIVE.
    void connect(const std::string& peer, const wire::Open& open);
    void send(const std::string& peer, const Bytes& bytes);
    /// The peer's side of the connection ends.
    void close(const std::string& peer);
    /// Lets time pass; peers keep their sessions up meanwhile, except those that are silent.
    void advance(std::chrono::seconds duration);
    void silence(const std::string& peer) { silent_.insert(peer); }

    /// What the peer was sent since the last call, a line a message or route: "open", "keepalive", "announce
    /// 10.0.0.0/24 #7 via 192.0.2.1 path 65001 [65000:1]", "withdraw 10.0.0.0/24", "end of rib v4", "refresh begin v4",
    /// "notification 6/2".
    [[nodiscard]] std::vector<std::string> heard(const std::string& peer);
    /// The OPEN that the peer was sent last.
    [[nodiscard]] const wire::Open& open_of(const std::string& peer) { return *opens_.at(peer); }
    [[nodiscard]] bool up(const std::string& peer) const;
    [[nodiscard]] speaker::PeerStatus status(const std::string& peer) const;
    [[nodiscard]] const speaker::Speaker& speaker() const noexcept { return *speaker_; }
    /// Kernel routes: prefix -> "next hop next hop*weight" or "blackhole", with the metric where it is no usual one.
    [[nodiscard]] std::map<std::string, std::string> kernel() const;
    /// Most kernel routes that one turn has changed.
    [[nodiscard]] std::size_t largest_batch() const noexcept { return largest_batch_; }
    /// All paths of a prefix: "peer verdict".
    [[nodiscard]] std::vector<std::string> paths(const std::string& prefix) const;
    /// What a monitoring station was told since the last call.
    [[nodiscard]] std::vector<speaker::MonitorEvent> monitored() { return std::exchange(monitored_, {}); }
    /// The BFD sessions that were asked for: "peer single hop" or "peer multihop".
    [[nodiscard]] const std::vector<std::string>& bfd_sessions() const noexcept { return bfd_sessions_; }
    [[nodiscard]] const std::vector<std::string>& warnings() const noexcept { return warnings_; }

private:
    void handle(const speaker::Event& event);
    void settle();
    void pass(speaker::Time target);
    void carry_out(const speaker::Action& action);

    std::unique_ptr<speaker::Speaker> speaker_;
    speaker::Time now_{};
    std::map<std::string, speaker::ConnectionId> connections_;
    std::set<std::string> silent_;
    std::map<speaker::ConnectionId, Bytes> sent_;    ///< by the speaker, not yet heard
    std::map<speaker::ConnectionId, Bytes> unread_;  ///< by scripts, not yet consumed
    std::map<std::string, std::optional<wire::Open>> opens_;
    std::map<std::string, wire::UpdateContext> contexts_;
    std::map<std::string, wire::Capabilities> theirs_;
    std::map<net::Prefix, std::pair<speaker::FibGroupId, std::uint32_t>> fib_;  ///< with the metric
    std::size_t largest_batch_ = 0;
    std::map<speaker::FibGroupId, std::vector<speaker::FibMember>> groups_;
    std::vector<std::string> bfd_sessions_;
    std::vector<std::string> warnings_;
    std::vector<speaker::MonitorEvent> monitored_;
    std::uint32_t next_ = speaker::kFirstAcceptedConnection;
    bool turns_wait_ = false;
};

/// An OPEN with multiprotocol IPv4 and four-octet AS numbers, to be added to.
[[nodiscard]] wire::Open make_open(std::uint32_t as, const std::string& identifier);
/// One UPDATE that announces the prefixes.
[[nodiscard]] Bytes announcement(const wire::PathAttributes& attributes, const std::string& next_hop,
                                 const std::vector<std::string>& prefixes);
/// The same with path identifiers (RFC 7911).
using PathPrefix = std::pair<std::uint32_t, std::string>;
[[nodiscard]] Bytes path_announcement(const wire::PathAttributes& attributes, const std::string& next_hop,
                                      const std::vector<PathPrefix>& prefixes);
[[nodiscard]] Bytes path_withdrawal(const std::vector<PathPrefix>& prefixes);
[[nodiscard]] wire::PathAttributes attributes(const std::vector<std::uint32_t>& as_path);
[[nodiscard]] Bytes withdrawal(const std::vector<std::string>& prefixes);
[[nodiscard]] Bytes end_of_rib(net::Family family = net::Family::v4);
[[nodiscard]] Bytes refresh(std::uint8_t subtype, net::Family family = net::Family::v4);

}  // namespace manul::sim
