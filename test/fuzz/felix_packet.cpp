// Whatever a packet's first bytes are: they are read without looking outside of them, and can be told.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/bytes.hpp"
#include "felix/eval/packet.hpp"
#include "felix/eval/parse_packet.hpp"

using namespace manul;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (const auto packet = felix::parse_packet(ByteView(data, size))) {
        if (packet->source.family() != packet->destination.family() || felix::describe(*packet).empty()) {
            std::abort();
        }
    }
    return 0;
}
