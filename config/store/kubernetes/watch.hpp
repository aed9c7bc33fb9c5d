#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>

#include "config/store/kubernetes/access.hpp"
#include "config/store/kubernetes/documents.hpp"
#include "config/store/kubernetes/http.hpp"
#include "config/store/store.hpp"

namespace manul::store::kubernetes {

struct WatchOptions {
    std::chrono::milliseconds first_pause{500};  ///< before a broken watch is opened again; doubles
    std::chrono::milliseconds longest_pause{30'000};
    std::chrono::milliseconds idle{180'000};        ///< the server sends a bookmark about once a minute
    std::chrono::milliseconds absent_poll{30'000};  ///< whether a kind that the cluster did not have is there now
};

/// One stream for each kind, of our own server one for all, on one thread of their own. A stream that breaks is opened
/// again from the last version seen; a version that the server no longer has ends the kind with a resync event, and so
/// does a server of another cluster than `identity` (the uid of kube-system) in the old one's place: versions of one
/// mean nothing in the other. So does a cluster whose etcd was restored from a backup, for versions that it has yet to
/// come to. With CalicoGroup::served, versions are numbers and several events may have one: after a
/// break the stream begins before the last version, and what came already is left out.
[[nodiscard]] std::unique_ptr<Watch> open_watch(const HttpModule& http, const Access& access, const HttpServer& server,
                                                CalicoGroup group, std::string identity,
                                                std::span<const WatchStart> starts, const WatchOptions& options = {});

inline constexpr const char* kNamespacesPath = "/api/v1/namespaces";
inline constexpr const char* kSystemNamespace = "kube-system";
inline constexpr const char* kIdentityPath = "/api/v1/namespaces/kube-system";
inline constexpr const char* kServedIdentityPath = "/apis/manul.io/v1/identity";
inline constexpr const char* kServedWatchesPath = "/apis/manul.io/v1/watches";

}  // namespace manul::store::kubernetes
