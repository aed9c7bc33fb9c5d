#include "felix/calc/address_names.hpp"

#include <optional>
#include <utility>
#include <variant>

#include "base/overloaded.hpp"
#include "config/model/host_endpoint.hpp"
#include "config/model/node.hpp"
#include "config/model/workload_endpoint.hpp"

namespace manul::felix {

namespace {

/// What an address is called by when several objects have it.
int rank(model::Kind kind) {
    switch (kind) {
        case model::Kind::workload_endpoint:
            return 0;
        case model::Kind::host_endpoint:
            return 1;
        default:
            return 2;
    }
}

std::vector<net::Ip> addresses_of(const model::WorkloadEndpoint& endpoint) {
    std::vector<net::Ip> out;
    for (const net::Prefix& net : endpoint.spec.ip_networks) {
        out.push_back(net.address());
    }
    return out;
}

}  // namespace

std::vector<net::Ip> addresses_of(const model::Node& node) {
    std::vector<net::Ip> out;
    if (node.spec.bgp && node.spec.bgp->ipv4_address) {
        out.emplace_back(node.spec.bgp->ipv4_address->address);
    }
    if (node.spec.bgp && node.spec.bgp->ipv6_address) {
        out.emplace_back(node.spec.bgp->ipv6_address->address);
    }
    for (const model::NodeAddress& address : node.spec.addresses) {
        out.emplace_back(address.address.address);
    }
    return out;
}

std::string workload_label(const model::WorkloadEndpoint& endpoint) {
    const bool pod = !endpoint.spec.pod.empty();
    return (pod ? "pod " : "workload ") + endpoint.metadata.ns + "/" +
           (pod ? endpoint.spec.pod : endpoint.spec.workload);
}

void AddressNames::handle(const Event& event) {
    std::visit(overloaded{
                   [this](const ResourcePut& put_event) { put(*put_event.resource); },
                   [this](const ResourceRemoved& removed) { remove(removed.key); },
                   [](const auto&) {},
               },
               event);
}

void AddressNames::put(const model::Resource& resource) {
    const model::Key key = resource.key();
    Holder holder{key, {}, {}};
    std::vector<net::Ip> addresses;
    if (const auto* endpoint = model::as<model::WorkloadEndpoint>(resource)) {
        holder.node = endpoint->spec.node;
        holder.label = workload_label(*endpoint);
        addresses = addresses_of(*endpoint);
    } else if (const auto* host = model::as<model::HostEndpoint>(resource)) {
        holder.node = host->spec.node;
        holder.label = "host endpoint " + host->metadata.name;
        addresses = host->spec.expected_ips;
    } else if (const auto* node = model::as<model::Node>(resource)) {
        holder.node = node->metadata.name;
        holder.label = "node " + node->metadata.name;
        addresses = addresses_of(*node);
    } else {
        return;
    }
    remove(key);
    const auto shared = std::make_shared<const Holder>(std::move(holder));
    for (const net::Ip& address : addresses) {
        by_address_[address].emplace(std::pair(rank(key.kind), key), shared);
    }
    held_.emplace(key, Held{shared, std::move(addresses)});
}

void AddressNames::remove(const model::Key& key) {
    const auto held = held_.find(key);
    if (held == held_.end()) {
        return;
    }
    for (const net::Ip& address : held->second.addresses) {
        if (const auto holders = by_address_.find(address); holders != by_address_.end()) {
            holders->second.erase({rank(key.kind), key});
            if (holders->second.empty()) {
                by_address_.erase(holders);
            }
        }
    }
    held_.erase(held);
}

const AddressNames::Holder* AddressNames::find(const net::Ip& address) const {
    const auto found = by_address_.find(address);
    return found == by_address_.end() ? nullptr : found->second.begin()->second.get();
}

std::string AddressNames::describe(const net::Ip& address) const {
    const Holder* holder = find(address);
    return holder == nullptr ? address.to_string() : holder->label + " (" + address.to_string() + ")";
}

}  // namespace manul::felix
