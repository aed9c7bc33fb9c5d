#pragma once

#include <expected>

#include "cni/error.hpp"
#include "cni/net_conf.hpp"
#include "ipam/local/client.hpp"
#include "ipam/local/protocol.hpp"

namespace manul::cni {

/// A question in two halves, so that the plugin can work while ipamd commits.
class PendingAnswer {
public:
    /// Sends the request. Code 11 when ipamd cannot be reached within `connect` (0 = one try).
    [[nodiscard]] static CniResult<PendingAnswer> ask(const ipam::Request& request, const NetConf& conf,
                                                      std::chrono::milliseconds connect);
    /// A refusal by ipamd is returned as the answer's error; code 11 when no answer comes.
    [[nodiscard]] CniResult<ipam::Answer> receive();

private:
    explicit PendingAnswer(ipam::Client client) : client_(std::move(client)) {}

    ipam::Client client_;
};

/// What ipamd refused, as the plugin's own failure.
[[nodiscard]] std::unexpected<CniError> refused_by_ipamd(ipam::Failure failure);

/// Asks once, without waiting for an ipamd that is away; its refusal is the error.
[[nodiscard]] CniResult<ipam::Answer> ask_ipamd(const ipam::Request& request, const NetConf& conf);

}  // namespace manul::cni
