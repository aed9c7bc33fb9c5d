#pragma once

#include "base/log.hpp"

/// What manul-bgpd logs.
namespace manul::bgp::io {

using log::Level;
using log::Message;

inline constexpr Message kSessionUp{"BGPD_SESSION_UP", Level::info, "session with {} ({}) is up", "No action needed."};
inline constexpr Message kSessionDown{"BGPD_SESSION_DOWN", Level::warning, "session with {} ({}) is down: {}",
                                      "Look for the reason at the peer; bgpd keeps trying. Routes learned from it are "
                                      "withdrawn."};
inline constexpr Message kManyPrefixes{"BGPD_MANY_PREFIXES", Level::warning,
                                       "peer {} has announced {} prefixes; at more than {} its session ends",
                                       "Raise BGPPeer.spec.maxPrefixes.count if that many are right; else look at what "
                                       "the peer announces."};
inline constexpr Message kListening{"BGPD_LISTENING", Level::info, "listening on {} port {}", "No action needed."};
inline constexpr Message kListenFailed{"BGPD_LISTEN_FAILED", Level::error, "cannot listen: {}; trying again",
                                       "Another BGP speaker may hold the port: stop it, or set "
                                       "BGPConfiguration.spec.listenPort."};
inline constexpr Message kSocketOption{"BGPD_SOCKET_OPTION", Level::error, "peer {}: {}",
                                       "The kernel refused an option of the session; check the peer's password and "
                                       "ttlSecurity."};
inline constexpr Message kUnexpectedPeer{"BGPD_UNEXPECTED_PEER", Level::debug,
                                         "closed a connection from {}, which is no peer",
                                         "Define a BGPPeer for this address if it should be one."};
inline constexpr Message kDistantPeer{"BGPD_DISTANT_PEER", Level::debug,
                                      "closed a connection from {}: it came with TTL {}, and {} is the least",
                                      "Raise BGPPeer.spec.ttlSecurity if the peer is that many hops away."};
inline constexpr Message kRouteRefused{"BGPD_ROUTE_REFUSED", Level::warning,
                                       "the kernel refused {} of {} routes, the first ({}) with: {}; trying again",
                                       "If the text is 'File exists', another program owns a route of this prefix and "
                                       "metric: remove one of the two."};
inline constexpr Message kKernelOverrun{
    "BGPD_KERNEL_OVERRUN", Level::warning,
    "the kernel's events came faster than they could be read; reading its state anew",
    "No action needed; if this repeats, find what changes so many routes (ip monitor)."};
inline constexpr Message kRouteMeddled{"BGPD_ROUTE_MEDDLED", Level::warning,
                                       "another program removed or replaced the kernel route to {}; repairing it",
                                       "Find the program (ip monitor route); routes with protocol 176 are bgpd's."};
inline constexpr Message kKernelFailed{"BGPD_KERNEL_FAILED", Level::error, "kernel: {}",
                                       "bgpd reads the kernel's state again by itself; if this repeats, check its "
                                       "privileges (CAP_NET_ADMIN)."};
inline constexpr Message kWorkloadAddress{
    "BGPD_WORKLOAD_ADDRESS", Level::warning, "the address {} for workloads to peer with: {}; trying again",
    "Check BGPConfiguration.spec.localWorkloadPeeringIPV4 and V6, and the privileges of bgpd (CAP_NET_ADMIN)."};
inline constexpr Message kStaleRemoved{"BGPD_STALE_REMOVED", Level::info,
                                       "removed {} routes of an earlier run that nobody announces any more",
                                       "No action needed."};
inline constexpr Message kAdopted{"BGPD_ADOPTED", Level::info,
                                  "found {} routes of an earlier run in the kernel; they stay until peers are in sync",
                                  "No action needed."};
inline constexpr Message kStoreFailed{"BGPD_STORE_FAILED", Level::warning, "datastore: {}; trying again",
                                      "Sessions and routes stay as they are. Check that the datastore can be reached."};
inline constexpr Message kStoreBack{"BGPD_STORE_BACK", Level::info, "the datastore answers again", "No action needed."};
inline constexpr Message kStoreLost{
    "BGPD_STORE_LOST", Level::error,
    "the datastore is another one than that whose sessions and routes are in force, and empty: what is in force stays",
    "Look whether its file or data were lost, or its path is wrong; restore a backup. Where the new datastore is "
    "meant, apply something of your own, such as an IPPool or BGPConfiguration default: bgpd then goes over to it."};
inline constexpr Message kBadResource{"BGPD_BAD_RESOURCE", Level::warning,
                                      "{} {} cannot be used as stored: {}; the version before stays in force",
                                      "Correct the object (manulctl validate, manulctl apply)."};
inline constexpr Message kFinding{"BGPD_CONFIGURATION", Level::warning, "{}", "Correct the object that is named."};
inline constexpr Message kBfdSocket{"BGPD_BFD_SOCKET", Level::error, "{}; BFD sessions stay down, trying again",
                                    "Another BFD daemon may hold the port: stop it, or take bfd out of the BGPPeers."};
inline constexpr Message kRouterDiscovery{
    "BGPD_ROUTER_DISCOVERY", Level::error,
    "router advertisements: {}; peers on interfaces are neither found nor find this node, trying again",
    "bgpd needs CAP_NET_RAW for BGPPeers with interface; or give their peerIP as well."};
inline constexpr Message kMrtFailed{
    "BGPD_MRT_FAILED", Level::warning, "table dump: {}; the next one is tried in time",
    "Check BGPConfiguration.spec.mrtDump.path: its directory must exist and have room."};
inline constexpr Message kBmpUp{"BGPD_BMP_UP", Level::info, "monitoring station {} is connected", "No action needed."};
inline constexpr Message kBmpDown{"BGPD_BMP_DOWN", Level::warning, "monitoring station {}: {}; trying again",
                                  "Check the station, and BGPConfiguration.spec.bmpCollectors. A station that does not "
                                  "read what it is sent is cut off and begins anew."};
inline constexpr Message kHttpFailed{"BGPD_HTTP_FAILED", Level::error, "metrics or probes on port {}: {}",
                                     "Another program may hold the port: change bgpd.metrics_port or "
                                     "bgpd.health_port."};
inline constexpr Message kControlFailed{"BGPD_CONTROL_FAILED", Level::error, "control socket: {}",
                                        "manulctl cannot ask this daemon; check the run directory."};

}  // namespace manul::bgp::io
