#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/daemon.hpp"
#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace manul::felix::io {

/// Receives the packets that rules send to felix's NFLOG group, and gives each to `on_packet`.
class FlowLog {
public:
    struct Packet {
        std::string prefix;  ///< "L|i|1f2e3a4b5c6d7e8f": action, direction, rule id
        std::string in_interface;
        std::string out_interface;
        Bytes payload;  ///< from the IP header on, cut after the headers
    };
    using OnPacket = std::function<void(const Packet&)>;

    [[nodiscard]] static Result<std::unique_ptr<FlowLog>> open(boost::asio::io_context& io, OnPacket on_packet);

    /// How often packets were lost because the socket was full.
    [[nodiscard]] std::uint64_t overruns() const noexcept { return overruns_; }

private:
    FlowLog(boost::asio::io_context& io, UniqueFd fd, OnPacket on_packet);
    void on_readable();

    UniqueFd fd_;
    OnPacket on_packet_;
    std::vector<std::uint8_t> buffer_;
    std::uint64_t overruns_ = 0;
    ReadableWatch watch_;
};

}  // namespace manul::felix::io
