#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/address_detection.hpp"
#include "config/settings.hpp"
#include "config/store/store.hpp"
#include "net/prefix.hpp"

/// This node's projectcalico.org/v3 Node object: each daemon creates it when it is absent; afterwards only its owner of
/// a field changes it (bgpd the addresses that carry the annotation below).
namespace manul::config {

inline constexpr std::string_view kAddressSourceAnnotation = "manul.io/address-source";
inline constexpr std::string_view kAddressSourceDetected = "detected";

struct NodeAddresses {
    std::optional<net::InterfaceAddress> ipv4;
    std::optional<net::InterfaceAddress> ipv6;

    bool operator==(const NodeAddresses&) const = default;
};

/// The network interfaces of the current network namespace (getifaddrs), in the order of their index.
[[nodiscard]] Result<std::vector<HostInterface>> read_host_interfaces();

/// Detection as the settings say, on the current network namespace.
[[nodiscard]] Result<NodeAddresses> detect_node_addresses(const Settings& settings);

/// The Node document that a daemon creates: name, spec.bgp addresses and spec.addresses where one was found. `detected`
/// adds the annotation, also when nothing was found yet: bgpd fills in what it finds later.
[[nodiscard]] std::string own_node_document(const std::string& node_name, const NodeAddresses& addresses,
                                            bool detected);

/// Returns this node's Node, created with detected addresses when it was absent. On Kubernetes, where the kubelet makes
/// it, an absent one is an error, and an existing one without any word about BGP gets them instead. Blocks.
[[nodiscard]] store::StoreResult<store::Object> ensure_own_node(store::Store& store, const Settings& settings);

}  // namespace manul::config
