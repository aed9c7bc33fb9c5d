#include "cni/check.hpp"

#include <linux/neighbour.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <expected>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "cni/error.hpp"
#include "cni/ipamd.hpp"
#include "cni/net_conf.hpp"
#include "cni/prev_result.hpp"
#include "cni/ready_wait.hpp"
#include "cni/veth.hpp"
#include "ipam/local/protocol.hpp"
#include "net/ip.hpp"
#include "net/mac.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/socket.hpp"
#include "net/prefix.hpp"

namespace manul::cni {

namespace {

std::unexpected<CniError> missing(std::string what) { return refuse(Code::check_failed, std::move(what)); }

/// A list of the kernel's, or the failure to read it.
template <class T>
CniResult<T> read(netlink::SocketResult<T> from_kernel, std::string_view what) {
    if (!from_kernel) {
        return refuse(Code::internal, "cannot list " + std::string(what) + ": " + from_kernel.error().message());
    }
    return *std::move(from_kernel);
}

/// Runtimes may know one namespace by two paths.
bool is_same_file(const std::string& one, const std::string& other) {
    struct stat first{};
    struct stat second{};
    return one == other || (::stat(one.c_str(), &first) == 0 && ::stat(other.c_str(), &second) == 0 &&
                            first.st_dev == second.st_dev && first.st_ino == second.st_ino);
}

bool leads_by(const netlink::Route& route, const net::Prefix& dst, const std::optional<net::Ip>& gateway) {
    return route.dst == dst && (!gateway || std::ranges::any_of(route.hops, [&gateway](const netlink::Hop& hop) {
               return hop.gateway == gateway;
           }));
}

bool has_neighbour(const std::vector<netlink::Neighbour>& list, const net::Ip& address,
                   const std::optional<net::Mac>& mac) {
    return std::ranges::any_of(list, [&](const netlink::Neighbour& have) {
        return have.address == address && have.mac == mac && have.state == NUD_PERMANENT;
    });
}

/// One CHECK. What the result does not speak of is compared where this plugin made the link itself.
class Check {
public:
    Check(const NetConf& conf, const PrevResult::Interface& remembered, Veth veth, netlink::Link pod,
          netlink::Link host)
        : conf_(conf),
          remembered_(remembered),
          ips_(conf.prev_result->ips_of(remembered.name)),
          veth_(std::move(veth)),
          pod_(std::move(pod)),
          host_(std::move(host)) {}

    CniResult<void> links(bool own) const {
        if (!pod_.is_up() || !host_.is_up()) {
            return missing((pod_.is_up() ? "host interface " + host_.name : pod_.name + " in the pod") + " is down");
        }
        if (pod_.lower != host_.index || host_.lower != pod_.index) {
            return missing(host_.name + " is not the other end of " + pod_.name);
        }
        if (remembered_.mac && pod_.mac != remembered_.mac) {
            return missing(pod_.name + " in the pod has lost its MAC address " + remembered_.mac->to_string());
        }
        if (own && host_.mac != kHostMac) {
            return missing("host interface " + host_.name + " has lost its MAC address " + kHostMac.to_string());
        }
        // Both ends are made with one MTU. A later plugin may have lowered the pod's without a word in the result, as
        // `tuning` does; above the host's end packets would be lost.
        const std::uint32_t mtu = remembered_.mtu != 0 ? remembered_.mtu : conf_.mtu != 0 ? conf_.mtu : host_.mtu;
        if (own && (pod_.mtu > mtu || host_.mtu != mtu)) {
            const bool pods = pod_.mtu > mtu;
            return missing((pods ? pod_.name + " in the pod" : host_.name) + " has MTU " +
                           std::to_string(pods ? pod_.mtu : host_.mtu) + ", should be " + std::to_string(mtu));
        }
        return {};
    }

    /// What the result says of the host's end, where it speaks of it.
    CniResult<void> remembered_host() const {
        for (const PrevResult::Interface& one : conf_.prev_result->interfaces) {
            if (!one.sandbox.empty() || !one.name.starts_with("cali")) {
                continue;  // of a later plugin
            }
            if (one.name != host_.name) {
                return missing("prevResult has host interface " + one.name + ", and the other end of " + pod_.name +
                               " is " + host_.name);
            }
            if ((one.mac && one.mac != host_.mac) || (one.mtu != 0 && one.mtu != host_.mtu)) {
                return missing("host interface " + host_.name + " has not the MAC address or MTU of prevResult");
            }
        }
        return {};
    }

    CniResult<void> addresses() {
        MANUL_TRY(const auto have, read(veth_.pod().addresses(pod_.index), "the pod's addresses"));
        for (const net::InterfaceAddress& ip : ips_) {
            if (std::ranges::none_of(have, [&ip](const netlink::Address& one) { return one.address == ip; })) {
                return missing(pod_.name + " in the pod has lost its address " + ip.to_string());
            }
        }
        return {};
    }

    CniResult<void> routes() {
        for (const net::Family family : {net::Family::v4, net::Family::v6}) {
            MANUL_TRY(const auto have,
                      read(veth_.pod().routes({.family = family, .ifindex = pod_.index}), "the pod's routes"));
            for (const PrevResult::Route& wanted : conf_.prev_result->routes) {
                if (wanted.dst.family() == family && std::ranges::none_of(have, [&wanted](const netlink::Route& one) {
                        return leads_by(one, wanted.dst, wanted.gateway);
                    })) {
                    return missing("the pod has lost its route to " + wanted.dst.to_string());
                }
            }
            if (family == net::Family::v4 && families().contains(family) &&
                std::ranges::none_of(have, [](const netlink::Route& one) {
                    return leads_by(one, net::Prefix::host(kGateway4), std::nullopt);
                })) {
                return missing("the pod has lost its route to its gateway " + gateway_of(family).to_string());
            }
        }
        return {};
    }

    CniResult<void> neighbours() {
        for (const net::Family family : families()) {
            MANUL_TRY(const auto in_pod, read(veth_.pod().neighbours(family, pod_.index), "the pod's neighbours"));
            MANUL_TRY(const auto on_host, read(veth_.host().neighbours(family, host_.index), "the host's neighbours"));
            if (!has_neighbour(in_pod, gateway_of(family), kHostMac)) {
                return missing("the pod has lost the neighbour entry of its gateway " + gateway_of(family).to_string());
            }
            for (const net::InterfaceAddress& ip : ips_) {
                if (ip.address.family() == family && !has_neighbour(on_host, ip.address, pod_.mac)) {
                    return missing("the host has lost its neighbour entry of " + ip.address.to_string());
                }
            }
        }
        if (families().contains(net::Family::v6)) {
            MANUL_TRY(const auto have, read(veth_.host().addresses(host_.index), "the host's addresses"));
            if (std::ranges::none_of(have,
                                     [](const netlink::Address& one) { return one.address.address == kGateway6; })) {
                return missing("host interface " + host_.name + " has lost its address " +
                               net::Ip(kGateway6).to_string());
            }
        }
        return {};
    }

    /// Felix's part.
    CniResult<void> host_routes() {
        for (const net::Family family : families()) {
            MANUL_TRY(const auto have,
                      read(veth_.host().routes({.family = family, .ifindex = host_.index}), "the host's routes"));
            for (const net::InterfaceAddress& ip : ips_) {
                if (ip.address.family() == family && std::ranges::none_of(have, [&ip](const netlink::Route& one) {
                        return leads_by(one, net::Prefix::host(ip.address), std::nullopt);
                    })) {
                    return missing("the host has no route to " + ip.address.to_string());
                }
            }
        }
        return {};
    }

private:
    [[nodiscard]] std::set<net::Family> families() const {
        std::set<net::Family> out;
        for (const net::InterfaceAddress& ip : ips_) {
            out.insert(ip.address.family());
        }
        return out;
    }

    const NetConf& conf_;
    const PrevResult::Interface& remembered_;
    std::vector<net::InterfaceAddress> ips_;
    Veth veth_;
    netlink::Link pod_;
    netlink::Link host_;
};

}  // namespace

CniResult<void> check(const Environment& environment, const NetConf& conf) {
    MANUL_TRY(ipam::Request request, make_request(ipam::Op::check, environment, conf));
    const PrevResult::Interface* remembered = conf.prev_result->pod_interface(environment.ifname);
    request.ips.clear();
    for (const net::InterfaceAddress& ip : conf.prev_result->ips_of(environment.ifname)) {
        request.ips.push_back(ip.address);
    }
    if (remembered == nullptr || request.ips.empty()) {
        return refuse(Code::invalid_config, "prevResult has no address of " + environment.ifname + " in a pod");
    }
    MANUL_TRY(Veth veth, Veth::open(environment.netns, environment.netns_override));
    if (!is_same_file(remembered->sandbox, environment.netns)) {
        return missing("prevResult has " + environment.ifname + " in " + remembered->sandbox + ", not in " +
                       environment.netns);
    }
    request.netns_inode = veth.netns_inode();
    MANUL_TRY(auto pod, veth.pod_link(environment.ifname));
    if (!pod) {
        return missing(environment.ifname + " is missing in the pod");
    }
    MANUL_TRY(const ipam::Answer known, ask_ipamd(request, conf));
    const std::string& host_name = known.host_interface.empty() ? request.host_interface : known.host_interface;
    MANUL_TRY(auto host, veth.host_link(host_name));
    if (!host) {
        return missing("host interface " + host_name + " is missing");
    }
    if (!known.policy_only && host->alias != environment.container_id) {
        return missing("host interface " + host_name + " belongs to another container");
    }
    const std::uint32_t host_index = host->index;
    Check check(conf, *remembered, std::move(veth), *std::move(pod), *std::move(host));
    MANUL_CHECK(check.links(!known.policy_only));
    if (!known.policy_only) {
        MANUL_CHECK(check.remembered_host());
    }
    MANUL_CHECK(check.addresses());
    if (!known.policy_only) {
        MANUL_CHECK(check.routes());
        MANUL_CHECK(check.neighbours());
    }
    if (conf.policy_timeout.count() == 0) {
        return {};
    }
    // Felix removes its marks when it starts and sets them again: allow for that.
    if (!ReadyWait(conf.run_dir, host_name)
             .wait({environment.container_id, host_index, request.ips},
                   ReadyWait::Clock::now() + conf.policy_timeout)) {
        return missing("the rules of " + host_name + " are not in force: is manul-felix running?");
    }
    return check.host_routes();
}

}  // namespace manul::cni
