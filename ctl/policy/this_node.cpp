#include "ctl/policy/this_node.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "base/try.hpp"
#include "config/model/node.hpp"
#include "felix/calc/address_names.hpp"
#include "net/netlink/socket.hpp"

namespace manul::ctl {

Result<felix::InterfaceAddresses> read_interfaces() {
    auto socket = netlink::Socket::open();
    if (!socket) {
        return fail(socket.error().message());
    }
    const auto links = socket->links();
    if (!links) {
        return fail("cannot list network interfaces: " + links.error().message());
    }
    const auto addresses = socket->addresses();
    if (!addresses) {
        return fail("cannot list addresses: " + addresses.error().message());
    }
    std::map<std::uint32_t, std::string> names;
    for (const netlink::Link& link : *links) {
        names[link.index] = link.name;
    }
    felix::InterfaceAddresses found;
    for (const netlink::Address& address : *addresses) {
        if (const auto name = names.find(address.ifindex); name != names.end()) {
            found.addresses[name->second].insert(address.address.address);
        }
    }
    return found;
}

void tell_this_node(ClusterView& view, const std::string& node) {
    std::set<net::Ip> own;
    for (const auto& object : view.all<model::Node>()) {
        if (object->metadata.name == node) {
            own = [&] {
                const auto list = felix::addresses_of(*object);
                return std::set<net::Ip>(list.begin(), list.end());
            }();
        }
    }
    auto found = read_interfaces();
    if (!found || std::ranges::none_of(found->addresses, [&own](const auto& entry) {
            return std::ranges::any_of(entry.second, [&own](const net::Ip& a) { return own.contains(a); });
        })) {
        return;
    }
    auto opened = netlink::Socket::open();
    if (!opened) {
        return;
    }
    const auto socket = std::make_shared<netlink::Socket>(*std::move(opened));
    view.tell_interfaces(node, *std::move(found), [socket](const net::Ip& address) -> std::optional<std::string> {
        const auto route = socket->route_to(address);
        if (!route || !*route || (*route)->hops.empty()) {
            return std::nullopt;
        }
        const auto link = socket->link((*route)->hops.front().ifindex);
        return link && *link ? std::optional((*link)->name) : std::nullopt;
    });
}

}  // namespace manul::ctl
