#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "config/model/block_affinity.hpp"
#include "config/model/checks.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/ipam_configuration.hpp"
#include "config/model/resource.hpp"
#include "net/ip.hpp"

namespace manul::model {

namespace {

void check_load_balancer_pool(Checks& checks, const IpPoolSpec& spec) {
    checks.check(!spec.allows(AllowedUse::workload) && !spec.allows(AllowedUse::tunnel), "spec.allowedUses",
                 "LoadBalancer cannot stand beside Workload or Tunnel");
    checks.check(spec.ipip_mode == EncapMode::never, "spec.ipipMode", "must be Never in a pool for LoadBalancer");
    checks.check(spec.vxlan_mode == EncapMode::never, "spec.vxlanMode", "must be Never in a pool for LoadBalancer");
    checks.check(!spec.disable_bgp_export, "spec.disableBGPExport", "must be false in a pool for LoadBalancer");
    checks.check(spec.node_selector.empty() || spec.node_selector == "all()", "spec.nodeSelector",
                 "must be all() in a pool for LoadBalancer");
}

void check_pool(Checks& checks, const IpPoolSpec& spec) {
    const bool v4 = spec.cidr.family() == net::Family::v4;
    const std::uint8_t size = spec.effective_block_size();
    const std::uint8_t lowest = v4 ? 20 : 116;
    const std::uint8_t highest = v4 ? 32 : 128;
    if (size < lowest || size > highest) {
        checks.error("spec.blockSize", "expected " + std::to_string(lowest) + " to " + std::to_string(highest) +
                                           (v4 ? " for IPv4" : " for IPv6") + ", found " + std::to_string(size));
    } else {
        checks.check(spec.disabled || spec.cidr.length() <= size, "spec.cidr",
                     "is smaller than one block of /" + std::to_string(size) + "; give a smaller blockSize");
    }
    // Addresses that hosts do not route (RFC 6890), or that are no host's.
    const std::array<std::pair<const char*, const char*>, 6> unusable{{{"link-local", "169.254.0.0/16"},
                                                                       {"link-local", "fe80::/10"},
                                                                       {"loopback", "127.0.0.0/8"},
                                                                       {"loopback", "::1/128"},
                                                                       {"multicast", "224.0.0.0/4"},
                                                                       {"multicast", "ff00::/8"}}};
    for (const auto& [what, range] : unusable) {
        checks.check(!spec.cidr.overlaps(*net::Prefix::parse(range)), "spec.cidr",
                     std::string("overlaps the ") + what + " range " + range);
    }
    checks.check(v4 || spec.ipip_mode == EncapMode::never, "spec.ipipMode", "IPIP carries IPv4 alone");
    checks.check(spec.ipip_mode == EncapMode::never || spec.vxlan_mode == EncapMode::never, "spec.vxlanMode",
                 "cannot stand beside ipipMode; one of them must be Never");
    checks.selector("spec.nodeSelector", spec.node_selector);
    checks.selector("spec.namespaceSelector", spec.namespace_selector);
    checks.check(spec.namespace_selector.empty() || !spec.allows(AllowedUse::tunnel), "spec.namespaceSelector",
                 "cannot stand beside use for Tunnel, which is allowed by default; write allowedUses: [Workload]");
    if (spec.allows(AllowedUse::load_balancer)) {
        check_load_balancer_pool(checks, spec);
    }
}

}  // namespace

void check_ipam_kinds(Checks& checks, const Resource& resource) {
    if (const auto* pool = as<IpPool>(resource)) {
        check_pool(checks, pool->spec);
    } else if (const auto* affinity = as<BlockAffinity>(resource)) {
        checks.check(!affinity->spec.deleted, "spec.deleted", "cannot be set to true");
    } else if (const auto* configuration = as<IpamConfiguration>(resource)) {
        const IpamConfigurationSpec& spec = configuration->spec;
        checks.check(spec.auto_allocate_blocks || spec.strict_affinity, "spec.autoAllocateBlocks",
                     "can be false only when strictAffinity is true");
        checks.check(spec.max_blocks_per_host == 0 || spec.strict_affinity, "spec.maxBlocksPerHost",
                     "needs strictAffinity: true");
    }
}

}  // namespace manul::model
