#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/model/bgp_configuration.hpp"
#include "config/model/felix_configuration.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/node.hpp"
#include "config/model/resource.hpp"
#include "felix/calc/sequencer.hpp"
#include "felix/model/config.hpp"
#include "felix/model/shared.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::felix {

/// Overrides `config` with every setting that `layer` gives.
void overlay(Config& config, const model::FelixConfigurationSpec& layer);

/// The configuration in force on this node, the addresses of all nodes, and the address pools.
///
/// Layers, each overriding the ones before: built-in defaults; FelixConfiguration `default`; those whose nodeSelector
/// matches this node, the oldest last; `node.NAME`; the process's own overrides (environment).
class ConfigPlan {
public:
    ConfigPlan(std::string node_name, model::FelixConfigurationSpec overrides);

    void put(const std::shared_ptr<const model::FelixConfiguration>& configuration);
    void remove_configuration(const std::string& name);
    void put(const model::BgpConfiguration& configuration);
    void remove_bgp_configuration(const std::string& name);
    void put(const model::IpPool& pool);
    void remove_pool(const std::string& name);
    void put(const model::Node& node);
    void remove_node(const std::string& name);

    void flush(Sequencer& sequencer);
    /// As of the last flush.
    [[nodiscard]] const Config& current() const noexcept { return *current_; }

private:
    void set_service_ranges(std::vector<net::Prefix> ranges);
    void set_node_labels(const model::StringMap& labels);
    [[nodiscard]] Config effective() const;
    [[nodiscard]] Tunnels tunnels() const;

    std::string node_name_;
    model::FelixConfigurationSpec overrides_;
    std::map<std::string, std::shared_ptr<const model::FelixConfiguration>> configurations_;
    std::map<std::string, IpPoolInfo> pools_;
    struct PoolTunnels {
        net::Family family = net::Family::v4;
        bool vxlan = false;
        bool ip_in_ip = false;
    };
    std::map<std::string, PoolTunnels> pool_tunnels_;
    model::StringMap node_labels_;  ///< of this node
    std::map<std::string, std::vector<net::Ip>> node_addresses_;
    std::vector<net::Prefix> service_ranges_;
    Shared<Config> current_;
    bool config_dirty_ = true;
    bool pools_dirty_ = true;
};

}  // namespace manul::felix
