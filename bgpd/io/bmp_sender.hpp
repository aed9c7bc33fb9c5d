#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/daemon.hpp"
#include "base/unique_fd.hpp"
#include "bgpd/speaker/action.hpp"
#include "bgpd/speaker/configuration.hpp"
#include "bgpd/speaker/speaker.hpp"

namespace boost::asio {
class io_context;
}

namespace manul::bgp::io {

/// Tells monitoring stations what sessions and tables do (RFC 7854). This side connects. A station that has just come
/// gets everything that is there, a part at a time and no part before it has read the one before; what happens
/// meanwhile is told in between. A station that does not read what happens is cut off, and begins anew when it is back:
/// so neither memory nor sessions depend on stations.
class BmpSender {
public:
    BmpSender(boost::asio::io_context& io, speaker::Speaker& speaker);

    /// Connects to these stations, and to no others.
    void configure(const speaker::Configuration& configuration);
    void tell(const speaker::Monitored& news);
    /// Ends everything, with a goodbye.
    void finish();

private:
    using Clock = std::chrono::steady_clock;
    struct Link {
        UniqueFd fd;             ///< none: not connected
        bool connected = false;  ///< else under way
        std::deque<std::shared_ptr<const Bytes>> queue;
        std::size_t queued = 0;         ///< bytes
        std::size_t sent_of_first = 0;  ///< of these bytes
        bool waits_for_writable = false;
        std::optional<speaker::Cursor> dump;  ///< what comes next of the tables
        std::chrono::seconds pause{0};        ///< before the next attempt
        Clock::time_point next_attempt{};
    };

    void on_sockets();
    void wake();
    void work();
    /// The sockets' part: attempts that are due, what sockets take, parts of tables. When to come back.
    [[nodiscard]] std::optional<Clock::time_point> serve(const speaker::Station& station, Link& link);
    void connect(const speaker::Station& station, Link& link);
    void greet(const speaker::Station& station, Link& link);
    void put(Link& link, std::shared_ptr<const Bytes> bytes);
    void send(const speaker::Station& station, Link& link);
    /// Says goodbye to all, as far as that needs no waiting.
    void hang_up();
    void give_up(const speaker::Station& station, Link& link, const std::string& reason);
    void watch(const speaker::Station& station, Link& link, int operation);
    void report_statistics();

    speaker::Speaker& speaker_;
    UniqueFd epoll_;
    ReadableWatch sockets_;
    Timer work_;
    Timer statistics_;
    bool awake_ = false;  ///< `work_` is due at once
    speaker::Self self_;
    std::map<speaker::Station, Link> links_;
};

}  // namespace manul::bgp::io
