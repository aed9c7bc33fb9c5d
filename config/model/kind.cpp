#include "config/model/kind.hpp"

#include <algorithm>
#include <array>

#include "base/ascii.hpp"

namespace manul::model {

namespace {

constexpr std::string_view kCalico = "projectcalico.org";
constexpr std::string_view kManul = "manul.io";
constexpr std::string_view kPolicyApi = "policy.networking.k8s.io";
constexpr std::string_view kRbac = "rbac.authorization.k8s.io";

constexpr auto kKinds = std::to_array<KindInfo>({
    {Kind::ip_pool, "IPPool", kCalico, "v3", "ippools", "ippool", "ipp,ipps,pool,pools", false},
    {Kind::ip_reservation, "IPReservation", kCalico, "v3", "ipreservations", "ipreservation",
     "ipr,reservation,reservations", false},
    {Kind::block_affinity, "BlockAffinity", kCalico, "v3", "blockaffinities", "blockaffinity", "affinity", false},
    {Kind::ipam_block, "IPAMBlock", kCalico, "v3", "ipamblocks", "ipamblock", "block,blocks", false},
    {Kind::ipam_handle, "IPAMHandle", kCalico, "v3", "ipamhandles", "ipamhandle", "handle,handles", false},
    {Kind::ipam_configuration, "IPAMConfiguration", kCalico, "v3", "ipamconfigurations", "ipamconfiguration",
     "ipamconfig,ipamconfigs", false},
    {Kind::node, "Node", kCalico, "v3", "nodes", "node", "no,nos", false},
    {Kind::bgp_configuration, "BGPConfiguration", kCalico, "v3", "bgpconfigurations", "bgpconfiguration",
     "bgpconfig,bgpconfigs", false},
    {Kind::bgp_peer, "BGPPeer", kCalico, "v3", "bgppeers", "bgppeer", "bgpp,bgpps,bp,bps", false},
    {Kind::network_policy, "NetworkPolicy", kCalico, "v3", "networkpolicies", "networkpolicy",
     "np,nps,cnp,caliconetworkpolicy,policy,policies,pol,pols", true},
    {Kind::global_network_policy, "GlobalNetworkPolicy", kCalico, "v3", "globalnetworkpolicies", "globalnetworkpolicy",
     "gnp,gnps,cgnp,calicoglobalnetworkpolicies", false},
    {Kind::tier, "Tier", kCalico, "v3", "tiers", "tier", "", false},
    {Kind::network_set, "NetworkSet", kCalico, "v3", "networksets", "networkset", "netset,netsets", true},
    {Kind::global_network_set, "GlobalNetworkSet", kCalico, "v3", "globalnetworksets", "globalnetworkset",
     "gns,gnetset,gnetsets", false},
    {Kind::profile, "Profile", kCalico, "v3", "profiles", "profile", "pro,pros", false},
    {Kind::workload_endpoint, "WorkloadEndpoint", kCalico, "v3", "workloadendpoints", "workloadendpoint", "wep,weps",
     true},
    {Kind::host_endpoint, "HostEndpoint", kCalico, "v3", "hostendpoints", "hostendpoint", "hep,heps", false},
    {Kind::felix_configuration, "FelixConfiguration", kCalico, "v3", "felixconfigurations", "felixconfiguration",
     "felixconfig,felixconfigs", false},
    {Kind::cluster_information, "ClusterInformation", kCalico, "v3", "clusterinformations", "clusterinformation",
     "clusterinfo,clusterinfos", false},
    {Kind::node_report, "NodeReport", kManul, "v1", "nodereports", "nodereport", "", false},
    {Kind::kubernetes_network_policy, "NetworkPolicy", "networking.k8s.io", "v1", "networkpolicies", "networkpolicy",
     "knp,netpol,kubernetesnetworkpolicy", true},
    {Kind::namespace_, "Namespace", "", "v1", "namespaces", "namespace", "ns", false},
    {Kind::service_account, "ServiceAccount", "", "v1", "serviceaccounts", "serviceaccount", "sa", true},
    {Kind::pod, "Pod", "", "v1", "pods", "pod", "po", true},
    {Kind::bgp_filter, "BGPFilter", kCalico, "v3", "bgpfilters", "bgpfilter", "bgpf,bgpfs,bf,bfs", false},
    {Kind::staged_network_policy, "StagedNetworkPolicy", kCalico, "v3", "stagednetworkpolicies", "stagednetworkpolicy",
     "snp,snps,spol,spols,stagedpolicy,stagedpolicies", true},
    {Kind::staged_global_network_policy, "StagedGlobalNetworkPolicy", kCalico, "v3", "stagedglobalnetworkpolicies",
     "stagedglobalnetworkpolicy", "sgnp,sgnps", false},
    {Kind::staged_kubernetes_network_policy, "StagedKubernetesNetworkPolicy", kCalico, "v3",
     "stagedkubernetesnetworkpolicies", "stagedkubernetesnetworkpolicy",
     "sknp,sknps,skpol,skpols,stagedkubernetespolicy,stagedkubernetespolicies", true},
    {Kind::calico_node_status, "CalicoNodeStatus", kCalico, "v3", "caliconodestatuses", "caliconodestatus",
     "nodestatus,nodestatuses", false},
    {Kind::kube_controllers_configuration, "KubeControllersConfiguration", kCalico, "v3",
     "kubecontrollersconfigurations", "kubecontrollersconfiguration", "kubecontrollersconfig,kubecontrollersconfigs",
     false},
    {Kind::admin_network_policy, "AdminNetworkPolicy", kPolicyApi, "v1alpha1", "adminnetworkpolicies",
     "adminnetworkpolicy", "anp", false},
    {Kind::baseline_admin_network_policy, "BaselineAdminNetworkPolicy", kPolicyApi, "v1alpha1",
     "baselineadminnetworkpolicies", "baselineadminnetworkpolicy", "banp", false},
    {Kind::cluster_network_policy, "ClusterNetworkPolicy", kPolicyApi, "v1alpha2", "clusternetworkpolicies",
     "clusternetworkpolicy", "kcnp", false},
    {Kind::service, "Service", "", "v1", "services", "service", "svc", true},
    {Kind::secret, "Secret", "", "v1", "secrets", "secret", "", true},
    {Kind::endpoint_slice, "EndpointSlice", "discovery.k8s.io", "v1", "endpointslices", "endpointslice", "", true},
    {Kind::lease, "Lease", "coordination.k8s.io", "v1", "leases", "lease", "", true},
    {Kind::role, "Role", kRbac, "v1", "roles", "role", "", true},
    {Kind::cluster_role, "ClusterRole", kRbac, "v1", "clusterroles", "clusterrole", "", false},
    {Kind::role_binding, "RoleBinding", kRbac, "v1", "rolebindings", "rolebinding", "", true},
    {Kind::cluster_role_binding, "ClusterRoleBinding", kRbac, "v1", "clusterrolebindings", "clusterrolebinding", "",
     false},
});

bool list_has(std::string_view list, std::string_view text) noexcept {
    while (!list.empty()) {
        const std::size_t comma = list.find(',');
        if (ascii::same_letters(list.substr(0, comma), text)) {
            return true;
        }
        list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    }
    return false;
}

/// "projectcalico.org" or, as kubectl has it, "v3.projectcalico.org".
bool is_home(const KindInfo& row, std::string_view text) noexcept {
    if (ascii::same_letters(text, row.group)) {
        return true;
    }
    const std::size_t dot = text.find('.');
    return dot != std::string_view::npos && text.substr(0, dot) == row.version &&
           ascii::same_letters(text.substr(dot + 1), row.group);
}

}  // namespace

std::span<const KindInfo> all_kinds() noexcept { return kKinds; }

const KindInfo& info(Kind kind) noexcept {
    static_assert(kKinds.size() == kKindCount);
    static_assert(std::ranges::is_sorted(kKinds, {}, &KindInfo::kind), "the table is indexed by Kind");
    return kKinds[static_cast<std::size_t>(kind)];
}

std::optional<Kind> find_kind(std::string_view api_version_text, std::string_view name) noexcept {
    for (const KindInfo& row : kKinds) {
        if (row.name == name && api_version(row.kind) == api_version_text) {
            return row.kind;
        }
    }
    return std::nullopt;
}

std::optional<Kind> find_kind_by_alias(std::string_view text) noexcept {
    const std::size_t dot = text.find('.');
    for (const KindInfo& row : kKinds) {
        const bool matches = dot != std::string_view::npos
                                 ? (ascii::same_letters(text.substr(0, dot), row.plural) ||
                                    ascii::same_letters(text.substr(0, dot), row.singular)) &&
                                       is_home(row, text.substr(dot + 1))
                                 : ascii::same_letters(text, row.name) || ascii::same_letters(text, row.plural) ||
                                       ascii::same_letters(text, row.singular) || list_has(row.short_names, text);
        if (matches) {  // the table order decides who owns a plain name: Calico's NetworkPolicy before Kubernetes'
            return row.kind;
        }
    }
    return std::nullopt;
}

std::string api_version(Kind kind) {
    const KindInfo& row = info(kind);
    return row.group.empty() ? std::string(row.version) : std::string(row.group) + "/" + std::string(row.version);
}

std::string Key::to_string() const {
    std::string text(info(kind).name);
    text += '(';
    if (!ns.empty()) {
        text += ns + "/";
    }
    return text + name + ")";
}

}  // namespace manul::model
