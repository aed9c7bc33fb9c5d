#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/model/felix_configuration.hpp"
#include "config/model/global_network_policy.hpp"
#include "config/model/host_endpoint.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/network_policy.hpp"
#include "config/model/network_set.hpp"
#include "config/model/node.hpp"
#include "config/model/policy.hpp"
#include "config/model/profile.hpp"
#include "config/model/resource.hpp"
#include "config/model/tier.hpp"
#include "config/model/workload_endpoint.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

/// Resources in a line each, for the tests of felix.
namespace manul::felix::test {

inline constexpr const char* kNode = "node1";

inline net::Ip ip(std::string_view text) { return *net::Ip::parse(text); }
inline net::Prefix cidr(std::string_view text) { return *net::Prefix::parse_loose(text); }

inline std::vector<net::Prefix> cidrs(const std::vector<std::string>& texts) {
    std::vector<net::Prefix> out;
    for (const std::string& text : texts) {
        out.push_back(cidr(text));
    }
    return out;
}

/// "80", "80:90" or a name.
inline std::vector<model::Port> ports(const std::vector<std::string>& texts) {
    std::vector<model::Port> out;
    for (const std::string& text : texts) {
        if (const auto range = net::PortRange::parse(text)) {
            out.emplace_back(*range);
        } else {
            out.emplace_back(text);
        }
    }
    return out;
}

// --- endpoints and sets ----------------------------------------------------------------------------------------------

struct PodSpec {
    std::string ns = "ns1";
    std::string name;
    std::vector<std::string> ips;
    model::StringMap labels = {};
    std::string node = kNode;
    std::string account = "default";
    std::vector<model::WorkloadEndpointPort> ports = {};
    std::optional<std::vector<std::string>> profiles = std::nullopt;  ///< default: those of Kubernetes
    std::string interface = {};                                       ///< default: made of the name
    std::string orchestrator = "k8s";
    std::string revision = {};
};

inline model::ResourcePtr pod(const PodSpec& spec) {
    auto out = std::make_shared<model::WorkloadEndpoint>();
    out->metadata.name = spec.node + "-k8s-" + spec.name + "-eth0";
    out->metadata.ns = spec.ns;
    out->metadata.labels = spec.labels;
    out->metadata.resource_version = spec.revision;
    out->spec.orchestrator = spec.orchestrator;
    out->spec.node = spec.node;
    out->spec.pod = spec.name;
    out->spec.endpoint = "eth0";
    out->spec.container_id = "c-" + spec.name;
    out->spec.service_account_name = spec.account;
    out->spec.ip_networks = cidrs(spec.ips);
    out->spec.profiles =
        spec.profiles.value_or(std::vector<std::string>{"kns." + spec.ns, "ksa." + spec.ns + "." + spec.account});
    out->spec.interface_name = spec.interface.empty() ? "cali" + spec.ns + spec.name : spec.interface;
    out->spec.ports = spec.ports;
    return out;
}

inline model::WorkloadEndpointPort port(std::string name, std::uint16_t number, net::Protocol protocol = net::kTcp) {
    model::WorkloadEndpointPort out;
    out.name = std::move(name);
    out.port = number;
    out.protocol = protocol;
    return out;
}

inline model::ResourcePtr host_endpoint(const std::string& name, const std::vector<std::string>& ips,
                                        const model::StringMap& labels = {},
                                        const std::vector<model::EndpointPort>& named = {}) {
    auto out = std::make_shared<model::HostEndpoint>();
    out->metadata.name = name;
    out->metadata.labels = labels;
    out->spec.node = kNode;
    out->spec.interface_name = "eth0";
    for (const std::string& text : ips) {
        out->spec.expected_ips.push_back(ip(text));
    }
    out->spec.ports = named;
    return out;
}

inline model::ResourcePtr network_set(const std::string& ns, const std::string& name,
                                      const std::vector<std::string>& nets, const model::StringMap& labels) {
    if (ns.empty()) {
        auto out = std::make_shared<model::GlobalNetworkSet>();
        out->metadata.name = name;
        out->metadata.labels = labels;
        out->spec.nets = cidrs(nets);
        return out;
    }
    auto out = std::make_shared<model::NetworkSet>();
    out->metadata.name = name;
    out->metadata.ns = ns;
    out->metadata.labels = labels;
    out->spec.nets = cidrs(nets);
    return out;
}

inline model::ResourcePtr namespace_(const std::string& name, const model::StringMap& labels = {}) {
    auto out = std::make_shared<model::Namespace>();
    out->metadata.name = name;
    out->metadata.labels = labels;
    return out;
}

inline model::ResourcePtr account(const std::string& ns, const std::string& name, const model::StringMap& labels = {}) {
    auto out = std::make_shared<model::ServiceAccount>();
    out->metadata.name = name;
    out->metadata.ns = ns;
    out->metadata.labels = labels;
    return out;
}

inline model::ResourcePtr profile(const std::string& name, const std::vector<model::Rule>& ingress,
                                  const std::vector<model::Rule>& egress, const model::StringMap& labels = {}) {
    auto out = std::make_shared<model::Profile>();
    out->metadata.name = name;
    out->spec.ingress = ingress;
    out->spec.egress = egress;
    out->spec.labels_to_apply = labels;
    return out;
}

// --- rules and policies ----------------------------------------------------------------------------------------------

struct EntitySpec {
    std::string selector = {};
    std::string not_selector = {};
    std::string namespace_selector = {};
    std::vector<std::string> nets = {};
    std::vector<std::string> not_nets = {};
    std::vector<std::string> ports = {};
    std::vector<std::string> not_ports = {};
    std::optional<model::ServiceAccountMatch> accounts = std::nullopt;
};

inline model::EntityRule entity(const EntitySpec& spec) {
    model::EntityRule out;
    out.selector = spec.selector;
    out.not_selector = spec.not_selector;
    out.namespace_selector = spec.namespace_selector;
    out.nets = cidrs(spec.nets);
    out.not_nets = cidrs(spec.not_nets);
    out.ports = test::ports(spec.ports);
    out.not_ports = test::ports(spec.not_ports);
    out.service_accounts = spec.accounts;
    return out;
}

struct RuleSpec {
    std::optional<net::Protocol> protocol = std::nullopt;
    EntitySpec source = {};
    EntitySpec destination = {};
};

inline model::Rule rule(model::Action action, const RuleSpec& spec = {}) {
    model::Rule out;
    out.action = action;
    out.protocol = spec.protocol;
    out.source = entity(spec.source);
    out.destination = entity(spec.destination);
    return out;
}

inline model::Rule allow(const RuleSpec& spec = {}) { return rule(model::Action::allow, spec); }
inline model::Rule deny(const RuleSpec& spec = {}) { return rule(model::Action::deny, spec); }
inline model::Rule pass(const RuleSpec& spec = {}) { return rule(model::Action::pass, spec); }
inline model::Rule log(const RuleSpec& spec = {}) { return rule(model::Action::log, spec); }

inline constexpr auto kIngress = model::PolicyType::ingress;
inline constexpr auto kEgress = model::PolicyType::egress;

struct PolicySpec {
    std::string name;
    std::string selector = {};
    std::vector<model::PolicyType> types = {kIngress};
    std::vector<model::Rule> ingress = {};
    std::vector<model::Rule> egress = {};
    std::optional<double> order = std::nullopt;
    std::string tier = "default";
    std::string account_selector = {};
    std::string namespace_selector = {};  ///< global policies
};

inline void fill(model::PolicySpec& out, const PolicySpec& spec) {
    out.tier = spec.tier;
    out.order = spec.order;
    out.selector = spec.selector;
    out.types = spec.types;
    out.ingress = spec.ingress;
    out.egress = spec.egress;
    out.service_account_selector = spec.account_selector;
}

inline std::shared_ptr<model::NetworkPolicy> policy(const std::string& ns, const PolicySpec& spec) {
    auto out = std::make_shared<model::NetworkPolicy>();
    out->metadata.name = spec.name;
    out->metadata.ns = ns;
    fill(out->spec, spec);
    return out;
}

inline std::shared_ptr<model::GlobalNetworkPolicy> global_policy(const PolicySpec& spec) {
    auto out = std::make_shared<model::GlobalNetworkPolicy>();
    out->metadata.name = spec.name;
    fill(out->spec, spec);
    out->spec.namespace_selector = spec.namespace_selector;
    return out;
}

inline model::ResourcePtr tier(const std::string& name, std::optional<double> order,
                               model::TierDefaultAction action = model::TierDefaultAction::deny) {
    auto out = std::make_shared<model::Tier>();
    out->metadata.name = name;
    out->spec.order = order;
    out->spec.default_action = action;
    return out;
}

inline model::ResourcePtr pool(const std::string& name, const std::string& net, bool nat_outgoing) {
    auto out = std::make_shared<model::IpPool>();
    out->metadata.name = name;
    out->spec.cidr = cidr(net);
    out->spec.nat_outgoing = nat_outgoing;
    return out;
}

/// The pod of most tests.
inline const model::ResourcePtr kWeb = pod({.name = "web", .ips = {"10.0.0.1"}, .labels = {{"app", "web"}}});

/// A copy of any resource with another revision.
template <class T>
std::shared_ptr<T> with_revision(const std::shared_ptr<T>& resource, const std::string& revision) {
    auto copy = std::make_shared<T>(*resource);
    copy->metadata.resource_version = revision;
    return copy;
}

}  // namespace manul::felix::test
