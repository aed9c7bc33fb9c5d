#pragma once

#include <algorithm>
#include <array>
#include <string_view>

/// Which lists of Kubernetes' own kinds are merged item by item, and by which of the items' fields. Kubernetes takes
/// that from tags of its Go types (patchMergeKey; listType and listMapKey). All other lists are replaced whole.
namespace manul::codec {

struct MergeKey {
    std::string_view path;         ///< names of fields from the document down, without indexes
    std::string_view key;          ///< empty: a list of single values
    std::string_view second = {};  ///< server-side apply tells items apart by this field too,
    std::string_view usual = {};   ///< which has this value where it is left out
};

inline constexpr auto kMergeKeys = std::to_array<MergeKey>({
    {"metadata.ownerReferences", "uid"},
    {"metadata.finalizers", ""},
    {"spec.containers", "name"},
    {"spec.containers.ports", "containerPort", "protocol", "TCP"},
    {"spec.containers.env", "name"},
    {"spec.containers.volumeMounts", "mountPath"},
    {"spec.initContainers", "name"},
    {"spec.initContainers.ports", "containerPort", "protocol", "TCP"},
    {"spec.initContainers.env", "name"},
    {"spec.initContainers.volumeMounts", "mountPath"},
    {"spec.volumes", "name"},
    {"spec.imagePullSecrets", "name"},
    {"spec.hostAliases", "ip"},
    {"spec.topologySpreadConstraints", "topologyKey", "whenUnsatisfiable"},
    {"spec.ports", "port", "protocol", "TCP"},
    {"spec.conditions", "type"},
    {"status.conditions", "type"},
    {"status.podIPs", "ip"},
    {"secrets", "name"},
});

/// Null: the list is replaced whole.
[[nodiscard]] inline const MergeKey* merge_key(std::string_view path) noexcept {
    const auto found = std::ranges::find(kMergeKeys, path, &MergeKey::path);
    return found == kMergeKeys.end() ? nullptr : &*found;
}

}  // namespace manul::codec
