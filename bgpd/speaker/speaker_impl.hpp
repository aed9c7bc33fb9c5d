#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bgpd/bfd/sessions.hpp"
#include "bgpd/fsm/rate_limit.hpp"
#include "bgpd/rib/import_run.hpp"
#include "bgpd/speaker/family.hpp"
#include "bgpd/speaker/monitor.hpp"
#include "bgpd/speaker/peer.hpp"
#include "bgpd/speaker/speaker.hpp"

/// The inside of Speaker, shared by its source files: speaker.cpp (events, time, turns), sessions.cpp (connections,
/// sessions, messages), reconfigure.cpp (configuration, local routes), show.cpp (questions), monitor.cpp (stations).
namespace manul::bgp::speaker {

/// After a restart the selection of routes waits for the tables of all peers, but not longer (RFC 4724 section 4.1,
/// Selection_Deferral_Timer). Leftover kernel routes wait as long after every start.
inline constexpr std::chrono::seconds kSelectionDeferral{120};
/// Selection does not wait for peers that no session came about with in this time: one dead peer must not keep new
/// routes of this node from all others.
inline constexpr std::chrono::seconds kReconnectWait{30};
/// Stale routes wait so long for the end of what replaces them (End-of-RIB, EoRR).
inline constexpr std::chrono::seconds kStalePathTime{360};

struct Speaker::Impl {
    Impl();

    // Events; one function each.
    void on(const Received& event);
    void on(const TurnEnd& event);
    void on(const Tick& event);
    void on(const Backlog& event);
    void on(const Connected& event);
    void on(const Accepted& event);
    void on(const Closed& event);
    void on(const Configure& event);
    void on(const Originate& event);
    void on(const HostRoutes& event);
    void on(const NextHopChanged& event);
    void on(const LocalAddresses& event);
    void on(const PeerCommand& event);
    void on(const KernelRoutes& event);
    void on(const BfdChanged& event);
    void on(const Finish& event);

    // Sessions (sessions.cpp).
    void feed(Peer& peer, const fsm::Event& event);
    void carry_out(Peer& peer, const fsm::Action& action);
    void session_up(Peer& peer, const fsm::action::SessionUp& up);
    void session_down(Peer& peer, const fsm::SessionEnd& end);
    void join_groups(Peer& peer, const wire::Negotiated& negotiated);
    [[nodiscard]] std::optional<wire::NextHop> own_next_hop(const Session& session, net::Family family) const;
    [[nodiscard]] std::optional<net::Prefix> shared_link(const net::Ip& peer) const;
    std::size_t read_messages(Peer& peer, fsm::Direction direction, ByteView data);
    void read_update(Peer& peer, ByteView body);
    static void note_malformed(Peer& peer, const wire::Update& update);
    static void note_malformed(Peer& peer, std::string what);
    void read_route_refresh(Peer& peer, ByteView message);
    void announce(const Peer& peer, const wire::NlriView& prefixes, ByteView attributes, const wire::NextHop& next_hop);
    void withdraw(const Session& session, const wire::NlriView& prefixes);
    void check_prefix_limit(Peer& peer);
    void send_bytes(ConnectionId connection, Bytes bytes);
    void report(Peer& peer) { report_as(peer, false); }
    void report_removed(Peer& peer) { report_as(peer, true); }
    void report_as(Peer& peer, bool removed);

    // Graceful restart, route refresh: routes that are kept for a while (restart.cpp).
    void begin_start();
    void end_deferral();
    void leave(std::string_view text);
    [[nodiscard]] bool selection_ready() const;
    void complete_fib();
    void update_bfd_sessions();
    void offer_restart(Peer& peer);
    void retain(Peer& peer, const fsm::SessionEnd& end);
    [[nodiscard]] std::optional<rib::SourceId> resume(Peer& peer, const rib::Source& source,
                                                      const wire::Negotiated& negotiated);
    void mark_stale(const Peer& peer, net::Family family);
    void set_stage(Peer& peer, net::Family family, Stale::Stage stage, std::chrono::seconds length);
    void drop_stale(Peer& peer, net::Family family);
    void forget_routes(Peer& peer);
    void expire_stale(Peer& peer);
    void end_of_rib(Peer& peer, net::Family family);
    void arm(Time deadline) noexcept;

    // Configuration (reconfigure.cpp).
    void start(Peer& peer);
    void expect(const Peer& peer);
    void unexpect(const Peer& peer);
    void stop(Peer& peer, std::uint8_t cease, std::string_view text = {});
    Peer& add_peer(const PeerConfig& wanted);
    void change_peer(Peer& peer, const PeerConfig& wanted, const Self& before);
    void change_session(Peer& peer, const PeerConfig& wanted, const Self& before);
    void remove_peer(std::size_t index);
    void apply_routing(const Configuration& before);
    void set_local_routes(const std::vector<LocalRoute>& wanted);
    void announce_local(const LocalRoute& route);
    [[nodiscard]] std::uint32_t own_local_preference(net::Family family) const;
    [[nodiscard]] static Bytes own_attributes(bool advertise, std::uint32_t local_pref);
    void announce(const net::Prefix& prefix, rib::SourceId source, rib::AttributeId attributes, rib::PathFlags flags);
    void withdraw(const net::Prefix& prefix, rib::SourceId source);

    // Peers of listen ranges (dynamic.cpp).
    [[nodiscard]] const PeerConfig* range_of(const net::Ip& address) const;
    [[nodiscard]] Peer* add_dynamic(const net::Ip& address);
    void expect_ranges(const Configuration& before);
    void forget_idle();

    // Filters and the host's own routes (filtering.cpp).
    void change_intake(Peer& peer, const PeerConfig& wanted);
    void apply_filters();
    void judge_again(Peer& peer);
    void judge_slice();
    template <class Key>
    void judge_slice(rib::SourceId source, Intake& intake, Family<Key>& family, std::size_t index);
    [[nodiscard]] rib::ImportRun import_run(const Intake& intake, rib::AttributeId received,
                                            const wire::AttributeFacts& facts, std::size_t family);
    void interface_changed();
    void apply_host_routes();

    // Questions (show.cpp, explain.cpp).
    template <class Key>
    [[nodiscard]] const Family<Key>& family() const noexcept;
    [[nodiscard]] const Peer* peer_of(rib::SourceId source) const noexcept;
    template <class Key>
    [[nodiscard]] RouteView view_of(const Key& key, const rib::Path& path) const;
    template <class Key>
    [[nodiscard]] std::string verdict(const rib::Path& path, const std::optional<rib::Path>& best) const;
    template <class Key>
    [[nodiscard]] std::vector<RouteView> paths_of(rib::Slot slot) const;
    template <class Key>
    [[nodiscard]] RouteView sent_view(const Key& key, const rib::Path& path, const policy::ExportTarget& target,
                                      policy::ExportVerdict verdict) const;
    template <class Key>
    void add_routes(const RouteQuery& query, rib::Slot from, rib::Slot to, std::vector<RouteView>& out) const;
    template <class Key>
    void count_sent(rib::Slot from, rib::Slot to, SentCounts& out) const;
    template <class Key>
    [[nodiscard]] ExportView export_to(const Peer& peer, const Key& key) const;
    template <class Key>
    void try_filters(const std::map<net::Ip, policy::PeerFilters>& rules, rib::Slot from, rib::Slot to,
                     std::vector<FilterDifference>& out) const;
    template <class Key>
    [[nodiscard]] std::string import_text(const Peer& peer, const Key& key, rib::AttributeId received,
                                          const policy::FilterProgram* filter) const;

    // Monitoring stations (monitor.cpp).
    void set_monitoring(bool on);
    void tell_stations(std::vector<MonitorEvent> events);
    [[nodiscard]] MonitoredPeer monitored_self() const;
    [[nodiscard]] MonitoredPeer far_end(const Peer& peer) const;
    [[nodiscard]] net::Ip shown_self(net::Family family) const;
    [[nodiscard]] MonitoredUp monitored_up(const Peer& peer) const;
    void monitor_up(const Peer& peer);
    void monitor_down(const Peer& peer, const fsm::SessionEnd& end);
    void monitor_end_of_rib(const Peer& peer, net::Family family);
    void monitor_journal();
    template <class Key>
    void monitor_journal(rib::LocRib<Key>& rib, std::vector<MonitorEvent>& out);
    template <class Key>
    void monitor_selected(const Family<Key>& family, std::vector<MonitorEvent>& out);
    void monitor_decisions();
    void monitor_writes();
    template <class Key>
    void monitor_part(Family<Key>& family, rib::Slot from, rib::Slot to, std::vector<MonitorEvent>& out);
    void monitor_marks(std::vector<MonitorEvent>& out) const;

    [[nodiscard]] Peer* find_peer(const net::Ip& address) noexcept;
    [[nodiscard]] Peer* find_peer(const PeerConfig& wanted) noexcept;
    void start_sweep(Sweep what);
    void end_sweep();
    void watch_next_hops();

    struct ConnectionRef {
        Peer* peer;
        fsm::Direction direction;
    };

    Time now{};  ///< of the event at hand
    std::vector<Action> actions;
    std::size_t consumed = 0;

    std::shared_ptr<const Configuration> configuration;
    std::shared_ptr<const net::PrefixRanges> relayable = std::make_shared<const net::PrefixRanges>();
    std::shared_ptr<const policy::Markings> markings;                  ///< null: none
    std::vector<LocalRoute> local_routes;                              ///< sorted
    std::shared_ptr<const std::vector<LocalRoute>> originated_routes;  ///< as wanted from outside; null: not told yet
    std::shared_ptr<const std::vector<HostRoute>> host_routes;
    std::vector<HostRoute> host_routes_in_force;  ///< sorted, each prefix and kind once
    rib::SourceId connected_source;
    rib::SourceId kernel_source;
    std::vector<net::InterfaceAddress> local_addresses;
    policy::OwnAddresses own_addresses;
    std::vector<bfd::SessionConfig> bfd_sessions;  ///< what the last SetBfdSessions asked for

    rib::RibCore core;
    FibGroups fib_groups;
    Family<net::PrefixKey4> v4{core, fib_groups};
    Family<net::PrefixKey6> v6{core, fib_groups};

    std::vector<std::unique_ptr<Peer>> peers;
    std::unordered_map<net::Ip, Peer*> peer_by_address;
    std::unordered_map<ConnectionId, ConnectionRef> connections;
    std::uint32_t next_connection = 1;
    fsm::RateLimit strangers;           ///< with connections from addresses that are no peer's
    std::optional<Accepted> accepting;  ///< the connection that the machine is deciding about
    fsm::Actions machine_actions;
    wire::UpdateDecoder decoder;

    std::optional<Time> earliest;  ///< no timer is due before; nothing when none runs
    bool more_work = false;
    std::size_t dynamic_peers = 0;
    bool monitoring = false;  ///< there are stations to tell
    bool count_selected = false;
    std::array<std::uint64_t, 2> selected{};  ///< routes in the Loc-RIB while monitoring, by family_index
    bool judging = false;                     ///< kept paths of a session are to be judged again
    bool unfinished = false;                  ///< something happened since the last TurnEnd

    wire::FamilySet preserved_at_start;  ///< kernel routes of an earlier run
    wire::FamilySet kernel_routes;       ///< now
    bool heard_kernel = false;
    bool deferring = false;  ///< selection waits (RFC 4724 section 4.1)
    Time started{};
    bool fib_complete = false;
    bool finished = false;  ///< the process ends
    bool left = false;      ///< by the operator: no sessions, no routes
};

template <>
const Family<net::PrefixKey4>& Speaker::Impl::family() const noexcept;
template <>
const Family<net::PrefixKey6>& Speaker::Impl::family() const noexcept;

}  // namespace manul::bgp::speaker
