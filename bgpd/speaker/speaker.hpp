#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "bgpd/speaker/action.hpp"
#include "bgpd/speaker/event.hpp"
#include "bgpd/speaker/monitor.hpp"
#include "bgpd/speaker/status.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::bgp::speaker {

/// The whole BGP speaker without I/O: events in, actions out, time as an argument. One speaker a process, or ten in a
/// test.
///
/// Bytes of peers are framed, validated and put into the tables at once (bgpd/wire, bgpd/rib); what follows from them
/// (decision, kernel routes, messages to peers) is made once, when TurnEnd is handled, so that a burst is packed
/// without a timer. Long work (the tables of a lost session, a table for a new peer, a changed next hop) is done in
/// slices, one a TurnEnd.
class Speaker {
public:
    Speaker();
    ~Speaker();
    Speaker(const Speaker&) = delete;
    Speaker& operator=(const Speaker&) = delete;

    struct Outcome {
        std::span<const Action> actions;  ///< valid until the next call
        std::size_t consumed = 0;         ///< bytes of a Received event
    };

    [[nodiscard]] Outcome handle(const Event& event, Time now);

    /// When handle(Tick) is due at the latest; nothing when no timer runs.
    [[nodiscard]] std::optional<Time> next_deadline() const;
    /// There is work left for another TurnEnd: send one when no input is waiting.
    [[nodiscard]] bool busy() const;

    [[nodiscard]] std::vector<PeerStatus> peers() const;
    /// All paths of one prefix, best first.
    [[nodiscard]] std::vector<RouteView> paths(const net::Prefix& prefix) const;
    /// The longest prefix with a path that contains the address.
    [[nodiscard]] std::optional<net::Prefix> longest_match(const net::Ip& address) const;
    /// A part of the routes asked for: looks at `slots` places of the tables at most, so that it never takes long.
    [[nodiscard]] RoutePage routes(const RouteQuery& query, Cursor from, std::size_t slots) const;
    [[nodiscard]] SentCounts sent_counts(Cursor from, std::size_t slots) const;
    /// What each peer with a session in this family is told about the prefix.
    [[nodiscard]] std::vector<ExportView> exports(const net::Prefix& prefix) const;
    /// What would change for a part of the routes if these peers had these rules.
    [[nodiscard]] FilterTrial try_filters(const std::map<net::Ip, policy::PeerFilters>& rules, Cursor from,
                                          std::size_t slots) const;
    /// Prefixes with at least one path inside `within`, in order, at most `limit`.
    [[nodiscard]] std::vector<net::Prefix> prefixes(const net::Prefix& within, std::size_t limit) const;
    /// Calls `visit` for the paths of some prefixes, those of a prefix one after another; the next part of the table
    /// begins at the returned place, nothing when this was the last. Start with 0. Parts are `count` places of the
    /// table each, so that whoever walks a large one can let others have a turn in between.
    [[nodiscard]] std::optional<std::uint32_t> walk(net::Family family, std::uint32_t from, std::uint32_t count,
                                                    const std::function<void(const TablePath&)>& visit) const;

    /// For a monitoring station that comes now: the sessions there are, and then, part by part from Cursor{} on, all
    /// tables. Actions Monitored between the parts belong to the picture.
    [[nodiscard]] std::vector<MonitorEvent> monitor_sessions() const;
    [[nodiscard]] MonitoredSelf monitored_self() const;
    [[nodiscard]] MonitorPart monitor_tables(Cursor from, std::size_t slots);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace manul::bgp::speaker
