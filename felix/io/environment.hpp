#pragma once

#include <vector>

#include "config/model/felix_configuration.hpp"
#include "config/model/node_report.hpp"

namespace manul::felix::io {

/// Fields of FelixConfiguration that the process was given as FELIX_<NAME>: they win over the store.
struct EnvironmentSettings {
    model::FelixConfigurationSpec fields;
    std::vector<model::SettingOverride> overrides;
    std::vector<model::ReportedCondition> conditions;  ///< unknown names, wrong values, fields without effect
};

/// `variables` is a list like `environ`, ended by null.
[[nodiscard]] EnvironmentSettings read_environment(const char* const* variables);

}  // namespace manul::felix::io
