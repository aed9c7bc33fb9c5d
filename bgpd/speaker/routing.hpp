#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bgpd/speaker/configuration.hpp"
#include "bgpd/speaker/peers.hpp"
#include "config/model/bgp_configuration.hpp"

namespace manul::bgp::speaker {

template <class T>
using Named = std::map<std::string, const T*>;

template <class T>
Named<T> by_name(const std::vector<std::shared_ptr<const T>>& objects) {
    Named<T> out;
    for (const auto& object : objects) {
        out.emplace(object->metadata.name, object.get());
    }
    return out;
}

/// What the configuration says about routes rather than peers: ranges to relay, what stays out of the kernel,
/// LOCAL_PREF, communities (of `advertising`, the node's own configuration or the global one), table dumps, monitoring.
void set_routing(const PeerResources& resources, const model::BgpConfigurationSpec& global,
                 const model::BgpConfigurationSpec& advertising, Configuration& out);

}  // namespace manul::bgp::speaker
