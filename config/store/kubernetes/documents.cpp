#include "config/store/kubernetes/documents.hpp"

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "config/model/kind.hpp"
#include "config/model/referenced_secret.hpp"
#include "config/model/vxlan_mac.hpp"
#include "config/store/kubernetes/endpoint.hpp"
#include "config/store/kubernetes/json_text.hpp"

namespace manul::store::kubernetes {

namespace json = boost::json;
using model::Kind;

namespace {

constexpr std::string_view kMetadataAnnotation = "projectcalico.org/metadata";

/// Annotations of Kubernetes' Node and the fields of ours that they hold, below spec (or spec.bgp, spec.wireguard).
struct NodeField {
    std::string_view annotation;
    std::string_view parent;
    std::string_view field;
};
constexpr auto kNodeFields = std::to_array<NodeField>({
    {"projectcalico.org/IPv4Address", "bgp", "ipv4Address"},
    {"projectcalico.org/IPv6Address", "bgp", "ipv6Address"},
    {"projectcalico.org/ASNumber", "bgp", "asNumber"},
    {"projectcalico.org/RouteReflectorClusterID", "bgp", "routeReflectorClusterID"},
    {"projectcalico.org/IPv4IPIPTunnelAddr", "bgp", "ipv4IPIPTunnelAddr"},
    {"projectcalico.org/IPv4VXLANTunnelAddr", "", "ipv4VXLANTunnelAddr"},
    {"projectcalico.org/VXLANTunnelMACAddr", "", "vxlanTunnelMACAddr"},
    {"projectcalico.org/IPv6VXLANTunnelAddr", "", "ipv6VXLANTunnelAddr"},
    {"projectcalico.org/VXLANTunnelMACAddrV6", "", "vxlanTunnelMACAddrV6"},
    {"projectcalico.org/IPv4WireguardInterfaceAddr", "wireguard", "interfaceIPv4Address"},
    {"projectcalico.org/IPv6WireguardInterfaceAddr", "wireguard", "interfaceIPv6Address"},
});
constexpr std::string_view kWireguardKey = "projectcalico.org/WireguardPublicKey";
constexpr std::string_view kWireguardKeyV6 = "projectcalico.org/WireguardPublicKeyV6";

/// The part of `document` that a NodeField's parent names; null when it is not there.
const json::object* parent_of(const json::object& spec, std::string_view parent) {
    if (parent.empty()) {
        return &spec;
    }
    const json::value* value = spec.if_contains(parent);
    return value != nullptr && value->is_object() ? &value->get_object() : nullptr;
}

json::object node_document(const json::object& node) {
    const json::object& metadata = object_at(node, "metadata");
    const json::object& annotations = object_at(metadata, "annotations");
    json::object spec;
    for (const NodeField& field : kNodeFields) {
        const std::string value = text_at(annotations, field.annotation);
        if (!value.empty()) {
            json::object& parent = field.parent.empty() ? spec : make_object(spec, field.parent);
            parent[field.field] = value;
        }
    }
    const std::string name = text_at(metadata, "name");
    for (const auto& [address, mac, family] :
         {std::tuple{"ipv4VXLANTunnelAddr", "vxlanTunnelMACAddr", net::Family::v4},
          std::tuple{"ipv6VXLANTunnelAddr", "vxlanTunnelMACAddrV6", net::Family::v6}}) {
        if (spec.contains(address) && !spec.contains(mac)) {  // a node that still runs Calico
            spec[mac] = model::vxlan_mac(name, family).to_string();
        }
    }
    spec["orchRefs"] = json::array{json::object{{"nodeName", name}, {"orchestrator", "k8s"}}};
    json::array addresses;
    for (const json::value& entry : array_at(object_at(node, "status"), "addresses")) {
        const json::object empty;
        const json::object& address = entry.is_object() ? entry.get_object() : empty;
        const std::string type = text_at(address, "type");
        if (type == "InternalIP" || type == "ExternalIP") {
            addresses.push_back(json::object{{"address", text_at(address, "address")}, {"type", type}});
        }
    }
    if (!addresses.empty()) {
        spec["addresses"] = std::move(addresses);
    }
    json::object status;
    if (const json::array& cidrs = array_at(object_at(node, "spec"), "podCIDRs"); !cidrs.empty()) {
        status["podCIDRs"] = cidrs;
    }
    for (const auto& [annotation, field] :
         {std::pair{kWireguardKey, "wireguardPublicKey"}, std::pair{kWireguardKeyV6, "wireguardPublicKeyV6"}}) {
        if (const std::string key = text_at(annotations, annotation); !key.empty()) {
            status[field] = key;
        }
    }
    json::object document{{"metadata", metadata}, {"spec", std::move(spec)}};
    if (!status.empty()) {
        document["status"] = std::move(status);
    }
    return document;
}

/// Calico keeps its own metadata in an annotation of the custom resource.
void restore_classic(Kind kind, json::object& object) {
    json::object& metadata = make_object(object, "metadata");
    const json::object annotations = object_at(metadata, "annotations");
    if (annotations.contains(kMetadataAnnotation)) {
        std::error_code failed;
        const json::value kept = json::parse(text_at(annotations, kMetadataAnnotation), failed);
        const json::object own = !failed && kept.is_object() ? kept.get_object() : json::object{};
        json::object labels = object_at(metadata, "labels");
        for (const auto& label : object_at(own, "labels")) {
            labels[label.key()] = label.value();
        }
        metadata["labels"] = std::move(labels);
        metadata["annotations"] = object_at(own, "annotations");
    }
    for (const char* map : {"labels", "annotations"}) {
        if (object_at(metadata, map).empty()) {
            metadata.erase(map);
        }
    }
    if (kind == Kind::block_affinity || kind == Kind::ipam_handle) {  // a text there
        if (json::object& spec = make_object(object, "spec"); spec.contains("deleted") && spec["deleted"].is_string()) {
            spec["deleted"] = spec["deleted"].get_string() == "true";
        }
    }
}

void to_classic(json::object& object, const std::string& kind) {
    json::object& metadata = make_object(object, "metadata");
    json::object own;
    for (const char* map : {"labels", "annotations"}) {
        if (const json::object& kept = object_at(metadata, map); !kept.empty()) {
            own[map] = kept;
        }
    }
    metadata["annotations"] = json::object{{kMetadataAnnotation, json::serialize(own)}};
    if (kind == "BlockAffinity") {
        json::object& spec = make_object(object, "spec");
        const json::value* deleted = spec.if_contains("deleted");
        spec["deleted"] = deleted != nullptr && deleted->is_bool() && deleted->get_bool() ? "true" : "false";
    }
}

}  // namespace

std::string Place::collection(std::string_view given) const {
    const std::string_view ns = given.empty() ? std::string_view(home) : given;
    return base + (namespaced && !ns.empty() ? "/namespaces/" + std::string(ns) : std::string()) + "/" + plural;
}

std::string Place::object(std::string_view ns, std::string_view name) const {
    return collection(ns) + "/" + std::string(name);
}

bool is_of_extension(Kind kind) { return model::info(kind).group == "policy.networking.k8s.io"; }

StoreError unknown_kind(Kind kind, StoreError refusal) {
    const model::KindInfo& info = model::info(kind);
    refusal.code = StoreError::Code::unavailable;
    if (info.group == "projectcalico.org" || info.group == "manul.io") {
        refusal.message =
            fmt::format("this cluster does not know {} of {}: install Manul's custom resources", info.name, info.group);
    }
    return refusal;
}

Place place_of(Kind kind, CalicoGroup group) {
    const model::KindInfo& info = model::info(kind);
    Place place{.base = {},
                .api_version = model::api_version(kind),
                .kind = std::string(info.name),
                .plural = std::string(info.plural),
                .namespaced = info.namespaced};
    if (group == CalicoGroup::served) {
        place.base = (place.api_version == "v1" ? "/api/" : "/apis/") + place.api_version;
        return place;
    }
    if (kind == Kind::node || kind == Kind::workload_endpoint) {
        const bool node = kind == Kind::node;
        return {
            node ? Form::node : Form::endpoint, "/api/v1", "v1", node ? "Node" : "Pod", node ? "nodes" : "pods", !node};
    }
    if (kind == Kind::profile) {
        place.form = Form::derived;
    }
    if (kind == Kind::secret) {
        place.home = model::kSecretsNamespace;  // all that the daemons of a cluster may read
    }
    if (info.group == "projectcalico.org" && group == CalicoGroup::classic && place.form == Form::plain) {
        place.form = Form::classic;
        place.api_version = "crd.projectcalico.org/v1";
        if (kind == Kind::ipam_configuration) {
            place.kind = "IPAMConfig";
            place.plural = "ipamconfigs";
        }
    }
    place.base = (place.api_version == "v1" ? "/api/" : "/apis/") + place.api_version;
    return place;
}

std::optional<Translated> to_document(Kind kind, const Place& place, json::object object) {
    json::object& metadata = make_object(object, "metadata");
    metadata.erase("managedFields");
    metadata.erase("selfLink");
    Translated out{
        {kind, text_at(metadata, "namespace"), text_at(metadata, "name")}, text_at(metadata, "resourceVersion"), {}};
    switch (place.form) {
        case Form::node:
            out.document = node_document(object);
            break;
        case Form::endpoint: {
            auto endpoint = endpoint_of_pod(object);
            if (!endpoint) {
                return std::nullopt;
            }
            out.document = *std::move(endpoint);
            out.key.name = text_at(object_at(out.document, "metadata"), "name");
            break;
        }
        case Form::classic:
            restore_classic(kind, object);
            [[fallthrough]];
        case Form::plain:
        case Form::derived:
            out.document = std::move(object);
            break;
    }
    // First, as people expect it; items of a list do not even have them.
    json::object document{{"apiVersion", model::api_version(kind)}, {"kind", model::info(kind).name}};
    for (auto& field : out.document) {
        if (field.key() != "apiVersion" && field.key() != "kind") {
            document[field.key()] = std::move(field.value());
        }
    }
    out.document = std::move(document);
    return out;
}

json::object to_object(const Place& place, json::object document) {
    document["apiVersion"] = place.api_version;
    document["kind"] = place.kind;
    if (place.form == Form::classic) {
        to_classic(document, place.kind);
    }
    return document;
}

json::object node_patch(const json::object& document) {
    const json::object& spec = object_at(document, "spec");
    json::object annotations;
    for (const NodeField& field : kNodeFields) {
        const json::object* parent = parent_of(spec, field.parent);
        const json::value* value = parent == nullptr ? nullptr : parent->if_contains(field.field);
        if (value == nullptr || value->is_null()) {
            annotations[field.annotation] = nullptr;  // a merge patch removes it (RFC 7396)
        } else {
            annotations[field.annotation] =
                value->is_string() ? value->get_string() : json::string(json::serialize(*value));
        }
    }
    const json::object& status = object_at(document, "status");
    for (const auto& [annotation, field] :
         {std::pair{kWireguardKey, "wireguardPublicKey"}, std::pair{kWireguardKeyV6, "wireguardPublicKeyV6"}}) {
        const std::string key = text_at(status, field);
        annotations[annotation] = key.empty() ? json::value(nullptr) : json::value(key);
    }
    // Annotations of ours that are no fields, such as where an address came from.
    for (const auto& annotation : object_at(object_at(document, "metadata"), "annotations")) {
        if (annotation.key().starts_with("manul.io/")) {
            annotations[annotation.key()] = annotation.value();
        }
    }
    json::object metadata{{"annotations", std::move(annotations)}};
    if (const json::object& labels = object_at(object_at(document, "metadata"), "labels"); !labels.empty()) {
        metadata["labels"] = labels;
    }
    return {{"metadata", std::move(metadata)}};
}

}  // namespace manul::store::kubernetes
