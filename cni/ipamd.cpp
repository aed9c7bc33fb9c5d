#include "cni/ipamd.hpp"

#include <chrono>
#include <utility>

#include "base/try.hpp"

namespace manul::cni {

namespace {

std::unexpected<CniError> out_of_reach(const ipam::ClientError& error) {
    if (error.kind == ipam::ClientError::Kind::too_large) {
        return refuse(Code::invalid_config, error.message);
    }
    return refuse(Code::try_again, error.message,
                  "is manul-ipamd running on this node, and its run_dir that of the network configuration?");
}

}  // namespace

CniResult<PendingAnswer> PendingAnswer::ask(const ipam::Request& request, const NetConf& conf,
                                            std::chrono::milliseconds connect) {
    const auto now = ipam::Client::Clock::now();
    auto client = ipam::Client::connect(conf.run_dir + "/cni.sock", now + connect, now + conf.limits.answer);
    if (!client) {
        return out_of_reach(client.error());
    }
    if (const auto sent = client->send(request); !sent) {
        return out_of_reach(sent.error());
    }
    return PendingAnswer(*std::move(client));
}

CniResult<ipam::Answer> PendingAnswer::receive() {
    auto answer = client_.receive();
    if (!answer) {
        return out_of_reach(answer.error());
    }
    return *std::move(answer);
}

std::unexpected<CniError> refused_by_ipamd(ipam::Failure failure) {
    return std::unexpected(CniError{failure.code, std::move(failure.msg), std::move(failure.details)});
}

CniResult<ipam::Answer> ask_ipamd(const ipam::Request& request, const NetConf& conf) {
    MANUL_TRY(PendingAnswer pending, PendingAnswer::ask(request, conf, std::chrono::milliseconds(0)));
    MANUL_TRY(ipam::Answer answer, pending.receive());
    if (answer.error) {
        return refused_by_ipamd(*std::move(answer.error));
    }
    return answer;
}

}  // namespace manul::cni
