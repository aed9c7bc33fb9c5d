#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "config/codec/managed_fields.hpp"
#include "config/model/finding.hpp"
#include "config/model/kind.hpp"
#include "config/store/store.hpp"
#include "serve/message.hpp"

/// Refusals, worded and shaped as Kubernetes' Status objects: clients decide by `reason`, people read `message`.
namespace manul::serve {

struct Cause {
    std::string reason;
    std::string message;
    std::string field;
};

struct Problem {
    unsigned code = 500;
    std::string reason;
    std::string message;
    // details
    std::string group;
    std::string kind;
    std::string name;
    std::vector<Cause> causes;
    unsigned retry_after_seconds = 0;
    std::string allowed;     ///< of a 405: the methods that are
    std::string store_code;  ///< which StoreError it was, for clients that are stores themselves
};

template <class T>
using Outcome = std::expected<T, Problem>;

/// "globalnetworkpolicies.projectcalico.org", "pods".
[[nodiscard]] std::string resource_name(model::Kind kind);

[[nodiscard]] Problem bad_request(std::string message);
[[nodiscard]] Problem unauthorized();
[[nodiscard]] Problem unknown_path();
[[nodiscard]] Problem method_not_allowed(std::string allowed);
[[nodiscard]] Problem not_found(model::Kind kind, const std::string& name);
[[nodiscard]] Problem already_exists(model::Kind kind, const std::string& name);
[[nodiscard]] Problem conflict(model::Kind kind, const std::string& name, const std::string& why);
/// The object was changed since it was read.
[[nodiscard]] Problem modified(model::Kind kind, const std::string& name);
[[nodiscard]] Problem invalid(model::Kind kind, const std::string& name, std::vector<Cause> causes);
[[nodiscard]] Problem forbidden(model::Kind kind, const std::string& name, const std::string& why);
[[nodiscard]] Problem expired(std::string message);
/// The Accept header has nothing that is written here.
[[nodiscard]] Problem not_acceptable(std::string_view accepted);
[[nodiscard]] Problem unsupported_media_type(std::string_view found, std::string_view accepted);

/// Of the request's options: "PatchOptions", "ListOptions".
[[nodiscard]] Problem invalid_options(const std::string& kind, std::vector<Cause> causes);

/// Of server-side apply.
[[nodiscard]] Problem apply_conflict(const std::vector<codec::FieldConflict>& conflicts);

/// The errors among the findings.
[[nodiscard]] std::vector<Cause> causes_of(const model::Findings& findings);
/// What the store's refusal of an operation on `key` means.
[[nodiscard]] Problem problem_of(const store::StoreError& error, const model::Key& key);

[[nodiscard]] std::string to_json(const Problem& problem);
[[nodiscard]] Response response_of(const Problem& problem);
/// Status Success, for what was deleted.
[[nodiscard]] std::string success_json(model::Kind kind, const std::string& name, std::string_view uid);

}  // namespace manul::serve
