#include "felix/io/published_ports.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "base/daemon.hpp"
#include "base/log.hpp"
#include "felix/eval/packet.hpp"
#include "felix/io/conntrack.hpp"
#include "felix/io/messages.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/update.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"

namespace manul::felix::io {

namespace {

std::vector<PublishedPort> published(const Endpoint& endpoint) {
    std::vector<PublishedPort> ports;
    for (const HostPort& port : endpoint.host_ports) {
        for (const net::Ip& address : endpoint.addresses) {
            if (port.protocol == net::kUdp && (!port.host_ip || port.host_ip->family() == address.family())) {
                ports.push_back({port, address});
            }
        }
    }
    return ports;
}

}  // namespace

bool is_past(const PublishedPort& published, const Flow& flow, const std::set<net::Ip>& own) {
    const Packet& dialed = flow.before_dnat ? *flow.before_dnat : flow.packet;
    const HostPort& port = published.port;
    if (dialed.protocol != port.protocol || dialed.destination_port != port.host_port ||
        dialed.family() != published.target.family()) {
        return false;
    }
    const bool any_address = !port.host_ip || port.host_ip->is_unspecified();
    return (any_address ? own.contains(dialed.destination) : dialed.destination == *port.host_ip) &&
           (flow.packet.destination != published.target || flow.packet.destination_port != port.port);
}

void PublishedPorts::note(const Batch& batch) {
    for (const Update& update : batch) {
        if (const auto* removed = std::get_if<EndpointRemoved>(&update)) {
            known_.erase(removed->key);
        }
        const auto* updated = std::get_if<EndpointUpdated>(&update);
        if (updated == nullptr) {
            continue;
        }
        std::vector<PublishedPort> now = published(*updated->endpoint);
        const auto before = known_.find(updated->endpoint->key);
        if (before == known_.end() ? now.empty() : before->second == now) {
            continue;
        }
        fresh_.insert(fresh_.end(), now.begin(), now.end());
        known_.insert_or_assign(updated->endpoint->key, std::move(now));
    }
}

void PublishedPorts::take_effect(const std::function<std::set<net::Ip>()>& own) {
    if (fresh_.empty()) {
        return;
    }
    worker_.submit([this, fresh = std::exchange(fresh_, {}), addresses = own()]() -> std::move_only_function<void()> {
        const auto flows = conntrack_.list();
        std::vector<Flow> past;
        if (flows) {
            std::ranges::copy_if(*flows, std::back_inserter(past), [&](const Flow& flow) {
                return std::ranges::any_of(fresh,
                                           [&](const PublishedPort& port) { return is_past(port, flow, addresses); });
            });
        }
        const auto done = flows ? conntrack_.forget(past) : Result<void>(fail(flows.error().message));
        if (!done) {
            log::emit(kConntrackFailed, done.error().message);
        }
        return [] {};
    });
}

}  // namespace manul::felix::io
