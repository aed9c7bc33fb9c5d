#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "bgpd/speaker/monitor.hpp"
#include "bgpd/speaker/speaker.hpp"
#include "bgpd/wire/open.hpp"
#include "bgpd/wire/update.hpp"

/// One speaker, and around it a world that believes nothing: peers that remember what they announced and what they were
/// told, a kernel, a clock. check() compares that with what the speaker says, worked out anew.
namespace manul::fuzz {

namespace speaker = bgp::speaker;
namespace wire = bgp::wire;

/// Ends the program, for the fuzzer to see.
void require(bool condition);

class World {
public:
    /// A prefix, and the path identifier where there is one.
    using Path = std::pair<net::Prefix, std::uint32_t>;

    /// The far end of a session.
    struct Far {
        net::Ip address;
        std::uint32_t as = 0;
        std::optional<speaker::ConnectionId> connection;
        Bytes sending;                           ///< not yet a whole message
        Bytes heard;                             ///< likewise
        std::optional<wire::Open> theirs;        ///< the speaker's
        std::optional<wire::Open> ours;          ///< as the speaker reads it
        std::optional<wire::Negotiated> agreed;  ///< from the speaker's side
        bool up = false;                         ///< the session, as the speaker reports it
        std::set<Path> announced;
        bool exact = true;  ///< `announced` says it all: no marks of a refresh make stale paths go
        std::size_t backlog = 0;
        bool too_many = false;  ///< the last message was sent away because of the maximum of prefixes
        struct Told {
            wire::NextHop next_hop;
            Bytes attributes;
            bool operator==(const Told&) const = default;
        };
        std::map<Path, Told> told;
    };

    /// What a monitoring station knows.
    struct Station {
        using Routes = std::map<Path, Far::Told>;
        std::map<std::optional<net::Ip>, std::map<speaker::MonitoredTable, Routes>> peers;  ///< that are up
    };

    explicit World(wire::FamilySet in_kernel);

    void handle(speaker::Event event);
    /// Turns until the speaker has nothing left to do.
    void settle();
    void advance(std::chrono::milliseconds duration);
    void configure(std::shared_ptr<const speaker::Configuration> configuration);
    /// What the host says about a next hop from now on.
    void resolve(const net::Ip& next_hop, std::optional<speaker::Resolution> way);

    void connect(std::size_t far);
    void close(std::size_t far);
    void send(std::size_t far, ByteView bytes);
    [[nodiscard]] speaker::PeerStatus status(const Far& far) const;

    void check();
    /// Nobody and nothing is left: neither may anything of theirs be.
    void leave_and_check();

    std::vector<Far> fars;

private:
    void carry_out(const speaker::Action& action);
    void hear(Far& far, const speaker::Write& write);
    void hear_message(Far& far, const wire::Frame& frame);
    void deliver(Far& far, const wire::Frame& frame);
    void note(Far& far, ByteView body);
    void check_maximum(Far& far) const;
    void report(Station& station, const speaker::MonitorEvent& event) const;
    void check_stations();
    void check_told(const Far& far, const net::Prefix& prefix, const speaker::ExportView& wanted) const;
    void check_received() const;
    void check_selection(const net::Prefix& prefix, const std::vector<speaker::RouteView>& paths) const;
    void check_kernel(const net::Prefix& prefix, const std::vector<speaker::RouteView>& paths) const;

    speaker::Speaker speaker_;
    speaker::Time now_{std::chrono::hours(1)};
    std::shared_ptr<const speaker::Configuration> configuration_;
    std::map<net::Ip, std::optional<speaker::Resolution>> ways_;
    std::set<net::Ip> tracked_;
    std::vector<speaker::Event> answers_;
    std::map<net::Prefix, speaker::FibGroupId> fib_;
    std::map<speaker::FibGroupId, std::vector<speaker::FibMember>> groups_;
    Station station_;    ///< has been told all from the start
    bool held_ = false;  ///< the speaker may wait for peers before it selects anything
    std::uint32_t next_accepted_ = speaker::kFirstAcceptedConnection;
};

}  // namespace manul::fuzz
