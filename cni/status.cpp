#include "cni/status.hpp"

#include <cstdint>
#include <expected>
#include <utility>

#include "base/try.hpp"
#include "cni/error.hpp"
#include "cni/ipamd.hpp"
#include "cni/net_conf.hpp"
#include "ipam/local/protocol.hpp"

namespace manul::cni {

CniResult<void> status(const Environment& environment, const NetConf& conf) {
    MANUL_TRY(const ipam::Request request, make_request(ipam::Op::status, environment, conf));
    auto answer = ask_ipamd(request, conf);
    if (answer) {
        return {};
    }
    constexpr auto kTryAgain = static_cast<std::uint16_t>(Code::try_again);
    if (answer.error().code == kTryAgain) {  // not a code of STATUS
        answer.error().code = static_cast<std::uint16_t>(Code::not_available);
    }
    return std::unexpected(std::move(answer).error());
}

}  // namespace manul::cni
