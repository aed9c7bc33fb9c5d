#include "net/netlink/route_dump.hpp"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/unique_fd.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/encode.hpp"
#include "net/netlink/message.hpp"
#include "net/netlink/socket.hpp"

namespace manul::netlink {

RouteDump::RouteDump(UniqueFd fd)
    : fd_(std::move(fd)), buffer_(std::make_unique_for_overwrite<std::uint8_t[]>(kReceiveSize)) {}

SocketResult<RouteDump> RouteDump::start(const RouteFilter& filter) {
    UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (!fd) {
        return std::unexpected(SocketError::from_errno("cannot open a netlink socket"));
    }
    const int on = 1;
    (void)::setsockopt(fd.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);  // else unfiltered dumps
    RequestBuffer request;
    dump_routes(request, filter);
    auto bytes = request.mutable_view();
    nlmsghdr header{};
    std::memcpy(&header, bytes.data(), sizeof header);
    header.nlmsg_flags = static_cast<std::uint16_t>(header.nlmsg_flags | NLM_F_REQUEST);
    header.nlmsg_seq = 1;
    std::memcpy(bytes.data(), &header, sizeof header);
    if (::send(fd.get(), bytes.data(), header.nlmsg_len, 0) < 0) {
        return std::unexpected(SocketError::from_errno("cannot ask for routes"));
    }
    return RouteDump(std::move(fd));
}

SocketResult<bool> RouteDump::take(std::vector<Route>& routes) {
    ssize_t got = -1;
    do {
        got = ::recv(fd_.get(), buffer_.get(), kReceiveSize, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return std::unexpected(SocketError::from_errno("cannot read routes"));
    }
    MessageWalk walk(ByteView(buffer_.get(), static_cast<std::size_t>(got)));
    while (auto message = walk.next()) {
        if ((message->flags & NLM_F_DUMP_INTR) != 0) {
            return std::unexpected(SocketError{SocketError::Kind::interrupted, EAGAIN, {}});
        }
        if (message->type == NLMSG_DONE || message->type == NLMSG_ERROR) {
            const auto ack = decode_ack(*message);
            // The kernel makes a table with its first route: until then even the main table is not there.
            if (ack && ack->code != 0 && ack->code != ENOENT) {
                return std::unexpected(SocketError{SocketError::Kind::refused, ack->code, ack->text});
            }
            return false;
        }
        auto event = decode_event(*message);
        if (auto* changed = event ? std::get_if<Changed<Route>>(&*event) : nullptr) {
            routes.push_back(std::move(changed->value));
        }
    }
    return true;
}

}  // namespace manul::netlink
