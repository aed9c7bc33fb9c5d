// A CNI plugin that does nothing but the kernel's share of a pod: process start, the pair, addresses, routes and
// neighbours on both ends. No ipamd, no policy, nothing durable. What a plugin takes above it is its own.
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>

#include "cni/error.hpp"
#include "cni/net_conf.hpp"
#include "cni/result.hpp"
#include "cni/veth.hpp"
#include "ipam/local/protocol.hpp"
#include "net/ip.hpp"
#include "net/mac.hpp"
#include "net/netlink/encode.hpp"
#include "net/netlink/socket.hpp"

namespace {

using namespace manul;

std::string host_name_of(const cni::Environment& environment) {
    ipam::Request request;
    request.attachment = {environment.container_id, environment.ifname};
    return ipam::host_interface_name(request);
}

int add(const cni::Environment& environment) {
    const auto number = static_cast<std::uint16_t>(std::hash<std::string>{}(environment.container_id));
    const net::Ip address(net::Ip4(10, 73, static_cast<std::uint8_t>(number >> 8U), static_cast<std::uint8_t>(number)));
    const net::Mac mac({2, 0, 0, 0, static_cast<std::uint8_t>(number >> 8U), static_cast<std::uint8_t>(number)});
    auto veth = cni::Veth::open(environment.netns, false);
    if (!veth || !veth->make({host_name_of(environment), environment.ifname, mac, 0, environment.container_id}) ||
        !veth->configure({{address}, {cni::default_route(net::Family::v4)}, 0, {}})) {
        return 1;
    }
    const cni::AddResult result{.host_name = host_name_of(environment),
                                .host_mac = cni::kHostMac,
                                .pod_name = environment.ifname,
                                .pod_mac = mac,
                                .sandbox = environment.netns,
                                .mtu = veth->mtu(),
                                .ips = {address},
                                .routes = {},
                                .dns = {}};
    return std::puts(cni::print_result(result, "1.0.0").c_str()) < 0 ? 1 : 0;
}

int del(const cni::Environment& environment) {
    auto socket = netlink::Socket::open();
    if (!socket) {
        return 1;
    }
    const auto link = socket->link(host_name_of(environment));
    if (!link || !*link) {
        return link ? 0 : 1;
    }
    netlink::RequestBuffer requests;
    netlink::delete_link(requests, (*link)->index);
    return socket->request(requests) ? 0 : 1;
}

}  // namespace

int main() {
    const auto environment = cni::Environment::of_process();
    return environment.command == "ADD" ? add(environment) : del(environment);
}
