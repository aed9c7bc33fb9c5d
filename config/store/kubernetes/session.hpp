#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "config/store/kubernetes/api.hpp"
#include "config/store/kubernetes/http.hpp"
#include "config/store/store.hpp"

/// What the stores behind an API server have in common, be it Kubernetes' or Manul's own.
namespace manul::store::kubernetes {

/// The way to one server; nothing is touched before the first `connect`.
class Session {
public:
    /// An empty kubeconfig: as a pod. What the manager changes is recorded as its own.
    Session(std::string kubeconfig, std::string context, std::string manager, std::chrono::milliseconds timeout)
        : kubeconfig_(std::move(kubeconfig)),
          context_(std::move(context)),
          manager_(std::move(manager)),
          timeout_(timeout) {}

    /// Reads the credentials and loads the module; done once, tried again after a failure.
    [[nodiscard]] StoreResult<void> connect();

    // After connect().
    [[nodiscard]] Api& api() noexcept { return *api_; }
    [[nodiscard]] const HttpModule& http() const noexcept { return *http_; }
    [[nodiscard]] const HttpServer& server() const noexcept { return server_; }

    /// Takes a page of a list as it is written; returns the list's metadata in it.
    using TakePage = std::function<StoreResult<boost::json::object>(std::string_view)>;
    /// A whole list, page by page. When its version goes away half-way the list begins anew, once: `restart` is called
    /// then, and what was given before counts no more. Returns the list's revision.
    [[nodiscard]] StoreResult<Revision> read_pages(std::string_view path, const Query& query, const TakePage& take,
                                                   const std::function<void()>& restart);

private:
    std::string kubeconfig_;
    std::string context_;
    std::string manager_;
    std::chrono::milliseconds timeout_;
    const HttpModule* http_ = nullptr;
    HttpServer server_;
    std::unique_ptr<Api> api_;
};

/// What of a transaction no server has to be asked about: number of keys, length, each key once and well formed.
[[nodiscard]] StoreResult<void> check_limits(std::span<const Op> ops);

}  // namespace manul::store::kubernetes
