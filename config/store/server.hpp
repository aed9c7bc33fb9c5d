#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "config/store/store.hpp"

namespace manul::store {

struct ServerOptions {
    std::string kubeconfig;  ///< names the server and the credentials
    std::string context;     ///< empty: the kubeconfig's current one
    std::chrono::milliseconds timeout{15'000};
    std::string manager{};  ///< as SqliteOptions::manager; empty: "manul"
};

/// `manulctl serve` on another host as datastore: its store, with transactions, over the API. Opening touches nothing,
/// the first call connects. What a caller may do is decided there, by roles and bindings.
[[nodiscard]] std::unique_ptr<Store> open_server(ServerOptions options);

}  // namespace manul::store
