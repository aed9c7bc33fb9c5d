// A BFD table that is up survives every datagram; what is accepted as a packet can be written and reads the same again.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "base/bytes.hpp"
#include "bgpd/bfd/packet.hpp"
#include "bgpd/bfd/sessions.hpp"
#include "net/ip.hpp"

using namespace manul;
using namespace manul::bgp::bfd;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Sessions sessions(1);
    Actions actions;
    Time now{std::chrono::seconds(1)};
    const net::Ip remote = *net::Ip::parse("10.0.0.2");
    sessions.configure(std::vector<SessionConfig>{{.remote = remote, .local = {}, .settings = {}}}, now, actions);
    ByteView rest(data, size);
    while (!rest.empty()) {
        // The first byte of each record: how long the datagram is and how much time passes.
        const std::size_t length = std::min<std::size_t>(rest[0] & 0x1fU, rest.size() - 1);
        now += std::chrono::milliseconds(rest[0] >> 5U) * 100;
        const ByteView datagram = rest.subspan(1, length);
        rest = rest.subspan(1 + length);
        if (const auto packet = parse(datagram); packet && parse(encode(*packet)) != *packet) {
            std::abort();
        }
        sessions.receive({.source = remote, .ttl = 255, .data = datagram}, now, actions);
        if (const auto due = sessions.next_deadline(); due && *due <= now) {
            sessions.tick(now, actions);
        }
        actions.clear();
    }
    return 0;
}
