#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace manul {

/// For connections that carry messages and stay: what is written leaves at once, and a peer that is gone without a word
/// is noticed by the kernel after half a minute, also while nothing is to be sent. Best effort.
inline void set_message_options(int socket) noexcept {
    constexpr int kIdleSeconds = 10;
    constexpr int kIntervalSeconds = 5;
    constexpr int kUserTimeoutMs = 30'000;
    const auto set = [socket](int level, int option, int value) {
        ::setsockopt(socket, level, option, &value, sizeof value);
    };
    set(IPPROTO_TCP, TCP_NODELAY, 1);
    set(SOL_SOCKET, SO_KEEPALIVE, 1);
    set(IPPROTO_TCP, TCP_KEEPIDLE, kIdleSeconds);
    set(IPPROTO_TCP, TCP_KEEPINTVL, kIntervalSeconds);
    set(IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMs);
}

}  // namespace manul
