#include "felix/io/interface_watch.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.hpp"
#include "base/overloaded.hpp"
#include "net/netlink/message.hpp"

namespace manul::felix::io {

InterfaceWatch::InterfaceWatch(netlink::Monitor monitor, netlink::Socket socket)
    : monitor_(std::move(monitor)), socket_(std::move(socket)) {}

Result<InterfaceWatch> InterfaceWatch::open() {
    netlink::Monitor::Options options;
    options.links = true;
    options.addresses = true;
    auto monitor = netlink::Monitor::open(options);
    if (!monitor) {
        return fail(monitor.error().message());
    }
    auto socket = netlink::Socket::open();
    if (!socket) {
        return fail(socket.error().message());
    }
    return InterfaceWatch(std::move(*monitor), std::move(*socket));
}

Result<std::vector<InterfaceWatch::Change>> InterfaceWatch::list() {
    const auto found = socket_.links();
    if (!found) {
        return fail(found.error().message());
    }
    std::vector<Change> changed;
    std::set<std::uint32_t> present;
    for (const netlink::Link& link : *found) {
        present.insert(link.index);
        learn(link, changed);
    }
    std::vector<std::uint32_t> gone;
    for (const auto& [index, name] : names_) {
        if (!present.contains(index)) {
            gone.push_back(index);
        }
    }
    for (const std::uint32_t index : gone) {
        forget(index, changed);
    }
    const auto addresses = socket_.addresses();
    if (!addresses) {
        return fail(addresses.error().message());
    }
    addresses_.clear();
    for (const netlink::Address& address : *addresses) {
        addresses_[address.ifindex].insert(address.address.address);
    }
    return changed;
}

Result<std::vector<InterfaceWatch::Change>> InterfaceWatch::take() {
    std::vector<Change> changed;
    auto events = monitor_.take();
    if (!events) {
        return fail(events.error().message());
    }
    bool lost = false;
    for (const netlink::Event& event : *events) {
        std::visit(overloaded{
                       [&](const netlink::Changed<netlink::Link>& e) { learn(e.value, changed); },
                       [&](const netlink::Removed<netlink::Link>& e) { forget(e.value.index, changed); },
                       [&](const netlink::Changed<netlink::Address>& e) {
                           addresses_[e.value.ifindex].insert(e.value.address.address);
                       },
                       [&](const netlink::Removed<netlink::Address>& e) { forget(e.value, changed); },
                       [&](const netlink::Removed<netlink::Route>& e) { removed_routes_.routes.push_back(e.value); },
                       [&](const netlink::Overrun&) { lost = true; },
                       [](const auto&) {},
                   },
                   event);
    }
    if (lost) {
        removed_routes_.incomplete = true;
        auto listed = list();
        if (!listed) {
            return listed;
        }
        std::ranges::move(*listed, std::back_inserter(changed));
    }
    return changed;
}

Result<void> InterfaceWatch::follow_routes(std::uint8_t protocol) {
    if (const auto hears = monitor_.hear_removed_routes(protocol); !hears) {
        return fail(hears.error().message());
    }
    return {};
}

InterfaceAddresses InterfaceWatch::addresses() const {
    InterfaceAddresses out;
    for (const auto& [index, addresses] : addresses_) {
        if (const auto name = names_.find(index); name != names_.end() && !addresses.empty()) {
            out.addresses[name->second] = addresses;
        }
    }
    return out;
}

const netlink::Link* InterfaceWatch::find(const std::string& name) const {
    const auto found = links_.find(name);
    return found == links_.end() ? nullptr : &found->second;
}

void InterfaceWatch::learn(const netlink::Link& link, std::vector<Change>& changed) {
    const auto known = names_.find(link.index);
    if (known != names_.end() && known->second != link.name) {  // with its addresses
        changed.push_back({.name = known->second, .interrupted = true, .renamed = true});
        links_.erase(known->second);
        names_.erase(known);
    }
    const auto [entry, is_new] = links_.try_emplace(link.name, link);
    bool interrupted = !link.is_up();
    if (!is_new) {
        const netlink::Link& before = entry->second;
        if (before.index == link.index && before.group == link.group && before.alias == link.alias &&
            before.mtu == link.mtu && before.is_up() == link.is_up()) {
            return;
        }
        interrupted = interrupted || before.index != link.index;
        names_.erase(before.index);
        entry->second = link;
    }
    names_[link.index] = link.name;
    changed.push_back({.name = link.name, .interrupted = interrupted});
}

void InterfaceWatch::forget(std::uint32_t index, std::vector<Change>& changed) {
    const auto known = names_.find(index);
    if (known == names_.end()) {
        return;
    }
    changed.push_back({.name = known->second, .interrupted = true});
    links_.erase(known->second);
    addresses_.erase(index);
    names_.erase(known);
}

/// The last IPv4 address of a link takes all IPv4 routes over the link along, and the kernel does not say so.
void InterfaceWatch::forget(const netlink::Address& gone, std::vector<Change>& changed) {
    const auto left = addresses_.find(gone.ifindex);
    if (left == addresses_.end() || left->second.erase(gone.address.address) == 0) {
        return;
    }
    const auto link = names_.find(gone.ifindex);
    if (gone.address.address.is_v4() && std::ranges::none_of(left->second, &net::Ip::is_v4) && link != names_.end()) {
        changed.push_back({link->second, true});
    }
}

std::vector<InterfaceWatch::Failure> InterfaceWatch::set_groups(
    const std::vector<std::pair<std::string, std::uint32_t>>& groups) {
    std::vector<Failure> failures;
    netlink::RequestBuffer requests;
    std::vector<std::size_t> sent;
    for (std::size_t i = 0; i < groups.size(); ++i) {
        if (const netlink::Link* link = find(groups[i].first)) {
            netlink::LinkChange change;
            change.index = link->index;
            change.group = groups[i].second;
            netlink::change_link(requests, change);
            sent.push_back(i);
        }
    }
    if (sent.empty()) {
        return failures;
    }
    const auto refused = socket_.batch(requests);
    if (!refused) {
        for (const std::size_t i : sent) {
            failures.push_back({groups[i].first, refused.error().message()});
        }
        return failures;
    }
    for (const netlink::RefusedRequest& refusal : *refused) {
        const std::size_t i = sent[refusal.index];
        sent[refusal.index] = groups.size();
        if (refusal.code != ENODEV) {
            failures.push_back({groups[i].first, std::strerror(refusal.code)});
        }
    }
    for (const std::size_t i : sent) {
        if (i < groups.size()) {
            links_.at(groups[i].first).group = groups[i].second;
        }
    }
    return failures;
}

}  // namespace manul::felix::io
