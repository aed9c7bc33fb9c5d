#include <memory>
#include <string>
#include <vector>

#include "config/model/admin_policy.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/node.hpp"
#include "config/model/service.hpp"
#include "test/felix/builders.hpp"
#include "test/felix/verdict/random_policies.hpp"

// Random cluster-wide policies of Kubernetes, slices of services, nodes and pools.
namespace manul::felix::test {

model::LabelSelector RandomPolicies::namespace_labels() {
    model::LabelSelector out;
    if (!one_in(3)) {
        out.match_labels["team"] = pick<std::string>({"red", "green", "blue"});
    }
    return out;
}

model::AdminSubject RandomPolicies::subject() {
    model::AdminSubject out;
    if (one_in(2)) {
        out.namespaces = namespace_labels();
    } else {
        out.pods = model::NamespacedPods{namespace_labels(), label_selector()};
    }
    return out;
}

model::AdminEgressPeer RandomPolicies::egress_peer() {
    model::AdminEgressPeer out;
    if (one_in(3)) {
        out.networks = nets(one_in(2) ? net::Family::v4 : net::Family::v6);
    } else if (one_in(12)) {
        out.nodes.emplace();
    } else {
        const model::AdminSubject peer = subject();
        out.namespaces = peer.namespaces;
        out.pods = peer.pods;
    }
    return out;
}

std::vector<model::AdminPort> RandomPolicies::admin_ports() {
    std::vector<model::AdminPort> out;
    for (std::size_t n = below(3); n > 0; --n) {
        model::AdminPort port;
        const std::uint16_t number = any_port();
        if (one_in(10)) {
            port.named_port = "http";
        } else if (one_in(2)) {
            port.port_number = model::AdminPortNumber{pick<net::Protocol>({net::kTcp, net::kUdp}), number};
        } else {
            port.port_range = model::AdminPortRange{pick<net::Protocol>({net::kTcp, net::kSctp}), number,
                                                    static_cast<std::uint16_t>(number + 1 + below(900))};
        }
        out.push_back(std::move(port));
    }
    return out;
}

void RandomPolicies::fill(model::BaselineAdminNetworkPolicySpec& spec, bool may_pass) {
    const auto action = [&] {
        return may_pass && one_in(4) ? model::AdminAction::pass
                                     : pick<model::AdminAction>({model::AdminAction::allow, model::AdminAction::deny});
    };
    spec.subject = subject();
    for (std::size_t n = below(3); n > 0; --n) {
        model::AdminIngressRule rule;
        rule.action = action();
        rule.from = {subject()};
        rule.ports = admin_ports();
        spec.ingress.push_back(std::move(rule));
    }
    for (std::size_t n = below(3); n > 0; --n) {
        model::AdminEgressRule rule;
        rule.action = action();
        rule.to = {egress_peer()};
        rule.ports = admin_ports();
        spec.egress.push_back(std::move(rule));
    }
}

model::ResourcePtr RandomPolicies::admin_policy() {
    if (one_in(3)) {
        auto out = std::make_shared<model::BaselineAdminNetworkPolicy>();
        out->metadata.name = "default";
        fill(out->spec, false);
        return out;
    }
    auto out = std::make_shared<model::AdminNetworkPolicy>();
    out->metadata.name = pick<std::string>({"x", "y"});
    out->spec.priority = static_cast<std::int32_t>(below(3));
    fill(out->spec, true);
    return out;
}

model::ResourcePtr RandomPolicies::slice() {
    auto out = std::make_shared<model::EndpointSlice>();
    out->metadata.ns = "red";
    const bool v4 = one_in(2);  // for ever, so each has its own names
    out->metadata.name = pick<std::string>(v4 ? std::vector<std::string>{"four-a", "four-b"}
                                              : std::vector<std::string>{"six-a", "six-b"});
    out->metadata.labels[model::kLabelServiceName] = pick<std::string>({"api", "store"});
    out->address_type = v4 ? model::SliceAddressType::ipv4 : model::SliceAddressType::ipv6;
    for (std::size_t n = 1 + below(3); n > 0; --n) {
        model::SliceEndpoint endpoint;
        endpoint.addresses = {v4 ? pick<std::string>({"10.65.0.1", "10.65.0.2", "10.65.0.3", "192.0.2.10"})
                                 : pick<std::string>({"fd65::1", "fd65::2", "fd65::5", "2001:db8:1::10"})};
        endpoint.conditions.ready = one_in(2);
        out->endpoints.push_back(std::move(endpoint));
    }
    for (std::size_t n = 1 + below(2); n > 0; --n) {
        model::SlicePort port;
        port.name = "p" + std::to_string(n);
        port.protocol = pick<net::Protocol>({net::kTcp, net::kUdp});
        port.port = any_port();
        out->ports.push_back(std::move(port));
    }
    return out;
}

/// Another node: what comes from there may be a tunnel of the cluster.
model::ResourcePtr RandomPolicies::other_node() {
    auto out = std::make_shared<model::Node>();
    out->metadata.name = pick<std::string>({"node2", "node3"});
    out->spec.bgp.emplace();
    if (!one_in(4)) {
        out->spec.bgp->ipv4_address =
            net::InterfaceAddress{ip(pick<std::string>({"192.0.2.10", "203.0.113.5", "10.98.0.9"})), 24};
    }
    if (!out->spec.bgp->ipv4_address || one_in(2)) {
        out->spec.bgp->ipv6_address =
            net::InterfaceAddress{ip(pick<std::string>({"2001:db8:1::10", "2001:db8:5::5", "fd98::9"})), 64};
    }
    return out;
}

/// A pool of addresses that nobody has, for the tunnels that it asks for.
model::ResourcePtr RandomPolicies::tunnelled_pool() {
    auto out = std::make_shared<model::IpPool>();
    const bool v4 = one_in(2);
    out->metadata.name = v4 ? "pool4" : "pool6";
    out->spec.cidr = cidr(v4 ? "10.77.0.0/24" : "fd77::/64");
    out->spec.block_size = static_cast<std::uint8_t>(v4 ? 26 : 122);
    switch (below(3)) {
        case 0:
            out->spec.vxlan_mode = model::EncapMode::always;
            break;
        case 1:
            (v4 ? out->spec.ipip_mode : out->spec.vxlan_mode) = model::EncapMode::cross_subnet;
            break;
        default:
            break;
    }
    return out;
}

}  // namespace manul::felix::test
