#include "config/model/kind.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace manul::model {

namespace {

constexpr std::string_view kCalico = "projectcalico.org";
constexpr std::string_view kManul = "manul.io";

constexpr auto kKinds = std::to_array<KindInfo>({
    {Kind::ip_pool, "IPPool", kCalico, "v3", "ippools", "ippool", "ipp,pool,pools", false},
    {Kind::ip_reservation, "IPReservation", kCalico, "v3", "ipreservations", "ipreservation", "ipr", false},
    {Kind::block_affinity, "BlockAffinity", kCalico, "v3", "blockaffinities", "blockaffinity", "affinity", false},
    {Kind::ipam_block, "IPAMBlock", kCalico, "v3", "ipamblocks", "ipamblock", "block,blocks", false},
    {Kind::ipam_handle, "IPAMHandle", kCalico, "v3", "ipamhandles", "ipamhandle", "handle,handles", false},
    {Kind::ipam_configuration, "IPAMConfiguration", kCalico, "v3", "ipamconfigurations", "ipamconfiguration",
     "ipamconfig,ipamconfigs", false},
    {Kind::node, "Node", kCalico, "v3", "nodes", "node", "no", false},
    {Kind::bgp_configuration, "BGPConfiguration", kCalico, "v3", "bgpconfigurations", "bgpconfiguration",
     "bgpconfig,bgpconfigs", false},
    {Kind::bgp_peer, "BGPPeer", kCalico, "v3", "bgppeers", "bgppeer", "bgpp", false},
    {Kind::network_policy, "NetworkPolicy", kCalico, "v3", "networkpolicies", "networkpolicy",
     "np,cnp,caliconetworkpolicy,policy,policies", true},
    {Kind::global_network_policy, "GlobalNetworkPolicy", kCalico, "v3", "globalnetworkpolicies", "globalnetworkpolicy",
     "gnp,cgnp,calicoglobalnetworkpolicies", false},
    {Kind::tier, "Tier", kCalico, "v3", "tiers", "tier", "", false},
    {Kind::network_set, "NetworkSet", kCalico, "v3", "networksets", "networkset", "netset,netsets", true},
    {Kind::global_network_set, "GlobalNetworkSet", kCalico, "v3", "globalnetworksets", "globalnetworkset", "gns",
     false},
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
     "knp,kubernetesnetworkpolicy", true},
    {Kind::namespace_, "Namespace", "", "v1", "namespaces", "namespace", "ns", false},
    {Kind::service_account, "ServiceAccount", "", "v1", "serviceaccounts", "serviceaccount", "sa", true},
    {Kind::pod, "Pod", "", "v1", "pods", "pod", "po", true},
});

bool same_letters(std::string_view a, std::string_view b) noexcept {
    return std::ranges::equal(a, b,
                              [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

bool list_has(std::string_view list, std::string_view text) noexcept {
    while (!list.empty()) {
        const std::size_t comma = list.find(',');
        if (same_letters(list.substr(0, comma), text)) {
            return true;
        }
        list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    }
    return false;
}

}  // namespace

std::span<const KindInfo> all_kinds() noexcept { return kKinds; }

const KindInfo& info(Kind kind) noexcept {
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
        const bool matches =
            dot != std::string_view::npos
                ? same_letters(text.substr(0, dot), row.plural) && same_letters(text.substr(dot + 1), row.group)
                : same_letters(text, row.name) || same_letters(text, row.plural) || same_letters(text, row.singular) ||
                      list_has(row.short_names, text);
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
