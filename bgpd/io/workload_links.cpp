#include "bgpd/io/workload_links.hpp"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include <cerrno>
#include <set>

#include "base/log.hpp"
#include "bgpd/io/messages.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/encode.hpp"

namespace manul::bgp::io {
namespace {

constexpr std::int64_t kAgainMicroseconds = 1'000'000;

/// Alone in its prefix: the link leads to one workload, and only routes say which addresses are there. Of host scope,
/// or where there is no such thing deprecated, so that what the node itself sends to the workload keeps the node's
/// address as its source.
netlink::Address on_link(std::uint32_t ifindex, const net::Ip& address) {
    netlink::Address out;
    out.ifindex = ifindex;
    out.address = {address, net::address_bits(address.family())};
    out.scope = address.is_v4() ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
    out.flags = address.is_v6() ? IFA_F_NODAD | IFA_F_DEPRECATED : 0;
    return out;
}

}  // namespace

void WorkloadLinks::keep(std::vector<speaker::WorkloadAddress> wanted) {
    wanted_ = std::move(wanted);
    if (!wanted_.empty() || !there_.empty()) {
        bring_in_line();
    }
}

void WorkloadLinks::bring_in_line() {
    again_.cancel();
    if (!socket_) {
        auto opened = netlink::Socket::open();
        if (!opened) {
            log::emit(kKernelFailed, opened.error().message());
            again_.after_us(kAgainMicroseconds);
            return;
        }
        socket_ = *std::move(opened);
    }
    bool missing = false;
    std::set<Place> places;
    for (const speaker::WorkloadAddress& each : wanted_) {
        const auto link = socket_->link(each.interface);
        const Place place{link && *link ? (*link)->index : 0, each.address};
        const bool known = there_.contains(place);
        if (place.first == 0 || (!known && !put(place))) {
            missing = true;
            continue;
        }
        places.insert(place);
    }
    std::erase_if(there_, [&](const auto& entry) {
        if (places.contains(entry.first)) {
            return false;
        }
        if (entry.second) {
            remove(entry.first);
        }
        return true;
    });
    if (missing) {
        again_.after_us(kAgainMicroseconds);
    }
}

bool WorkloadLinks::put(const Place& place) {
    netlink::RequestBuffer request;
    netlink::put_address(request, on_link(place.first, place.second), netlink::Write::add);
    const auto done = socket_->request(request);
    if (!done && !done.error().is(EEXIST)) {
        log::emit(kWorkloadAddress, place.second.to_string(), done.error().message());
        return false;
    }
    there_[place] = done.has_value();
    return true;
}

void WorkloadLinks::remove(const Place& place) {
    netlink::RequestBuffer request;
    netlink::delete_address(request, on_link(place.first, place.second));
    static_cast<void>(socket_->request(request));  // gone with its link, mostly
}

}  // namespace manul::bgp::io
