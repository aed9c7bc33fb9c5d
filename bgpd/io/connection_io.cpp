#include "bgpd/io/connection_io.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/bytes.hpp"
#include "base/unique_fd.hpp"
#include "bgpd/io/tcp.hpp"
#include "bgpd/speaker/action.hpp"
#include "bgpd/speaker/event.hpp"

namespace manul::bgp::io {
namespace {

// A little of each peer in each turn: larger reads are no faster, and make the others wait for milliseconds.
constexpr std::size_t kRead = std::size_t{16} << 10U;
constexpr std::size_t kLongestTail = 65535;    // a message but for one byte
constexpr std::size_t kMostSpansOfSend = 256;  // of one sendmsg
constexpr std::chrono::seconds kFlushTime{1};

}  // namespace

ConnectionIo::ConnectionIo(OnBytes on_bytes, OnEvent on_event)
    : on_bytes_(std::move(on_bytes)),
      on_event_(std::move(on_event)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      buffer_(std::make_unique_for_overwrite<std::uint8_t[]>(kLongestTail + kRead)) {}

void ConnectionIo::watch(std::uint32_t id, const Connection& connection, int operation) {
    epoll_event what{};
    what.data.u32 = id;
    const bool writable = connection.phase == Phase::connecting || connection.waits_for_writable;
    const bool readable = connection.phase != Phase::connecting;
    what.events = (writable ? std::uint32_t{EPOLLOUT} : 0U) | (readable ? std::uint32_t{EPOLLIN} : 0U);
    ::epoll_ctl(epoll_.get(), operation, connection.fd.get(), &what);
}

void ConnectionIo::connect(const speaker::Connect& how) {
    auto fd = connect_to(how);
    if (!fd) {
        on_event_(speaker::Closed{how.connection, fd.error().message});
        return;
    }
    const std::uint32_t id = how.connection.value();
    Connection& connection = connections_[id];
    connection.fd = *std::move(fd);
    watch(id, connection, EPOLL_CTL_ADD);
}

speaker::ConnectionId ConnectionIo::adopt(UniqueFd fd) {
    while (connections_.contains(next_accepted_)) {
        next_accepted_ = (next_accepted_ + 1) | speaker::kFirstAcceptedConnection;
    }
    const std::uint32_t id = std::exchange(next_accepted_, (next_accepted_ + 1) | speaker::kFirstAcceptedConnection);
    Connection& connection = connections_[id];
    connection.fd = std::move(fd);
    connection.phase = Phase::open;
    watch(id, connection, EPOLL_CTL_ADD);
    return speaker::ConnectionId(id);
}

void ConnectionIo::write(const speaker::Write& what) {
    const auto found = connections_.find(what.connection.value());
    if (found == connections_.end() || found->second.phase != Phase::open || found->second.broken) {
        return;
    }
    Connection& connection = found->second;
    const std::size_t size = what.chunk->size_for(what.reader);
    if (size == 0) {
        return;
    }
    connection.queue.push_back({what.chunk, what.reader});
    connection.backlog += size;
    if (!std::exchange(connection.dirty, true)) {
        dirty_.push_back(found->first);
    }
}

void ConnectionIo::close(const speaker::Close& what, TimePoint now) {
    const auto found = connections_.find(what.connection.value());
    if (found == connections_.end()) {
        return;
    }
    Connection& connection = found->second;
    if (!what.flush || connection.phase == Phase::connecting || connection.broken) {
        connections_.erase(found);
        return;
    }
    connection.phase = Phase::flushing;
    closing_.emplace_back(now + kFlushTime, found->first);
    if (!std::exchange(connection.dirty, true)) {
        dirty_.push_back(found->first);
    }
}

void ConnectionIo::flush() {
    for (const std::uint32_t id : std::exchange(dirty_, {})) {
        if (const auto found = connections_.find(id); found != connections_.end()) {
            found->second.dirty = false;
            if (!found->second.waits_for_writable) {
                send(id, found->second);
            }
        }
    }
}

void ConnectionIo::send(std::uint32_t id, Connection& connection) {
    while (!connection.queue.empty() && !connection.broken) {
        std::array<iovec, kMostSpansOfSend> vectors;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled below
        std::size_t count = 0;
        std::size_t skip = connection.sent_of_first;
        for (const Pending& pending : connection.queue) {
            spans_.clear();
            pending.chunk->append_spans(pending.reader, spans_);
            for (ByteView span : spans_) {
                const std::size_t skipped = std::min(skip, span.size());
                skip -= skipped;
                span = span.subspan(skipped);
                if (!span.empty() && count < kMostSpansOfSend) {
                    // sendmsg reads only; its interface has no const.
                    vectors[count++] = {const_cast<std::uint8_t*>(span.data()),  // NOLINT
                                        span.size()};
                }
            }
            if (count == kMostSpansOfSend) {
                break;
            }
        }
        msghdr message{};
        message.msg_iov = vectors.data();
        message.msg_iovlen = count;
        const ssize_t sent = ::sendmsg(connection.fd.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno != EAGAIN) {
            connection.broken = true;
            connection.queue.clear();
            connection.backlog = 0;
            break;
        }
        if (sent < 0) {
            break;
        }
        auto gone = static_cast<std::size_t>(sent);
        connection.backlog -= gone;
        gone += connection.sent_of_first;
        while (!connection.queue.empty()) {
            const Pending& first = connection.queue.front();
            const std::size_t size = first.chunk->size_for(first.reader);
            if (gone < size) {
                break;
            }
            gone -= size;
            connection.queue.pop_front();
        }
        connection.sent_of_first = gone;
    }
    const bool wait = !connection.queue.empty();
    if (wait != std::exchange(connection.waits_for_writable, wait)) {
        watch(id, connection, EPOLL_CTL_MOD);
    }
    if (connection.phase == Phase::flushing && connection.queue.empty()) {
        ::shutdown(connection.fd.get(), SHUT_WR);
        connection.phase = Phase::draining;
    }
    if (connection.phase == Phase::open && connection.backlog != connection.reported) {
        connection.reported = connection.backlog;
        on_event_(speaker::Backlog{speaker::ConnectionId(id), connection.backlog});
    }
}

void ConnectionIo::poll() {
    std::array<epoll_event, 512> ready;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled by epoll_wait
    const int count = ::epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()), 0);
    flooding_.clear();
    bool others = false;
    for (int i = 0; i < count; ++i) {
        const std::uint32_t id = ready[static_cast<std::size_t>(i)].data.u32;
        const std::uint32_t events = ready[static_cast<std::size_t>(i)].events;
        const auto found = connections_.find(id);
        if (found == connections_.end()) {
            continue;  // closed by what an earlier one of this turn brought
        }
        if (found->second.phase == Phase::connecting) {
            finish_connecting(id, found->second);
            continue;
        }
        if ((events & EPOLLOUT) != 0) {
            send(id, found->second);
        }
        if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
            if (found->second.floods) {
                flooding_.push_back(id);
            } else {
                others = read(id) || others;
            }
        }
    }
    left_out_ = others && !flooding_.empty() && !left_out_;
    if (!left_out_) {
        for (const std::uint32_t id : flooding_) {
            read(id);
        }
    }
}

void ConnectionIo::finish_connecting(std::uint32_t id, Connection& connection) {
    int code = 0;
    socklen_t size = sizeof code;
    ::getsockopt(connection.fd.get(), SOL_SOCKET, SO_ERROR, &code, &size);
    if (code != 0) {
        lost(id, std::strerror(code));  // NOLINT(concurrency-mt-unsafe): one thread
        return;
    }
    connection.phase = Phase::open;
    watch(id, connection, EPOLL_CTL_MOD);
    on_event_(speaker::Connected{speaker::ConnectionId(id), local_endpoint(connection.fd.get())});
}

bool ConnectionIo::read(std::uint32_t id) {
    const auto found = connections_.find(id);
    if (found == connections_.end()) {
        return false;  // closed by what another one brought
    }
    Connection& connection = found->second;
    const std::size_t kept = connection.tail.size();
    std::ranges::copy(connection.tail, buffer_.get());
    const ssize_t got = ::recv(connection.fd.get(), buffer_.get() + kept, kRead, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (got <= 0) {
        lost(id, got == 0 ? "the peer closed the connection"
                          : std::strerror(errno));  // NOLINT(concurrency-mt-unsafe): one thread
        return true;
    }
    connection.floods = static_cast<std::size_t>(got) == kRead;
    if (connection.phase != Phase::open) {
        return false;  // nobody listens any more
    }
    const ByteView data(buffer_.get(), kept + static_cast<std::size_t>(got));
    const std::size_t consumed = on_bytes_(speaker::ConnectionId(id), data);
    // What was read may have closed this connection, or made others.
    if (const auto still = connections_.find(id); still != connections_.end()) {
        const ByteView rest = data.subspan(consumed);
        still->second.tail.assign(rest.begin(), rest.end());
    }
    return true;
}

void ConnectionIo::lost(std::uint32_t id, std::string reason) {
    const auto found = connections_.find(id);
    const Phase phase = found->second.phase;
    connections_.erase(found);
    if (phase == Phase::connecting || phase == Phase::open) {
        on_event_(speaker::Closed{speaker::ConnectionId(id), std::move(reason)});
    }
}

void ConnectionIo::expire(TimePoint now) {
    while (!closing_.empty() && closing_.front().first <= now) {
        const auto found = connections_.find(closing_.front().second);
        // The number may have been given to a new connection meanwhile.
        if (found != connections_.end() && found->second.phase >= Phase::flushing) {
            connections_.erase(found);
        }
        closing_.pop_front();
    }
}

void ConnectionIo::finish(TimePoint until) {
    const auto closing = [this] {
        return std::ranges::any_of(connections_, [](const auto& one) { return one.second.phase >= Phase::flushing; });
    };
    for (auto now = std::chrono::steady_clock::now(); now < until && closing();
         now = std::chrono::steady_clock::now()) {
        pollfd ready{epoll_.get(), POLLIN, 0};
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now).count();
        static_cast<void>(::poll(&ready, 1, static_cast<int>(left)));
        poll();
    }
}

std::optional<ConnectionIo::TimePoint> ConnectionIo::next_deadline() const {
    return closing_.empty() ? std::nullopt : std::optional(closing_.front().first);
}

}  // namespace manul::bgp::io
