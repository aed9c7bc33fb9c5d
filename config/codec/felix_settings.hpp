#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "config/model/felix_configuration.hpp"

/// Fields of FelixConfiguration out of the environment, and those that have no effect here. How the objects of the
/// datastore are laid over each other: felix/calc/config_plan.hpp.
namespace manul::codec {

/// Sets one field from the environment: `name` as in FELIX_<NAME> without the prefix, in any letter case; the few names
/// of Calico's daemon that differ from the field's are understood. Durations are seconds or a duration, booleans also
/// yes, no, 1, 0, lists are separated by commas or `none`, failsafe ports are `port`, `proto:port` or `proto:net:port`.
/// The error says what was expected.
[[nodiscard]] Result<void> set_from_environment(model::FelixConfigurationSpec& spec, std::string_view name,
                                                std::string_view value);

/// Names of the fields that are given but have no effect here, sorted as in the table.
[[nodiscard]] std::vector<std::string> fields_without_effect(const model::FelixConfigurationSpec& spec);

}  // namespace manul::codec
