#include "config/store/kubernetes/endpoint.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/sha1.hpp"
#include "config/model/dscp.hpp"
#include "config/model/names.hpp"
#include "config/model/workload_endpoint.hpp"
#include "config/store/kubernetes/documents.hpp"
#include "config/store/kubernetes/json_text.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::store::kubernetes {

namespace json = boost::json;

namespace {

constexpr std::string_view kPodIp = "cni.projectcalico.org/podIP";
constexpr std::string_view kPodIps = "cni.projectcalico.org/podIPs";
constexpr std::string_view kContainerId = "cni.projectcalico.org/containerID";
constexpr std::string_view kSpoofedPrefixes = "cni.projectcalico.org/allowedSourcePrefixes";
constexpr std::string_view kFloatingAddresses = "cni.projectcalico.org/floatingIPs";
/// Annotations of an endpoint that its writer made, such as the network that it belongs to. A Pod keeps them.
constexpr std::string_view kOwnPrefix = "manul.io/";
/// The condition in a Pod's status that says what the pod was given. Annotations say it, too, for people and for other
/// tools, but who may change a Pod may change those; its status is the nodes' alone.
constexpr std::string_view kAttached = "manul.io/Attached";
constexpr const char* kInterface = "eth0";
constexpr std::size_t kInterfaceHash = 11;

bool is_true(const json::object& from, std::string_view key) {
    const json::value* value = from.if_contains(key);
    return value != nullptr && value->is_bool() && value->get_bool();
}

/// "10.0.0.1" and "10.0.0.1/32" as a whole address; nothing for other texts.
std::optional<std::string> whole_address(std::string_view text) {
    const auto ip = net::Ip::parse(text.substr(0, text.find('/')));
    return ip ? std::optional(net::Prefix::host(*ip).to_string()) : std::nullopt;
}

void add_addresses(json::array& out, std::string_view list) {
    while (!list.empty()) {
        const std::size_t comma = list.find(',');
        if (const auto address = whole_address(list.substr(0, comma))) {
            out.emplace_back(*address);
        }
        list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    }
}

/// What manul-ipamd recorded in the Pod's status.
struct Record {
    std::string container_id;
    json::array networks;
    json::object annotations;
};

std::optional<Record> record_of(const json::object& pod) {
    for (const json::value& condition : array_at(object_at(pod, "status"), "conditions")) {
        if (!condition.is_object() || text_at(condition.get_object(), "type") != kAttached) {
            continue;
        }
        std::error_code failed;
        const json::value message = json::parse(text_at(condition.get_object(), "message"), failed);
        if (failed || !message.is_object()) {
            return std::nullopt;
        }
        const json::object& said = message.get_object();
        Record record{text_at(said, "containerID"), {}, object_at(said, "annotations")};
        for (const json::value& network : array_at(said, "ipNetworks")) {
            add_addresses(record.networks, network.is_string() ? std::string_view(network.get_string()) : "");
        }
        return record;
    }
    return std::nullopt;
}

json::array addresses_of(const json::object& pod, const std::optional<Record>& record) {
    json::array out;
    const json::object& status = object_at(pod, "status");
    const std::string phase = text_at(status, "phase");
    if (phase == "Succeeded" || phase == "Failed") {
        return out;
    }
    if (record) {
        return record->networks;
    }
    // Of a CNI plugin that keeps no record. Its annotations can take the addresses away, and give none.
    const json::object& annotations = object_at(object_at(pod, "metadata"), "annotations");
    if (annotations.contains(kContainerId) && text_at(annotations, kPodIp).empty() &&
        text_at(annotations, kPodIps).empty()) {
        return out;
    }
    for (const json::value& entry : array_at(status, "podIPs")) {
        if (entry.is_object()) {
            add_addresses(out, text_at(entry.get_object(), "ip"));
        }
    }
    if (out.empty()) {
        add_addresses(out, text_at(status, "podIP"));
    }
    return out;
}

/// "10.0.0.1/32,fd00::1/128", and its first part.
std::pair<std::string, std::string> joined(const json::array& networks) {
    std::string all;
    std::string first;
    for (const json::value& network : networks) {
        const std::string text = network.is_string() ? std::string(network.get_string()) : std::string();
        all += (all.empty() ? "" : ",") + text;
        first = first.empty() ? text : first;
    }
    return {std::move(all), std::move(first)};
}

/// What the Pod says, but of its attachment what the record says.
json::object annotations_of(const json::object& pod, const std::optional<Record>& record) {
    json::object out = object_at(object_at(pod, "metadata"), "annotations");
    if (!record) {
        return out;
    }
    json::object trusted;
    for (auto& annotation : out) {
        if (!annotation.key().starts_with(kOwnPrefix)) {
            trusted[annotation.key()] = std::move(annotation.value());
        }
    }
    for (const auto& annotation : record->annotations) {
        trusted[annotation.key()] = annotation.value();
    }
    const auto [all, first] = joined(record->networks);
    trusted[kContainerId] = record->container_id;
    trusted[kPodIp] = first;
    trusted[kPodIps] = all;
    return trusted;
}

/// Ports that containers declare by name. Published ports are the portmap plugin's work.
json::array ports_of(const json::object& spec) {
    json::array out;
    for (const char* list : {"initContainers", "containers"}) {
        for (const json::value& container : array_at(spec, list)) {
            if (!container.is_object()) {
                continue;
            }
            for (const json::value& entry : array_at(container.get_object(), "ports")) {
                const json::object nothing;
                const json::object& port = entry.is_object() ? entry.get_object() : nothing;
                const std::string name = text_at(port, "name");
                const json::value* number = port.if_contains("containerPort");
                if (name.empty() || number == nullptr) {
                    continue;
                }
                const std::string protocol = text_at(port, "protocol");
                out.push_back(
                    json::object{{"name", name}, {"port", *number}, {"protocol", protocol.empty() ? "TCP" : protocol}});
            }
        }
    }
    return out;
}

/// A quantity of Kubernetes ("10M", "1.5Gi", "1e6") as a whole number within these limits, as Calico takes it; nothing
/// for other texts.
std::optional<std::uint64_t> parse_quantity(std::string_view text, std::uint64_t least, std::uint64_t most) {
    struct Suffix {
        std::string_view text;
        double factor;
    };
    constexpr auto kSuffixes = std::to_array<Suffix>({{"", 1},
                                                      {"m", 1e-3},
                                                      {"k", 1e3},
                                                      {"M", 1e6},
                                                      {"G", 1e9},
                                                      {"T", 1e12},
                                                      {"P", 1e15},
                                                      {"E", 1e18},
                                                      {"Ki", 0x1p10},
                                                      {"Mi", 0x1p20},
                                                      {"Gi", 0x1p30},
                                                      {"Ti", 0x1p40},
                                                      {"Pi", 0x1p50},
                                                      {"Ei", 0x1p60}});
    double number = 0;
    const auto [end, failed] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::general);
    const std::string_view rest = text.substr(static_cast<std::size_t>(end - text.data()));
    const auto suffix = std::ranges::find(kSuffixes, rest, &Suffix::text);
    if (failed != std::errc{} || suffix == kSuffixes.end() || !std::isfinite(number)) {
        return std::nullopt;
    }
    const double value = std::ceil(number * suffix->factor);
    if (value <= static_cast<double>(least)) {
        return least;
    }
    return value >= static_cast<double>(most) ? most : static_cast<std::uint64_t>(value);
}

/// Limits of the endpoint's own annotations; a value that is none does not count, one out of the range that an endpoint
/// may have is taken as the nearest.
json::object qos_of(const json::object& annotations) {
    struct Limit {
        std::string_view name;  ///< behind "ingress" and "egress"
        std::uint64_t least;
        std::uint64_t most;
    };
    constexpr auto kLimits = std::to_array<Limit>({{"Bandwidth", 1'000, 1'000'000'000'000'000},
                                                   {"Burst", 1'000, 34'359'738'360},
                                                   {"Peakrate", 1'010, 1'010'000'000'000'000},
                                                   {"Minburst", 1'000, 100'000'000},
                                                   {"PacketRate", 1, 10'000},
                                                   {"PacketBurst", 1, 10'000},
                                                   {"MaxConnections", 1, 4'294'967'295}});
    json::object out;
    for (const std::string direction : {"ingress", "egress"}) {
        for (const Limit& limit : kLimits) {
            const std::string field = direction + std::string(limit.name);
            std::string text = text_at(annotations, "qos.projectcalico.org/" + field);
            if (text.empty() && limit.name == "Bandwidth") {
                text = text_at(annotations, "kubernetes.io/" + direction + "-bandwidth");
            }
            if (const auto value = parse_quantity(text, limit.least, limit.most)) {
                out[field] = *value;
            }
        }
    }
    if (const auto dscp = model::dscp_of_text(text_at(annotations, model::kDscpAnnotation))) {
        out["dscp"] = *dscp;
    }
    return out;
}

/// Floating addresses of the annotation, each leading to the pod's address of its family; those without one do not
/// count.
json::array floating_of(const json::object& annotations, const json::array& networks) {
    json::array out;
    std::error_code failed;
    const json::value list = json::parse(text_at(annotations, kFloatingAddresses), failed);
    if (failed || !list.is_array()) {
        return out;
    }
    for (const json::value& item : list.get_array()) {
        const auto external = item.is_string() ? net::Ip::parse(std::string_view(item.get_string())) : std::nullopt;
        for (const json::value& network : networks) {
            const auto own = net::Prefix::parse(std::string_view(network.get_string()));
            if (external && own && own->family() == external->family()) {
                out.push_back(
                    json::object{{"internalIP", own->address().to_string()}, {"externalIP", external->to_string()}});
                break;
            }
        }
    }
    return out;
}

/// What a pod says of itself cannot pretend to come from its namespace or service account.
json::object labels_of(const json::object& metadata, const std::string& ns, const std::string& account) {
    json::object labels;
    for (const auto& label : object_at(metadata, "labels")) {
        const std::string_view key = label.key();
        if (!key.starts_with(model::kNamespaceLabelPrefix) && !key.starts_with(model::kServiceAccountLabelPrefix)) {
            labels[key] = label.value();
        }
    }
    labels[model::kLabelNamespace] = ns;
    labels[model::kLabelOrchestrator] = "k8s";
    if (model::is_label_value(account)) {
        labels[model::kLabelServiceAccount] = account;
    } else {
        labels.erase(model::kLabelServiceAccount);
    }
    return labels;
}

}  // namespace

std::optional<json::object> endpoint_of_pod(const json::object& pod) {
    const json::object& metadata = object_at(pod, "metadata");
    const json::object& spec = object_at(pod, "spec");
    const std::string node = text_at(spec, "nodeName");
    if (node.empty() || is_true(spec, "hostNetwork")) {
        return std::nullopt;
    }
    const std::optional<Record> record = record_of(pod);
    json::object annotations = annotations_of(pod, record);
    const std::string ns = text_at(metadata, "namespace");
    const std::string name = text_at(metadata, "name");
    const std::string given = text_at(spec, "serviceAccountName");
    const std::string account = given.empty() ? "default" : given;
    model::WorkloadEndpointSpec parts;
    parts.orchestrator = "k8s";
    parts.node = node;
    parts.pod = name;
    parts.endpoint = kInterface;

    json::object endpoint{{"orchestrator", "k8s"}, {"node", node}, {"pod", name}, {"endpoint", kInterface}};
    if (std::string id = text_at(annotations, kContainerId); !id.empty()) {
        endpoint["containerID"] = std::move(id);
    }
    endpoint["serviceAccountName"] = account;
    if (json::array addresses = addresses_of(pod, record); !addresses.empty()) {
        endpoint["ipNetworks"] = std::move(addresses);
    }
    endpoint["profiles"] = json::array{"kns." + ns, "ksa." + ns + "." + account};
    endpoint["interfaceName"] = "cali" + sha1_hex(ns + "." + name, kInterfaceHash);
    if (json::array nats = floating_of(annotations, array_at(endpoint, "ipNetworks")); !nats.empty()) {
        endpoint["ipNATs"] = std::move(nats);
    }
    if (json::array ports = ports_of(spec); !ports.empty()) {
        endpoint["ports"] = std::move(ports);
    }
    if (const std::string prefixes = text_at(annotations, kSpoofedPrefixes); !prefixes.empty()) {
        std::error_code failed;
        if (const json::value list = json::parse(prefixes, failed); !failed && list.is_array()) {
            endpoint["allowSpoofedSourcePrefixes"] = list;
        }
    }
    if (json::object qos = qos_of(annotations); !qos.empty()) {
        endpoint["qosControls"] = std::move(qos);
    }
    json::object derived{{"name", model::workload_endpoint_name(parts)}, {"namespace", ns}};
    if (const std::string uid = text_at(metadata, "uid"); !uid.empty()) {
        derived["uid"] = derived_uid(uid);
    }
    for (const char* field : {"resourceVersion", "creationTimestamp"}) {
        if (const json::value* value = metadata.if_contains(field)) {
            derived[field] = *value;
        }
    }
    derived["labels"] = labels_of(metadata, ns, account);
    if (!annotations.empty()) {
        derived["annotations"] = std::move(annotations);
    }
    return json::object{{"metadata", std::move(derived)}, {"spec", std::move(endpoint)}};
}

std::optional<std::string> pod_of_endpoint(std::string_view endpoint_name) {
    std::vector<std::string> parts(1);
    for (std::size_t i = 0; i < endpoint_name.size(); ++i) {
        if (endpoint_name[i] != '-') {
            parts.back() += endpoint_name[i];
        } else if (i + 1 < endpoint_name.size() && endpoint_name[i + 1] == '-') {
            parts.back() += '-';
            ++i;
        } else {
            parts.emplace_back();
        }
    }
    return parts.size() == 4 && parts[1] == "k8s" ? std::optional(parts[2]) : std::nullopt;
}

json::object endpoint_patch(const json::object& before, const json::object* document, const std::string& pod_uid) {
    const json::object& former = object_at(object_at(before, "metadata"), "annotations");
    json::object annotations;
    json::object own;
    json::array networks;
    std::string container_id = text_at(object_at(before, "spec"), "containerID");
    if (document != nullptr) {
        for (const auto& annotation : former) {
            if (annotation.key().starts_with(kOwnPrefix)) {
                annotations[annotation.key()] = nullptr;  // removes it
            }
        }
        const json::object& spec = object_at(*document, "spec");
        networks = array_at(spec, "ipNetworks");
        container_id = text_at(spec, "containerID");
    }
    for (const auto& wanted :
         document == nullptr ? former : object_at(object_at(*document, "metadata"), "annotations")) {
        if (wanted.key().starts_with(kOwnPrefix)) {
            own[wanted.key()] = wanted.value();
        }
    }
    if (document != nullptr) {
        for (const auto& annotation : own) {
            annotations[annotation.key()] = annotation.value();
        }
        annotations[kContainerId] = container_id;
    }
    const auto [all, first] = joined(networks);
    annotations[kPodIp] = first;
    annotations[kPodIps] = all;
    json::object condition{{"type", kAttached}, {"status", networks.empty() ? "False" : "True"}};
    condition["message"] = json::serialize(json::object{
        {"containerID", container_id}, {"ipNetworks", std::move(networks)}, {"annotations", std::move(own)}});
    return {{"metadata", json::object{{"uid", pod_uid}, {"annotations", std::move(annotations)}}},
            {"status", json::object{{"conditions", json::array{std::move(condition)}}}}};
}

std::string derived_uid(std::string_view uid) {
    constexpr std::size_t kVersionByte = 6;
    constexpr std::size_t kVariantByte = 8;
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out(uid);
    std::size_t byte = 0;
    for (std::size_t i = 0; i + 1 < out.size();) {
        if (out[i] == '-') {
            ++i;
            continue;
        }
        const std::size_t high = kDigits.find(out[i]);
        const std::size_t low = kDigits.find(out[i + 1]);
        if (high == std::string_view::npos || low == std::string_view::npos) {
            return std::string(uid);
        }
        if (byte != kVersionByte && byte != kVariantByte) {
            std::size_t reversed = 0;
            for (std::size_t bit = 0; bit < 8; ++bit) {
                reversed |= ((high << 4U | low) >> bit & 1U) << (7 - bit);
            }
            out[i] = kDigits[reversed >> 4U];
            out[i + 1] = kDigits[reversed & 0xfU];
        }
        i += 2;
        ++byte;
    }
    return out;
}

}  // namespace manul::store::kubernetes
