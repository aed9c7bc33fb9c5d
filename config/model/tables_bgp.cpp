#include "config/model/bgp_configuration.hpp"
#include "config/model/bgp_peer.hpp"
#include "config/model/described.hpp"
#include "config/model/field.hpp"
#include "config/model/limits.hpp"

namespace manul::model {

namespace {

constexpr auto kSecretKeyRef = std::to_array<Field>({
    field<&SecretKeyRef::name>("name", "Name of the secret.").required(),
    field<&SecretKeyRef::key>("key", "Key in the secret.").required(),
});
constexpr auto kBgpPassword = std::to_array<Field>({
    field<&BgpPassword::secret_key_ref>("secretKeyRef", "Where the password is."),
});
constexpr auto kCidrEntry = std::to_array<Field>({
    field<&CidrEntry::cidr>("cidr", "The range."),
});
constexpr auto kNamedCommunity = std::to_array<Field>({
    field<&NamedCommunity::name>("name", "Name to use in prefixAdvertisements.").required(),
    field<&NamedCommunity::value>("value", "aa:nn or aa:nn:mm.").required(),
});
constexpr auto kPrefixAdvertisement = std::to_array<Field>({
    field<&PrefixAdvertisement::cidr>("cidr", "Routes inside this range.").required(),
    field<&PrefixAdvertisement::communities>("communities", "Values, or names from communities.").items(50),
});
constexpr auto kBmpCollector = std::to_array<Field>({
    field<&BmpCollector::address>("address", "Where the collector listens.").required(),
    field<&BmpCollector::port>("port", "Its TCP port.").range(1, kMaxPort).required(),
});
constexpr auto kMrtDump = std::to_array<Field>({
    field<&MrtDump::path>("path", "File to write to.").required(),
    field<&MrtDump::interval>("interval", "Time between dumps."),
});
constexpr auto kMultipath = std::to_array<Field>({
    field<&Multipath::max>("max", "Most paths of one route in the kernel.").range(1, 1024).fallback("64"),
    field<&Multipath::relax>("relax", "Paths through different AS of equal length count as equal.").fallback("true"),
});

constexpr auto kBgpConfiguration = std::to_array<Field>({
    field<&BgpConfigurationSpec::log_severity_screen>("logSeverityScreen", "Least severe messages to log.")
        .fallback("Info"),
    field<&BgpConfigurationSpec::node_to_node_mesh_enabled>("nodeToNodeMeshEnabled",
                                                            "Every node peers with every node.")
        .fallback("true"),
    field<&BgpConfigurationSpec::as_number>("asNumber", "AS of nodes that have no own one.").fallback("64512"),
    field<&BgpConfigurationSpec::service_load_balancer_ips>("serviceLoadBalancerIPs",
                                                            "Load balancer ranges to announce."),
    field<&BgpConfigurationSpec::service_external_ips>("serviceExternalIPs", "External service ranges to announce."),
    field<&BgpConfigurationSpec::service_cluster_ips>("serviceClusterIPs", "Cluster service ranges to announce."),
    field<&BgpConfigurationSpec::service_load_balancer_aggregation>("serviceLoadBalancerAggregation",
                                                                    "Disabled: each service address by itself.")
        .fallback("Enabled"),
    field<&BgpConfigurationSpec::communities>("communities", "Names for community values.").items(500),
    field<&BgpConfigurationSpec::prefix_advertisements>("prefixAdvertisements", "Communities added to own routes.")
        .items(500),
    field<&BgpConfigurationSpec::listen_port>("listenPort", "TCP port of the speaker.")
        .range(1, kMaxPort)
        .fallback("179"),
    field<&BgpConfigurationSpec::node_mesh_password>("nodeMeshPassword", "Password of the node mesh."),
    field<&BgpConfigurationSpec::node_mesh_max_restart_time>("nodeMeshMaxRestartTime",
                                                             "Graceful restart time in the node mesh.")
        .fallback("120s"),
    field<&BgpConfigurationSpec::bind_mode>("bindMode", "NodeIP: listen on the node's address alone.").fallback("None"),
    field<&BgpConfigurationSpec::ignored_interfaces>(
        "ignoredInterfaces", "Interfaces whose connected routes are ignored; * matches any text."),
    field<&BgpConfigurationSpec::local_workload_peering_ip_v4>("localWorkloadPeeringIPV4",
                                                               "IPv4 address that workloads peer with."),
    field<&BgpConfigurationSpec::local_workload_peering_ip_v6>("localWorkloadPeeringIPV6",
                                                               "IPv6 address that workloads peer with."),
    field<&BgpConfigurationSpec::program_cluster_routes>("programClusterRoutes",
                                                         "Which pools' routes bgpd programs; felix does the others.")
        .fallback("EnabledNoEncapOnly"),
    field<&BgpConfigurationSpec::ipv4_normal_route_priority>("ipv4NormalRoutePriority", "Metric of IPv4 routes.")
        .range(1, kMaxRoutePriority)
        .fallback("1024"),
    field<&BgpConfigurationSpec::ipv6_normal_route_priority>("ipv6NormalRoutePriority", "Metric of IPv6 routes.")
        .range(1, kMaxRoutePriority)
        .fallback("1024"),
    field<&BgpConfigurationSpec::bmp_collectors>("bmpCollectors", "Where to send BMP (RFC 7854).").manul(),
    field<&BgpConfigurationSpec::mrt_dump>("mrtDump", "Dumps of all routes in MRT format (RFC 6396).").manul(),
    field<&BgpConfigurationSpec::multipath>("multipath", "Routes with several next hops.").manul(),
});

constexpr auto kBfd = std::to_array<Field>({
    field<&Bfd::interval_ms>("intervalMs", "Milliseconds between packets.").range(10, 60'000).fallback("300"),
    field<&Bfd::multiplier>("multiplier", "Packets missing until the peer is down.").range(1, 255).fallback("3"),
    field<&Bfd::mode>("mode", "Single hop, multihop, or by the peer's address.").fallback("Auto"),
    field<&Bfd::graceful>("graceful", "Keep routes as stale when BFD goes down.").fallback("false"),
});
constexpr auto kMaxPrefixes = std::to_array<Field>({
    field<&MaxPrefixes::count>("count", "The session ends above this number.").range(1, 4'294'967'295).required(),
    field<&MaxPrefixes::warn_percent>("warnPercent", "Warn from this part of count on.").range(1, 100).fallback("80"),
});

constexpr auto kTcpAo = std::to_array<Field>({
    field<&TcpAo::send_id>("sendID", "KeyID of segments sent.").fallback("1"),
    field<&TcpAo::receive_id>("receiveID", "KeyID of segments received.").fallback("1"),
    field<&TcpAo::algorithm>("algorithm", "How segments are authenticated (RFC 5926).").fallback("HMAC-SHA1"),
});

constexpr auto kBgpPeer = std::to_array<Field>({
    field<&BgpPeerSpec::node>("node", "The node that has this peer; neither node nor nodeSelector: every node."),
    field<&BgpPeerSpec::node_selector>("nodeSelector", "Nodes that have this peer.").length(1024),
    field<&BgpPeerSpec::peer_ip>("peerIP", "Address of the peer, with a port if it is not 179."),
    field<&BgpPeerSpec::peer_selector>("peerSelector", "Nodes that are the peers.").length(1024),
    field<&BgpPeerSpec::as_number>("asNumber", "AS of the peer."),
    field<&BgpPeerSpec::local_as_number>("localASNumber", "Own AS towards this peer."),
    field<&BgpPeerSpec::local_workload_selector>("localWorkloadSelector", "Workloads of the node that are the peers.")
        .length(1024),
    field<&BgpPeerSpec::next_hop_mode>("nextHopMode", "Which next hop is announced.").fallback("Auto"),
    field<&BgpPeerSpec::keep_original_next_hop>("keepOriginalNextHop", "Old form of nextHopMode: Keep.")
        .fallback("false"),
    field<&BgpPeerSpec::password>("password", "TCP MD5 password (RFC 2385)."),
    field<&BgpPeerSpec::source_address>("sourceAddress", "Whether sessions start from the node's address.")
        .fallback("UseNodeIP"),
    field<&BgpPeerSpec::max_restart_time>("maxRestartTime", "Graceful restart time.").fallback("120s"),
    field<&BgpPeerSpec::keepalive_time>("keepaliveTime", "Time between keepalives; default: a third of holdTime."),
    field<&BgpPeerSpec::num_allowed_local_as_numbers>("numAllowedLocalASNumbers",
                                                      "How often the own AS may be in a received path.")
        .range(0, 2'147'483'647)
        .fallback("0"),
    field<&BgpPeerSpec::ttl_security>("ttlSecurity",
                                      "Hops to the peer; packets from farther away are dropped (RFC 5082)."),
    field<&BgpPeerSpec::reachable_by>("reachableBy", "Gateway through which the peer is reached."),
    field<&BgpPeerSpec::filters>("filters", "Names of BGPFilters, in order."),
    field<&BgpPeerSpec::reverse_peering>("reversePeering", "Whether a peer that is a Node peers back.")
        .fallback("Auto"),
    field<&BgpPeerSpec::bfd>("bfd", "Detect a lost peer by BFD (RFC 5880).").manul(),
    field<&BgpPeerSpec::add_path>("addPath", "Several paths of one route (RFC 7911).").fallback("Receive").manul(),
    field<&BgpPeerSpec::role>("role", "Own role towards the peer (RFC 9234).").manul(),
    field<&BgpPeerSpec::role_strict>("roleStrict", "No session with a peer that does not announce its role.")
        .fallback("false")
        .manul(),
    field<&BgpPeerSpec::max_prefixes>("maxPrefixes", "Limit of received routes.").manul(),
    field<&BgpPeerSpec::listen_range>("listenRange", "Accept peers from these addresses.").manul(),
    field<&BgpPeerSpec::interface>(
        "interface",
        "Peer with the router on this interface, whose link-local address is peerIP or found "
        "by router advertisements.")
        .manul(),
    field<&BgpPeerSpec::families>("families", "Address families; default: the family of the session's addresses.")
        .items(2)
        .manul(),
    field<&BgpPeerSpec::hold_time>("holdTime", "Default: 90s, or three times keepaliveTime where that is given.")
        .manul(),
    field<&BgpPeerSpec::passive>("passive", "Never open the connection from this side.").fallback("false").manul(),
    field<&BgpPeerSpec::tcp_ao>("tcpAO", "Use the password for TCP-AO (RFC 5925) in place of TCP MD5.").manul(),
});

}  // namespace

template <>
constinit const ObjectInfo Described<SecretKeyRef>::kInfo =
    object<SecretKeyRef>("SecretKeyRef", "A key of a secret.", kSecretKeyRef);
template <>
constinit const ObjectInfo Described<BgpPassword>::kInfo =
    object<BgpPassword>("BGPPassword", "A TCP MD5 password.", kBgpPassword);
template <>
constinit const ObjectInfo Described<CidrEntry>::kInfo =
    object<CidrEntry>("CIDREntry", "A range of addresses.", kCidrEntry);
template <>
constinit const ObjectInfo Described<NamedCommunity>::kInfo =
    object<NamedCommunity>("Community", "A named community.", kNamedCommunity);
template <>
constinit const ObjectInfo Described<PrefixAdvertisement>::kInfo =
    object<PrefixAdvertisement>("PrefixAdvertisement", "Communities for a range.", kPrefixAdvertisement);
template <>
constinit const ObjectInfo Described<BmpCollector>::kInfo =
    object<BmpCollector>("BMPCollector", "A BMP collector.", kBmpCollector);
template <>
constinit const ObjectInfo Described<MrtDump>::kInfo = object<MrtDump>("MRTDump", "Where dumps go.", kMrtDump);
template <>
constinit const ObjectInfo Described<Multipath>::kInfo =
    object<Multipath>("Multipath", "Routes with several next hops.", kMultipath);
template <>
constinit const ObjectInfo Described<BgpConfigurationSpec>::kInfo = object<BgpConfigurationSpec>(
    "BGPConfiguration", "BGP of the whole cluster (default) or of one node (node.<name>).", kBgpConfiguration);
template <>
constinit const ObjectInfo Described<Bfd>::kInfo = object<Bfd>("BFD", "Bidirectional forwarding detection.", kBfd);
template <>
constinit const ObjectInfo Described<MaxPrefixes>::kInfo =
    object<MaxPrefixes>("MaxPrefixes", "Limit of routes.", kMaxPrefixes);
template <>
constinit const ObjectInfo Described<TcpAo>::kInfo = object<TcpAo>("TCPAO", "Keys of TCP-AO.", kTcpAo);
template <>
constinit const ObjectInfo Described<BgpPeerSpec>::kInfo =
    object<BgpPeerSpec>("BGPPeer", "Who peers with whom by BGP.", kBgpPeer);

}  // namespace manul::model
