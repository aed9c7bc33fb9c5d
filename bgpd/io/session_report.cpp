#include "bgpd/io/session_report.hpp"

#include <chrono>
#include <ctime>
#include <string>
#include <vector>

#include <fmt/chrono.h>
#include <fmt/core.h>

#include "bgpd/io/address_text.hpp"
#include "bgpd/speaker/configuration.hpp"
#include "bgpd/speaker/status.hpp"
#include "config/model/node_report.hpp"

namespace manul::bgp::io {
namespace {

model::SessionType type_of(speaker::PeerOrigin origin) {
    switch (origin) {
        case speaker::PeerOrigin::node_mesh:
            return model::SessionType::mesh;
        case speaker::PeerOrigin::node_specific:
            return model::SessionType::node;
        case speaker::PeerOrigin::global:
            break;
    }
    return model::SessionType::global;
}

/// What was negotiated, else the family of the session's addresses.
std::string families_of(const speaker::PeerStatus& status) {
    const bool v4 = status.v4.negotiated || (!status.v6.negotiated && status.address.is_v4());
    const bool v6 = status.v6.negotiated || (!status.v4.negotiated && status.address.is_v6());
    return v4 && v6 ? "IPv4,IPv6" : v4 ? "IPv4" : "IPv6";
}

}  // namespace

std::string wall_clock_text(speaker::Time time) {
    using std::chrono::system_clock;
    const auto ago = std::chrono::steady_clock::now() - time;
    const auto wall = system_clock::now() - std::chrono::duration_cast<system_clock::duration>(ago);
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(system_clock::to_time_t(wall)));
}

void SessionReport::changed(const speaker::PeerStatus& status, bool removed) {
    if (removed) {
        known_.erase(status.id);
        return;
    }
    Known& known = known_[status.id];
    model::ReportedSession& session = known.session;
    session.peer = address_text(status);
    session.family = families_of(status);
    session.type = type_of(status.origin);
    session.as_number = status.remote_as;
    // Both enumerations are the states of RFC 4271 in its order.
    session.state = static_cast<model::SessionState>(status.state);
    session.last_error = status.last_error;
    if (session.since.empty() || known.since != status.since) {
        known.since = status.since;
        session.since = wall_clock_text(status.since);
    }
}

std::vector<model::ReportedSession> SessionReport::sessions() const {
    std::vector<model::ReportedSession> result;
    result.reserve(known_.size());
    for (const auto& [id, known] : known_) {
        result.push_back(known.session);
    }
    return result;
}

}  // namespace manul::bgp::io
