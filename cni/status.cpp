#include "cni/status.hpp"

#include <cstdint>
#include <expected>
#include <utility>

#include "base/try.hpp"
#include "cni/error.hpp"
#include "cni/net_conf.hpp"
#include "ipam/client.hpp"
#include "ipam/protocol.hpp"

namespace manul::cni {

CniResult<void> ask_ipamd(const ipam::Request& request, const NetConf& conf) {
    const auto now = ipam::Client::Clock::now();
    auto client = ipam::Client::connect(conf.run_dir + "/cni.sock", now, now + conf.limits.answer);
    if (!client) {
        return refuse(Code::try_again, client.error().message);
    }
    if (auto sent = client->send(request); !sent) {
        return refuse(Code::try_again, sent.error().message);
    }
    auto answer = client->receive();
    if (!answer) {
        return refuse(Code::try_again, answer.error().message);
    }
    if (answer->error) {
        return std::unexpected(
            CniError{answer->error->code, std::move(answer->error->msg), std::move(answer->error->details)});
    }
    return {};
}

CniResult<void> status(const Environment& environment, const NetConf& conf) {
    MANUL_TRY(const ipam::Request request, make_request(ipam::Op::status, environment, conf));
    auto answer = ask_ipamd(request, conf);
    constexpr auto kTryAgain = static_cast<std::uint16_t>(Code::try_again);
    if (!answer && answer.error().code == kTryAgain) {  // not a code of STATUS
        answer.error().code = static_cast<std::uint16_t>(Code::not_available);
    }
    return answer;
}

}  // namespace manul::cni
