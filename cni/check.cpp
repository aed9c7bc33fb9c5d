#include "cni/check.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <expected>
#include <string>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "cni/error.hpp"
#include "cni/net_conf.hpp"
#include "cni/ready_wait.hpp"
#include "cni/status.hpp"
#include "cni/veth.hpp"
#include "ipam/protocol.hpp"
#include "net/ip.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/socket.hpp"

namespace manul::cni {

namespace {

std::unexpected<CniError> missing(std::string what) { return refuse(Code::check_failed, std::move(what)); }

/// The pod's addresses of the remembered result that are on this interface.
std::vector<net::Ip> remembered_ips(const PrevResult& previous, const std::string& ifname) {
    std::vector<net::Ip> out;
    for (const PrevResult::Ip& ip : previous.ips) {
        const std::size_t at = ip.interface.value_or(previous.interfaces.size());
        if (at < previous.interfaces.size() && previous.interfaces[at].name == ifname &&
            !previous.interfaces[at].sandbox.empty()) {
            out.push_back(ip.address.address);
        }
    }
    return out;
}

CniResult<void> check_pod(Veth& veth, const netlink::Link& link, const std::vector<net::Ip>& ips) {
    const auto addresses = veth.pod().addresses(link.index);
    if (!addresses) {
        return refuse(Code::internal, "cannot list the pod's addresses: " + addresses.error().message());
    }
    for (const net::Ip& ip : ips) {
        if (std::ranges::none_of(*addresses, [&ip](const auto& have) { return have.address.address == ip; })) {
            return missing(link.name + " in the pod has lost its address " + ip.to_string());
        }
        const net::Ip gateway = gateway_of(ip.family());
        const auto routes = veth.pod().routes({.family = ip.family(), .ifindex = link.index});
        const auto neighbours = veth.pod().neighbours(ip.family(), link.index);
        if (!routes || !neighbours) {
            return refuse(Code::internal, "cannot list the pod's routes and neighbours");
        }
        const auto uses_gateway = [&gateway](const netlink::Route& route) {
            return std::ranges::any_of(route.hops, [&gateway](const auto& hop) { return hop.gateway == gateway; });
        };
        if (std::ranges::none_of(*routes, uses_gateway)) {
            return missing("the pod has no route by " + gateway.to_string());
        }
        if (std::ranges::none_of(*neighbours, [&gateway](const auto& have) {
                return have.address == gateway && have.mac == kHostMac;
            })) {
            return missing("the pod has lost the neighbour entry of its gateway " + gateway.to_string());
        }
    }
    return {};
}

}  // namespace

CniResult<void> check(const Environment& environment, const NetConf& conf) {
    MANUL_CHECK(check_attachment(environment, true));
    MANUL_TRY(ipam::Request request, make_request(ipam::Op::check, environment, conf));
    request.ips = remembered_ips(*conf.prev_result, environment.ifname);
    if (request.ips.empty()) {
        return refuse(Code::invalid_config, "prevResult has no address of " + environment.ifname);
    }
    MANUL_TRY(Veth veth, Veth::open(environment.netns, environment.netns_override));
    request.netns_inode = veth.netns_inode();
    MANUL_TRY(const auto pod_link, veth.pod_link(environment.ifname));
    if (!pod_link || !pod_link->is_up()) {
        return missing(environment.ifname + (pod_link ? " in the pod is down" : " is missing in the pod"));
    }
    MANUL_CHECK(check_pod(veth, *pod_link, request.ips));
    MANUL_TRY(const auto host_link, veth.host_link(request.host_interface));
    if (!host_link || host_link->alias != environment.container_id || !host_link->is_up()) {
        return missing("host interface " + request.host_interface +
                       (!host_link           ? " is missing"
                        : host_link->is_up() ? " belongs to another container"
                                             : " is down"));
    }
    request.host_ifindex = host_link->index;
    MANUL_CHECK(ask_ipamd(request, conf));
    // Felix removes its marks when it starts and sets them again: allow for that.
    if (conf.policy_timeout.count() != 0 &&
        !ReadyWait(conf.run_dir, request.host_interface)
             .wait(environment.container_id, ReadyWait::Clock::now() + conf.policy_timeout)) {
        return missing("the rules of " + request.host_interface + " are not in force: is manul-felix running?");
    }
    return {};
}

}  // namespace manul::cni
