#pragma once

#include <map>
#include <string>
#include <utility>

#include "bgpd/speaker/configuration.hpp"

namespace manul::bgp::io {

inline constexpr const char* kSecretsDirectory = "/etc/manul/secrets";

/// The Secrets of namespace manul-system.
struct StoredSecrets {
    std::map<std::pair<std::string, std::string>, std::string> values;  ///< decoded, by name and key
    std::map<std::string, std::string> unreadable;                      ///< by name: why values are not known
};

/// Fills in the values of all passwords: from the file `<directory>/<secret>/<key>` (a trailing line end is dropped),
/// else from the stored Secret. A file that others than its owner may read is not used, and then neither is the Secret:
/// somebody wanted that file. A password without a value says why; its peer stays down.
void look_up_passwords(speaker::Configuration& configuration, const StoredSecrets& secrets,
                       const std::string& directory = kSecretsDirectory);

/// Changes whenever a file that holds, or would hold, one of the passwords may have changed.
[[nodiscard]] std::string password_files(const speaker::Configuration& configuration,
                                         const std::string& directory = kSecretsDirectory);

}  // namespace manul::bgp::io
