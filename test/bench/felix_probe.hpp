#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace manul::felix::bench {

/// Two real pods beside the node's many: one keeps sending to the other, which notes when the first packet of a
/// connection came through.
class Probe {
public:
    static constexpr const char* kClient = "10.200.0.1";
    static constexpr const char* kServer = "10.200.0.2";

    /// Makes both pods, their links in the namespace of the calling thread. Ends the process when that fails.
    Probe();
    ~Probe();
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;

    /// Begins a new connection to the server's port: sends without a pause until the next call.
    void send_to(std::uint16_t port);
    /// When the first packet of the connection came, by the wall clock as the kernel saw it. Ends the process when none
    /// does within a second.
    [[nodiscard]] std::chrono::nanoseconds first_arrival();
    [[nodiscard]] static std::chrono::nanoseconds now();

private:
    void keep_sending(const std::stop_token& stop);

    UniqueFd client_netns_;
    UniqueFd server_netns_;
    UniqueFd receiver_;
    static constexpr int kIdle = -1;
    static constexpr int kNobody = -2;
    std::atomic<int> sender_{kIdle};
    UniqueFd sender_fd_;
    std::jthread thread_;
};

}  // namespace manul::felix::bench
