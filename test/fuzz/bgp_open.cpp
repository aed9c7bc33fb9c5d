// Whatever is accepted as an OPEN can be written and reads the same again.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <tuple>

#include "base/bytes.hpp"
#include "bgpd/wire/message.hpp"
#include "bgpd/wire/notification.hpp"
#include "bgpd/wire/open.hpp"

using namespace manul;
using namespace manul::bgp::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto open = decode_open(ByteView(data, size));
    if (!open) {
        static_cast<void>(open.error().to_string());
        return 0;
    }
    static_cast<void>(negotiate(*open, *open, open->as));
    const auto& [name, version] = std::tie(open->capabilities.fqdn, open->capabilities.software_version);
    if ((name && name->host.size() + name->domain.size() > 120) || (version && version->size() > 64)) {
        return 0;  // we never announce such names and cut them
    }
    Bytes again;
    encode_open(*open, again);
    const auto second = decode_open(ByteView(again).subspan(kHeaderSize));
    if (!second || *second != *open) {
        std::abort();
    }
    return 0;
}
