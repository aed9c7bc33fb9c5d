#include "felix/io/conntrack.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/try.hpp"
#include "base/unique_fd.hpp"
#include "net/ip.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/message.hpp"

namespace manul::felix::io {

namespace {

constexpr std::size_t kReceiveSize = std::size_t{64} << 10U;
constexpr int kReceiveRoom = 4 << 20U;
constexpr std::uint16_t kGet = NFNL_SUBSYS_CTNETLINK << 8U | IPCTNL_MSG_CT_GET;
constexpr std::uint16_t kNew = NFNL_SUBSYS_CTNETLINK << 8U | IPCTNL_MSG_CT_NEW;
constexpr std::uint16_t kDelete = NFNL_SUBSYS_CTNETLINK << 8U | IPCTNL_MSG_CT_DELETE;

std::uint8_t family_number(net::Family family) { return family == net::Family::v4 ? NFPROTO_IPV4 : NFPROTO_IPV6; }

ByteView find(ByteView attributes, std::uint16_t type) {
    netlink::AttributeWalk walk(attributes);
    while (const auto attribute = walk.next()) {
        if (attribute->type == type) {
            return attribute->payload;
        }
    }
    return {};
}

bool tuple_has(ByteView tuple, const std::set<net::Ip>& addresses) {
    const ByteView ip = find(tuple, CTA_TUPLE_IP);
    return std::ranges::any_of(std::array{CTA_IP_V4_SRC, CTA_IP_V4_DST, CTA_IP_V6_SRC, CTA_IP_V6_DST}, [&](auto type) {
        const auto address = net::Ip::from_bytes(find(ip, static_cast<std::uint16_t>(type)));
        return address && addresses.contains(*address);
    });
}

/// Asks to delete the entry that the attributes describe.
void append_delete(netlink::RequestBuffer& out, net::Family family, ByteView attributes) {
    const nfgenmsg fixed{family_number(family), NFNETLINK_V0, 0};
    out.begin(kDelete, NLM_F_REQUEST, fixed);
    out.bytes(CTA_TUPLE_ORIG | NLA_F_NESTED, find(attributes, CTA_TUPLE_ORIG));
    for (const std::uint16_t type : {CTA_ZONE, CTA_ID}) {
        if (const ByteView value = find(attributes, type); !value.empty()) {
            out.bytes(type, value);
        }
    }
    out.end();
}

}  // namespace

ConntrackCleaner::ConntrackCleaner(UniqueFd fd) : fd_(std::move(fd)), buffer_(kReceiveSize) {}

Result<ConntrackCleaner> ConntrackCleaner::open() {
    UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        return fail(fmt::format("cannot open a conntrack netlink socket: {}", std::strerror(errno)));
    }
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveRoom, sizeof(kReceiveRoom));
    const timeval patience{10, 0};
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return ConntrackCleaner(std::move(fd));
}

Result<void> ConntrackCleaner::send(const std::vector<std::uint8_t>& request) {
    if (::send(fd_.get(), request.data(), request.size(), 0) < 0) {
        return fail(std::strerror(errno));
    }
    return {};
}

Result<std::size_t> ConntrackCleaner::forget(const std::set<net::Ip>& addresses) {
    std::size_t count = 0;
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        if (std::ranges::none_of(addresses, [family](const net::Ip& ip) { return ip.family() == family; })) {
            continue;
        }
        netlink::RequestBuffer request;
        const nfgenmsg fixed{family_number(family), NFNETLINK_V0, 0};
        request.begin(kGet, NLM_F_REQUEST | NLM_F_DUMP, fixed);
        request.end();
        MANUL_CHECK(send({request.view().begin(), request.view().end()}));
        std::vector<std::vector<std::uint8_t>> deletions;
        for (bool more = true; more;) {
            const ssize_t size = ::recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
            if (size < 0) {
                return fail(fmt::format("cannot list connections: {}", std::strerror(errno)));
            }
            netlink::MessageWalk walk(ByteView(buffer_).first(static_cast<std::size_t>(size)));
            while (const auto message = walk.next()) {
                more = more && message->type != NLMSG_DONE && message->type != NLMSG_ERROR;
                if (message->type != kNew || message->payload.size() < sizeof(nfgenmsg)) {
                    continue;
                }
                const ByteView attributes = message->payload.subspan(sizeof(nfgenmsg));
                if (tuple_has(find(attributes, CTA_TUPLE_ORIG), addresses) ||
                    tuple_has(find(attributes, CTA_TUPLE_REPLY), addresses)) {
                    netlink::RequestBuffer deletion;
                    append_delete(deletion, family, attributes);
                    deletions.emplace_back(deletion.view().begin(), deletion.view().end());
                }
            }
        }
        // An entry that ended meanwhile is no failure, so no answers are asked for; errors that come are left unread
        // until the next dump, which skips them.
        for (const auto& deletion : deletions) {
            MANUL_CHECK(send(deletion));
        }
        count += deletions.size();
        while (::recv(fd_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT) >= 0) {
        }
    }
    return count;
}

}  // namespace manul::felix::io
