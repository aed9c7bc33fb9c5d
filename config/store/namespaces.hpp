#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/store/store.hpp"

/// Deletion of a Namespace as Kubernetes does it: it is marked first (deletionTimestamp, phase Terminating), from when
/// on admission refuses what is new in it; then its content goes, then it goes itself. Endpoints of pods that run hold
/// it: nobody here can end a pod, and without the policies of its namespace it would be open.
///
/// For stores that keep their own objects (embedded, etcd); a Kubernetes API server does all this by itself. Each step
/// is safe to repeat, and in several processes at once.
namespace manul::store {

/// In the message with which a new object is refused.
inline constexpr std::string_view kBeingTerminated = "because it is being terminated";

/// Whether the document is one whose deletion was asked for.
[[nodiscard]] bool is_ending(std::string_view document);

struct NamespaceEnd {
    std::vector<model::Key> removed;
    std::size_t running = 0;  ///< endpoints of running pods, for which everything waits
    bool gone = false;
};

/// Marks the Namespace and does what can be done at once; `time` (RFC 3339) is when it was asked for. Returns it as it
/// was marked: whether it is gone says `end`.
/// `unsupported` for those that the system itself lives in.
[[nodiscard]] StoreResult<Object> remove_namespace(Store& store, const std::string& name,
                                                   const std::optional<Revision>& expected, std::string_view time,
                                                   NamespaceEnd& end);

/// Goes on with every Namespace that is marked: after a crash, and when pods have ended.
[[nodiscard]] StoreResult<std::vector<model::Key>> finish_namespaces(Store& store);

}  // namespace manul::store
