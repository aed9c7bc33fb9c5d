#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/store/store.hpp"

namespace manul::store {

struct EtcdOptions {
    std::vector<std::string> endpoints;  ///< "https://10.0.0.1:2379"
    std::string ca_file;                 ///< empty: the system's authorities
    std::string cert_file;
    std::string key_file;
    std::string username;  ///< empty: no password; a client certificate may still name a user
    std::string password;
    std::string password_file;  ///< wins over the password; read each time it is needed
    std::string prefix = "/manul/v1";
    std::string manager;  ///< as SqliteOptions::manager
    /// How often a watch asks how far it is. Two rounds later it knows that it need not begin before there, so that
    /// kinds to which nothing happens are not listed again because others were compacted.
    std::chrono::milliseconds progress_every{60'000};
    std::chrono::milliseconds timeout{5'000};  ///< of one call, whatever members it takes
};

/// etcd (API v3) as datastore. Opening touches nothing, the first call connects.
[[nodiscard]] std::unique_ptr<Store> open_etcd(EtcdOptions options);

/// Discards etcd's history, but for what happened since its last call: to be called every few minutes by one process of
/// the cluster. Without it the history grows until the quota is reached. The result is what to report.
[[nodiscard]] std::function<StoreResult<void>()> make_etcd_compactor(EtcdOptions options);

}  // namespace manul::store
