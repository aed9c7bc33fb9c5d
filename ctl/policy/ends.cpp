#include "ctl/policy/ends.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "config/model/host_endpoint.hpp"
#include "config/model/node.hpp"
#include "config/model/workload_endpoint.hpp"

namespace manul::ctl {

namespace {

using felix::EndpointKind;

End workload_end(const model::WorkloadEndpoint& endpoint) {
    End end{End::Kind::workload,
            {EndpointKind::workload, endpoint.metadata.ns, endpoint.metadata.name},
            endpoint.spec.node,
            endpoint.spec.interface_name,
            felix::workload_label(endpoint),
            {}};
    for (const net::Prefix& net : endpoint.spec.ip_networks) {
        end.addresses.push_back(net.address());
    }
    return end;
}

End host_end(const model::HostEndpoint& endpoint) {
    const bool named = endpoint.spec.interface_name != "*";
    return {End::Kind::host_endpoint,
            {EndpointKind::host, {}, endpoint.metadata.name},
            endpoint.spec.node,
            named ? endpoint.spec.interface_name : std::string{},
            "host endpoint " + endpoint.metadata.name,
            endpoint.spec.expected_ips};
}

/// Of the Node of that name.
std::vector<net::Ip> node_addresses(const ClusterView& view, const std::string& name) {
    for (const auto& node : view.all<model::Node>()) {
        if (node->metadata.name == name) {
            return felix::addresses_of(*node);
        }
    }
    return {};
}

End node_end(const model::Node& node) {
    return {End::Kind::node, {}, node.metadata.name, {}, "node " + node.metadata.name, felix::addresses_of(node)};
}

template <class T, class Matches>
std::shared_ptr<const T> find_object(const ClusterView& view, Matches matches) {
    const auto all = view.all<T>();
    const auto found = std::ranges::find_if(all, [&](const auto& object) { return matches(*object); });
    return found == all.end() ? nullptr : *found;
}

Result<End> find_workload(const ClusterView& view, std::string_view ns, std::string_view name) {
    const auto endpoint = find_object<model::WorkloadEndpoint>(view, [&](const model::WorkloadEndpoint& e) {
        return e.metadata.ns == ns && (e.spec.pod == name || e.spec.workload == name || e.metadata.name == name);
    });
    if (!endpoint) {
        const auto elsewhere = find_object<model::WorkloadEndpoint>(view, [&](const model::WorkloadEndpoint& e) {
            return e.spec.pod == name || e.spec.workload == name || e.metadata.name == name;
        });
        return fail("there is no pod or workload '" + std::string(name) + "' in namespace '" + std::string(ns) + "'" +
                    (elsewhere ? ", but in '" + elsewhere->metadata.ns + "'" : ""));
    }
    if (endpoint->spec.ip_networks.empty()) {
        return fail(felix::workload_label(*endpoint) + " has no address (not set up yet, or finished)");
    }
    return workload_end(*endpoint);
}

/// The end that has the address, with that address alone.
End end_of_address(const ClusterView& view, const net::Ip& address) {
    End end{End::Kind::outside, {}, {}, {}, address.to_string(), {}};
    if (const auto* holder = view.names().find(address)) {
        if (const auto endpoint = find_object<model::WorkloadEndpoint>(
                view, [&](const model::WorkloadEndpoint& e) { return e.key() == holder->key; })) {
            end = workload_end(*endpoint);
        } else if (const auto host = find_object<model::HostEndpoint>(
                       view, [&](const model::HostEndpoint& e) { return e.key() == holder->key; })) {
            end = host_end(*host);
        } else if (const auto node =
                       find_object<model::Node>(view, [&](const model::Node& n) { return n.key() == holder->key; })) {
            end = node_end(*node);
        }
    }
    end.addresses = {address};
    return end;
}

}  // namespace

Result<End> find_end(const ClusterView& view, std::string_view text) {
    if (const auto address = net::Ip::parse(text)) {
        return end_of_address(view, *address);
    }
    const std::size_t first = text.find('/');
    if (first == std::string_view::npos) {
        return fail("'" + std::string(text) + "' is neither an address nor NAMESPACE/POD, host/NAME or node/NAME");
    }
    const std::string_view kind = text.substr(0, first);
    const std::string_view rest = text.substr(first + 1);
    const std::size_t second = rest.find('/');
    if (second != std::string_view::npos) {
        if (kind != "pod" && kind != "workload") {
            return fail("'" + std::string(text) + "': expected pod/NAMESPACE/NAME");
        }
        return find_workload(view, rest.substr(0, second), rest.substr(second + 1));
    }
    if (kind == "host") {
        const auto host = find_object<model::HostEndpoint>(
            view, [&](const model::HostEndpoint& e) { return e.metadata.name == rest; });
        if (!host) {
            return fail("there is no host endpoint '" + std::string(rest) + "'");
        }
        End end = host_end(*host);
        if (end.addresses.empty()) {
            end.addresses = node_addresses(view, end.node);
        }
        return end;
    }
    if (kind == "node") {
        const auto node = find_object<model::Node>(view, [&](const model::Node& n) { return n.metadata.name == rest; });
        if (!node) {
            return fail("there is no node '" + std::string(rest) + "'");
        }
        return node_end(*node);
    }
    return find_workload(view, kind, rest);
}

Result<Addresses> common_family(const End& source, const End& destination, std::optional<net::Family> wanted) {
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        if (wanted && *wanted != family) {
            continue;
        }
        const auto of_family = [family](const net::Ip& address) { return address.family() == family; };
        const auto from = std::ranges::find_if(source.addresses, of_family);
        const auto to = std::ranges::find_if(destination.addresses, of_family);
        if (from != source.addresses.end() && to != destination.addresses.end()) {
            return Addresses{*from, *to};
        }
    }
    return fail(source.label + " and " + destination.label + " have no addresses of one family" +
                (wanted ? " that was asked for" : "; name an address instead"));
}

}  // namespace manul::ctl
