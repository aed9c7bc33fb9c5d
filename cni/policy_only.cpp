#include "cni/policy_only.hpp"

#include <chrono>
#include <expected>
#include <string>
#include <utility>

#include "base/try.hpp"
#include "cni/del.hpp"
#include "cni/error.hpp"
#include "cni/ipamd.hpp"
#include "cni/net_conf.hpp"
#include "cni/prev_result.hpp"
#include "cni/ready_wait.hpp"
#include "cni/veth.hpp"
#include "ipam/local/protocol.hpp"
#include "net/netlink/decode.hpp"
#include "net/prefix.hpp"

namespace manul::cni {

namespace {

std::unexpected<CniError> unusable(std::string why) {
    return refuse(Code::invalid_config, "prevResult: " + std::move(why));
}

/// The host's end of the pod's link. Policy is enforced where packets are routed into and out of it.
CniResult<netlink::Link> host_end(Veth& veth, const std::string& ifname, const netlink::Link& pod) {
    std::optional<netlink::Link> host;
    if (pod.lower != 0 && pod.lower_netns) {
        MANUL_TRY(host, veth.host_link(pod.lower));
    }
    if (!host || host->lower != pod.index || host->kind != pod.kind) {
        return unusable(ifname + " is no pair with an end in the host's namespace, so policy cannot be enforced");
    }
    if (host->master != 0) {
        return unusable("the host's end " + host->name +
                        " is a port of a bridge, which forwards past policy; use a plugin that routes, such as ptp");
    }
    return *std::move(host);
}

CniResult<void> register_endpoint(const ipam::Request& request, const NetConf& conf, bool& registered,
                                  std::string& note) {
    const ReadyWait ready(conf.run_dir, request.host_interface);  // before the endpoint exists
    MANUL_TRY(PendingAnswer pending, PendingAnswer::ask(request, conf, conf.limits.connect));
    registered = true;
    MANUL_TRY(ipam::Answer answer, pending.receive());
    if (answer.error) {
        registered = false;
        return refused_by_ipamd(*std::move(answer.error));
    }
    note = std::move(answer.warning);
    return ready.wait_for_policy({request.attachment.container_id, request.host_ifindex, request.ips},
                                 conf.policy_timeout);
}

}  // namespace

CniResult<void> add_policy(const Environment& environment, const NetConf& conf, std::string& note) {
    MANUL_TRY(ipam::Request request, make_request(ipam::Op::add, environment, conf));
    request.policy_only = true;
    request.ips.clear();
    for (const net::InterfaceAddress& ip : conf.prev_result->ips_of(environment.ifname)) {
        request.ips.push_back(ip.address);
    }
    if (request.ips.empty()) {
        return unusable("no address of " + environment.ifname + " in the pod");
    }
    MANUL_TRY(Veth veth, Veth::open(environment.netns, environment.netns_override));
    MANUL_TRY(const auto pod, veth.pod_link(environment.ifname));
    if (!pod) {
        return unusable(environment.ifname + " is not in the pod");
    }
    MANUL_TRY(const netlink::Link host, host_end(veth, environment.ifname, *pod));
    request.netns_inode = veth.netns_inode();
    request.mac = pod->mac;
    request.host_interface = host.name;
    request.host_ifindex = host.index;
    bool registered = false;
    auto added = register_endpoint(request, conf, registered, note);
    if (!added && registered) {
        request.op = ipam::Op::del;
        if (const auto released = release(request, conf, note); !released) {
            note = released.error().msg;
        }
    }
    return added;
}

}  // namespace manul::cni
