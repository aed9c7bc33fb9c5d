#include "ipam/io/host_links.hpp"

#include <linux/neighbour.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "ipam/io/teardown.hpp"
#include "net/netlink/encode.hpp"
#include "net/netlink/message.hpp"

namespace manul::ipam {

namespace {

std::unexpected<Error> failed(const char* what, const netlink::SocketError& error) {
    return fail(std::string("cannot ") + what + ": " + error.message());
}

bool is_gone(int code) noexcept { return code == ENODEV || code == ENOENT; }

}  // namespace

Result<HostLinks> HostLinks::open() {
    auto socket = netlink::Socket::open();
    if (!socket) {
        return failed("open a netlink socket", socket.error());
    }
    return HostLinks(*std::move(socket));
}

Result<std::vector<netlink::Link>> HostLinks::list() {
    auto links = socket_.links();
    if (!links) {
        return failed("list the links", links.error());
    }
    return *std::move(links);
}

Result<std::optional<netlink::Link>> HostLinks::find(const std::string& name) {
    auto link = socket_.link(name);
    if (!link) {
        return failed("look a link up", link.error());
    }
    return *std::move(link);
}

Result<std::optional<netlink::Link>> HostLinks::find(std::uint32_t index) {
    auto link = socket_.link(index);
    if (!link) {
        return failed("look a link up", link.error());
    }
    return *std::move(link);
}

Result<std::map<net::Ip, std::string>> HostLinks::addresses_behind(std::span<const netlink::Link> links) {
    std::map<net::Ip, std::string> out;
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        const auto neighbours =
            links.empty() ? netlink::SocketResult<std::vector<netlink::Neighbour>>{} : socket_.neighbours(family);
        if (!neighbours) {
            return failed("list the neighbours", neighbours.error());
        }
        for (const netlink::Neighbour& one : *neighbours) {
            const auto link = std::ranges::find(links, one.ifindex, &netlink::Link::index);
            if (link != links.end() && (one.state & NUD_PERMANENT) != 0) {
                out.emplace(one.address, link->name);
            }
        }
    }
    return out;
}

Result<bool> HostLinks::exists(std::uint32_t index) {
    ifreq request{};
    request.ifr_ifindex = static_cast<int>(index);
    if (::ioctl(socket_.fd(), SIOCGIFNAME, &request) == 0) {
        return true;
    }
    if (!is_gone(errno)) {
        return failed("look a link up", {netlink::SocketError::Kind::io, errno, {}});
    }
    return false;
}

Result<void> HostLinks::remove(std::span<const std::uint32_t> indexes) {
    if (indexes.empty()) {
        return {};
    }
    netlink::RequestBuffer requests;
    for (const std::uint32_t index : indexes) {
        // Not down first: each link taken down by itself waits for a grace period, the group for one in all.
        netlink::LinkChange change;
        change.index = index;
        change.group = kDoomedGroup;
        netlink::change_link(requests, change);
    }
    netlink::delete_link_group(requests, kDoomedGroup);
    const auto refused = socket_.batch(requests);
    if (!refused) {
        return failed("delete links", refused.error());
    }
    const auto real = std::ranges::find_if(*refused, [](const auto& one) { return !is_gone(one.code); });
    if (real != refused->end()) {
        return failed("delete links", {netlink::SocketError::Kind::refused, real->code, real->text});
    }
    return {};
}

Result<void> HostLinks::put_aside(std::uint32_t index) {
    // Two requests in one message: before Linux 6.2 a link that is up cannot be renamed.
    netlink::RequestBuffer requests;
    netlink::LinkChange down;
    down.index = index;
    down.up = false;
    down.group = kDoomedGroup;
    netlink::change_link(requests, down);
    netlink::LinkChange rename;
    rename.index = index;
    rename.name = aside_name(index);
    netlink::change_link(requests, rename);
    const auto refused = socket_.batch(requests);
    if (!refused) {
        return failed("rename a link", refused.error());
    }
    const auto real = std::ranges::find_if(*refused, [](const auto& one) { return !is_gone(one.code); });
    if (real != refused->end()) {
        return failed("rename a link", {netlink::SocketError::Kind::refused, real->code, real->text});
    }
    return {};
}

bool link_exists(const std::string& name) { return ::if_nametoindex(name.c_str()) != 0; }

bool link_may_exist(const std::string& name) { return link_exists(name) || errno != ENODEV; }

}  // namespace manul::ipam
