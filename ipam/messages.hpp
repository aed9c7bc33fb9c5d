#pragma once

#include "base/log.hpp"

namespace manul::ipam {

inline constexpr log::Message kStoreUnreachable{
    "IPAMD_STORE_UNREACHABLE", log::Level::warning, "cannot work yet: {}",
    "Check the datastore named in the settings; manul-ipamd tries again each second, and pods are refused meanwhile."};
inline constexpr log::Message kStoreReached{"IPAMD_STORE_REACHED", log::Level::info,
                                            "in sync with the datastore: {} pools, {} endpoints on this node",
                                            "No action needed."};
inline constexpr log::Message kAddFailed{"IPAMD_ADD_FAILED", log::Level::warning, "ADD of {} {} in {}: {}",
                                         "The reason says what is missing; the runtime tries again."};
inline constexpr log::Message kAdded{"IPAMD_ADDED", log::Level::debug, "{} has {}", "No action needed."};
inline constexpr log::Message kReleased{"IPAMD_RELEASED", log::Level::debug, "container {} {} released",
                                        "No action needed."};
inline constexpr log::Message kReleaseDelayed{
    "IPAMD_RELEASE_DELAYED", log::Level::warning, "{} releases wait: {}",
    "Addresses stay allocated until it works; manul-ipamd tries again each second."};
inline constexpr log::Message kLinkStays{
    "IPAMD_LINK_STAYS", log::Level::warning,
    "link {} of container {} could not be deleted; its address stays allocated",
    "Look at `ip link show`; something holds the link. manul-ipamd tries again each second."};
inline constexpr log::Message kInterfaceGone{"IPAMD_INTERFACE_GONE", log::Level::info,
                                             "container {} {}: its host interface is gone and no DEL came; released",
                                             "No action needed. Many of these mean that the runtime loses DELs."};
inline constexpr log::Message kTakenOver{"IPAMD_TAKEN_OVER", log::Level::info,
                                         "{}: the link of container {} was put aside for container {}",
                                         "No action needed."};
inline constexpr log::Message kJournalRefused{
    "IPAMD_JOURNAL_REFUSED", log::Level::warning, "{}",
    "The file was put aside as *.refused. Its attachment is released when its host interface has been gone for 60 s."};
inline constexpr log::Message kJournalFailed{"IPAMD_JOURNAL_FAILED", log::Level::error, "{}",
                                             "Check that the state directory is writable and not full."};
inline constexpr log::Message kTidied{"IPAMD_TIDIED", log::Level::info,
                                      "gave up {} empty blocks, freed {} leaked handles",
                                      "Handles that leak steadily point to attachments lost by a crash or by hand."};
inline constexpr log::Message kTunnelChanged{"IPAMD_TUNNEL_CHANGED", log::Level::info, "this node's {}",
                                             "No action needed."};
inline constexpr log::Message kTunnelFailed{"IPAMD_TUNNEL_FAILED", log::Level::warning,
                                            "the addresses of this node's tunnel ends are not as they should be: {}",
                                            "The reason says what is missing; manul-ipamd tries again each minute."};
inline constexpr log::Message kChoresTaken{"IPAMD_CHORES_TAKEN", log::Level::info,
                                           "this node now does what is done once for the whole cluster",
                                           "No action needed."};
inline constexpr log::Message kChoresFailed{"IPAMD_CHORES_FAILED", log::Level::warning,
                                            "a chore of the cluster failed: {}", "It is tried again within a minute."};
inline constexpr log::Message kNodeFreed{"IPAMD_NODE_FREED", log::Level::info,
                                         "a node was gone for 15 minutes; freed what it held: {}", "No action needed."};
inline constexpr log::Message kServiceGiven{"IPAMD_SERVICE_GIVEN", log::Level::info,
                                            "a Service of type LoadBalancer got its addresses: {}",
                                            "No action needed."};
inline constexpr log::Message kServiceFreed{"IPAMD_SERVICE_FREED", log::Level::info,
                                            "a Service needs no load-balancer addresses any more; freed: {}",
                                            "No action needed."};
inline constexpr log::Message kPoolNearlyFull{
    "IPAMD_POOL_NEARLY_FULL", log::Level::warning, "{}",
    "Apply a further IPPool before pods are refused, or look for leaks with `manulctl ipam check`."};
inline constexpr log::Message kNodeRestored{"IPAMD_NODE_RESTORED", log::Level::info,
                                            "the Node {} was deleted while this node lives; written back",
                                            "Stop the daemons of a node before deleting it."};
inline constexpr log::Message kNodeMissing{
    "IPAMD_NODE_MISSING", log::Level::warning,
    "the Node {} was deleted while this node lives; what it holds stays its own as long as this daemon runs",
    "Restart the kubelet, which makes its Node again; or stop this node's daemons."};
inline constexpr log::Message kUnrecorded{
    "IPAMD_PODS_UNRECORDED", log::Level::warning,
    "{} addresses are used by pods of this node that the datastore does not know (the first is {}, link {}); no other "
    "pod gets them",
    "The datastore was lost, or is older than these pods: get the right one back, or end them."};
inline constexpr log::Message kObjectRefused{"IPAMD_OBJECT_REFUSED", log::Level::warning,
                                             "{} {} is not in force as stored: {}",
                                             "Correct the object; its last good version stays in force."};
inline constexpr log::Message kPodRefused{"IPAMD_POD_REFUSED", log::Level::warning,
                                          "an endpoint cannot follow its Pod and keeps what it had: {}",
                                          "Correct the Pod object."};
inline constexpr log::Message kPluginRequestRefused{"IPAMD_REQUEST_REFUSED", log::Level::warning,
                                                    "a plugin request cannot be read: {}",
                                                    "Plugin and daemon must be of matching versions."};

}  // namespace manul::ipam
