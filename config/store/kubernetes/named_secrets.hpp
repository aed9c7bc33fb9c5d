#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/model/kind.hpp"
#include "config/store/store.hpp"

/// Secrets where the API server lets its caller read some by their names alone (`resourceNames` of a Role): those that
/// BGPPeers and BGPConfigurations name are asked for one by one.
namespace manul::store::kubernetes {

/// One of them, and from where it is followed.
struct NamedSecret {
    std::string name;
    Revision revision;  ///< empty: the caller may not read it
};

/// The revision of a list that was put together so, and what is in one; nothing when it is of an ordinary list.
[[nodiscard]] Revision revision_of(const std::vector<NamedSecret>& secrets);
[[nodiscard]] std::optional<std::vector<NamedSecret>> named_secrets(std::string_view revision);

/// The Secret that a BGPPeer or BGPConfiguration names; empty: none.
[[nodiscard]] std::string named_secret(model::Kind kind, std::string_view document);

/// Of one name.
[[nodiscard]] std::string name_selector(const std::string& name);

}  // namespace manul::store::kubernetes
