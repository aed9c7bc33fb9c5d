#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/model/ipam_block.hpp"
#include "ipam/core/affinity.hpp"
#include "ipam/core/draft.hpp"
#include "ipam/core/pool.hpp"
#include "ipam/core/timestamp.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

/// Everything that the store says about addresses, as values: what `ipam check` and its relatives work on.
namespace manul::ipam {

/// Somebody who uses an address.
struct User {
    enum class Kind : std::uint8_t { workload, tunnel, load_balancer };

    Kind kind = Kind::workload;
    std::string name;  ///< "WorkloadEndpoint(default/x)", "VXLAN tunnel of n1"
    std::string node;  ///< empty for load balancers
    /// Under which the address should be allocated, the usual one first; empty: not known. Older writers used others.
    std::vector<std::string> handles;
    model::StringMap attributes;  ///< that an allocation for it has
    bool managed = true;          ///< false: the address does not come from a pool by intention

    bool operator==(const User&) const = default;
};

struct StoredAffinity {
    Affinity affinity;
    std::optional<WallTime> created;
};

struct Inventory {
    std::vector<Pool> pools;
    std::vector<net::Prefix> reservations;
    IpamSettings settings;
    std::vector<model::IpamBlockSpec> blocks;
    std::vector<StoredAffinity> affinities;
    std::vector<Handle> handles;
    std::map<std::string, std::string> handle_revisions;  ///< the store's, by id
    std::set<std::string> nodes;
    std::multimap<net::Ip, User> users;
    std::set<std::string> services;  ///< "namespace/name" of each Service of type LoadBalancer
    /// Objects that cannot be understood, with the reason. While there are any, nothing can be called unused.
    std::vector<std::string> unreadable;
};

}  // namespace manul::ipam
