#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "bgpd/fsm/event.hpp"
#include "bgpd/policy/route.hpp"
#include "bgpd/speaker/event.hpp"
#include "bgpd/wire/capability.hpp"
#include "bgpd/wire/update.hpp"
#include "net/asn.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

/// What people ask a speaker: values for manulctl, NodeReport and metrics.
namespace manul::bgp::speaker {

/// Of the peer's connection that is furthest; fsm::to_string names it.
using SessionState = fsm::State;

struct FamilyCounters {
    bool negotiated = false;
    std::uint32_t received = 0;  ///< paths in our tables
    std::uint32_t accepted = 0;  ///< of these, not refused by import rules
    bool end_of_rib = false;     ///< the peer has sent its whole table
    bool stale = false;          ///< the peer is away or has just come back; its old routes are kept meanwhile

    bool operator==(const FamilyCounters&) const = default;
};

struct PeerStatus {
    std::string id;   ///< of the peer as configured: its address, or the interface that it is on
    net::Ip address;  ///< with scope; unspecified while an interface's neighbour is not known
    std::string name;
    PeerOrigin origin = PeerOrigin::node_mesh;
    net::Asn remote_as = *net::Asn::make(1);
    net::Asn local_as = *net::Asn::make(1);
    SessionState state = SessionState::idle;
    Time since{};            ///< of the state
    std::string last_error;  ///< why the session last went down, or why it is held down
    std::optional<net::RouterId> remote_id;
    std::chrono::seconds hold_time{0};  ///< negotiated
    FamilyCounters v4;
    FamilyCounters v6;
    std::uint64_t updates_in = 0;
    std::uint64_t bytes_out = 0;  ///< routes only
    // Since the peer was configured.
    std::uint64_t messages_in = 0;
    std::uint64_t messages_out = 0;
    std::uint64_t malformed_in = 0;  ///< UPDATEs with errors, whatever RFC 7606 said about them
    std::uint64_t withdrawn_in = 0;  ///< of these, taken for withdrawals of their routes
    std::string last_malformed;      ///< what was wrong with the last of them, and what it led to
    std::uint32_t times_up = 0;
    std::size_t backlog = 0;  ///< bytes that the peer has yet to read
    std::vector<std::string> filters;
    bool passive = false;
    std::optional<wire::Capabilities> sent;      ///< capabilities of this session
    std::optional<wire::Capabilities> received;  ///< absent: no session
};

/// One path of a prefix, with what the decision says about it.
struct RouteView {
    net::Prefix prefix;
    policy::SourceKind source = policy::SourceKind::local;
    std::optional<net::Ip> peer;  ///< learned from; absent: a route of this host
    std::optional<net::Ip> next_hop;
    bool next_hop_reachable = true;
    bool best = false;
    bool multipath = false;
    bool accepted = true;
    std::string verdict;    ///< "best", "multipath", or the step that decided against it, or why it was refused
    std::string rule;       ///< of an import filter that decided; empty: none did
    std::string interface;  ///< that the route leads over, as filters see it
    std::string as_path;
    std::uint8_t origin = 0;
    std::optional<std::uint32_t> med;
    std::optional<std::uint32_t> local_preference;
    std::optional<std::uint32_t> path_id;  ///< as the peer calls it (RFC 7911)
    bool stale = false;                    ///< kept from before the peer restarted
    std::vector<std::string> communities;
};

/// One path as table dumps need it. The bytes are valid during the call alone.
struct TablePath {
    net::Prefix prefix;
    std::optional<net::Ip> peer;           ///< absent: originated here
    std::optional<std::uint32_t> path_id;  ///< where the peer tells its paths apart (RFC 7911)
    ByteView attributes;                   ///< canonical (bgpd/wire/attribute.hpp)
    std::optional<wire::NextHop> next_hop;
    bool accepted = true;
    bool selected = false;
};

/// Which routes to show.
struct RouteQuery {
    enum class Table : std::uint8_t {
        all,
        accepted,  ///< by import rules
        rejected,
        best,
        sent,  ///< to `peer`, as they were sent
    };
    Table table = Table::all;
    std::optional<net::Ip> peer;         ///< learned from it; with `sent`: told to it
    std::optional<net::Prefix> within;   ///< the prefix itself and longer ones
    std::string community;               ///< "65000:7", "65000:1:2", "no-export"
    std::vector<std::uint32_t> as_path;  ///< these numbers, in this order and together
    bool path_from_start = false;        ///< they begin the path
    bool path_to_end = false;            ///< they end it
};

/// Where a walk over the tables goes on. Tables that change meanwhile may show a route twice or not at all.
struct Cursor {
    net::Family family = net::Family::v4;
    std::uint32_t slot = 0;
};

struct RoutePage {
    std::vector<RouteView> routes;
    std::optional<Cursor> next;  ///< absent: that was all
};

/// What one peer is told about a prefix, and why.
struct ExportView {
    net::Ip peer;
    std::string name;
    bool sent = false;
    std::string reason;
    std::optional<RouteView> route;  ///< as it is sent
};

/// How many routes each peer is told, of a part of the tables.
struct SentCounts {
    std::map<net::Ip, std::array<std::uint32_t, 2>> peers;  ///< by family_index
    std::optional<Cursor> next;
};

/// What other filters would change.
struct FilterDifference {
    net::Ip peer;
    bool import = false;
    net::Prefix prefix;
    std::string before;
    std::string after;
};
struct FilterTrial {
    std::vector<FilterDifference> differences;
    std::optional<Cursor> next;
};

}  // namespace manul::bgp::speaker
