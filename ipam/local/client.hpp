#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <string>

#include "base/unique_fd.hpp"
#include "ipam/local/protocol.hpp"

namespace manul::ipam {

struct ClientError {
    enum class Kind : std::uint8_t {
        unreachable,  ///< nobody listens: the request was not made
        lost,         ///< the connection ended after the request was sent: the request may have taken effect
        timeout,      ///< no answer in time: as `lost`
        protocol,     ///< something else answered
        too_large,    ///< the request is longer than the protocol allows: it was not made
    };
    Kind kind = Kind::unreachable;
    std::string message;
};

/// One request to manul-ipamd over its plugin socket; blocking, with a deadline for the whole conversation. send() and
/// receive() are apart so that the caller can work while ipamd commits.
class Client {
public:
    using Clock = std::chrono::steady_clock;

    /// Waits for a listener that is not there yet (ipamd starting) until `connect_deadline`.
    [[nodiscard]] static std::expected<Client, ClientError> connect(const std::string& socket_path,
                                                                    Clock::time_point connect_deadline,
                                                                    Clock::time_point deadline);
    [[nodiscard]] std::expected<void, ClientError> send(const Request& request);
    [[nodiscard]] std::expected<Answer, ClientError> receive();

private:
    Client(UniqueFd fd, Clock::time_point deadline) noexcept;

    UniqueFd fd_;
    Clock::time_point deadline_;
};

}  // namespace manul::ipam
