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

private:
    FlowLog(boost::asio::io_context& io, UniqueFd fd, OnPacket on_packet);
    void on_readable();

    UniqueFd fd_;
    OnPacket on_packet_;
    std::vector<std::uint8_t> buffer_;
    ReadableWatch watch_;
};

/// "SRC=10.65.0.2 DST=10.65.0.3 PROTO=TCP SPT=40000 DPT=80": what the kernel's own log line says of a packet, as far as
/// policy is concerned. Anything that is no IP packet gives an empty text.
[[nodiscard]] std::string describe_packet(ByteView payload);

}  // namespace manul::felix::io
