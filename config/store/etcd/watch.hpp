#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>

#include "config/store/etcd/cluster.hpp"
#include "config/store/etcd/keys.hpp"
#include "config/store/store.hpp"

namespace manul::store::etcd {

/// One stream for all kinds, read by a thread of its own. A stream that breaks is opened again, at another member, from
/// the last revision that was seen whole; a kind whose history is gone meanwhile ends with a resync event, and so does
/// every kind when the cluster is another one than `identity` or its revision fell below what was seen: it was restored
/// from a backup. `invalid` for a start that is no revision; an empty one ends its kind at once.
[[nodiscard]] StoreResult<std::unique_ptr<Watch>> open_watch(Cluster cluster, Keys keys, std::string identity,
                                                             std::span<const WatchStart> starts,
                                                             std::chrono::milliseconds progress_every);

}  // namespace manul::store::etcd
