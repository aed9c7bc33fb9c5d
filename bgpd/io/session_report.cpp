#include "bgpd/io/session_report.hpp"

#include <chrono>
#include <ctime>
#include <optional>
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

/// The clocks' distance, kept until it is another one by more than a second: a moment has one text until the time of
/// day is set, and the right one afterwards.
std::string wall_clock_text(speaker::Time time) {
    using std::chrono::system_clock;
    static std::optional<system_clock::duration> distance;
    const auto now = system_clock::now().time_since_epoch() -
                     std::chrono::duration_cast<system_clock::duration>(speaker::Time::clock::now().time_since_epoch());
    if (!distance || std::chrono::abs(now - *distance) > std::chrono::seconds(1)) {
        distance = now;
    }
    const system_clock::time_point wall(std::chrono::duration_cast<system_clock::duration>(time.time_since_epoch()) +
                                        *distance);
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(system_clock::to_time_t(wall)));
}

void SessionReport::changed(const speaker::PeerStatus& status, bool removed) {
    if (removed) {
        known_.erase(status.id);
        return;
    }
    Known& known = known_[status.id];
    model::ReportedSession& session = known.session;
    known.since = status.since;
    session.peer = address_text(status);
    session.family = families_of(status);
    session.type = type_of(status.origin);
    session.as_number = status.remote_as;
    // Both enumerations are the states of RFC 4271 in its order.
    session.state = static_cast<model::SessionState>(status.state);
    session.last_error = status.last_error;
}

std::vector<model::ReportedSession> SessionReport::sessions() const {
    std::vector<model::ReportedSession> result;
    result.reserve(known_.size());
    for (const auto& [id, known] : known_) {
        result.push_back(known.session);
        result.back().since = wall_clock_text(known.since);
    }
    return result;
}

}  // namespace manul::bgp::io
