#include "felix/io/route_sync.hpp"

#include <linux/rtnetlink.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/try.hpp"
#include "felix/io/messages.hpp"
#include "felix/model/config.hpp"
#include "felix/model/route.hpp"
#include "net/ip.hpp"
#include "net/netlink/message.hpp"
#include "net/prefix.hpp"

namespace manul::felix::io {

struct RouteSync::Operation {
    net::Prefix prefix;
    std::optional<std::uint32_t> index;  ///< nothing: delete
    bool replace = false;
};

Result<RouteSync> RouteSync::open() {
    auto socket = netlink::Socket::open();
    if (!socket) {
        return fail(socket.error().message());
    }
    return RouteSync(std::move(*socket));
}

void RouteSync::configure(const Config& config) {
    protocol_ = config.route_protocol;
    metric_v4_ = config.route_priority_v4 - 1;
    metric_v6_ = config.route_priority_v6 - 1;
    source_v4_ = config.route_source_v4;
    source_v6_ = config.route_source_v6;
}

bool RouteSync::is_ours(const netlink::Route& route) const {
    const std::uint32_t metric = route.family() == net::Family::v4 ? metric_v4_ : metric_v6_;
    return route.protocol == protocol_ && route.priority == metric && route.hops.size() == 1 &&
           !route.hops.front().gateway;
}

Result<void> RouteSync::list() {
    std::map<net::Prefix, std::uint32_t> found;
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        const auto routes = socket_.routes({family, netlink::kMainTable, protocol_, 0});
        if (!routes) {
            return fail(routes.error().message());
        }
        for (const netlink::Route& route : *routes) {
            if (is_ours(route)) {
                found[route.dst] = route.hops.front().ifindex;
            }
        }
    }
    for (const auto& [prefix, index] : found) {
        dirty_.insert(prefix);
    }
    for (const auto& [prefix, interface] : wanted_) {
        dirty_.insert(prefix);
    }
    kernel_ = std::move(found);
    return {};
}

void RouteSync::want(const WorkloadRoute& route) {
    forget(route.prefix);
    wanted_[route.prefix] = route.interface;
    by_interface_[route.interface].insert(route.prefix);
}

void RouteSync::forget(const net::Prefix& prefix) {
    dirty_.insert(prefix);
    const auto known = wanted_.find(prefix);
    if (known == wanted_.end()) {
        return;
    }
    const auto interface = by_interface_.find(known->second);
    interface->second.erase(prefix);
    if (interface->second.empty()) {
        by_interface_.erase(interface);
    }
    wanted_.erase(known);
}

void RouteSync::link_changed(const std::string& interface, std::optional<std::uint32_t> index) {
    const auto known = links_.find(interface);
    if (known == links_.end() ? !index : index == known->second) {
        return;
    }
    if (index) {
        links_[interface] = *index;
    } else {
        links_.erase(known);
    }
    const auto prefixes = by_interface_.find(interface);
    if (prefixes == by_interface_.end()) {
        return;
    }
    for (const net::Prefix& prefix : prefixes->second) {
        dirty_.insert(prefix);
        // Whatever the kernel held over this link may be gone; an exclusive add tells.
        kernel_.erase(prefix);
    }
}

netlink::Route RouteSync::route_to(const net::Prefix& prefix, std::uint32_t index) const {
    netlink::Route route;
    route.dst = prefix;
    route.protocol = protocol_;
    const bool v4 = prefix.family() == net::Family::v4;
    route.scope = v4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    route.priority = v4 ? metric_v4_ : metric_v6_;
    route.prefsrc = v4 ? source_v4_ : source_v6_;
    netlink::Hop hop;
    hop.ifindex = index;
    route.hops.push_back(hop);
    return route;
}

std::optional<RouteSync::Operation> RouteSync::next_operation(const net::Prefix& prefix) const {
    const auto wanted = wanted_.find(prefix);
    const auto kernel = kernel_.find(prefix);
    if (wanted == wanted_.end()) {
        if (kernel == kernel_.end() || !swept_) {
            return std::nullopt;
        }
        return Operation{prefix, std::nullopt, false};
    }
    const auto link = links_.find(wanted->second);
    if (link == links_.end() || (kernel != kernel_.end() && kernel->second == link->second)) {
        return std::nullopt;
    }
    return Operation{prefix, link->second, kernel != kernel_.end()};
}

void RouteSync::program() {
    dirty_.merge(failed_);
    failed_.clear();
    netlink::RequestBuffer requests;
    std::vector<Operation> operations;
    for (const net::Prefix& prefix : dirty_) {
        const auto operation = next_operation(prefix);
        if (!operation) {
            continue;
        }
        if (operation->index) {
            netlink::put_route(requests, route_to(prefix, *operation->index),
                               operation->replace ? netlink::Write::replace : netlink::Write::add);
        } else {
            netlink::delete_route(requests, route_to(prefix, kernel_.at(prefix)));
        }
        operations.push_back(*operation);
    }
    if (swept_) {
        dirty_.clear();
    }
    if (operations.empty()) {
        return;
    }
    const auto refusals = socket_.batch(requests);
    if (!refusals) {
        log::emit(kListFailed, "the answers to route changes", refusals.error().message());
        for (const Operation& operation : operations) {
            failed_.insert(operation.prefix);
        }
        return;
    }
    std::map<std::size_t, int> code_of;
    for (const netlink::RefusedRequest& refusal : *refusals) {
        code_of[refusal.index] = refusal.code;
    }
    for (std::size_t i = 0; i < operations.size(); ++i) {
        const Operation& operation = operations[i];
        if (const auto code = code_of.find(i); code != code_of.end()) {
            refused(operation, code->second);
        } else if (operation.index) {
            kernel_[operation.prefix] = *operation.index;
        } else {
            kernel_.erase(operation.prefix);
        }
    }
}

void RouteSync::refused(const Operation& operation, int code) {
    if (!operation.index) {
        kernel_.erase(operation.prefix);  // ESRCH: the kernel dropped it with its link
        if (code != ESRCH) {
            log::emit(kRouteRefused, operation.prefix.to_string(), "its link", std::strerror(code));
        }
        return;
    }
    if (code == EEXIST) {
        // Either ours is still there after all, or somebody else has a route of this metric.
        const auto routes = socket_.routes({operation.prefix.family(), netlink::kMainTable, protocol_, 0});
        for (const netlink::Route& route : routes ? *routes : std::vector<netlink::Route>{}) {
            if (route.dst == operation.prefix && is_ours(route)) {
                kernel_[operation.prefix] = route.hops.front().ifindex;
                if (route.hops.front().ifindex != *operation.index) {
                    failed_.insert(operation.prefix);
                }
                return;
            }
        }
        log::emit(kRouteTaken, operation.prefix.to_string(),
                  operation.prefix.family() == net::Family::v4 ? metric_v4_ : metric_v6_);
        failed_.insert(operation.prefix);
        return;
    }
    if (code != ENODEV && code != ENETDOWN) {  // the link's own event follows
        log::emit(kRouteRefused, operation.prefix.to_string(), wanted_.at(operation.prefix), std::strerror(code));
    }
    failed_.insert(operation.prefix);
}

bool RouteSync::complete(const std::string& interface) const {
    const auto link = links_.find(interface);
    const auto prefixes = by_interface_.find(interface);
    if (link == links_.end()) {
        return false;
    }
    if (prefixes == by_interface_.end()) {
        return true;
    }
    for (const net::Prefix& prefix : prefixes->second) {
        const auto kernel = kernel_.find(prefix);
        if (kernel == kernel_.end() || kernel->second != link->second) {
            return false;
        }
    }
    return true;
}

}  // namespace manul::felix::io
