#include "cni/status.hpp"

#include <cstdint>
#include <expected>
#include <string>
#include <utility>

#include "base/try.hpp"
#include "cni/error.hpp"
#include "cni/ipamd.hpp"
#include "cni/net_conf.hpp"
#include "ipam/local/client.hpp"
#include "ipam/local/protocol.hpp"

namespace manul::cni {

namespace {

/// ADD waits for felix, and pods that exist keep the rules that they have.
CniResult<void> felix_listens(const std::string& run_dir) {
    const auto now = ipam::Client::Clock::now();
    if (const auto felix = ipam::Client::connect(run_dir + "/felix.sock", now, now); !felix) {
        return refuse(Code::limited_connectivity, "manul-felix is not running: pods would wait for their policy",
                      "existing pods keep the policy that was in force");
    }
    return {};
}

}  // namespace

CniResult<void> status(const Environment& environment, const NetConf& conf) {
    MANUL_TRY(const ipam::Request request, make_request(ipam::Op::status, environment, conf));
    auto answer = ask_ipamd(request, conf);
    if (answer) {
        return conf.policy_timeout.count() == 0 ? CniResult<void>() : felix_listens(conf.run_dir);
    }
    constexpr auto kTryAgain = static_cast<std::uint16_t>(Code::try_again);
    if (answer.error().code == kTryAgain) {  // not a code of STATUS
        answer.error().code = static_cast<std::uint16_t>(Code::not_available);
    }
    return std::unexpected(std::move(answer).error());
}

}  // namespace manul::cni
