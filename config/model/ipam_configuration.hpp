#pragma once

#include <cstdint>

#include "config/model/resource.hpp"

namespace manul::model {

enum class OnOff : std::uint8_t { enabled, disabled };

struct IpamConfigurationSpec {
    bool strict_affinity = false;  ///< true: no borrowing from other nodes' blocks
    bool auto_allocate_blocks = true;
    std::uint32_t max_blocks_per_host = 0;  ///< 0: no limit
    OnOff kube_virt_vm_address_persistence = OnOff::enabled;
    std::uint32_t ip_cooldown_seconds = 0;

    bool operator==(const IpamConfigurationSpec&) const = default;
};

struct IpamConfiguration final : ResourceOf<Kind::ipam_configuration> {
    IpamConfigurationSpec spec;
};

}  // namespace manul::model
