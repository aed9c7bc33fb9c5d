// What is accepted as a request or answer of the plugin protocol can be written and reads the same again.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "ipam/local/protocol.hpp"

using namespace manul;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    if (const auto request = ipam::decode_request(input)) {
        if (ipam::decode_request(ipam::encode(*request)) != *request) {
            std::abort();
        }
    }
    if (const auto answer = ipam::decode_answer(input)) {
        if (ipam::decode_answer(ipam::encode(*answer)) != *answer) {
            std::abort();
        }
    }
    return 0;
}
