#pragma once

#include <map>
#include <memory>
#include <string>

#include "config/model/felix_configuration.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/resource.hpp"
#include "felix/calc/sequencer.hpp"
#include "felix/model/config.hpp"

namespace manul::felix {

/// Lays every setting that `layer` gives over `config`.
void overlay(Config& config, const model::FelixConfigurationSpec& layer);

/// The configuration that holds on this node, and the address pools.
///
/// Layers, each over the ones before: built-in defaults; FelixConfiguration `default`; those whose nodeSelector matches
/// this node, the oldest last; `node.NAME`; the process's own overrides (environment).
class ConfigPlan {
public:
    ConfigPlan(std::string node_name, model::FelixConfigurationSpec overrides);

    void put(const std::shared_ptr<const model::FelixConfiguration>& configuration);
    void remove_configuration(const std::string& name);
    void put(const model::IpPool& pool);
    void remove_pool(const std::string& name);
    /// Labels of this node's Node object; empty when there is none.
    void set_node_labels(const model::StringMap& labels);

    void flush(Sequencer& sequencer);

private:
    [[nodiscard]] Config effective() const;

    std::string node_name_;
    model::FelixConfigurationSpec overrides_;
    std::map<std::string, std::shared_ptr<const model::FelixConfiguration>> configurations_;
    std::map<std::string, IpPoolInfo> pools_;
    model::StringMap node_labels_;
    bool config_dirty_ = true;
    bool pools_dirty_ = true;
};

}  // namespace manul::felix
