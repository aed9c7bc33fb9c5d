#pragma once

#include "base/log.hpp"

namespace manul::felix::io {

using log::Level;

inline constexpr log::Message kInSync{"FELIX_IN_SYNC", Level::info,
                                      "the dataplane is in sync with the store: {} endpoints, {} ms after the start",
                                      "No action needed."};
inline constexpr log::Message kCommitRefused{
    "FELIX_COMMIT_REFUSED", Level::error, "the kernel refused a change of the rules, trying again in {} ms: {}",
    "Rules in force stay as they were. Report this with the text if it does not go away by itself."};
inline constexpr log::Message kObjectWithheld{
    "FELIX_OBJECT_WITHHELD", Level::error, "the kernel refuses {}, which stays as it was or closed: {}",
    "Everything else is in force. The name tells the policy (p_) or selector (s_, n_); report it with the text."};
inline constexpr log::Message kCommitUnknown{
    "FELIX_COMMIT_UNKNOWN", Level::warning,
    "the kernel's answer to a change of the rules was lost; reading the rules back", "No action needed."};
inline constexpr log::Message kForeignChange{"FELIX_RULES_CHANGED_BY_OTHERS", Level::warning,
                                             "{} changed the rules of tables manul_*; putting them right",
                                             "Find out why that program touches tables that it does not own."};
inline constexpr log::Message kReadBackFailed{"FELIX_READ_BACK_FAILED", Level::error,
                                              "cannot read the rules back, trying again in {} ms: {}",
                                              "Look at the kernel log; felix needs the capability CAP_NET_ADMIN."};
inline constexpr log::Message kLinkRefused{"FELIX_LINK_REFUSED", Level::error,
                                           "cannot put interface {} into its group: {}",
                                           "The workload stays closed until this works. Look at the kernel log."};
inline constexpr log::Message kForeignGroup{
    "FELIX_FOREIGN_LINK_GROUP", Level::warning,
    "interface {} is in link group {:#x}, which belongs to workloads: it would be policed as one",
    "Give the interface another group: `ip link set {} group 0`."};
inline constexpr log::Message kRouteRefused{"FELIX_ROUTE_REFUSED", Level::error,
                                            "cannot write the route to {} over {}: {}",
                                            "Look for another owner of the same route with `ip route show table all`."};
inline constexpr log::Message kRouteTaken{
    "FELIX_ROUTE_TAKEN", Level::warning, "the route to {} with metric {} belongs to somebody else; it is left alone",
    "Remove the other route; the workload is not reachable from its node until then."};
inline constexpr log::Message kClusterRouteTaken{
    "FELIX_CLUSTER_ROUTE_TAKEN", Level::warning,
    "the route to pods of another node, {} with metric {}, belongs to somebody else; it is left alone",
    "Remove the other route, or let one program write the routes of the pool: programClusterRoutes in "
    "FelixConfiguration and BGPConfiguration."};
inline constexpr log::Message kTunnelFailed{
    "FELIX_TUNNEL_FAILED", Level::error, "cannot set up the tunnel device {}: {}",
    "Pods of other nodes in pools with this encapsulation are not reached until this works. It is tried again."};
inline constexpr log::Message kListFailed{"FELIX_KERNEL_LIST_FAILED", Level::error, "cannot list {}: {}",
                                          "Look at the kernel log; felix needs the capability CAP_NET_ADMIN."};
inline constexpr log::Message kMarkFailed{
    "FELIX_MARK_FAILED", Level::error, "cannot write the programmed mark {}: {}",
    "New pods wait until this works: look at space and rights of the run directory."};
inline constexpr log::Message kStoreAway{"FELIX_STORE_UNAVAILABLE", Level::warning,
                                         "cannot read the datastore, trying again: {}",
                                         "Rules in force stay. Look at the datastore."};
inline constexpr log::Message kStoreLost{
    "FELIX_STORE_LOST", Level::error,
    "the datastore is another one than that whose policy is in force, and empty: what is in force stays",
    "Look whether its file or data were lost, or its path is wrong; restore a backup. Where the new datastore is "
    "meant, "
    "apply something of your own, such as an IPPool or FelixConfiguration default: felix then goes over to it."};
inline constexpr log::Message kStoreBack{"FELIX_STORE_AVAILABLE", Level::info, "the datastore can be read again",
                                         "No action needed."};
inline constexpr log::Message kObjectRefused{"FELIX_OBJECT_REFUSED", Level::warning, "{} is not in force as stored: {}",
                                             "Correct the object; `manulctl validate` names every error in it."};
inline constexpr log::Message kOwnNodeFailed{"FELIX_OWN_NODE_FAILED", Level::warning,
                                             "cannot create this node's Node object: {}",
                                             "It is tried again each 10 s. Look at the datastore."};
inline constexpr log::Message kJournalFailed{
    "FELIX_JOURNAL_FAILED", Level::warning, "cannot write {}: {}",
    "After a restart an object that is invalid by then has no last good version. Look at space and rights."};
inline constexpr log::Message kSysctlFailed{"FELIX_SYSCTL_FAILED", Level::error, "cannot write {}: {}",
                                            "Pods reach nothing beyond their node until forwarding is on."};
inline constexpr log::Message kConnectionsCut{"FELIX_CONNECTIONS_CUT", Level::info,
                                              "{} established connections ended, since policy now denies them",
                                              "No action needed: cutDeniedConnections asks for it."};
inline constexpr log::Message kShapingFailed{
    "FELIX_BANDWIDTH_NOT_LIMITED", Level::warning, "the bandwidth of {} is not limited as asked: {}",
    "Load sch_tbf, ifb and nft_fwd_netdev. It is tried again when the link or its limits change, and each "
    "routeRefreshInterval."};
inline constexpr log::Message kShapingRepaired{"FELIX_BANDWIDTH_REPAIRED", Level::warning,
                                               "somebody changed how the bandwidth of {} is limited; putting it right",
                                               "Find out which program changes queueing disciplines of workloads' "
                                               "links."};
inline constexpr log::Message kFlowLogFailed{"FELIX_LOG_RULES_FAILED", Level::warning,
                                             "packets of Log rules cannot be received: {}",
                                             "Another program may be bound to NFLOG group 77."};
inline constexpr log::Message kPacketLogged{"FELIX_PACKET_LOGGED", Level::info, "{}: {} {}: {} -> {}: {}: {}",
                                            "No action needed."};
inline constexpr log::Message kPacketDenied{
    "FELIX_PACKET_DENIED", Level::info, "{}: {} {}: {} -> {}: {}: {}",
    "If it should pass, `manulctl policy trace` shows every policy that was looked at."};
inline constexpr log::Message kChangeWaits{"FELIX_CHANGE_WAITS", Level::info,
                                           "a change of {} objects is undone in {} s unless it is confirmed",
                                           "Run `manulctl confirm` if all is well."};
inline constexpr log::Message kChangeSettled{
    "FELIX_CHANGE_SETTLED", Level::info, "the change that waited was confirmed or rolled back", "No action needed."};
inline constexpr log::Message kChangeUndone{
    "FELIX_CHANGE_UNDONE", Level::warning, "nobody confirmed the change: {} objects are as they were before",
    "Correct the change, and apply it again. `manulctl policy impact -f FILE` shows beforehand what it does."};
inline constexpr log::Message kRollbackFailed{"FELIX_ROLLBACK_FAILED", Level::warning,
                                              "cannot write the old versions back: {}; trying again in {} s",
                                              "This node enforces the old versions already. Look at the datastore."};
inline constexpr log::Message kRollbackUnreadable{
    "FELIX_ROLLBACK_UNREADABLE", Level::error, "{}",
    "Look at the Secret manul-system/manul-rollback; delete it if no change waits to be confirmed."};
inline constexpr log::Message kHttpFailed{"FELIX_HTTP_FAILED", Level::error, "cannot serve {}: {}",
                                          "Correct the port or address in FelixConfiguration; it is tried again."};
inline constexpr log::Message kConntrackFailed{
    "FELIX_CONNECTIONS_KEPT", Level::warning, "connections of addresses that left the node could not be ended: {}",
    "They end by themselves. Look whether the kernel has nf_conntrack_netlink."};
inline constexpr log::Message kEnvironmentProblem{"FELIX_ENVIRONMENT_PROBLEM", Level::warning, "{}",
                                                  "Correct or remove the variable."};
inline constexpr log::Message kCannotStart{"FELIX_CANNOT_START", Level::error, "cannot start: {}",
                                           "Felix needs root (CAP_NET_ADMIN) and a kernel with nf_tables."};

}  // namespace manul::felix::io
