#include "felix/calc/identity.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/model/host_endpoint.hpp"
#include "config/model/network_set.hpp"
#include "config/model/resource.hpp"
#include "config/model/service.hpp"
#include "config/model/workload_endpoint.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

namespace manul::felix {

namespace {

constexpr std::string_view kNamespaceProfile = "kns.";
constexpr std::string_view kAccountProfile = "ksa.";
constexpr const char* kMetadataName = "kubernetes.io/metadata.name";

template <class T>
void sort_unique(std::vector<T>& values) {
    std::ranges::sort(values);
    const auto repeated = std::ranges::unique(values);
    values.erase(repeated.begin(), repeated.end());
}

/// Interval sets and ipsets know no prefix of length 0.
void add_net(std::vector<net::Prefix>& nets, const net::Prefix& prefix) {
    if (prefix.length() != 0) {
        nets.push_back(prefix);
        return;
    }
    std::array<std::uint8_t, 16> upper{0x80};
    const std::size_t size = prefix.address().bytes().size();
    nets.push_back(*net::Prefix::masked(prefix.address(), 1));
    nets.push_back(*net::Prefix::masked(*net::Ip::from_bytes(std::span(upper).first(size)), 1));
}

void strip_inherited(model::StringMap& labels) {
    std::erase_if(labels, [](const auto& label) {
        return label.first.starts_with(model::kNamespaceLabelPrefix) ||
               label.first.starts_with(model::kServiceAccountLabelPrefix);
    });
}

void set_or_erase(model::StringMap& labels, const char* key, const std::string& value) {
    if (value.empty()) {
        labels.erase(key);
    } else {
        labels[key] = value;
    }
}

std::optional<Identity> of_workload(const model::WorkloadEndpoint& endpoint) {
    if (endpoint.spec.ip_networks.empty()) {
        return std::nullopt;
    }
    Identity out;
    out.labels = endpoint.metadata.labels;
    strip_inherited(out.labels);
    set_or_erase(out.labels, model::kLabelNamespace, endpoint.metadata.ns);
    set_or_erase(out.labels, model::kLabelOrchestrator, endpoint.spec.orchestrator);
    set_or_erase(out.labels, model::kLabelServiceAccount, endpoint.spec.service_account_name);
    out.parents = endpoint.spec.profiles;
    for (const net::Prefix& net : endpoint.spec.ip_networks) {
        add_net(out.contribution.nets, net);
    }
    for (const model::WorkloadEndpointPort& port : endpoint.spec.ports) {
        const net::Protocol protocol = port.protocol.value_or(net::kTcp);
        if (!port.name.empty() && protocol.has_ports()) {
            out.contribution.ports.push_back(NamedPort{port.name, protocol, port.port});
        }
    }
    return out;
}

Identity of_host(const model::HostEndpoint& endpoint) {
    Identity out;  // without expectedIPs it is nobody's peer, but policy applies to it
    out.labels = endpoint.metadata.labels;
    out.labels.erase(model::kLabelNamespace);
    out.parents = endpoint.spec.profiles;
    for (const net::Ip& address : endpoint.spec.expected_ips) {
        out.contribution.nets.push_back(net::Prefix::host(address));
    }
    for (const model::EndpointPort& port : endpoint.spec.ports) {
        if (port.protocol.has_ports()) {
            out.contribution.ports.push_back(NamedPort{port.name, port.protocol, port.port});
        }
    }
    return out;
}

Identity of_network_set(const model::Resource& resource, const model::NetworkSetSpec& spec) {
    Identity out;
    out.labels = resource.metadata.labels;
    set_or_erase(out.labels, model::kLabelNamespace, resource.metadata.ns);
    if (!resource.metadata.ns.empty()) {
        strip_inherited(out.labels);
        out.parents = {namespace_profile(resource.metadata.ns)};
    }
    for (const net::Prefix& net : spec.nets) {
        add_net(out.contribution.nets, net);
    }
    return out;
}

/// Nothing when the slice belongs to no service.
std::optional<Identity> of_slice(const model::EndpointSlice& slice) {
    const auto service = slice.metadata.labels.find(model::kLabelServiceName);
    if (service == slice.metadata.labels.end()) {
        return std::nullopt;
    }
    Identity out;
    out.labels[kServiceLabel] = service_key(slice.metadata.ns, service->second);
    for (const model::SliceEndpoint& endpoint : slice.endpoints) {
        for (const std::string& text : endpoint.addresses) {
            if (const auto address = net::Ip::parse(text)) {  // else a host name
                out.contribution.nets.push_back(net::Prefix::host(*address));
            }
        }
    }
    for (const model::SlicePort& port : slice.ports) {
        const net::Protocol protocol = port.protocol.value_or(net::kTcp);
        if (port.port && protocol.has_ports()) {
            out.contribution.ports.push_back(NamedPort{{}, protocol, *port.port});
        }
    }
    return out;
}

std::optional<Identity> of_any(const model::Resource& resource) {
    if (const auto* workload = model::as<model::WorkloadEndpoint>(resource)) {
        return of_workload(*workload);
    }
    if (const auto* host = model::as<model::HostEndpoint>(resource)) {
        return of_host(*host);
    }
    if (const auto* set = model::as<model::NetworkSet>(resource)) {
        return of_network_set(resource, set->spec);
    }
    if (const auto* set = model::as<model::GlobalNetworkSet>(resource)) {
        return of_network_set(resource, set->spec);
    }
    if (const auto* slice = model::as<model::EndpointSlice>(resource)) {
        return of_slice(*slice);
    }
    return std::nullopt;
}

model::StringMap prefixed(const char* prefix, const model::StringMap& labels) {
    model::StringMap out;
    for (const auto& [key, value] : labels) {
        out.emplace(prefix + key, value);
    }
    return out;
}

}  // namespace

std::optional<Identity> identity(const model::Resource& resource) {
    std::optional<Identity> out = of_any(resource);
    if (out) {
        sort_unique(out->contribution.nets);
        sort_unique(out->contribution.ports);
    }
    return out;
}

std::string service_key(const std::string& ns, const std::string& name) { return ns + "/" + name; }

std::string namespace_profile(const std::string& ns) { return std::string(kNamespaceProfile) + ns; }

std::string account_profile(const std::string& ns, const std::string& account) {
    return std::string(kAccountProfile) + ns + "." + account;
}

std::optional<DerivedProfile> derived_profile(const std::string& profile) {
    if (profile.starts_with(kNamespaceProfile)) {
        return DerivedProfile{profile.substr(kNamespaceProfile.size()), std::nullopt};
    }
    if (!profile.starts_with(kAccountProfile)) {
        return std::nullopt;
    }
    // A namespace's name has no dot, an account's may.
    const std::string rest = profile.substr(kAccountProfile.size());
    const std::size_t dot = rest.find('.');
    if (dot == std::string::npos) {
        return std::nullopt;
    }
    return DerivedProfile{rest.substr(0, dot), rest.substr(dot + 1)};
}

model::StringMap namespace_labels(const std::string& ns, const model::StringMap& own) {
    model::StringMap labels = own;
    labels[kMetadataName] = ns;
    labels[model::kLabelName] = ns;
    return prefixed(model::kNamespaceLabelPrefix, labels);
}

model::StringMap account_labels(const std::string& account, const model::StringMap& own) {
    model::StringMap labels = own;
    labels[model::kLabelName] = account;
    return prefixed(model::kServiceAccountLabelPrefix, labels);
}

}  // namespace manul::felix
