#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "bgpd/speaker/status.hpp"
#include "config/model/node_report.hpp"
#include "net/ip.hpp"

namespace manul::bgp::io {

/// The sessions as NodeReport shows them. A report changes only when something happened: a moment of the steady clock
/// has one text of the wall clock, unless that is set.
class SessionReport {
public:
    void changed(const speaker::PeerStatus& status, bool removed);
    /// In order of names.
    [[nodiscard]] std::vector<model::ReportedSession> sessions() const;

private:
    struct Known {
        model::ReportedSession session;
        speaker::Time since{};
    };
    std::map<std::string, Known> known_;  ///< by PeerStatus::id
};

/// RFC 3339, UTC, seconds: the wall-clock time at which the steady clock showed `time`.
[[nodiscard]] std::string wall_clock_text(speaker::Time time);

}  // namespace manul::bgp::io
