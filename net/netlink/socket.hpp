#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/encode.hpp"
#include "net/netlink/message.hpp"

namespace manul::netlink {

struct SocketError {
    enum class Kind : std::uint8_t {
        refused,      ///< the kernel answered with `code`; nothing was changed by that request
        overrun,      ///< the receive buffer overflowed: which requests took effect is unknown, list again
        interrupted,  ///< a dump changed under our feet five times in a row
        timeout,
        io,
    };
    Kind kind = Kind::io;
    int code = 0;  ///< errno value
    std::string text;

    /// "File exists" or "File exists: <the kernel's explanation>".
    [[nodiscard]] std::string message() const;
    /// Of a system call that just failed: `what` and errno.
    [[nodiscard]] static SocketError from_errno(std::string_view what);
    [[nodiscard]] bool is(int errno_value) const noexcept { return kind == Kind::refused && code == errno_value; }
};
/// Bytes that one recv must have room for: the kernel fills at most 32 KiB into one datagram.
inline constexpr std::size_t kReceiveSize = std::size_t{64} << 10U;

template <class T>
using SocketResult = std::expected<T, SocketError>;

/// One request of a batch that the kernel refused.
struct RefusedRequest {
    std::size_t index = 0;  ///< of the call that appended it
    int code = 0;           ///< errno value
    std::string text;       ///< the kernel's explanation, often empty
};

/// A NETLINK_ROUTE socket for requests. It stays in the network namespace in which it was opened, wherever the thread
/// goes. Blocking, one thread at a time; the kernel works inside send, so waits are short. No events arrive here.
class Socket {
public:
    struct Options {
        std::size_t receive_buffer = 0;  ///< bytes, beyond the system limit; 0 = the system's default
        std::chrono::milliseconds timeout{10'000};
    };
    using OnMessage = std::function<void(const MessageView&)>;

    [[nodiscard]] static SocketResult<Socket> open(const Options& options);
    [[nodiscard]] static SocketResult<Socket> open() { return open(Options{}); }

    /// Sends one request that changes something and waits for the answer. `on_message` sees an echo, if one was wanted.
    [[nodiscard]] SocketResult<void> request(RequestBuffer& requests, const OnMessage& on_message = {});
    /// Sends any number of requests, 100 in one system call with one acknowledgement at their end. The kernel goes on
    /// after one that it refuses; all that were refused are returned, in order. The buffer is left as sent, for reuse.
    [[nodiscard]] SocketResult<std::vector<RefusedRequest>> batch(RequestBuffer& requests);
    /// Sends the one dump request in the buffer. A dump that the kernel marks as inconsistent is repeated; only the
    /// messages of a good one are given, after its end.
    template <class T>
    [[nodiscard]] SocketResult<std::vector<T>> dump(RequestBuffer& request) {
        std::vector<T> found;
        auto done = dump_messages(
            request, [&found] { found.clear(); },
            [&found](const MessageView& message) {
                auto event = decode_event(message);
                if (auto* changed = event ? std::get_if<Changed<T>>(&*event) : nullptr) {
                    found.push_back(std::move(changed->value));
                }
            });
        if (!done) {
            return std::unexpected(std::move(done).error());
        }
        return found;
    }

    // The usual questions.
    [[nodiscard]] SocketResult<std::vector<Link>> links();
    /// Nothing when there is no such link.
    [[nodiscard]] SocketResult<std::optional<Link>> link(std::string_view name);
    [[nodiscard]] SocketResult<std::optional<Link>> link(std::uint32_t index);
    [[nodiscard]] SocketResult<std::vector<Address>> addresses(std::uint32_t ifindex = 0);
    [[nodiscard]] SocketResult<std::vector<Route>> routes(const RouteFilter& filter);
    [[nodiscard]] SocketResult<std::vector<Neighbour>> neighbours(net::Family family, std::uint32_t ifindex = 0);
    [[nodiscard]] SocketResult<std::vector<Nexthop>> nexthops();
    /// The table entry that leads to `destination`; nothing when there is none.
    [[nodiscard]] SocketResult<std::optional<Route>> route_to(const net::Ip& destination);

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    /// By which the kernel names this socket as the cause of an event.
    [[nodiscard]] std::uint32_t port() const noexcept;

private:
    Socket(UniqueFd fd, const Options& options);

    [[nodiscard]] SocketResult<void> dump_messages(RequestBuffer& request, const std::function<void()>& on_start,
                                                   const OnMessage& on_message);
    template <class T>
    [[nodiscard]] SocketResult<std::optional<T>> ask(RequestBuffer& question, std::initializer_list<int> none);
    [[nodiscard]] SocketResult<void> send(ByteView bytes);
    [[nodiscard]] SocketResult<ByteView> receive(std::chrono::steady_clock::time_point deadline);
    [[nodiscard]] SocketResult<void> collect(std::uint32_t first, std::uint32_t last, std::size_t base,
                                             std::vector<RefusedRequest>& refused, const OnMessage& on_message);

    UniqueFd fd_;
    std::chrono::milliseconds timeout_;
    std::unique_ptr<std::uint8_t[]> buffer_;
    std::uint32_t sequence_ = 0;
};

}  // namespace manul::netlink
