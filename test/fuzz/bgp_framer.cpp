// Any byte stream, in any two reads, gives the same messages or the same error.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "bgpd/wire/framer.hpp"
#include "bgpd/wire/message.hpp"
#include "bgpd/wire/notification.hpp"
#include "bgpd/wire/route_refresh.hpp"

using namespace manul;
using namespace manul::bgp::wire;

namespace {

struct Result {
    std::size_t consumed = 0;
    std::size_t messages = 0;
    std::optional<HeaderError> error;
};

Result frame(ByteView stream, std::size_t max_message) {
    Result result;
    Framer framer(stream, max_message);
    for (;;) {
        const auto next = framer.next();
        result.consumed = framer.consumed();
        if (!next) {
            result.error = next.error();
            return result;
        }
        if (!*next) {
            return result;
        }
        ++result.messages;
        if ((*next)->type == MessageType::notification) {
            static_cast<void>(decode_notification((*next)->body()).to_string());
        } else if ((*next)->type == MessageType::route_refresh) {
            static_cast<void>(decode_route_refresh((*next)->message, true));
            static_cast<void>(decode_route_refresh((*next)->message, false));
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::size_t max_message = (data[0] & 1U) != 0 ? kMaxMessage : kMaxExtendedMessage;
    const ByteView stream(data + 1, size - 1);
    const Result whole = frame(stream, max_message);
    const Result first = frame(stream.first(std::min<std::size_t>(stream.size(), data[0])), max_message);
    if (!first.error) {
        const Result second = frame(stream.subspan(first.consumed), max_message);
        if (second.error != whole.error || first.messages + second.messages != whole.messages) {
            std::abort();
        }
    }
    return 0;
}
