#include "config/model/block_affinity.hpp"
#include "config/model/described.hpp"
#include "config/model/field.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/ip_reservation.hpp"
#include "config/model/ipam_block.hpp"
#include "config/model/ipam_configuration.hpp"
#include "config/model/ipam_handle.hpp"

namespace manul::model {

namespace {

constexpr auto kIpPool = std::to_array<Field>({
    field<&IpPoolSpec::cidr>("cidr", "The addresses of the pool.").required().immutable(),
    field<&IpPoolSpec::block_size>(
        "blockSize", "Prefix length of the blocks that nodes get: 20 to 32 for IPv4, 116 to 128 for IPv6.")
        .range(20, 128)
        .fallback("26 (IPv4), 122 (IPv6)")
        .immutable()
        .written_on_create(),
    field<&IpPoolSpec::ipip_mode>("ipipMode", "When traffic to other nodes is encapsulated in IPIP; IPv4 only.")
        .fallback("Never")
        .written_on_create(),
    field<&IpPoolSpec::vxlan_mode>("vxlanMode", "When traffic to other nodes is encapsulated in VXLAN.")
        .fallback("Never")
        .written_on_create(),
    field<&IpPoolSpec::nat_outgoing>("natOutgoing",
                                     "Translate the source of traffic that leaves the pools to the node's address.")
        .fallback("false"),
    field<&IpPoolSpec::disabled>("disabled", "No new addresses are given out; those in use stay.").fallback("false"),
    field<&IpPoolSpec::disable_bgp_export>("disableBGPExport", "Do not announce the pool's routes by BGP.")
        .fallback("false"),
    field<&IpPoolSpec::node_selector>("nodeSelector", "Nodes that may use the pool.")
        .fallback("all()")
        .length(1024)
        .written_on_create(),
    field<&IpPoolSpec::namespace_selector>("namespaceSelector", "Namespaces whose pods may use the pool; empty: all.")
        .length(1024),
    field<&IpPoolSpec::allowed_uses>("allowedUses", "What addresses may be used for.")
        .fallback("[Workload, Tunnel]")
        .items(10)
        .written_on_create(),
    field<&IpPoolSpec::assignment_mode>("assignmentMode", "Manual: only for requests that name the pool.")
        .fallback("Automatic")
        .written_on_create(),
});

constexpr auto kIpReservation = std::to_array<Field>({
    field<&IpReservationSpec::reserved_cidrs, LooseCidr>("reservedCIDRs",
                                                         "Addresses that are never assigned automatically."),
});

constexpr auto kBlockAffinity = std::to_array<Field>({
    field<&BlockAffinitySpec::state>("state", "Only confirmed affinities count for routing."),
    field<&BlockAffinitySpec::node>("node", "The node that the block belongs to.").required(),
    field<&BlockAffinitySpec::type>("type", "A node (host), or something else that owns blocks (virtual).")
        .fallback("host"),
    field<&BlockAffinitySpec::cidr>("cidr", "The block.").required(),
    field<&BlockAffinitySpec::deleted>("deleted", "Being deleted; never set by people.").fallback("false"),
});

constexpr auto kAllocationAttribute = std::to_array<Field>({
    field<&AllocationAttribute::handle_id>("handle_id", "The handle that frees the address."),
    field<&AllocationAttribute::secondary>("secondary", "The owner: pod, namespace, node, type, timestamp."),
    field<&AllocationAttribute::alternate_owner_attrs>("alternateOwnerAttrs", "A second owner."),
    field<&AllocationAttribute::released_at>("releasedAt", "When the address was freed; it rests for a while."),
});

constexpr auto kIpamBlock = std::to_array<Field>({
    field<&IpamBlockSpec::cidr>("cidr", "The addresses of the block.").required().immutable(),
    field<&IpamBlockSpec::affinity>("affinity", "host:<node> or virtual:<name>; absent: unowned."),
    field<&IpamBlockSpec::affinity_claim_time>("affinityClaimTime", "When the owner claimed the block."),
    field<&IpamBlockSpec::allocations>("allocations", "By ordinal: null, or an index into attributes.").required(),
    field<&IpamBlockSpec::unallocated>("unallocated", "Free ordinals, in the order of use.").required(),
    field<&IpamBlockSpec::attributes>("attributes", "What addresses belong to.").required(),
    field<&IpamBlockSpec::sequence_number>("sequenceNumber", "One more with each write."),
    field<&IpamBlockSpec::sequence_number_for_allocation>(
        "sequenceNumberForAllocation", "By ordinal: the sequence number at which the address was given out."),
    field<&IpamBlockSpec::deleted>("deleted", "Being deleted.").fallback("false"),
    field<&IpamBlockSpec::strict_affinity>("strictAffinity", "Copy of the setting at creation; not read.")
        .fallback("false"),
});

constexpr auto kIpamHandle = std::to_array<Field>({
    field<&IpamHandleSpec::handle_id>("handleID", "Names everything that one container or tunnel holds.").required(),
    field<&IpamHandleSpec::block>("block", "By block: the number of addresses held there.").required(),
    field<&IpamHandleSpec::deleted>("deleted", "Being deleted.").fallback("false"),
});

constexpr auto kIpamConfiguration = std::to_array<Field>({
    field<&IpamConfigurationSpec::strict_affinity>("strictAffinity", "Nodes use addresses of their own blocks alone.")
        .fallback("false"),
    field<&IpamConfigurationSpec::auto_allocate_blocks>("autoAllocateBlocks", "Nodes claim blocks when they need them.")
        .fallback("true"),
    field<&IpamConfigurationSpec::max_blocks_per_host>("maxBlocksPerHost", "Blocks that one node may own; 0: no limit.")
        .range(0, 1'000'000)
        .fallback("0"),
    field<&IpamConfigurationSpec::kube_virt_vm_address_persistence>(
        "kubeVirtVMAddressPersistence", "Whether virtual machines keep their address over restarts.")
        .fallback("Enabled"),
    field<&IpamConfigurationSpec::ip_cooldown_seconds>("ipCooldownSeconds",
                                                       "Seconds for which a freed address is not given out again.")
        .range(0, 1200)
        .fallback("0"),
});

}  // namespace

template <>
constinit const ObjectInfo Described<IpPoolSpec>::kInfo = object<IpPoolSpec>("IPPool", "Addresses for pods.", kIpPool);
template <>
constinit const ObjectInfo Described<IpReservationSpec>::kInfo =
    object<IpReservationSpec>("IPReservation", "Addresses that automatic assignment leaves alone.", kIpReservation);
template <>
constinit const ObjectInfo Described<BlockAffinitySpec>::kInfo =
    object<BlockAffinitySpec>("BlockAffinity", "Which node owns a block of addresses.", kBlockAffinity);
template <>
constinit const ObjectInfo Described<AllocationAttribute>::kInfo =
    object<AllocationAttribute>("AllocationAttribute", "What an address belongs to.", kAllocationAttribute);
template <>
constinit const ObjectInfo Described<IpamBlockSpec>::kInfo =
    object<IpamBlockSpec>("IPAMBlock", "The allocations of one block of addresses.", kIpamBlock);
template <>
constinit const ObjectInfo Described<IpamHandleSpec>::kInfo =
    object<IpamHandleSpec>("IPAMHandle", "The blocks in which a handle holds addresses.", kIpamHandle);
template <>
constinit const ObjectInfo Described<IpamConfigurationSpec>::kInfo = object<IpamConfigurationSpec>(
    "IPAMConfiguration", "How addresses are given out; the only object is called default.", kIpamConfiguration);

}  // namespace manul::model
