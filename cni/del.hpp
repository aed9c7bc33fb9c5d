#pragma once

#include <string>

#include "cni/error.hpp"
#include "cni/net_conf.hpp"
#include "ipam/local/protocol.hpp"

namespace manul::cni {

/// Releases an attachment: ipamd deletes the link and frees the addresses. If ipamd cannot be reached, the request is
/// left in `<state_dir>/cni-journal/` as a file that ipamd processes later, and `note` is set. Either way the release
/// is durable when this returns; it fails only if not even the file can be written. Repeatable; needs neither the pod's
/// namespace nor any knowledge of the attachment.
[[nodiscard]] CniResult<void> release(const ipam::Request& request, const NetConf& conf, std::string& note);

[[nodiscard]] CniResult<void> del(const Environment& environment, const NetConf& conf, std::string& note);

}  // namespace manul::cni
