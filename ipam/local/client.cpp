#include "ipam/local/client.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <string>
#include <thread>
#include <utility>

#include "base/try.hpp"
#include "base/unique_fd.hpp"
#include "ipam/local/protocol.hpp"

namespace manul::ipam {

namespace {

constexpr std::size_t kHeader = 4;
constexpr std::chrono::milliseconds kRetry{5};

std::unexpected<ClientError> error(ClientError::Kind kind, std::string message) {
    return std::unexpected(ClientError{kind, std::move(message)});
}

/// False when the deadline comes first.
bool wait_for(int fd, short events, Client::Clock::time_point deadline) {
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Client::Clock::now()).count();
        if (left <= 0) {
            return false;
        }
        pollfd waiting{fd, events, 0};
        const int ready = ::poll(&waiting, 1, static_cast<int>(std::min<long>(left, 60'000)));
        if (ready > 0) {
            return true;
        }
    }
}

std::expected<void, ClientError> receive_exactly(int fd, void* out, std::size_t size,
                                                 Client::Clock::time_point deadline) {
    auto* at = static_cast<std::uint8_t*>(out);
    while (size != 0) {
        const ssize_t got = ::recv(fd, at, size, MSG_DONTWAIT);
        if (got > 0) {
            at += got;
            size -= static_cast<std::size_t>(got);
        } else if (got == 0) {
            return error(ClientError::Kind::lost, "manul-ipamd closed the connection without an answer");
        } else if (errno == EAGAIN) {
            if (!wait_for(fd, POLLIN, deadline)) {
                return error(ClientError::Kind::timeout, "manul-ipamd did not answer in time");
            }
        } else if (errno != EINTR) {
            return error(ClientError::Kind::lost, std::string("reading manul-ipamd's answer: ") + std::strerror(errno));
        }
    }
    return {};
}

}  // namespace

Client::Client(UniqueFd fd, Clock::time_point deadline) noexcept : fd_(std::move(fd)), deadline_(deadline) {}

std::expected<Client, ClientError> Client::connect(const std::string& socket_path, Clock::time_point connect_deadline,
                                                   Clock::time_point deadline) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket_path.size() >= sizeof address.sun_path) {
        return error(ClientError::Kind::unreachable, "socket path too long: " + socket_path);
    }
    std::ranges::copy(socket_path, std::begin(address.sun_path));
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) {
        return error(ClientError::Kind::unreachable, std::string("cannot make a socket: ") + std::strerror(errno));
    }
    for (;;) {
        if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
            return Client(std::move(fd), deadline);
        }
        // ENOENT and ECONNREFUSED: ipamd is (re)starting; EAGAIN: its queue of connections is full.
        const int code = errno;
        const bool may_come = code == ENOENT || code == ECONNREFUSED || code == EAGAIN || code == EINTR;
        if (!may_come || Clock::now() + kRetry >= connect_deadline) {
            return error(ClientError::Kind::unreachable,
                         "cannot reach manul-ipamd at " + socket_path + ": " + std::strerror(code));
        }
        std::this_thread::sleep_for(kRetry);
    }
}

std::expected<void, ClientError> Client::send(const Request& request) {
    const std::string body = encode(request);
    if (body.size() > kMaxMessage) {
        return error(ClientError::Kind::too_large,
                     "labels, annotations and other settings of the pod are larger than 1 MiB");
    }
    const auto size = static_cast<std::uint32_t>(body.size());
    std::string bytes;
    bytes.reserve(kHeader + body.size());
    for (const unsigned shift : {24U, 16U, 8U, 0U}) {
        bytes.push_back(static_cast<char>(size >> shift));
    }
    bytes += body;
    for (std::size_t sent = 0; sent < bytes.size();) {
        const ssize_t wrote = ::send(fd_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (wrote >= 0) {
            sent += static_cast<std::size_t>(wrote);
        } else if (errno == EAGAIN) {
            if (!wait_for(fd_.get(), POLLOUT, deadline_)) {
                return error(ClientError::Kind::timeout, "manul-ipamd did not take the request in time");
            }
        } else if (errno != EINTR) {
            return error(ClientError::Kind::lost,
                         std::string("sending the request to manul-ipamd: ") + std::strerror(errno));
        }
    }
    return {};
}

std::expected<Answer, ClientError> Client::receive() {
    std::array<std::uint8_t, kHeader> header{};
    MANUL_CHECK(receive_exactly(fd_.get(), header.data(), header.size(), deadline_));
    const std::size_t size =
        std::size_t{header[0]} << 24U | std::size_t{header[1]} << 16U | std::size_t{header[2]} << 8U | header[3];
    if (size > kMaxMessage) {
        return error(ClientError::Kind::protocol, "manul-ipamd's answer is larger than 1 MiB");
    }
    std::string body(size, '\0');
    MANUL_CHECK(receive_exactly(fd_.get(), body.data(), body.size(), deadline_));
    auto answer = decode_answer(body);
    if (!answer) {
        return error(ClientError::Kind::protocol, "manul-ipamd: " + answer.error().message);
    }
    return *std::move(answer);
}

}  // namespace manul::ipam
