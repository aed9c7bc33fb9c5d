#include "net/netlink/socket.hpp"

#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/try.hpp"
#include "base/unique_fd.hpp"
#include "net/ip.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/encode.hpp"
#include "net/netlink/message.hpp"

namespace manul::netlink {

namespace {

constexpr std::size_t kBatchRequests = 100;                  // more in one send gains nothing (measured)
constexpr std::size_t kBatchBytes = std::size_t{64} << 10U;  // well below the default send buffer
constexpr int kDumpAttempts = 5;

void set_option(int fd, int option) {
    const int on = 1;
    // An older kernel without one of these still works: less text in errors, unfiltered dumps.
    (void)::setsockopt(fd, SOL_NETLINK, option, &on, sizeof on);
}

/// After an overflow the kernel drops answers until everything that it had queued before is read: the next request
/// would wait in vain for its own.
void empty_queue(int fd, std::uint8_t* buffer) {
    while (::recv(fd, buffer, kReceiveSize, MSG_DONTWAIT) >= 0 || errno == EINTR) {
    }
}

/// The header of the request at `at`; the buffer holds only what RequestBuffer wrote.
nlmsghdr header_at(std::span<const std::uint8_t> bytes, std::size_t at) {
    nlmsghdr header{};
    std::memcpy(&header, bytes.data() + at, sizeof header);
    return header;
}

void write_header(std::span<std::uint8_t> bytes, std::size_t at, const nlmsghdr& header) {
    std::memcpy(bytes.data() + at, &header, sizeof header);
}

}  // namespace

SocketError SocketError::from_errno(std::string_view what) {
    const int code = errno;
    return {Kind::io, code, std::string(what)};
}

std::string SocketError::message() const {
    std::string reason = code != 0 ? std::strerror(code) : std::string();
    if (kind == Kind::overrun) {
        reason = "the receive buffer overflowed";
    } else if (kind == Kind::interrupted) {
        reason = "the table kept changing while it was listed";
    } else if (kind == Kind::timeout) {
        reason = "the kernel did not answer in time";
    }
    if (text.empty()) {
        return reason;
    }
    return reason.empty() ? text : reason + ": " + text;
}

Socket::Socket(UniqueFd fd, const Options& options)
    : fd_(std::move(fd)),
      timeout_(options.timeout),
      buffer_(std::make_unique_for_overwrite<std::uint8_t[]>(kReceiveSize)) {}

SocketResult<Socket> Socket::open(const Options& options) {
    UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (!fd) {
        return std::unexpected(SocketError::from_errno("cannot open a netlink socket"));
    }
    sockaddr_nl own{};
    own.nl_family = AF_NETLINK;
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0) {
        return std::unexpected(SocketError::from_errno("cannot bind a netlink socket"));
    }
    set_option(fd.get(), NETLINK_EXT_ACK);
    set_option(fd.get(), NETLINK_CAP_ACK);
    set_option(fd.get(), NETLINK_GET_STRICT_CHK);
    if (options.receive_buffer != 0) {
        const int size = static_cast<int>(options.receive_buffer);
        if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0) {
            (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        }
    }
    return Socket(std::move(fd), options);
}

std::uint32_t Socket::port() const noexcept {
    sockaddr_nl own{};
    socklen_t size = sizeof own;
    return ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&own), &size) == 0 ? own.nl_pid : 0;
}

SocketResult<void> Socket::send(ByteView bytes) {
    for (;;) {
        if (::send(fd_.get(), bytes.data(), bytes.size(), 0) >= 0) {
            return {};
        }
        if (errno != EINTR) {
            return std::unexpected(SocketError::from_errno("cannot send a netlink request"));
        }
    }
}

SocketResult<ByteView> Socket::receive(std::chrono::steady_clock::time_point deadline) {
    for (;;) {
        // The answer is there as soon as send returns, except in long dumps: try before asking poll.
        const ssize_t got = ::recv(fd_.get(), buffer_.get(), kReceiveSize, MSG_DONTWAIT | MSG_TRUNC);
        if (got >= 0) {
            if (static_cast<std::size_t>(got) > kReceiveSize) {
                return std::unexpected(SocketError{SocketError::Kind::io, EMSGSIZE, "netlink answer"});
            }
            return ByteView(buffer_.get(), static_cast<std::size_t>(got));
        }
        if (errno == ENOBUFS) {
            empty_queue(fd_.get(), buffer_.get());
            return std::unexpected(SocketError{SocketError::Kind::overrun, ENOBUFS, {}});
        }
        if (errno == EINTR) {
            continue;
        }
        if (errno != EAGAIN) {
            return std::unexpected(SocketError::from_errno("cannot read a netlink answer"));
        }
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
        pollfd waiting{fd_.get(), POLLIN, 0};
        if (left <= 0 || ::poll(&waiting, 1, static_cast<int>(std::min<long>(left, 60'000))) == 0) {
            return std::unexpected(SocketError{SocketError::Kind::timeout, ETIMEDOUT, {}});
        }
    }
}

// Reads until the answer to request `last`; `base` is the index of request `first` in the caller's buffer.
SocketResult<void> Socket::collect(std::uint32_t first, std::uint32_t last, std::size_t base,
                                   std::vector<RefusedRequest>& refused, const OnMessage& on_message) {
    const auto deadline = std::chrono::steady_clock::now() + timeout_;
    for (;;) {
        MANUL_TRY(const ByteView datagram, receive(deadline));
        MessageWalk walk(datagram);
        while (auto message = walk.next()) {
            const std::uint32_t offset = message->sequence - first;
            if (offset > last - first) {
                continue;  // late answer to a request that timed out
            }
            if (message->type != NLMSG_ERROR) {
                if (on_message) {
                    on_message(*message);
                }
                continue;
            }
            auto ack = decode_ack(*message);
            if (ack && ack->code != 0) {
                refused.push_back({base + offset, ack->code, std::move(ack->text)});
            }
            if (message->sequence == last) {
                return {};
            }
        }
    }
}

SocketResult<void> Socket::request(RequestBuffer& requests, const OnMessage& on_message) {
    auto bytes = requests.mutable_view();
    nlmsghdr header = header_at(bytes, 0);
    header.nlmsg_flags = static_cast<std::uint16_t>(header.nlmsg_flags | NLM_F_REQUEST | NLM_F_ACK);
    header.nlmsg_seq = ++sequence_;
    write_header(bytes, 0, header);
    MANUL_CHECK(send(bytes.first(header.nlmsg_len)));
    std::vector<RefusedRequest> refused;
    MANUL_CHECK(collect(sequence_, sequence_, 0, refused, on_message));
    if (!refused.empty()) {
        return std::unexpected(
            SocketError{SocketError::Kind::refused, refused.front().code, std::move(refused.front().text)});
    }
    return {};
}

SocketResult<std::vector<RefusedRequest>> Socket::batch(RequestBuffer& requests) {
    std::vector<RefusedRequest> refused;
    auto bytes = requests.mutable_view();
    std::size_t index = 0;
    for (std::size_t start = 0; start < bytes.size();) {
        const std::uint32_t first = sequence_ + 1;
        std::size_t end = start;
        std::size_t last = start;
        std::size_t count = 0;
        while (end < bytes.size() && count < kBatchRequests) {
            nlmsghdr header = header_at(bytes, end);
            if (count != 0 && end + header.nlmsg_len - start > kBatchBytes) {
                break;
            }
            header.nlmsg_flags = static_cast<std::uint16_t>((header.nlmsg_flags | NLM_F_REQUEST) & ~NLM_F_ACK);
            header.nlmsg_seq = ++sequence_;
            write_header(bytes, end, header);
            last = end;
            end += header.nlmsg_len;
            ++count;
        }
        nlmsghdr header = header_at(bytes, last);
        header.nlmsg_flags |= NLM_F_ACK;
        write_header(bytes, last, header);
        MANUL_CHECK(send(bytes.subspan(start, end - start)));
        MANUL_CHECK(collect(first, sequence_, index, refused, {}));
        start = end;
        index += count;
    }
    return refused;
}

SocketResult<void> Socket::dump_messages(RequestBuffer& request, const std::function<void()>& on_start,
                                         const OnMessage& on_message) {
    auto bytes = request.mutable_view();
    for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
        on_start();
        nlmsghdr header = header_at(bytes, 0);
        header.nlmsg_flags = static_cast<std::uint16_t>(header.nlmsg_flags | NLM_F_REQUEST);
        header.nlmsg_seq = ++sequence_;
        write_header(bytes, 0, header);
        MANUL_CHECK(send(bytes.first(header.nlmsg_len)));
        const auto deadline = std::chrono::steady_clock::now() + timeout_;
        bool interrupted = false;
        for (bool done = false; !done;) {
            MANUL_TRY(const ByteView datagram, receive(deadline));
            MessageWalk walk(datagram);
            while (auto message = walk.next()) {
                if (message->sequence != sequence_) {
                    continue;
                }
                interrupted = interrupted || (message->flags & NLM_F_DUMP_INTR) != 0;
                if (message->type != NLMSG_DONE && message->type != NLMSG_ERROR) {
                    on_message(*message);
                    continue;
                }
                done = true;
                auto ack = decode_ack(*message);
                if (ack && ack->code == EINTR) {
                    interrupted = true;
                } else if (ack && ack->code != 0) {
                    return std::unexpected(SocketError{SocketError::Kind::refused, ack->code, std::move(ack->text)});
                }
            }
        }
        if (!interrupted) {
            return {};
        }
    }
    return std::unexpected(SocketError{SocketError::Kind::interrupted, EAGAIN, {}});
}

// For a question with at most one answer.
template <class T>
SocketResult<std::optional<T>> Socket::ask(RequestBuffer& question, std::initializer_list<int> none) {
    std::optional<T> found;
    auto done = request(question, [&found](const MessageView& message) {
        auto event = decode_event(message);
        if (auto* changed = event ? std::get_if<Changed<T>>(&*event) : nullptr) {
            found = std::move(changed->value);
        }
    });
    if (!done && !std::ranges::any_of(none, [&done](int code) { return done.error().is(code); })) {
        return std::unexpected(std::move(done).error());
    }
    return found;
}

SocketResult<std::optional<Link>> Socket::link(std::string_view name) {
    RequestBuffer request;
    get_link(request, name);
    return ask<Link>(request, {ENODEV});
}

SocketResult<std::optional<Link>> Socket::link(std::uint32_t index) {
    RequestBuffer request;
    get_link(request, index);
    return ask<Link>(request, {ENODEV});
}

SocketResult<std::vector<Link>> Socket::links() {
    RequestBuffer request;
    dump_links(request);
    return dump<Link>(request);
}

SocketResult<std::vector<Address>> Socket::addresses(std::uint32_t ifindex) {
    RequestBuffer request;
    dump_addresses(request, ifindex);
    return dump<Address>(request);
}

SocketResult<std::vector<Route>> Socket::routes(const RouteFilter& filter) {
    RequestBuffer request;
    dump_routes(request, filter);
    auto routes = dump<Route>(request);
    // The kernel makes a table with its first route: in a new namespace even the main table is not there yet.
    if (!routes && filter.table != 0 && routes.error().is(ENOENT)) {
        return std::vector<Route>{};
    }
    return routes;
}

SocketResult<std::vector<Neighbour>> Socket::neighbours(net::Family family, std::uint32_t ifindex) {
    RequestBuffer request;
    dump_neighbours(request, family, ifindex);
    return dump<Neighbour>(request);
}

SocketResult<std::vector<Nexthop>> Socket::nexthops() {
    RequestBuffer request;
    dump_nexthops(request);
    return dump<Nexthop>(request);
}

SocketResult<std::optional<Route>> Socket::route_to(const net::Ip& destination) {
    RequestBuffer request;
    lookup_route(request, destination);
    return ask<Route>(request, {ENETUNREACH, EHOSTUNREACH});
}

}  // namespace manul::netlink
