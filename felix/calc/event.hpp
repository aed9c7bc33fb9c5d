#pragma once

#include <map>
#include <set>
#include <string>
#include <variant>

#include "config/model/kind.hpp"
#include "config/model/resource.hpp"
#include "net/ip.hpp"

/// What felix learns from the store, in any order and grouping.
namespace manul::felix {

/// A resource that decoded and validated; its metadata holds the revision.
struct ResourcePut {
    model::ResourcePtr resource;
};

/// A stored resource that is invalid. The previous version stays in force.
struct ResourceRefused {
    model::Key key;
    std::string revision;
    std::string reason;  ///< the findings, for people
    /// What could be read of a policy whose scope (tier, order, selectors, types) is free of errors; otherwise null.
    model::ResourcePtr readable_scope;
};

struct ResourceRemoved {
    model::Key key;
};

/// Every kind has been listed: everything that the store held at the start has been sent.
struct StoreInSync {};

/// Not from the store: all addresses that the interfaces of this node have now.
struct InterfaceAddresses {
    std::map<std::string, std::set<net::Ip>> addresses;

    bool operator==(const InterfaceAddresses&) const = default;
};

using Event = std::variant<ResourcePut, ResourceRefused, ResourceRemoved, StoreInSync, InterfaceAddresses>;

}  // namespace manul::felix
