#include "cni/gc.hpp"

#include "base/try.hpp"
#include "cni/error.hpp"
#include "cni/ipamd.hpp"
#include "cni/net_conf.hpp"
#include "ipam/local/protocol.hpp"

namespace manul::cni {

CniResult<void> gc(const Environment& environment, const NetConf& conf, std::string& note) {
    if (!conf.valid_attachments) {
        note = "GC without cni.dev/valid-attachments releases nothing";
        return {};
    }
    MANUL_TRY(const ipam::Request request, make_request(ipam::Op::gc, environment, conf));
    MANUL_CHECK(ask_ipamd(request, conf));
    return {};
}

}  // namespace manul::cni
