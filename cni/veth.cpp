#include "cni/veth.hpp"

#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "base/unique_fd.hpp"
#include "cni/error.hpp"
#include "net/ip.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/encode.hpp"
#include "net/netlink/message.hpp"
#include "net/netlink/netns.hpp"
#include "net/netlink/socket.hpp"
#include "net/prefix.hpp"

namespace manul::cni {

namespace {

constexpr std::uint8_t kLinkLocalLength = 64;
/// Metric of the routes by a second or third interface of a pod, plus its index; above those by the first, which have
/// none (IPv6: 1024).
constexpr std::uint32_t kFurtherRoutes = 1024;

std::unexpected<CniError> kernel_refused(std::string_view what, const netlink::SocketError& error) {
    return refuse(Code::internal, std::string(what) + ": " + error.message());
}

/// Gives a kernel setting of the thread's network namespace this value, one character. Reading comes first: writing
/// some of them waits for the lock of all links. A kernel without IPv6 has none of its files.
bool ensure_setting(const std::string& path, char value) {
    const UniqueFd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    char now = '\0';
    return file && ((::read(file.get(), &now, 1) == 1 && now == value) || ::pwrite(file.get(), &value, 1, 0) == 1);
}

bool kernel_has_ipv6() { return ::access("/proc/sys/net/ipv6", F_OK) == 0; }

bool has_family(const std::vector<net::Ip>& ips, net::Family family) {
    return std::ranges::any_of(ips, [family](const net::Ip& ip) { return ip.family() == family; });
}

/// The batch must be taken as a whole; the first refusal is the reason.
CniResult<void> all_of(std::string_view what, netlink::Socket& socket, netlink::RequestBuffer& requests) {
    auto refused = socket.batch(requests);
    if (!refused) {
        return kernel_refused(what, refused.error());
    }
    if (!refused->empty()) {
        auto& first = refused->front();
        return kernel_refused(what, {netlink::SocketError::Kind::refused, first.code, std::move(first.text)});
    }
    return {};
}

}  // namespace

net::Ip gateway_of(net::Family family) { return family == net::Family::v4 ? net::Ip(kGateway4) : net::Ip(kGateway6); }

net::Prefix default_route(net::Family family) {
    return *net::Prefix::exact(family == net::Family::v4 ? net::Ip(net::Ip4()) : net::Ip(net::Ip6()), 0);
}

Veth::Veth(UniqueFd own_netns, UniqueFd netns, netlink::NetnsId id, netlink::Socket host, netlink::Socket pod)
    : own_netns_(std::move(own_netns)),
      netns_(std::move(netns)),
      id_(id),
      host_(std::move(host)),
      pod_(std::move(pod)) {}

CniResult<Veth> Veth::open(const std::string& netns, bool allow_own_netns) {
    auto fd = netlink::open_netns(netns);
    if (!fd) {
        return refuse(Code::invalid_netns, "CNI_NETNS: " + fd.error().message);
    }
    auto own = netlink::current_netns();
    const auto id = netlink::netns_id(fd->get());
    const auto own_id = own ? netlink::netns_id(own->get()) : id;
    if (!own || !id || !own_id) {
        return refuse(Code::invalid_netns, "CNI_NETNS: cannot tell " + netns + " from the plugin's own namespace");
    }
    if (*id == *own_id && !allow_own_netns) {
        return refuse(Code::invalid_netns, "CNI_NETNS: " + netns + " is the plugin's own network namespace",
                      "a pod on the host's network needs no plugin; CNI_NETNS_OVERRIDE=1 allows it");
    }
    auto host = netlink::Socket::open();
    if (!host) {
        return kernel_refused("host namespace", host.error());
    }
    auto scope = netlink::NetnsScope::enter(fd->get());
    if (!scope) {
        return refuse(Code::invalid_netns, "CNI_NETNS " + netns + ": " + scope.error().message);
    }
    auto pod = netlink::Socket::open();
    if (!pod) {
        return kernel_refused("pod namespace", pod.error());
    }
    return Veth(*std::move(own), *std::move(fd), *id, *std::move(host), *std::move(pod));
}

CniResult<bool> Veth::pod_has(const std::string& name) {
    ifreq request{};
    if (name.size() >= sizeof request.ifr_name) {
        return false;
    }
    std::ranges::copy(name, std::begin(request.ifr_name));
    if (::ioctl(pod_.fd(), SIOCGIFINDEX, &request) == 0) {
        return true;
    }
    if (errno != ENODEV) {
        return refuse(Code::internal, "cannot look for " + name + " in the pod: " + std::strerror(errno));
    }
    return false;
}

CniResult<std::optional<netlink::Link>> Veth::find(netlink::Socket& socket, const std::string& name) {
    auto link = socket.link(name);
    if (!link) {
        return kernel_refused("cannot look for " + name, link.error());
    }
    return *std::move(link);
}

CniResult<std::optional<netlink::Link>> Veth::find(netlink::Socket& socket, std::uint32_t index) {
    auto link = socket.link(index);
    if (!link) {
        return kernel_refused("cannot look for link " + std::to_string(index), link.error());
    }
    return *std::move(link);
}

CniResult<Veth::Made> Veth::make(const VethNames& names) {
    names_ = names;
    host_index_ = 0;
    requests_.clear();
    // From the pod's side: the end that is asked for is up at once, and the other one needs a message of its own
    // anyway.
    netlink::create_veth(requests_, {.local = {.name = names.pod_name, .mac = names.pod_mac},
                                     .peer = {.name = names.host_name, .mac = kHostMac, .netns_fd = own_netns_.get()},
                                     .mtu = names.mtu,
                                     .up = true});
    const auto made = pod_.request(requests_, [this](const netlink::MessageView& message) {
        if (const auto link = netlink::decode_link(message.payload)) {
            pod_index_ = link->index;
            host_index_ = link->lower;
            names_.mtu = link->mtu;
        }
    });
    if (!made) {
        if (!made.error().is(EEXIST)) {
            return kernel_refused("cannot make " + names.host_name + " and " + names.pod_name, made.error());
        }
        MANUL_TRY(const bool in_pod, pod_has(names.pod_name));
        if (in_pod) {
            return refuse(Code::invalid_environment, "CNI_IFNAME: " + names.pod_name + " exists already in the pod");
        }
        return Made::host_name_taken;
    }
    const bool ipv6 = kernel_has_ipv6();
    if (ipv6) {  // a pod must not become its host's router by an advertisement
        (void)ensure_setting("/proc/sys/net/ipv6/conf/" + names.host_name + "/accept_ra", '0');
    }
    // Its link-local address is written by hand, the same on all links and without the second of waiting (DAD): up
    // comes afterwards, since the other end is up already.
    netlink::LinkChange settings{.index = host_index_, .alias = names.container_id};
    settings.ipv4 = {{IPV4_DEVCONF_PROXY_ARP, 1}, {IPV4_DEVCONF_FORWARDING, 1}, {IPV4_DEVCONF_ROUTE_LOCALNET, 1}};
    settings.no_ipv6_auto_address = ipv6;
    requests_.clear();
    netlink::change_link(requests_, settings);
    netlink::change_link(requests_, {.index = host_index_, .up = true});
    MANUL_CHECK(all_of("cannot set up " + names.host_name, host_, requests_));
    return Made::yes;
}

CniResult<void> Veth::configure(const PodNetwork& network) {
    names_.pod_mac = network.mac.value_or(names_.pod_mac);
    MANUL_CHECK(prepare_pod_settings(network));
    MANUL_CHECK(configure_pod(network));
    return configure_host(network);
}

// Files of /proc/sys cost ten times a netlink attribute: only for what netlink cannot say and this pod needs.
CniResult<void> Veth::prepare_pod_settings(const PodNetwork& network) {
    const bool ipv6 = has_family(network.ips, net::Family::v6);
    if (!ipv6 && !names_.allow_ip_forwarding) {
        return {};
    }
    const auto scope = netlink::NetnsScope::enter(netns_.get());
    if (!scope) {
        return refuse(Code::invalid_netns, scope.error().message);
    }
    if (ipv6) {  // some runtimes make namespaces with IPv6 switched off
        for (const char* which : {"all", "default", "lo"}) {
            if (!ensure_setting(std::string("/proc/sys/net/ipv6/conf/") + which + "/disable_ipv6", '0')) {
                return refuse(Code::internal, "the pod has an IPv6 address, but IPv6 cannot be switched on in it: " +
                                                  std::string(std::strerror(errno)));
            }
        }
    }
    if (names_.allow_ip_forwarding && (!ensure_setting("/proc/sys/net/ipv4/ip_forward", '1') ||
                                       (ipv6 && !ensure_setting("/proc/sys/net/ipv6/conf/all/forwarding", '1')))) {
        return refuse(Code::internal, std::string("cannot allow IP forwarding in the pod: ") + std::strerror(errno));
    }
    return {};
}

bool Veth::new_mtu(const PodNetwork& network) const noexcept { return network.mtu != 0 && network.mtu != names_.mtu; }

CniResult<void> Veth::configure_pod(const PodNetwork& network) {
    requests_.clear();
    netlink::LinkChange link{.index = pod_index_, .mac = network.mac};
    if (new_mtu(network)) {
        link.mtu = network.mtu;
    }
    // A namespace starts with the host's IPv4 settings, so with forwarding on.
    link.ipv4 = {{IPV4_DEVCONF_FORWARDING, names_.allow_ip_forwarding ? 1U : 0U}};
    netlink::change_link(requests_, link);
    std::size_t count = 1;
    for (const net::Ip& ip : network.ips) {
        netlink::put_address(requests_,
                             {.ifindex = pod_index_,
                              .address = {ip, net::address_bits(ip.family())},
                              .flags = ip.is_v6() ? std::uint32_t{IFA_F_NODAD} : 0U},
                             netlink::Write::add);
        ++count;
    }
    std::vector<netlink::Route> routes;
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        if (!has_family(network.ips, family)) {
            continue;
        }
        // Proxy ARP would answer for 169.254.1.1 only on a node that has some route to it; the entry always does.
        netlink::put_neighbour(requests_, {.ifindex = pod_index_, .address = gateway_of(family), .mac = kHostMac});
        ++count;
        if (family == net::Family::v4) {
            routes.push_back({.dst = net::Prefix::host(kGateway4),
                              .protocol = RTPROT_BOOT,
                              .scope = RT_SCOPE_LINK,
                              .hops = {{.ifindex = pod_index_}}});
        }
    }
    for (const net::Prefix& route : network.routes) {
        routes.push_back({.dst = route,
                          .protocol = RTPROT_BOOT,
                          .hops = {{.ifindex = pod_index_, .gateway = gateway_of(route.family())}}});
    }
    for (const netlink::Route& route : routes) {
        netlink::put_route(requests_, route, netlink::Write::add);
    }
    const std::string what = "cannot configure " + names_.pod_name + " in the pod";
    const auto refused = pod_.batch(requests_);
    if (!refused) {
        return kernel_refused(what, refused.error());
    }
    // An interface that the pod had before leads there already: it stays the preferred one. What goes by the gateway is
    // then refused because the route to the gateway was.
    requests_.clear();
    for (const netlink::RefusedRequest& one : *refused) {
        if (one.index < count ||
            (one.code != EEXIST && !(one.code == ENETUNREACH && refused->front().code == EEXIST))) {
            return kernel_refused(what, {netlink::SocketError::Kind::refused, one.code, one.text});
        }
        netlink::Route& route = routes[one.index - count];
        route.priority = kFurtherRoutes + pod_index_;
        route.hops.front().onlink = route.hops.front().gateway.has_value();
        netlink::put_route(requests_, route, netlink::Write::add);
    }
    return refused->empty() ? CniResult<void>() : all_of(what, pod_, requests_);
}

CniResult<void> Veth::configure_host(const PodNetwork& network) {
    requests_.clear();
    if (new_mtu(network)) {
        netlink::change_link(requests_, {.index = host_index_, .mtu = network.mtu});
        names_.mtu = network.mtu;
    }
    if (has_family(network.ips, net::Family::v6)) {
        netlink::put_address(requests_,
                             {.ifindex = host_index_,
                              .address = {kGateway6, kLinkLocalLength},
                              .scope = RT_SCOPE_LINK,
                              .flags = IFA_F_NODAD},
                             netlink::Write::add);
    }
    for (const net::Ip& ip : network.ips) {
        netlink::put_neighbour(requests_, {.ifindex = host_index_, .address = ip, .mac = names_.pod_mac});
    }
    return all_of("cannot configure " + names_.host_name, host_, requests_);
}

void Veth::remove() noexcept {
    if (host_index_ != 0) {
        requests_.clear();
        netlink::delete_link(requests_, host_index_);
        const auto deleted = host_.request(requests_);
        (void)deleted;  // gone already is just as well
        host_index_ = 0;
    }
}

}  // namespace manul::cni
