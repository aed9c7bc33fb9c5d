#pragma once

#include <string>

#include "cni/error.hpp"
#include "cni/net_conf.hpp"
#include "ipam/local/protocol.hpp"

namespace manul::cni {

/// Releases an attachment: ipamd takes the link away and frees the addresses; when it cannot be asked, the request goes
/// into `<state_dir>/cni-journal/` as a file that ipamd works off later. `note` is set in that case. Either way the
/// release is durable when this returns; it fails only where not even the file can be written. Repeatable, and needs
/// neither the pod's namespace nor any knowledge of the attachment.
[[nodiscard]] CniResult<void> release(const ipam::Request& request, const NetConf& conf, std::string& note);

[[nodiscard]] CniResult<void> del(const Environment& environment, const NetConf& conf, std::string& note);

}  // namespace manul::cni
