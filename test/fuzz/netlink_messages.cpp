// Any datagram can be walked and decoded; nothing outside of it is read (the sanitizers watch).

#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/message.hpp"

using namespace manul;
using namespace manul::netlink;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    MessageWalk walk(ByteView(data, size));
    while (const auto message = walk.next()) {
        static_cast<void>(decode_event(*message));
        if (message->type == NLMSG_ERROR || message->type == NLMSG_DONE) {
            static_cast<void>(decode_ack(*message));
        }
    }
    return 0;
}
