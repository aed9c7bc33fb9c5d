#pragma once

#include <string>

#include "bgpd/speaker/configuration.hpp"

namespace manul::bgp::io {

inline constexpr const char* kSecretsDirectory = "/etc/manul/secrets";

/// Fills in the values of all passwords from files `<directory>/<secret>/<key>` (a trailing line end is dropped). One
/// without a file keeps no value; its peer stays down and says so.
void look_up_passwords(speaker::Configuration& configuration, const std::string& directory = kSecretsDirectory);

}  // namespace manul::bgp::io
