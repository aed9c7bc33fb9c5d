#include "config/model/columns.hpp"

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>

#include "config/model/admin_policy.hpp"
#include "config/model/bgp_configuration.hpp"
#include "config/model/bgp_filter.hpp"
#include "config/model/bgp_peer.hpp"
#include "config/model/block_affinity.hpp"
#include "config/model/calico_node_status.hpp"
#include "config/model/cluster_information.hpp"
#include "config/model/convert_kubernetes.hpp"
#include "config/model/enum_names.hpp"
#include "config/model/global_network_policy.hpp"
#include "config/model/host_endpoint.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/ip_reservation.hpp"
#include "config/model/ipam_block.hpp"
#include "config/model/ipam_configuration.hpp"
#include "config/model/ipam_handle.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/lease.hpp"
#include "config/model/network_policy.hpp"
#include "config/model/network_set.hpp"
#include "config/model/node.hpp"
#include "config/model/node_report.hpp"
#include "config/model/profile.hpp"
#include "config/model/rbac.hpp"
#include "config/model/secret.hpp"
#include "config/model/service.hpp"
#include "config/model/staged_policy.hpp"
#include "config/model/tier.hpp"
#include "config/model/workload_endpoint.hpp"

namespace manul::model {

namespace {

using R = const Resource&;
using C = const ColumnContext&;

constexpr std::size_t kLongestCell = 80;  // calicoctl cuts lists of networks there

// The column tables select the kind, so the view is always of that kind.
template <class T>
const T& view(R resource) noexcept {
    return static_cast<const T&>(resource);
}

std::string number(double value) {
    std::array<char, 32> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed).ptr;
    return {buffer.data(), end};
}

std::string order_text(const std::optional<double>& order) { return order ? number(*order) : std::string(); }

std::string yes_no(bool value) { return value ? "true" : "false"; }

std::string_view item_text(std::string_view text) { return text; }
template <class T>
    requires requires(const T& value) { value.to_string(); }
std::string item_text(const T& value) {
    return value.to_string();
}

template <class List>
std::string joined(const List& list) {
    std::string text;
    for (const auto& item : list) {
        text += text.empty() ? "" : ",";
        text += item_text(item);
    }
    return text;
}

std::string cut(std::string text) {
    if (text.size() > kLongestCell) {
        text.resize(kLongestCell - 3);
        text += "...";
    }
    return text;
}

std::string labels_text(const StringMap& labels) {
    std::string text;
    for (const auto& [key, value] : labels) {
        text += text.empty() ? "" : ",";
        text += key;
        text += "=";
        text += value;
    }
    return text;
}

std::string name(R r, C) { return r.metadata.name; }

template <class Policy>
std::string tier(R r, C) {
    return view<Policy>(r).spec.tier;
}
template <class Policy>
std::string order(R r, C) {
    return order_text(view<Policy>(r).spec.order);
}
template <class Policy>
std::string selector(R r, C) {
    return view<Policy>(r).spec.selector;
}
template <class Set>
std::string nets(R r, C) {
    return cut(joined(view<Set>(r).spec.nets));
}

std::string peer_node(R r, C) {
    const BgpPeerSpec& spec = view<BgpPeer>(r).spec;
    if (!spec.node.empty()) {
        return spec.node;
    }
    return spec.node_selector.empty() ? "(global)" : spec.node_selector;
}

std::string node_as(R r, C context) {
    const auto& bgp = view<Node>(r).spec.bgp;
    if (bgp && bgp->as_number) {
        return bgp->as_number->to_string();
    }
    return "(" + (context.global_as ? context.global_as->to_string() : std::to_string(kDefaultAsNumber)) + ")";
}

template <auto Member>
std::string node_address(R r, C) {
    const auto& bgp = view<Node>(r).spec.bgp;
    return bgp && (*bgp).*Member ? ((*bgp).*Member)->to_string() : std::string();
}

std::string workload(R r, C) {
    const WorkloadEndpointSpec& spec = view<WorkloadEndpoint>(r).spec;
    return spec.pod.empty() ? spec.workload : spec.pod;
}

std::string nats(R r, C) {
    std::string text;
    for (const IpNat& nat : view<WorkloadEndpoint>(r).spec.ip_nats) {
        text += text.empty() ? "" : ",";
        text += nat.internal_ip.to_string() + "/" + nat.external_ip.to_string();
    }
    return text;
}

std::string affinity_state(R r, C) {
    const AffinityState state = view<BlockAffinity>(r).spec.state;
    return std::string(text_of(state == AffinityState::unset ? AffinityState::confirmed : state));
}

std::string block_in_use(R r, C) {
    std::size_t used = 0;
    for (const auto& allocation : view<IpamBlock>(r).spec.allocations) {
        used += allocation ? std::size_t{1} : std::size_t{0};
    }
    return std::to_string(used);
}

std::string handle_addresses(R r, C) {
    std::size_t count = 0;
    for (const auto& [block, addresses] : view<IpamHandle>(r).spec.block) {
        count += addresses;
    }
    return std::to_string(count);
}

constexpr Column kName{"NAME", true, true, name};
constexpr std::array kNameOnly{kName};

template <class Policy>
constexpr std::array kPolicy{kName, Column{"TIER", true, true, tier<Policy>},
                             Column{"ORDER", false, true, order<Policy>},
                             Column{"SELECTOR", false, true, selector<Policy>}};

template <class Set>
constexpr std::array kSet{kName, Column{"NETS", false, true, nets<Set>}};

constexpr std::array kTier{kName, Column{"ORDER", true, true, order<Tier>}};

constexpr std::array kPool{
    kName,
    Column{"CIDR", true, true, [](R r, C) { return view<IpPool>(r).spec.cidr.to_string(); }},
    Column{"NAT", false, true, [](R r, C) { return yes_no(view<IpPool>(r).spec.nat_outgoing); }},
    Column{"IPIPMODE", false, true, [](R r, C) { return std::string(text_of(view<IpPool>(r).spec.ipip_mode)); }},
    Column{"VXLANMODE", false, true, [](R r, C) { return std::string(text_of(view<IpPool>(r).spec.vxlan_mode)); }},
    Column{"DISABLED", false, true, [](R r, C) { return yes_no(view<IpPool>(r).spec.disabled); }},
    Column{"DISABLEBGPEXPORT", false, true, [](R r, C) { return yes_no(view<IpPool>(r).spec.disable_bgp_export); }},
    Column{"SELECTOR", true, true,
           [](R r, C) {
               const std::string& text = view<IpPool>(r).spec.node_selector;
               return text.empty() ? std::string("all()") : text;
           }},
    Column{"ASSIGNMENTMODE", false, true,
           [](R r, C) { return std::string(text_of(view<IpPool>(r).spec.assignment_mode)); }},
};

constexpr std::array kReservation{kName, Column{"CIDRS", false, true, [](R r, C) {
                                                    return cut(joined(view<IpReservation>(r).spec.reserved_cidrs));
                                                }}};

constexpr std::array kAffinity{
    kName,
    Column{"CIDR", true, true, [](R r, C) { return view<BlockAffinity>(r).spec.cidr.to_string(); }},
    Column{"NODE", true, true, [](R r, C) { return view<BlockAffinity>(r).spec.node; }},
    Column{"STATE", true, true, affinity_state},
};

constexpr std::array kBlock{
    kName,
    Column{"CIDR", true, true, [](R r, C) { return view<IpamBlock>(r).spec.cidr.to_string(); }},
    Column{"AFFINITY", true, true, [](R r, C) { return view<IpamBlock>(r).spec.affinity.value_or(""); }},
    Column{"INUSE", true, true, block_in_use},
};

constexpr std::array kHandle{kName,
                             Column{"HANDLE", true, true, [](R r, C) { return view<IpamHandle>(r).spec.handle_id; }},
                             Column{"ADDRESSES", true, true, handle_addresses}};

constexpr std::array kIpamConfiguration{
    kName,
    Column{"STRICTAFFINITY", true, true,
           [](R r, C) { return yes_no(view<IpamConfiguration>(r).spec.strict_affinity); }},
    Column{"AUTOALLOCATEBLOCKS", true, true,
           [](R r, C) { return yes_no(view<IpamConfiguration>(r).spec.auto_allocate_blocks); }},
    Column{"MAXBLOCKSPERHOST", false, true,
           [](R r, C) { return std::to_string(view<IpamConfiguration>(r).spec.max_blocks_per_host); }},
};

constexpr std::array kNode{kName, Column{"ASN", false, true, node_as},
                           Column{"IPV4", false, true, node_address<&NodeBgp::ipv4_address>},
                           Column{"IPV6", false, true, node_address<&NodeBgp::ipv6_address>}};

constexpr std::array kBgpConfiguration{
    kName,
    Column{"LOGSEVERITY", true, true,
           [](R r, C) { return std::string(text_of(view<BgpConfiguration>(r).spec.log_severity_screen)); }},
    Column{"MESHENABLED", true, true,
           [](R r, C) { return yes_no(view<BgpConfiguration>(r).spec.node_to_node_mesh_enabled.value_or(true)); }},
    Column{"ASNUMBER", true, true,
           [](R r, C) {
               const auto& as = view<BgpConfiguration>(r).spec.as_number;
               return as ? as->to_string() : std::string("-");
           }},
};

constexpr std::array kBgpPeer{
    kName,
    Column{"PEERIP", true, true,
           [](R r, C) {
               const auto& ip = view<BgpPeer>(r).spec.peer_ip;
               return ip ? ip->to_string() : std::string();
           }},
    Column{"NODE", true, true, peer_node},
    Column{"ASN", true, true,
           [](R r, C) {
               const auto& as = view<BgpPeer>(r).spec.as_number;
               return as ? as->to_string() : std::string("0");
           }},
};

constexpr std::array kProfile{
    kName, Column{"LABELS", false, true, [](R r, C) { return labels_text(view<Profile>(r).spec.labels_to_apply); }}};

constexpr std::array kWorkloadEndpoint{
    Column{"NAME", false, true, name},
    Column{"WORKLOAD", true, true, workload},
    Column{"NODE", true, true, [](R r, C) { return view<WorkloadEndpoint>(r).spec.node; }},
    Column{"NETWORKS", true, true, [](R r, C) { return joined(view<WorkloadEndpoint>(r).spec.ip_networks); }},
    Column{"INTERFACE", true, true, [](R r, C) { return view<WorkloadEndpoint>(r).spec.interface_name; }},
    Column{"PROFILES", false, true, [](R r, C) { return joined(view<WorkloadEndpoint>(r).spec.profiles); }},
    Column{"NATS", false, true, nats},
    Column{"ORCHESTRATOR", false, false, [](R r, C) { return view<WorkloadEndpoint>(r).spec.orchestrator; }},
};

constexpr std::array kHostEndpoint{
    kName,
    Column{"NODE", true, true, [](R r, C) { return view<HostEndpoint>(r).spec.node; }},
    Column{"INTERFACE", false, true, [](R r, C) { return view<HostEndpoint>(r).spec.interface_name; }},
    Column{"IPS", false, true, [](R r, C) { return joined(view<HostEndpoint>(r).spec.expected_ips); }},
    Column{"PROFILES", false, true, [](R r, C) { return joined(view<HostEndpoint>(r).spec.profiles); }},
};

constexpr std::array kClusterInformation{
    kName,
    Column{"CLUSTERGUID", true, true, [](R r, C) { return view<ClusterInformation>(r).spec.cluster_guid; }},
    Column{"CLUSTERTYPE", true, true, [](R r, C) { return view<ClusterInformation>(r).spec.cluster_type; }},
    Column{"CALICOVERSION", true, true, [](R r, C) { return view<ClusterInformation>(r).spec.calico_version; }},
    Column{"DATASTOREREADY", true, true,
           [](R r, C) { return yes_no(view<ClusterInformation>(r).spec.datastore_ready); }},
};

constexpr std::array kNodeReport{
    kName,
    Column{"NODE", true, true, [](R r, C) { return view<NodeReport>(r).spec.node; }},
    Column{"DAEMON", true, true, [](R r, C) { return std::string(text_of(view<NodeReport>(r).spec.daemon)); }},
    Column{"VERSION", true, true, [](R r, C) { return view<NodeReport>(r).spec.version; }},
    Column{"INSYNC", true, true, [](R r, C) { return yes_no(view<NodeReport>(r).spec.in_sync); }},
    Column{"NOTINFORCE", true, true,
           [](R r, C) { return std::to_string(view<NodeReport>(r).spec.not_in_force.size()); }}};

constexpr std::array kPod{kName, Column{"NODE", true, true, [](R r, C) { return view<Pod>(r).spec.node_name; }},
                          Column{"LABELS", false, true, [](R r, C) { return labels_text(r.metadata.labels); }}};

constexpr std::array kNamespace{kName,
                                Column{"LABELS", false, true, [](R r, C) { return labels_text(r.metadata.labels); }}};

constexpr std::array kFilter{
    kName,
    Column{"NUMEXPORTV4", true, true, [](R r, C) { return std::to_string(view<BgpFilter>(r).spec.export_v4.size()); }},
    Column{"NUMIMPORTV4", true, true, [](R r, C) { return std::to_string(view<BgpFilter>(r).spec.import_v4.size()); }},
    Column{"NUMEXPORTV6", true, true, [](R r, C) { return std::to_string(view<BgpFilter>(r).spec.export_v6.size()); }},
    Column{"NUMIMPORTV6", true, true, [](R r, C) { return std::to_string(view<BgpFilter>(r).spec.import_v6.size()); }},
};

constexpr std::array kNodeStatus{
    kName,
    Column{"NODE", true, true, [](R r, C) { return view<CalicoNodeStatus>(r).spec.node; }},
    Column{"CLASSES", false, true,
           [](R r, C) {
               std::string text;
               for (const NodeStatusClass each : view<CalicoNodeStatus>(r).spec.classes) {
                   text += text.empty() ? "" : ",";
                   text += text_of(each);
               }
               return text;
           }},
};

constexpr std::array kStagedKubernetes{
    kName,
    Column{"PODSELECTOR", false, true,
           [](R r, C) {
               const LabelSelector& pods = view<StagedKubernetesNetworkPolicy>(r).spec.pod_selector;
               return pods == LabelSelector{} ? std::string() : to_selector(pods).to_string();
           }},
};

std::string priority_text(std::int32_t priority) { return std::to_string(priority); }

constexpr std::array kAdminPolicy{kName, Column{"PRIORITY", true, true, [](R r, C) {
                                                    return priority_text(view<AdminNetworkPolicy>(r).spec.priority);
                                                }}};

constexpr std::array kClusterPolicy{
    kName,
    Column{"TIER", true, true, [](R r, C) { return std::string(text_of(view<ClusterNetworkPolicy>(r).spec.tier)); }},
    Column{"PRIORITY", true, true, [](R r, C) { return priority_text(view<ClusterNetworkPolicy>(r).spec.priority); }},
};

constexpr std::array kService{
    kName,
    Column{"TYPE", true, true, [](R r, C) { return std::string(text_of(view<Service>(r).spec.type)); }},
    Column{"CLUSTERIP", true, true, [](R r, C) { return view<Service>(r).spec.cluster_ip; }},
    Column{"EXTERNALIPS", true, true, [](R r, C) { return joined(view<Service>(r).spec.external_ips); }},
};

constexpr std::array kSecret{
    kName,
    Column{"TYPE", true, true, [](R r, C) { return view<Secret>(r).type; }},
    Column{"DATA", true, true, [](R r, C) { return std::to_string(view<Secret>(r).data.size()); }},
};

constexpr std::array kEndpointSlice{
    kName,
    Column{"ADDRESSTYPE", true, true, [](R r, C) { return std::string(text_of(view<EndpointSlice>(r).address_type)); }},
    Column{"ENDPOINTS", true, true, [](R r, C) { return std::to_string(view<EndpointSlice>(r).endpoints.size()); }},
};

constexpr std::array kLease{
    kName,
    Column{"HOLDER", true, true, [](R r, C) { return view<Lease>(r).spec.holder_identity; }},
    Column{"RENEWED", false, true, [](R r, C) { return view<Lease>(r).spec.renew_time; }},
};

template <class Binding>
constexpr std::array kBinding{kName,
                              Column{"ROLE", true, true,
                                     [](R r, C) {
                                         const RoleRef& ref = view<Binding>(r).role_ref;
                                         return std::string(text_of(ref.kind)) + "/" + ref.name;
                                     }},
                              Column{"SUBJECTS", false, true, [](R r, C) {
                                         std::string text;
                                         for (const RbacSubject& subject : view<Binding>(r).subjects) {
                                             text += text.empty() ? "" : ",";
                                             text += subject.name;
                                         }
                                         return text;
                                     }}};

}  // namespace

std::span<const Column> columns_of(Kind kind) noexcept {
    switch (kind) {
        case Kind::network_policy:
            return kPolicy<NetworkPolicy>;
        case Kind::global_network_policy:
            return kPolicy<GlobalNetworkPolicy>;
        case Kind::network_set:
            return kSet<NetworkSet>;
        case Kind::global_network_set:
            return kSet<GlobalNetworkSet>;
        case Kind::tier:
            return kTier;
        case Kind::ip_pool:
            return kPool;
        case Kind::ip_reservation:
            return kReservation;
        case Kind::block_affinity:
            return kAffinity;
        case Kind::ipam_block:
            return kBlock;
        case Kind::ipam_handle:
            return kHandle;
        case Kind::ipam_configuration:
            return kIpamConfiguration;
        case Kind::node:
            return kNode;
        case Kind::bgp_configuration:
            return kBgpConfiguration;
        case Kind::bgp_peer:
            return kBgpPeer;
        case Kind::profile:
            return kProfile;
        case Kind::workload_endpoint:
            return kWorkloadEndpoint;
        case Kind::host_endpoint:
            return kHostEndpoint;
        case Kind::cluster_information:
            return kClusterInformation;
        case Kind::node_report:
            return kNodeReport;
        case Kind::pod:
            return kPod;
        case Kind::namespace_:
            return kNamespace;
        case Kind::bgp_filter:
            return kFilter;
        case Kind::staged_network_policy:
            return kPolicy<StagedNetworkPolicy>;
        case Kind::staged_global_network_policy:
            return kPolicy<StagedGlobalNetworkPolicy>;
        case Kind::staged_kubernetes_network_policy:
            return kStagedKubernetes;
        case Kind::calico_node_status:
            return kNodeStatus;
        case Kind::admin_network_policy:
            return kAdminPolicy;
        case Kind::cluster_network_policy:
            return kClusterPolicy;
        case Kind::service:
            return kService;
        case Kind::secret:
            return kSecret;
        case Kind::endpoint_slice:
            return kEndpointSlice;
        case Kind::lease:
            return kLease;
        case Kind::role_binding:
            return kBinding<RoleBinding>;
        case Kind::cluster_role_binding:
            return kBinding<ClusterRoleBinding>;
        case Kind::felix_configuration:
        case Kind::kube_controllers_configuration:
        case Kind::baseline_admin_network_policy:
        case Kind::role:
        case Kind::cluster_role:
        case Kind::kubernetes_network_policy:
        case Kind::service_account:
            break;
    }
    return kNameOnly;
}

}  // namespace manul::model
