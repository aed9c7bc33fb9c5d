#include "felix/io/route_sync.hpp"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <set>
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

namespace {

constexpr std::uint8_t kOwnProtocol = 177;

}  // namespace

struct RouteSync::Operation {
    net::Prefix prefix;
    Held route;
    bool remove = false;
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
    former_protocols_.insert(numbers_.protocol);
    numbers_ = {config.route_protocol, config.route_priority_v4 - 1, config.route_priority_v6 - 1,
                config.route_source_v4, config.route_source_v6};
}

/// Number 177 is nobody else's; others may use a number that the configuration gives, but not where workloads are.
bool RouteSync::is_ours(const netlink::Route& route) const {
    if (route.hops.size() != 1 || route.hops.front().gateway) {
        return false;
    }
    const std::uint32_t metric = route.family() == net::Family::v4 ? numbers_.metric_v4 : numbers_.metric_v6;
    if (route.protocol == kOwnProtocol || (route.protocol == numbers_.protocol && route.priority == metric)) {
        return true;
    }
    return (route.protocol == numbers_.protocol || former_protocols_.contains(route.protocol)) &&
           std::ranges::any_of(by_interface_, [&](const auto& interface) {
               const auto link = links_.find(interface.first);
               return link != links_.end() && link->second == route.hops.front().ifindex;
           });
}

Result<void> RouteSync::list() {
    std::set<std::uint8_t> protocols = former_protocols_;
    protocols.insert({kOwnProtocol, numbers_.protocol});
    std::map<net::Prefix, Held> found;
    std::vector<std::pair<net::Prefix, Held>> besides;
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        for (const std::uint8_t protocol : protocols) {
            const auto routes = socket_.routes({family, netlink::kMainTable, protocol, 0});
            if (!routes) {
                return fail(routes.error().message());
            }
            for (const netlink::Route& route : *routes) {
                if (!is_ours(route)) {
                    continue;
                }
                Held held{route.hops.front().ifindex, route.protocol, route.priority, route.prefsrc};
                const auto [known, is_new] = found.try_emplace(route.dst, held);
                if (!is_new) {
                    if (held.metric == to(route.dst, held.index).metric) {
                        std::swap(known->second, held);
                    }
                    besides.emplace_back(route.dst, held);
                }
            }
        }
    }
    for (const auto& [prefix, held] : found) {
        dirty_.insert(prefix);
    }
    for (const auto& [prefix, interface] : wanted_) {
        dirty_.insert(prefix);
    }
    kernel_ = std::move(found);
    retired_ = std::move(besides);
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

bool RouteSync::removed(const netlink::Route& route) {
    const auto held = kernel_.find(route.dst);
    if (held == kernel_.end() || route.hops.size() != 1 || route.hops.front().ifindex != held->second.index ||
        route.priority != held->second.metric) {
        return false;
    }
    kernel_.erase(held);
    dirty_.insert(route.dst);
    return wants(route.dst);
}

void RouteSync::link_renamed(const std::string& interface) {
    links_.erase(interface);
    if (const auto prefixes = by_interface_.find(interface); prefixes != by_interface_.end()) {
        dirty_.insert(prefixes->second.begin(), prefixes->second.end());
    }
}

RouteSync::Held RouteSync::to(const net::Prefix& prefix, std::uint32_t index) const {
    const bool v4 = prefix.family() == net::Family::v4;
    const auto& source = v4 ? numbers_.source_v4 : numbers_.source_v6;
    return {index, numbers_.protocol, v4 ? numbers_.metric_v4 : numbers_.metric_v6,
            source && own_.contains(*source) ? source : std::nullopt};
}

netlink::Route RouteSync::message(const net::Prefix& prefix, const Held& held) {
    netlink::Route route;
    route.dst = prefix;
    route.protocol = held.protocol;
    route.scope = prefix.family() == net::Family::v4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    route.priority = held.metric;
    route.prefsrc = held.source;
    netlink::Hop hop;
    hop.ifindex = held.index;
    route.hops.push_back(hop);
    return route;
}

std::optional<RouteSync::Operation> RouteSync::next_operation(const net::Prefix& prefix) const {
    const auto wanted = wanted_.find(prefix);
    const auto kernel = kernel_.find(prefix);
    const auto link = wanted == wanted_.end() ? links_.end() : links_.find(wanted->second);
    if (link == links_.end()) {  // nobody wants it, or it leads over a link that has another name now
        if (kernel == kernel_.end() || !swept_) {
            return std::nullopt;
        }
        return Operation{.prefix = prefix, .route = kernel->second, .remove = true};
    }
    const Held now = to(prefix, link->second);
    if (kernel != kernel_.end() && kernel->second == now) {
        return std::nullopt;
    }
    return Operation{
        .prefix = prefix, .route = now, .replace = kernel != kernel_.end() && kernel->second.metric == now.metric};
}

void RouteSync::program() {
    dirty_.merge(failed_);
    failed_.clear();
    // What turns out to be there already, with other numbers, is replaced at once.
    if (write() && write()) {
        failed_.insert(dirty_.begin(), dirty_.end());
    }
    if (swept_) {
        remove_retired();
    }
}

/// Whether there was something in the way that the next attempt can replace.
bool RouteSync::write() {
    netlink::RequestBuffer requests;
    std::vector<Operation> operations;
    for (const net::Prefix& prefix : dirty_) {
        const auto operation = next_operation(prefix);
        if (!operation) {
            continue;
        }
        if (operation->remove) {
            netlink::delete_route(requests, message(prefix, operation->route));
        } else {
            netlink::put_route(requests, message(prefix, operation->route),
                               operation->replace ? netlink::Write::replace : netlink::Write::add);
        }
        operations.push_back(*operation);
    }
    if (swept_) {
        dirty_.clear();
    }
    if (operations.empty()) {
        return false;
    }
    const auto refusals = socket_.batch(requests);
    if (!refusals) {
        log::emit(kListFailed, "the answers to route changes", refusals.error().message());
        for (const Operation& operation : operations) {
            failed_.insert(operation.prefix);
        }
        return false;
    }
    std::map<std::size_t, int> code_of;
    for (const netlink::RefusedRequest& refusal : *refusals) {
        code_of[refusal.index] = refusal.code;
    }
    bool in_the_way = false;
    for (std::size_t i = 0; i < operations.size(); ++i) {
        if (const auto code = code_of.find(i); code == code_of.end()) {
            carried_out(operations[i]);
        } else if (code->second == EEXIST) {
            in_the_way = adopt(operations[i]) || in_the_way;
        } else {
            refused(operations[i], code->second);
        }
    }
    return in_the_way;
}

void RouteSync::carried_out(const Operation& operation) {
    const auto before = kernel_.find(operation.prefix);
    if (operation.remove) {
        kernel_.erase(operation.prefix);
        return;
    }
    if (before != kernel_.end() && before->second.metric != operation.route.metric) {
        retired_.push_back(*before);
    }
    kernel_.insert_or_assign(operation.prefix, operation.route);
}

void RouteSync::refused(const Operation& operation, int code) {
    if (operation.remove) {
        kernel_.erase(operation.prefix);
        if (code != ESRCH) {  // else the kernel dropped it with its link
            log::emit(kRouteRefused, operation.prefix.to_string(), "its link", std::strerror(code));
        }
        return;
    }
    if (code != ENODEV && code != ENETDOWN) {  // the link's own event follows
        log::emit(kRouteRefused, operation.prefix.to_string(), wanted_.at(operation.prefix), std::strerror(code));
    }
    failed_.insert(operation.prefix);
}

/// There is a route with this metric: ours still, or one with a number of ours of an earlier run, else somebody's.
/// Whether it is ours.
bool RouteSync::adopt(const Operation& operation) {
    const net::Family family = operation.prefix.family();
    const netlink::RouteFilter over_link{family, netlink::kMainTable, 0, operation.route.index};
    const netlink::RouteFilter with_number{family, netlink::kMainTable, numbers_.protocol, 0};
    for (const netlink::RouteFilter& filter : {over_link, with_number}) {
        const auto routes = socket_.routes(filter);
        for (const netlink::Route& route : routes ? *routes : std::vector<netlink::Route>{}) {
            if (route.dst == operation.prefix && route.priority == operation.route.metric && route.hops.size() == 1 &&
                !route.hops.front().gateway) {
                kernel_.insert_or_assign(
                    operation.prefix, Held{route.hops.front().ifindex, route.protocol, route.priority, route.prefsrc});
                dirty_.insert(operation.prefix);
                return true;
            }
        }
    }
    log::emit(kRouteTaken, operation.prefix.to_string(), operation.route.metric);
    failed_.insert(operation.prefix);
    return false;
}

/// Their successors stand.
void RouteSync::remove_retired() {
    if (retired_.empty()) {
        return;
    }
    netlink::RequestBuffer requests;
    for (const auto& [prefix, held] : retired_) {
        netlink::delete_route(requests, message(prefix, held));
    }
    retired_.clear();
    if (const auto refusals = socket_.batch(requests); !refusals) {
        log::emit(kListFailed, "the answers to route changes", refusals.error().message());
    }
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
        if (kernel == kernel_.end() || kernel->second.index != link->second) {
            return false;
        }
    }
    return true;
}

}  // namespace manul::felix::io
