#pragma once

#include <array>
#include <string>

#include "config/model/bgp_configuration.hpp"
#include "config/model/bgp_peer.hpp"
#include "config/model/kind.hpp"
#include "config/model/resource.hpp"

namespace manul::model {

/// The namespace of the Secrets that daemons read.
inline constexpr const char* kSecretsNamespace = "manul-system";

/// The kinds whose objects may name such a Secret.
inline constexpr std::array kReferringKinds{Kind::bgp_configuration, Kind::bgp_peer};

/// The Secret that the object has its password in; empty: none.
[[nodiscard]] inline std::string referenced_secret(const Resource& resource) {
    const std::optional<BgpPassword>* password = nullptr;
    if (const auto* peer = as<BgpPeer>(resource)) {
        password = &peer->spec.password;
    } else if (const auto* configuration = as<BgpConfiguration>(resource)) {
        password = &configuration->spec.node_mesh_password;
    }
    return password != nullptr && *password && (*password)->secret_key_ref ? (*password)->secret_key_ref->name
                                                                           : std::string();
}

}  // namespace manul::model
