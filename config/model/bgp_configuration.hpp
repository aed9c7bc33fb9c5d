#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/model/duration.hpp"
#include "config/model/ipam_configuration.hpp"
#include "config/model/resource.hpp"
#include "net/asn.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::model {

/// A key of a secret; where it is looked for is decided by the daemon.
struct SecretKeyRef {
    std::string name;
    std::string key;

    bool operator==(const SecretKeyRef&) const = default;
};

struct BgpPassword {
    std::optional<SecretKeyRef> secret_key_ref;

    bool operator==(const BgpPassword&) const = default;
};

struct CidrEntry {
    std::optional<net::Prefix> cidr;  ///< absent: the entry says nothing

    bool operator==(const CidrEntry&) const = default;
};

/// What the entries name.
[[nodiscard]] inline std::vector<net::Prefix> ranges_of(const std::vector<CidrEntry>& entries) {
    std::vector<net::Prefix> ranges;
    for (const CidrEntry& entry : entries) {
        if (entry.cidr) {
            ranges.push_back(*entry.cidr);
        }
    }
    return ranges;
}

struct NamedCommunity {
    std::string name;
    std::string value;  ///< "aa:nn" or "aa:nn:mm"

    bool operator==(const NamedCommunity&) const = default;
};

struct PrefixAdvertisement {
    net::Prefix cidr;
    std::vector<std::string> communities;  ///< literal values or names of NamedCommunity

    bool operator==(const PrefixAdvertisement&) const = default;
};

enum class LogSeverity : std::uint8_t { trace, debug, info, warning, error, fatal };
enum class BindMode : std::uint8_t { none, node_ip };

/// Who programs which pod routes: bgpd (BGPConfiguration) or felix (FelixConfiguration).
enum class ProgramClusterRoutes : std::uint8_t { enabled, disabled, enabled_ipip_only, enabled_no_encap_only };

struct BmpCollector {
    net::Ip address;
    std::uint16_t port = 0;

    bool operator==(const BmpCollector&) const = default;
};

struct MrtDump {
    std::string path;
    std::optional<Duration> interval;

    bool operator==(const MrtDump&) const = default;
};

struct Multipath {
    std::uint32_t max = 64;
    bool relax = true;  ///< paths through different AS of equal length count as equal

    bool operator==(const Multipath&) const = default;
};

inline constexpr std::uint32_t kDefaultAsNumber = 64512;
inline constexpr std::uint16_t kDefaultBgpPort = 179;
inline constexpr std::uint32_t kDefaultRoutePriority = 1024;

struct BgpConfigurationSpec {
    LogSeverity log_severity_screen = LogSeverity::info;
    std::optional<bool> node_to_node_mesh_enabled;  ///< absent: true
    std::optional<net::Asn> as_number;              ///< absent: kDefaultAsNumber
    std::vector<CidrEntry> service_load_balancer_ips;
    std::vector<CidrEntry> service_external_ips;
    std::vector<CidrEntry> service_cluster_ips;
    OnOff service_load_balancer_aggregation = OnOff::enabled;
    std::vector<NamedCommunity> communities;
    std::vector<PrefixAdvertisement> prefix_advertisements;
    std::optional<std::uint16_t> listen_port;  ///< absent: kDefaultBgpPort
    std::optional<BgpPassword> node_mesh_password;
    std::optional<Duration> node_mesh_max_restart_time;  ///< absent: 120 s
    BindMode bind_mode = BindMode::none;
    std::vector<std::string> ignored_interfaces;
    std::optional<net::Ip4> local_workload_peering_ip_v4;
    std::optional<net::Ip6> local_workload_peering_ip_v6;
    std::optional<ProgramClusterRoutes> program_cluster_routes;  ///< absent: enabled_no_encap_only
    std::optional<std::uint32_t> ipv4_normal_route_priority;     ///< absent: kDefaultRoutePriority
    std::optional<std::uint32_t> ipv6_normal_route_priority;     ///< absent: kDefaultRoutePriority
    std::vector<BmpCollector> bmp_collectors;                    ///< Manul
    std::optional<MrtDump> mrt_dump;                             ///< Manul
    std::optional<Multipath> multipath;                          ///< Manul; absent: Multipath{}

    bool operator==(const BgpConfigurationSpec&) const = default;
};

struct BgpConfiguration final : ResourceOf<Kind::bgp_configuration> {
    BgpConfigurationSpec spec;
};

}  // namespace manul::model
