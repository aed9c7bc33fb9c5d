#include "config/model/tables.hpp"

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "config/model/admin_policy.hpp"
#include "config/model/bgp_configuration.hpp"
#include "config/model/bgp_filter.hpp"
#include "config/model/bgp_peer.hpp"
#include "config/model/block_affinity.hpp"
#include "config/model/calico_node_status.hpp"
#include "config/model/cluster_information.hpp"
#include "config/model/described.hpp"
#include "config/model/felix_configuration.hpp"
#include "config/model/field.hpp"
#include "config/model/global_network_policy.hpp"
#include "config/model/host_endpoint.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/ip_reservation.hpp"
#include "config/model/ipam_block.hpp"
#include "config/model/ipam_configuration.hpp"
#include "config/model/ipam_handle.hpp"
#include "config/model/kind.hpp"
#include "config/model/kube_controllers_configuration.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/lease.hpp"
#include "config/model/network_policy.hpp"
#include "config/model/network_set.hpp"
#include "config/model/node.hpp"
#include "config/model/node_report.hpp"
#include "config/model/profile.hpp"
#include "config/model/rbac.hpp"
#include "config/model/resource.hpp"
#include "config/model/secret.hpp"
#include "config/model/service.hpp"
#include "config/model/staged_policy.hpp"
#include "config/model/tier.hpp"
#include "config/model/workload_endpoint.hpp"

namespace manul::model {

namespace {

constexpr auto kOwnerReference = std::to_array<Field>({
    field<&OwnerReference::api_version>("apiVersion", "Of the owner."),
    field<&OwnerReference::kind>("kind", "Of the owner."),
    field<&OwnerReference::name>("name", "Of the owner."),
    field<&OwnerReference::uid>("uid", "Of the owner."),
    known("controller", "Whether the owner controls the object."),
    known("blockOwnerDeletion", "Whether the owner waits for the object to go."),
});

constexpr auto kMetadata = std::to_array<Field>({
    field<&Metadata::name>("name", "Name of the object.").required(),
    field<&Metadata::ns>("namespace", "Namespace of the object."),
    field<&Metadata::labels>("labels", "What selectors match."),
    field<&Metadata::annotations>("annotations", "Remarks and settings that nothing selects by."),
    field<&Metadata::uid>("uid", "Identity of the object over its life; set by the store."),
    field<&Metadata::resource_version>("resourceVersion", "Version of the object; set by the store."),
    field<&Metadata::generation>("generation", "Grows with each change of spec; set by the store."),
    field<&Metadata::creation_timestamp>("creationTimestamp", "Set by the store."),
    field<&Metadata::finalizers>("finalizers", "Who must agree before the object goes."),
    field<&Metadata::owner_references>("ownerReferences", "Objects that this one belongs to."),
    known("generateName", "Not supported."),
    known("selfLink", "Not read."),
    known("managedFields", "Not read."),
    known("deletionTimestamp", "When deletion was asked for."),
    known("deletionGracePeriodSeconds", "Not read."),
    known("clusterName", "Not read."),
});

template <class T>
constexpr auto kSpecOnly = std::to_array<Field>({
    field<&T::spec>("spec", "What is wanted."),
    known("status", "What was found; not read."),
});
template <class T>
constexpr auto kSpecAndStatus = std::to_array<Field>({
    field<&T::spec>("spec", "What is wanted."),
    field<&T::status>("status", "What was found."),
});
// Kinds whose fields stand beside the metadata.
constexpr auto kSecret = std::to_array<Field>({
    field<&Secret::data>("data", "The values, in base64."),
    field<&Secret::string_data>("stringData", "Values as plain texts; stored in data."),
    field<&Secret::type>("type", "What the secret is for; it cannot change."),
    field<&Secret::immutable>("immutable", "Nothing but its metadata can change any more."),
});
constexpr auto kEndpointSlice = std::to_array<Field>({
    field<&EndpointSlice::address_type>("addressType", "What the addresses are.").required(),
    field<&EndpointSlice::endpoints>("endpoints", "The endpoints.").items(1000),
    field<&EndpointSlice::ports>("ports", "Their ports.").items(20000),
});
constexpr auto kRole = std::to_array<Field>({field<&Role::rules>("rules", "What is allowed.")});
constexpr auto kClusterRole = std::to_array<Field>({
    field<&ClusterRole::rules>("rules", "What is allowed."),
    field<&ClusterRole::aggregation_rule>("aggregationRule", "Other roles whose rules are added."),
});
template <class T>
constexpr auto kBinding = std::to_array<Field>({
    field<&T::subjects>("subjects", "Who gets the rights."),
    field<&T::role_ref>("roleRef", "The role; it cannot change.").immutable().required(),
});
constexpr auto kNothing = std::to_array<Field>({known("spec", "Not read."), known("status", "Not read.")});

template <class T>
void* self(Resource& resource) {
    return static_cast<T*>(&resource);
}
template <class T>
const void* const_self(const Resource& resource) {
    return static_cast<const T*>(&resource);
}
template <class T>
std::shared_ptr<Resource> make() {
    return std::make_shared<T>();
}
template <class T>
std::shared_ptr<Resource> copy(const Resource& resource) {
    return std::make_shared<T>(static_cast<const T&>(resource));
}

template <class T>
ObjectInfo top(std::span<const Field> fields, bool is_open, std::string_view doc) {
    ObjectInfo object_info = object<T>(info(T::kKind).name, doc, fields);
    object_info.is_open = is_open;
    return object_info;
}

template <class T>
KindTable row(std::span<const Field> fields, bool is_open = false, std::string_view doc = {}) {
    static const ObjectInfo top_info = top<T>(fields, is_open, doc);
    return {&top_info, &make<T>, &copy<T>, &self<T>, &const_self<T>};
}
template <class T>
KindTable row() {
    return row<T>(kSpecOnly<T>);
}

/// In the order of Kind.
const std::array<KindTable, kKindCount>& all_tables() {
    static const std::array<KindTable, kKindCount> tables{
        row<IpPool>(),
        row<IpReservation>(),
        row<BlockAffinity>(),
        row<IpamBlock>(),
        row<IpamHandle>(),
        row<IpamConfiguration>(),
        row<Node>(kSpecAndStatus<Node>),
        row<BgpConfiguration>(),
        row<BgpPeer>(),
        row<NetworkPolicy>(),
        row<GlobalNetworkPolicy>(),
        row<Tier>(),
        row<NetworkSet>(),
        row<GlobalNetworkSet>(),
        row<Profile>(),
        row<WorkloadEndpoint>(),
        row<HostEndpoint>(),
        row<FelixConfiguration>(),
        row<ClusterInformation>(),
        row<NodeReport>(),
        row<KubernetesNetworkPolicy>(),
        row<Namespace>(kNothing, true),
        row<ServiceAccount>(kNothing, true),
        row<Pod>(kSpecAndStatus<Pod>, true),
        row<BgpFilter>(),
        row<StagedNetworkPolicy>(),
        row<StagedGlobalNetworkPolicy>(),
        row<StagedKubernetesNetworkPolicy>(),
        row<CalicoNodeStatus>(kSpecAndStatus<CalicoNodeStatus>),
        row<KubeControllersConfiguration>(),
        row<AdminNetworkPolicy>(),
        row<BaselineAdminNetworkPolicy>(),
        row<ClusterNetworkPolicy>(),
        row<Service>(kSpecAndStatus<Service>, true),
        row<Secret>(kSecret, true, "Passwords and keys."),
        row<EndpointSlice>(kEndpointSlice, true, "Some endpoints of a service."),
        row<Lease>(kSpecOnly<Lease>, true),
        row<Role>(kRole, false, "Rights in one namespace."),
        row<ClusterRole>(kClusterRole, false, "Rights in all namespaces."),
        row<RoleBinding>(kBinding<RoleBinding>, false, "Who has the rights of a role, in one namespace."),
        row<ClusterRoleBinding>(kBinding<ClusterRoleBinding>, false, "Who has the rights of a role, everywhere."),
    };
    return tables;
}

}  // namespace

template <>
constinit const ObjectInfo Described<OwnerReference>::kInfo =
    object<OwnerReference>("OwnerReference", "An object that this one belongs to.", kOwnerReference);
template <>
constinit const ObjectInfo Described<Metadata>::kInfo =
    object<Metadata>("ObjectMeta", "What every object has.", kMetadata);

const KindTable& table(Kind kind) noexcept { return all_tables()[static_cast<std::size_t>(kind)]; }

const ObjectInfo& metadata_table() noexcept { return Described<Metadata>::kInfo; }

}  // namespace manul::model
