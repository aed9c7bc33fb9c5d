#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "config/store/kubernetes/access.hpp"
#include "config/store/kubernetes/http.hpp"
#include "config/store/store.hpp"

/// Requests to the API server: credentials, retries, and what its errors mean to the store.
namespace manul::store::kubernetes {

using Query = std::map<std::string, std::string>;

/// "%2F" for what cannot stand in a path or query.
[[nodiscard]] std::string percent_encoded(std::string_view text);
/// `path` with the query.
[[nodiscard]] std::string target_of(std::string_view path, const Query& query);

/// What a refusal means; `body` is a Status of the API server, or any text.
[[nodiscard]] StoreError error_of(unsigned status, std::string_view body, const Access& access);

/// The caller has no right to what he asked for.
[[nodiscard]] bool is_forbidden(const StoreError& failed);

/// An answer that is to be an object.
[[nodiscard]] StoreResult<boost::json::object> parse_answer(std::string_view text);

inline constexpr const char* kJson = "application/json";
inline constexpr const char* kMergePatch = "application/merge-patch+json";
/// Lists are merged by their items' names: for Kubernetes' own kinds alone.
inline constexpr const char* kStrategicPatch = "application/strategic-merge-patch+json";

class Api {
public:
    Api(Credentials credentials, std::unique_ptr<HttpClient> client, std::chrono::milliseconds timeout);

    [[nodiscard]] StoreResult<boost::json::object> get(std::string_view path, const Query& query = {});
    /// The answer as it is written.
    [[nodiscard]] StoreResult<std::string> get_text(std::string_view path, const Query& query = {});
    /// POST, PUT, PATCH and DELETE. `unknown_result` when the connection broke after the request was sent.
    [[nodiscard]] StoreResult<boost::json::object> write(std::string method, std::string_view path, const Query& query,
                                                         const boost::json::object& body,
                                                         const char* content_type = kJson);

    [[nodiscard]] const Access& access() const noexcept { return credentials_.access(); }

private:
    [[nodiscard]] StoreResult<std::string> send(HttpRequest request);

    Credentials credentials_;
    std::unique_ptr<HttpClient> client_;
    std::chrono::milliseconds timeout_;
};

}  // namespace manul::store::kubernetes
