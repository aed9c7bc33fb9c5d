#include "ipam/core/endpoint.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include <fmt/core.h>

#include "base/ascii.hpp"
#include "base/sha1.hpp"
#include "base/try.hpp"
#include "config/model/finding.hpp"
#include "config/model/validate.hpp"
#include "ipam/core/annotations.hpp"
#include "ipam/core/names.hpp"

namespace manul::ipam {

namespace {

constexpr std::string_view kKubernetes = "k8s";
constexpr std::string_view kBare = "cni";
constexpr std::size_t kMaxLabelName = 63;
constexpr const char* kHwAddrAnnotation = "cni.projectcalico.org/hwAddr";

/// A pod must not pass for a namespace or service account by its own labels.
bool is_inherited_key(std::string_view key) noexcept {
    return key.starts_with(model::kNamespaceLabelPrefix) || key.starts_with(model::kServiceAccountLabelPrefix);
}

model::StringMap own_labels(const model::StringMap& from) {
    model::StringMap labels = from;
    std::erase_if(labels, [](const auto& label) { return is_inherited_key(label.first); });
    return labels;
}

std::vector<model::WorkloadEndpointPort> published_ports(const std::vector<PortMapping>& mappings) {
    std::vector<model::WorkloadEndpointPort> ports;
    for (const PortMapping& mapping : mappings) {
        model::WorkloadEndpointPort port;
        port.protocol = net::Protocol::parse(ascii::uppered(mapping.protocol));
        port.port = mapping.container_port;
        port.host_port = mapping.host_port;
        port.host_ip = mapping.host_ip;
        if (port.port != 0 && port.host_port != 0) {
            ports.push_back(std::move(port));
        }
    }
    return ports;
}

/// Named ports of the containers; a published port takes the name of the container port that it leads to.
std::vector<model::WorkloadEndpointPort> join_ports(const model::Pod& pod,
                                                    std::vector<model::WorkloadEndpointPort> published) {
    std::vector<model::WorkloadEndpointPort> ports;
    const auto add = [&](const std::vector<model::Container>& containers) {
        for (const model::Container& container : containers) {
            for (const model::ContainerPort& declared : container.ports) {
                if (declared.name.empty()) {
                    continue;
                }
                model::WorkloadEndpointPort port;
                port.name = declared.name;
                port.protocol = declared.protocol.value_or(net::kTcp);
                port.port = declared.container_port;
                const auto at = std::ranges::find_if(published, [&](const model::WorkloadEndpointPort& p) {
                    return p.port == port.port && p.protocol.value_or(net::kTcp) == *port.protocol;
                });
                if (at != published.end()) {
                    port.host_port = at->host_port;
                    port.host_ip = at->host_ip;
                    published.erase(at);
                }
                ports.push_back(std::move(port));
            }
        }
    };
    add(pod.spec.init_containers);
    add(pod.spec.containers);
    ports.insert(ports.end(), published.begin(), published.end());
    return ports;
}

std::vector<model::WorkloadEndpointPort> published_of(const std::vector<model::WorkloadEndpointPort>& ports) {
    std::vector<model::WorkloadEndpointPort> out;
    for (model::WorkloadEndpointPort port : ports) {
        if (port.host_port != 0) {
            port.name.clear();
            out.push_back(std::move(port));
        }
    }
    return out;
}

std::optional<std::uint64_t> within(std::uint64_t value, std::uint64_t lowest, std::uint64_t highest) {
    return value == 0 ? std::nullopt : std::optional(std::clamp(value, lowest, highest));
}

std::optional<model::QosControls> qos_of(const std::optional<Bandwidth>& bandwidth) {
    if (!bandwidth) {
        return std::nullopt;
    }
    // The limits that the kind allows; runtimes pass whatever an annotation said.
    constexpr std::uint64_t kLowest = 1'000;
    constexpr std::uint64_t kHighestRate = 1'000'000'000'000'000;
    constexpr std::uint64_t kHighestBurst = 34'359'738'360;
    model::QosControls qos;
    qos.ingress_bandwidth = within(bandwidth->ingress_rate, kLowest, kHighestRate);
    qos.egress_bandwidth = within(bandwidth->egress_rate, kLowest, kHighestRate);
    qos.ingress_burst = within(bandwidth->ingress_burst, kLowest, kHighestBurst);
    qos.egress_burst = within(bandwidth->egress_burst, kLowest, kHighestBurst);
    return qos == model::QosControls{} ? std::nullopt : std::optional(qos);
}

model::Rule allow_rule() {
    model::Rule rule;
    rule.action = model::Action::allow;
    return rule;
}

Outcome<void> choose_families(const std::vector<std::string>& families, Demand& demand) {
    demand.ipv4 = false;
    demand.ipv6 = false;
    for (const std::string& family : families) {
        if (family != "IPv4" && family != "IPv6") {
            return refuse(
                ErrorCode::invalid_config,
                fmt::format("annotation cni.projectcalico.org/ipFamilies: {} is neither IPv4 nor IPv6", family));
        }
        (family == "IPv4" ? demand.ipv4 : demand.ipv6) = true;
    }
    return {};
}

/// What an endpoint is named by.
model::WorkloadEndpointSpec identity_of(const Request& request, const HostIdentity& host) {
    model::WorkloadEndpointSpec spec;
    spec.node = host.node;
    spec.container_id = request.attachment.container_id;
    spec.endpoint = request.attachment.ifname;
    if (request.is_kubernetes()) {
        spec.orchestrator = kKubernetes;
        spec.pod = request.arg("K8S_POD_NAME");
    } else {
        spec.orchestrator = kBare;
        spec.workload = request.attachment.container_id;
    }
    return spec;
}

}  // namespace

std::string endpoint_namespace(const Request& request) {
    return request.is_kubernetes() ? std::string(request.arg("K8S_POD_NAMESPACE")) : "default";
}

model::Key endpoint_key(const Request& request, const HostIdentity& host) {
    return {model::Kind::workload_endpoint, endpoint_namespace(request),
            model::workload_endpoint_name(identity_of(request, host))};
}

Outcome<model::WorkloadEndpoint> make_endpoint(const Request& request, const HostIdentity& host,
                                               const model::Pod* pod) {
    model::WorkloadEndpoint endpoint;
    model::WorkloadEndpointSpec& spec = endpoint.spec;
    spec = identity_of(request, host);
    spec.interface_name = request.host_interface;
    spec.mac = request.mac;
    spec.ports = published_ports(request.port_mappings);
    spec.qos_controls = qos_of(request.bandwidth);
    endpoint.metadata.ns = endpoint_namespace(request);
    endpoint.metadata.annotations = {{kNetworkAnnotation, request.network}};
    if (!host.boot_id.empty()) {
        endpoint.metadata.annotations[kBootIdAnnotation] = host.boot_id;
    }
    if (request.policy_only) {
        endpoint.metadata.annotations[kPolicyOnlyAnnotation] = "true";
        for (const net::Ip& ip : request.ips) {
            spec.ip_networks.push_back(net::Prefix::host(ip));
        }
    }
    if (pod != nullptr && !request.policy_only) {
        if (const auto wanted = pod->metadata.annotations.find(kHwAddrAnnotation);
            wanted != pod->metadata.annotations.end()) {
            spec.mac = net::Mac::parse(wanted->second);
            if (!spec.mac || (spec.mac->bytes()[0] & 1U) != 0) {
                return refuse(ErrorCode::invalid_config, fmt::format("annotation {}: {} is no address of an interface",
                                                                     kHwAddrAnnotation, wanted->second));
            }
        }
    }
    if (request.is_kubernetes()) {
        spec.profiles = {"kns." + endpoint.metadata.ns, "ksa." + endpoint.metadata.ns + ".default"};
        endpoint.metadata.labels = {{model::kLabelNamespace, endpoint.metadata.ns},
                                    {model::kLabelOrchestrator, std::string(kKubernetes)}};
        if (pod != nullptr) {
            sync_with_pod(endpoint, *pod);
        }
    } else {
        spec.profiles = {profile_name(request.network)};
        endpoint.metadata.labels = own_labels({request.labels.begin(), request.labels.end()});
        endpoint.metadata.labels[model::kLabelNamespace] = endpoint.metadata.ns;
        endpoint.metadata.labels[model::kLabelOrchestrator] = kBare;
    }
    endpoint.metadata.name = model::workload_endpoint_name(spec);
    if (endpoint.metadata.name.empty()) {
        return refuse(ErrorCode::invalid_config,
                      fmt::format("node \"{}\", container \"{}\", pod \"{}\" and interface \"{}\" cannot name an "
                                  "endpoint: a part is empty, or begins or ends with '-'",
                                  spec.node, spec.container_id, spec.pod, spec.endpoint));
    }
    return endpoint;
}

Outcome<void> add_translations(model::WorkloadEndpoint& endpoint, const Request& request, const model::Pod* pod) {
    const Annotations annotations(request, pod, nullptr);
    MANUL_TRY(const auto sources, annotations.prefixes("allowedSourcePrefixes"));
    if (sources) {
        endpoint.spec.allow_spoofed_source_prefixes = *sources;
    }
    MANUL_TRY(const auto floating, annotations.addresses("floatingIPs"));
    if (!floating || floating->empty()) {
        return {};
    }
    if (!request.allow_floating_addresses) {
        return refuse(ErrorCode::invalid_config,
                      "annotation cni.projectcalico.org/floatingIPs is there, but the network's configuration does "
                      "not allow it (feature_control.floating_ips)");
    }
    for (const net::Ip& external : *floating) {
        const auto internal = std::ranges::find(endpoint.spec.ip_networks, external.family(), &net::Prefix::family);
        if (internal == endpoint.spec.ip_networks.end()) {
            return refuse(ErrorCode::invalid_config,
                          fmt::format("annotation cni.projectcalico.org/floatingIPs: the pod has no address of the "
                                      "family of {}",
                                      external.to_string()));
        }
        endpoint.spec.ip_nats.push_back({internal->address(), external});
    }
    return {};
}

bool sync_with_pod(model::WorkloadEndpoint& endpoint, const model::Pod& pod) {
    if (endpoint.spec.orchestrator != kKubernetes) {
        return false;
    }
    const std::string& ns = endpoint.metadata.ns;
    const std::string account = pod.spec.service_account_name.empty() ? "default" : pod.spec.service_account_name;
    model::StringMap labels = own_labels(pod.metadata.labels);
    labels[model::kLabelNamespace] = ns;
    labels[model::kLabelOrchestrator] = kKubernetes;
    labels[model::kLabelServiceAccount] = account;
    auto ports = join_ports(pod, published_of(endpoint.spec.ports));
    const std::vector<std::string> profiles{"kns." + ns, fmt::format("ksa.{}.{}", ns, account)};
    if (endpoint.metadata.labels == labels && endpoint.spec.service_account_name == account &&
        endpoint.spec.ports == ports && endpoint.spec.profiles == profiles) {
        return false;
    }
    endpoint.metadata.labels = std::move(labels);
    endpoint.spec.service_account_name = account;
    endpoint.spec.ports = std::move(ports);
    endpoint.spec.profiles = profiles;
    return true;
}

Outcome<void> check_endpoint(const model::WorkloadEndpoint& endpoint) {
    std::string first;
    std::string others;
    for (const model::Finding& finding : model::validate(endpoint)) {
        if (finding.severity == model::Finding::Severity::error) {
            std::string& text = first.empty() ? first : others;
            text += (text.empty() ? "" : "; ") + finding.to_string();
        }
    }
    if (!first.empty()) {
        return refuse(ErrorCode::invalid_config, "the endpoint would be invalid: " + first, std::move(others));
    }
    return {};
}

bool is_policy_only(const model::WorkloadEndpoint& endpoint) {
    return endpoint.metadata.annotations.contains(kPolicyOnlyAnnotation);
}

bool is_unmanaged(const model::WorkloadEndpoint& endpoint) {
    return endpoint.metadata.annotations.contains(kUnmanagedAnnotation);
}

Attachment attachment_of(const model::WorkloadEndpoint& endpoint) {
    return Attachment{endpoint.spec.container_id, endpoint.spec.endpoint};
}

std::string network_of(const model::WorkloadEndpoint& endpoint) {
    const auto at = endpoint.metadata.annotations.find(kNetworkAnnotation);
    return at == endpoint.metadata.annotations.end() ? std::string{} : at->second;
}

bool is_of_network(const model::WorkloadEndpoint& endpoint, std::string_view network) {
    const std::string own = network_of(endpoint);
    return own.empty() || network.empty() || own == network;
}

std::string owner_of(const model::WorkloadEndpoint& endpoint) {
    const model::WorkloadEndpointSpec& spec = endpoint.spec;
    return endpoint.metadata.ns + "/" + (spec.pod.empty() ? spec.container_id : spec.pod);
}

Outcome<Demand> make_demand(const Request& request, const HostIdentity& host, const model::Pod* pod,
                            const model::Namespace* ns, WallTime now) {
    Demand demand;
    demand.handle = handle_id(request.network, request.attachment);
    demand.attributes = {{"node", host.node}, {"timestamp", print_timestamp(now)}};
    if (request.is_kubernetes()) {
        demand.attributes["namespace"] = request.arg("K8S_POD_NAMESPACE");
        demand.attributes["pod"] = request.arg("K8S_POD_NAME");
    } else {
        demand.attributes["namespace"] = "default";
        demand.attributes["pod"] = request.attachment.container_id;
    }
    demand.ipv4 = request.assign_ipv4;
    demand.ipv6 = request.assign_ipv6;
    demand.addresses = request.ips;
    demand.ipv4_pools = request.ipv4_pools;
    demand.ipv6_pools = request.ipv6_pools;
    demand.namespace_labels = namespace_labels(endpoint_namespace(request), ns);

    const Annotations annotations(request, pod, ns);
    MANUL_TRY(auto pools4, annotations.list("ipv4pools"));
    MANUL_TRY(auto pools6, annotations.list("ipv6pools"));
    MANUL_TRY(const auto families, annotations.list("ipFamilies"));
    if (families) {
        MANUL_CHECK(choose_families(*families, demand));
    }
    MANUL_TRY(const auto addresses, annotations.addresses("ipAddrs"));
    if (pools4) {
        demand.ipv4_pools = *std::move(pools4);
    }
    if (pools6) {
        demand.ipv6_pools = *std::move(pools6);
    }
    MANUL_TRY(const auto unmanaged, annotations.addresses("ipAddrsNoIpam"));
    if (addresses && unmanaged) {
        return refuse(ErrorCode::invalid_config,
                      "annotations cni.projectcalico.org/ipAddrs and ipAddrsNoIpam exclude each other");
    }
    if (addresses) {
        demand.addresses = *addresses;
    }
    if (unmanaged) {
        if (!request.allow_addresses_without_ipam) {
            return refuse(ErrorCode::invalid_config,
                          "annotation cni.projectcalico.org/ipAddrsNoIpam is there, but the network's configuration "
                          "does not allow it (feature_control.ip_addrs_no_ipam)");
        }
        demand.unmanaged = *unmanaged;
    }
    if ((addresses && addresses->empty()) || (unmanaged && unmanaged->empty())) {
        return refuse(ErrorCode::invalid_config, fmt::format("annotation cni.projectcalico.org/{} is an empty list",
                                                             addresses ? "ipAddrs" : "ipAddrsNoIpam"));
    }
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        if (std::ranges::count(demand.addresses, family, &net::Ip::family) > 1 ||
            std::ranges::count(demand.unmanaged, family, &net::Ip::family) > 1) {
            return refuse(ErrorCode::invalid_config, "more than one address of one family was asked for by name");
        }
    }
    return demand;
}

model::StringMap namespace_labels(std::string_view name, const model::Namespace* ns) {
    model::StringMap labels = ns == nullptr ? model::StringMap{} : ns->metadata.labels;
    labels["kubernetes.io/metadata.name"] = name;
    labels[model::kLabelName] = name;
    return labels;
}

model::Profile make_network_profile(const std::string& network) {
    const std::string label = network.size() <= kMaxLabelName ? network : sha1_hex(network);
    model::Profile profile;
    profile.metadata.name = profile_name(network);
    profile.spec.labels_to_apply = {{label, ""}};
    profile.spec.egress = {allow_rule()};
    profile.spec.ingress = {allow_rule()};
    profile.spec.ingress.front().source.selector = fmt::format("has({})", label);
    return profile;
}

}  // namespace manul::ipam
