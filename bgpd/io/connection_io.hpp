#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/unique_fd.hpp"
#include "bgpd/speaker/action.hpp"
#include "bgpd/speaker/event.hpp"

namespace manul::bgp::io {

/// The TCP connections of all peers on one epoll descriptor. `poll` reads what is ready, a limited amount from each,
/// and hands it over; writes are collected and sent together by `flush`. Everything else that happens is reported as
/// events; the receiver puts them in a queue, since some come from inside a call that an action of the speaker caused.
///
/// A peer that has much to say (a table) does not keep the others waiting: what they said is handed over alone, so that
/// it is worked on and sent before the next piece of the table; every other call reads from all.
class ConnectionIo {
public:
    /// Bytes of a connection, with what an earlier call left; returns how many were consumed.
    using OnBytes = std::function<std::size_t(speaker::ConnectionId connection, ByteView data)>;
    using OnEvent = std::function<void(speaker::Event event)>;
    using TimePoint = std::chrono::steady_clock::time_point;

    ConnectionIo(OnBytes on_bytes, OnEvent on_event);

    /// Readable when `poll` has something to do.
    [[nodiscard]] int fd() const noexcept { return epoll_.get(); }
    /// Handles everything that is ready now; never blocks.
    void poll();

    void connect(const speaker::Connect& how);
    /// Takes an accepted connection; the number is of the accepted kind.
    [[nodiscard]] speaker::ConnectionId adopt(UniqueFd fd);
    void write(const speaker::Write& what);
    void close(const speaker::Close& what, TimePoint now);
    /// Sends what was written since the last call, as far as the kernel takes it, and reports changed backlogs.
    void flush();

    /// Ends connections that were to be flushed and have had their time.
    void expire(TimePoint now);
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;
    /// Blocks until what was written to closed connections has been taken, or until this time.
    void finish(TimePoint until);

private:
    enum class Phase : std::uint8_t {
        connecting,
        open,
        flushing,  ///< closed by the speaker: what was written goes out, then our side is shut
        draining,  ///< our side is shut; waiting for the peer's, so that no reset overtakes our last message
    };
    struct Pending {
        rib::ChunkPtr chunk;
        rib::SourceId reader;
    };
    struct Connection {
        UniqueFd fd;
        Phase phase = Phase::connecting;
        bool dirty = false;  ///< in dirty_
        bool waits_for_writable = false;
        bool broken = false;  ///< a write failed; the read side will say why
        bool floods = false;  ///< the last read left something behind
        Bytes tail;           ///< received, not consumed: part of a message
        std::deque<Pending> queue;
        std::size_t sent_of_first = 0;  ///< bytes of the first chunk that are gone
        std::size_t backlog = 0;        ///< bytes in the queue that the kernel has not taken
        std::size_t reported = 0;       ///< backlog as the speaker knows it
    };
    using Connections = std::unordered_map<std::uint32_t, Connection>;

    void watch(std::uint32_t id, const Connection& connection, int operation);
    void finish_connecting(std::uint32_t id, Connection& connection);
    /// True when bytes were handed over.
    bool read(std::uint32_t id);
    void send(std::uint32_t id, Connection& connection);
    void lost(std::uint32_t id, std::string reason);

    OnBytes on_bytes_;
    OnEvent on_event_;
    UniqueFd epoll_;
    Connections connections_;
    std::vector<std::uint32_t> dirty_;
    std::deque<std::pair<TimePoint, std::uint32_t>> closing_;  ///< in order of time
    std::uint32_t next_accepted_ = speaker::kFirstAcceptedConnection;
    std::unique_ptr<std::uint8_t[]> buffer_;  ///< shared by all reads
    std::vector<ByteView> spans_;
    std::vector<std::uint32_t> flooding_;  ///< ready, and kept for last
    bool left_out_ = false;                ///< they were not read from the last time
};

}  // namespace manul::bgp::io
