#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "config/model/kind.hpp"
#include "serve/status.hpp"

/// What a request is about: its path and query, taken apart.
namespace manul::serve {

/// One collection, or one object or a part of it.
struct ResourcePath {
    model::Kind kind{};
    std::optional<std::string> ns;  ///< of a namespaced kind; nothing: all namespaces
    std::string name;               ///< empty: the collection
    std::string subresource;
};

struct Route {
    enum class Type : std::uint8_t {
        health,    ///< /healthz, /livez, /readyz
        version,   ///< /version
        document,  ///< discovery and OpenAPI: fixed texts
        resource,
        access_review,  ///< SelfSubjectAccessReview
        rules_review,   ///< SelfSubjectRulesReview
        self_review,    ///< SelfSubjectReview
        transactions,   ///< /apis/manul.io/v1/transactions
        identity,       ///< /apis/manul.io/v1/identity
        watches,        ///< /apis/manul.io/v1/watches: several kinds on one connection
    };
    Type type{};
    std::string path;  ///< decoded
    std::map<std::string, std::string> query;
    ResourcePath resource;

    /// Empty when it is not given.
    [[nodiscard]] std::string parameter(std::string_view name) const;
    /// Given as anything but 0 or false.
    [[nodiscard]] bool flag(std::string_view name) const;
};

/// Takes a request's target apart. Refuses what is no path of this API, encoded badly, or ambiguous (`..`, empty
/// segments, NUL).
[[nodiscard]] Outcome<Route> parse_target(std::string_view target);

}  // namespace manul::serve
