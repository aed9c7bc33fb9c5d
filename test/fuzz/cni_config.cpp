// Whatever a runtime sends is refused or becomes a request that ipamd reads as it was meant.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "cni/net_conf.hpp"
#include "ipam/local/protocol.hpp"

using namespace manul;

namespace {

void pass_on(ipam::Op op, cni::Verb verb, std::string_view input) {
    const auto conf = cni::parse_net_conf(input, verb);
    if (!conf) {
        return;
    }
    const cni::Environment environment{
        .command = {}, .container_id = "c", .netns = "/n", .ifname = "eth0", .args = "K8S_POD_NAME=p"};
    const auto request = cni::make_request(op, environment, *conf);
    if (request && ipam::decode_request(ipam::encode(*request)) != *request) {
        std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    static_cast<void>(cni::read_version(input));
    static_cast<void>(cni::parse_args(input));
    pass_on(ipam::Op::add, cni::Verb::add, input);
    pass_on(ipam::Op::del, cni::Verb::del, input);
    pass_on(ipam::Op::check, cni::Verb::check, input);
    pass_on(ipam::Op::gc, cni::Verb::gc, input);
    return 0;
}
