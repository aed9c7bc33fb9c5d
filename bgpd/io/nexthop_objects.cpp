#include "bgpd/io/nexthop_objects.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "base/try.hpp"
#include "bgpd/io/messages.hpp"
#include "bgpd/io/next_hop_watch.hpp"
#include "net/scoped.hpp"

namespace manul::bgp::io {
namespace {

std::vector<netlink::Hop> hops_of(const speaker::FibGroup& group) {
    std::vector<netlink::Hop> hops;
    for (const speaker::FibMember& member : group.members) {
        netlink::Hop& hop = hops.emplace_back();
        hop.ifindex = member.via.interface;
        hop.gateway = net::without_scope(member.via.gateway.value_or(member.next_hop));
        hop.weight = member.weight;
    }
    return hops;
}

netlink::Nexthop single(std::uint32_t id, const netlink::Hop& hop) {
    netlink::Nexthop object;
    object.id = id;
    object.protocol = kRouteProtocol;
    object.family = hop.gateway->family();
    object.hop = hop;
    return object;
}

netlink::Nexthop group_of(std::uint32_t id, const std::vector<std::uint32_t>& members,
                          const std::vector<netlink::Hop>& hops) {
    netlink::Nexthop object;
    object.id = id;
    object.protocol = kRouteProtocol;
    for (std::size_t i = 0; i < members.size(); ++i) {
        object.group.push_back({members[i], hops[i].weight});
    }
    return object;
}

}  // namespace

netlink::SocketResult<void> NexthopObjects::resync(bool earlier_run) {
    MANUL_TRY(const auto objects, writer_.socket().nexthops());
    foreign_.clear();
    for (const netlink::Nexthop& object : objects) {
        if (object.protocol != kRouteProtocol) {
            foreign_.insert(object.id);
        } else if (earlier_run) {
            earlier_.insert(object.id);
        }
    }
    for (auto& [id, group] : groups_) {
        program(group);
    }
    return {};
}

bool NexthopObjects::define(const speaker::FibGroup& definition) {
    const std::uint32_t id = definition.group.value();
    const auto known = groups_.find(id);
    if (definition.members.empty()) {
        if (known != groups_.end()) {
            given_up_.push_back(std::move(known->second));
            groups_.erase(known);
        }
        return false;
    }
    Group next{hops_of(definition), kNone, {}, false};
    if (known != groups_.end() && known->second.hops == next.hops && !known->second.failed) {
        return false;
    }
    if (next.hops.size() > 1) {
        for (const netlink::Hop& hop : next.hops) {
            next.members.push_back(join_member(hop));
        }
    }
    const bool keeps_object = known != groups_.end() && known->second.members.empty() == next.members.empty();
    next.object = keeps_object ? known->second.object : new_object();
    program(next);
    if (known == groups_.end()) {
        groups_.emplace(id, std::move(next));
        return false;
    }
    if (keeps_object) {
        leave_members(known->second);
        writer_.send(requests_);  // what is gone already: fine
    } else {
        given_up_.push_back(std::move(known->second));
    }
    known->second = std::move(next);
    return !keeps_object;
}

void NexthopObjects::retry() {
    for (auto& [id, group] : groups_) {
        if (group.failed) {
            program(group);
        }
    }
}

NexthopObjects::Id NexthopObjects::of(speaker::FibGroupId group) const {
    const auto found = groups_.find(group.value());
    return found == groups_.end() ? kNone : found->second.object;
}

bool NexthopObjects::uses(std::uint32_t ifindex) const {
    return std::ranges::any_of(groups_, [&](const auto& one) {
        return std::ranges::any_of(one.second.hops, [&](const netlink::Hop& hop) { return hop.ifindex == ifindex; });
    });
}

void NexthopObjects::lead(Id from, Id to) {
    if (const auto routes = routes_.find(from); routes != routes_.end() && --routes->second == 0) {
        routes_.erase(routes);
    }
    if (to != kNone) {
        ++routes_[to];
    }
}

void NexthopObjects::remove_unused(bool earlier_run) {
    std::erase_if(given_up_, [this](const Group& group) {
        if (routes_.contains(group.object)) {
            return false;
        }
        netlink::delete_nexthop(requests_, group.object);
        leave_members(group);
        return true;
    });
    if (earlier_run) {
        std::erase_if(earlier_, [this](Id object) {
            if (routes_.contains(object)) {
                return false;
            }
            netlink::delete_nexthop(requests_, object);
            return true;
        });
    }
    writer_.send(requests_);  // what is gone already: fine
}

NexthopObjects::Id NexthopObjects::new_object() {
    do {
        ++newest_;
    } while (earlier_.contains(newest_) || foreign_.contains(newest_));
    return newest_;
}

NexthopObjects::Id NexthopObjects::join_member(const netlink::Hop& hop) {
    Member& member = members_[{hop.ifindex, *hop.gateway}];
    ++member.groups;
    if (member.object == kNone) {
        member.object = new_object();
    }
    return member.object;
}

/// Of a group whose object is gone.
void NexthopObjects::leave_members(const Group& group) {
    if (group.members.empty()) {
        return;
    }
    for (const netlink::Hop& hop : group.hops) {
        const auto member = members_.find({hop.ifindex, *hop.gateway});
        if (--member->second.groups == 0) {
            netlink::delete_nexthop(requests_, member->second.object);
            members_.erase(member);
        }
    }
}

/// A group is made of the members that the kernel takes: one whose link has just gone down must not cost the others.
void NexthopObjects::program(Group& group) {
    group.failed = false;
    const auto put = [&] {
        auto refused = writer_.send(requests_);
        group.failed = group.failed || !refused || !refused->empty();
        if (refused && !refused->empty()) {
            const netlink::SocketError why{netlink::SocketError::Kind::refused, refused->front().code,
                                           refused->front().text};
            log::emit(kKernelFailed, "nexthop object: " + why.message());
        }
        return refused;
    };
    if (group.hops.size() == 1) {
        netlink::put_nexthop(requests_, single(group.object, group.hops.front()), netlink::Write::replace);
        put();
        return;
    }
    for (std::size_t i = 0; i < group.hops.size(); ++i) {
        netlink::put_nexthop(requests_, single(group.members[i], group.hops[i]), netlink::Write::replace);
    }
    const auto refused = put();
    if (!refused) {
        return;
    }
    netlink::Nexthop object = group_of(group.object, group.members, group.hops);
    for (auto member = refused->rbegin(); member != refused->rend(); ++member) {
        object.group.erase(object.group.begin() + static_cast<std::ptrdiff_t>(member->index));
    }
    if (!object.group.empty()) {
        netlink::put_nexthop(requests_, object, netlink::Write::replace);
        put();
    }
}

}  // namespace manul::bgp::io
