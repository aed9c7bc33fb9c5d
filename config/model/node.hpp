#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/model/resource.hpp"
#include "net/asn.hpp"
#include "net/ip.hpp"
#include "net/mac.hpp"
#include "net/prefix.hpp"

namespace manul::model {

struct NodeBgp {
    std::optional<net::Asn> as_number;
    std::optional<net::InterfaceAddress> ipv4_address;  ///< the length is the subnet of CrossSubnet
    std::optional<net::InterfaceAddress> ipv6_address;
    std::optional<net::Ip4> ipv4_ipip_tunnel_addr;
    std::optional<net::Ip4> route_reflector_cluster_id;  ///< given: the node is a route reflector

    bool operator==(const NodeBgp&) const = default;
};

struct NodeWireguard {
    std::optional<net::Ip4> interface_ipv4_address;
    std::optional<net::Ip6> interface_ipv6_address;

    bool operator==(const NodeWireguard&) const = default;
};

struct OrchRef {
    std::string node_name;
    std::string orchestrator;

    bool operator==(const OrchRef&) const = default;
};

enum class NodeAddressType : std::uint8_t { unset, calico_node_ip, internal_ip, external_ip };

struct NodeAddress {
    net::InterfaceAddress address;
    NodeAddressType type = NodeAddressType::unset;

    bool operator==(const NodeAddress&) const = default;
};

struct NodeInterface {
    std::string name;
    std::vector<net::Ip> addresses;

    bool operator==(const NodeInterface&) const = default;
};

struct NodeSpec {
    std::optional<NodeBgp> bgp;  ///< absent: the node does not speak BGP
    std::optional<net::Ip4> ipv4_vxlan_tunnel_addr;
    std::optional<net::Mac> vxlan_tunnel_mac_addr;
    std::optional<net::Ip6> ipv6_vxlan_tunnel_addr;
    std::optional<net::Mac> vxlan_tunnel_mac_addr_v6;
    std::optional<NodeWireguard> wireguard;
    std::vector<OrchRef> orch_refs;
    std::vector<NodeAddress> addresses;
    std::vector<NodeInterface> interfaces;

    bool operator==(const NodeSpec&) const = default;
};

struct NodeStatus {
    std::string wireguard_public_key;
    std::string wireguard_public_key_v6;
    std::vector<net::Prefix> pod_cidrs;

    bool operator==(const NodeStatus&) const = default;
};

struct Node final : ResourceOf<Kind::node> {
    NodeSpec spec;
    NodeStatus status;
};

}  // namespace manul::model
