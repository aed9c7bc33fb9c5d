#include "felix/io/environment.hpp"

#include <cstddef>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "config/codec/felix_settings.hpp"

namespace manul::felix::io {

EnvironmentSettings read_environment(const char* const* variables) {
    constexpr std::string_view kPrefix = "FELIX_";
    EnvironmentSettings settings;
    for (; *variables != nullptr; ++variables) {
        const std::string_view variable = *variables;
        const std::size_t equals = variable.find('=');
        if (!variable.starts_with(kPrefix) || equals == std::string_view::npos) {
            continue;
        }
        const std::string name(variable.substr(0, equals));
        const std::string value(variable.substr(equals + 1));
        const auto set = codec::set_from_environment(settings.fields, name.substr(kPrefix.size()), value);
        if (set) {
            settings.overrides.push_back({name.substr(kPrefix.size()), value, name});
        } else {
            settings.conditions.push_back({"SettingInvalid", fmt::format("{}: {}", name, set.error().message)});
        }
    }
    for (const std::string& field : codec::fields_without_effect(settings.fields)) {
        settings.conditions.push_back(
            {"SettingWithoutEffect", fmt::format("{} of the environment has no effect here", field)});
    }
    return settings;
}

}  // namespace manul::felix::io
