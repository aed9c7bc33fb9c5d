#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bgpd/io/route_writer.hpp"
#include "bgpd/speaker/action.hpp"
#include "net/ip.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/encode.hpp"
#include "net/netlink/socket.hpp"

namespace manul::bgp::io {

/// The kernel's nexthop objects that learned routes lead to: one for each FibGroup and, where a group has several next
/// hops, one for each of these, shared by all groups. A group changes in one message however many routes use it.
///
/// With an object the kernel removes the routes that lead to it. So the routes of each object are counted (`lead`), and
/// one that no group has any more goes when the last of them has been moved away.
class NexthopObjects {
public:
    using Id = std::uint32_t;
    static constexpr Id kNone = 0;  ///< the kernel's ids begin with 1

    /// `writer` outlives this. When it has failed, what the kernel has is unknown until the next resync.
    explicit NexthopObjects(RouteWriter& writer) : writer_(writer) {}

    /// Learns which objects the kernel has and programs those of all groups again. Call it before routes are read back,
    /// since these can only lead to what exists. `earlier_run`: protocol 176's are not of this run.
    [[nodiscard]] netlink::SocketResult<void> resync(bool earlier_run);
    /// A group without members is given up. True when the group has another object now, which its routes have to be
    /// moved to: the kernel does not turn an object of one hop into one of several, or back.
    [[nodiscard]] bool define(const speaker::FibGroup& definition);
    /// Objects that the kernel refused are tried again.
    void retry();

    /// kNone: there is no such group.
    [[nodiscard]] Id of(speaker::FibGroupId group) const;
    /// Some group has a next hop over this interface.
    [[nodiscard]] bool uses(std::uint32_t ifindex) const;

    /// A route that led to `from` leads to `to` now; kNone: to none, or nobody knows where.
    void lead(Id from, Id to);
    /// No route is known to lead anywhere.
    void forget_routes() { routes_.clear(); }
    /// Removes what was given up and no route leads to; with `earlier_run` also what an earlier run left.
    void remove_unused(bool earlier_run);

private:
    struct Group {
        std::vector<netlink::Hop> hops;
        Id object = kNone;
        std::vector<Id> members;  ///< objects of the hops when the object is a group
        bool failed = false;      ///< the kernel refused it
    };
    struct Member {
        Id object = kNone;
        std::uint32_t groups = 0;  ///< that it is in
    };

    [[nodiscard]] Id new_object();
    [[nodiscard]] Id join_member(const netlink::Hop& hop);
    void leave_members(const Group& group);
    void program(Group& group);

    RouteWriter& writer_;
    netlink::RequestBuffer requests_;
    std::unordered_map<std::uint32_t, Group> groups_;              ///< by FibGroupId
    std::map<std::pair<std::uint32_t, net::Ip>, Member> members_;  ///< by interface and gateway
    std::vector<Group> given_up_;                                  ///< that routes may still lead to
    std::unordered_map<Id, std::size_t> routes_;                   ///< how many lead to each object
    std::set<Id> earlier_;                                         ///< of an earlier run
    std::set<Id> foreign_;                                         ///< other programs'
    Id newest_ = 0x4d000000;
};

}  // namespace manul::bgp::io
