#include "bgpd/wire/message.hpp"

#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"

namespace manul::bgp::wire {

std::size_t begin_message(Bytes& out, MessageType type) {
    const std::size_t start = out.size();
    out.resize(start + kMarkerSize, 0xff);
    ByteWriter writer(out);
    writer.u16(0);
    writer.u8(static_cast<std::uint8_t>(type));
    return start;
}

void finish_message(Bytes& out, std::size_t start) {
    ByteWriter(out).patch_u16(start + kMarkerSize, static_cast<std::uint16_t>(out.size() - start));
}

void encode_keepalive(Bytes& out) { finish_message(out, begin_message(out, MessageType::keepalive)); }

}  // namespace manul::bgp::wire
