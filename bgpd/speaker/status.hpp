#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "bgpd/fsm/event.hpp"
#include "bgpd/speaker/event.hpp"
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
    net::Ip address;
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
};

/// One path of a prefix, with what the decision says about it.
struct RouteView {
    net::Prefix prefix;
    std::optional<net::Ip> peer;  ///< absent: originated here
    std::optional<net::Ip> next_hop;
    bool next_hop_reachable = true;
    bool best = false;
    bool multipath = false;
    std::string verdict;  ///< "best", "multipath", or the step that decided against it, or why it was refused
    std::string as_path;
    std::uint8_t origin = 0;
    std::optional<std::uint32_t> med;
    std::optional<std::uint32_t> local_preference;
    std::vector<std::string> communities;
};

/// One path as table dumps need it. The bytes are valid during the call alone.
struct TablePath {
    net::Prefix prefix;
    std::optional<net::Ip> peer;  ///< absent: originated here
    ByteView attributes;          ///< canonical (bgpd/wire/attribute.hpp)
    std::optional<wire::NextHop> next_hop;
    bool accepted = true;
    bool selected = false;
};

}  // namespace manul::bgp::speaker
