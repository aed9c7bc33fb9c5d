#include "cni/gc.hpp"

#include "base/try.hpp"
#include "cni/error.hpp"
#include "cni/net_conf.hpp"
#include "cni/status.hpp"
#include "ipam/protocol.hpp"

namespace manul::cni {

CniResult<void> gc(const Environment& environment, const NetConf& conf) {
    MANUL_TRY(const ipam::Request request, make_request(ipam::Op::gc, environment, conf));
    return ask_ipamd(request, conf);
}

}  // namespace manul::cni
