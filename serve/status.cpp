#include "serve/status.hpp"

#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "config/model/finding.hpp"
#include "config/model/kind.hpp"
#include "config/store/namespaces.hpp"
#include "config/store/store.hpp"

namespace manul::serve {

namespace json = boost::json;
using Code = store::StoreError::Code;

namespace {

/// In the order of StoreError::Code.
constexpr std::array<std::string_view, 11> kStoreCodes{"not_found",      "already_exists", "conflict",  "invalid",
                                                       "unsupported",    "too_large",      "compacted", "unavailable",
                                                       "unknown_result", "newer_schema",   "corrupt"};

Problem about(unsigned code, std::string reason, model::Kind kind, const std::string& name, std::string message) {
    Problem problem{.code = code, .reason = std::move(reason), .message = std::move(message)};
    problem.group = model::info(kind).group;
    problem.kind = model::info(kind).plural;
    problem.name = name;
    return problem;
}

/// "spec.order: expected …" as the store writes a finding, behind the key that the answer names anyway.
Cause cause_of_line(std::string_view line, const model::Key& key) {
    const std::string prefix = key.to_string() + ": ";
    if (line.starts_with(prefix)) {
        line.remove_prefix(prefix.size());
    }
    const std::size_t colon = line.find(": ");
    const bool has_path = colon != std::string_view::npos && line.substr(0, colon).find(' ') == std::string_view::npos;
    return {"FieldValueInvalid", std::string(has_path ? line.substr(colon + 2) : line),
            std::string(has_path ? line.substr(0, colon) : std::string_view{})};
}

std::string text_of(const std::vector<Cause>& causes) {
    std::string text;
    for (const Cause& cause : causes) {
        text += text.empty() ? "" : ", ";
        text += (cause.field.empty() ? "" : cause.field + ": ") + cause.message;
    }
    return causes.size() > 1 ? "[" + text + "]" : text;
}

json::object status_object(const Problem& problem) {
    json::object details;
    const auto add = [&details](const char* key, const std::string& value) {
        if (!value.empty()) {
            details[key] = value;
        }
    };
    add("name", problem.name);
    add("group", problem.group);
    add("kind", problem.kind);
    if (!problem.causes.empty()) {
        json::array causes;
        for (const Cause& cause : problem.causes) {
            json::object row{{"reason", cause.reason}, {"message", cause.message}};
            if (!cause.field.empty()) {
                row["field"] = cause.field;
            }
            causes.push_back(std::move(row));
        }
        details["causes"] = std::move(causes);
    }
    if (problem.retry_after_seconds != 0) {
        details["retryAfterSeconds"] = problem.retry_after_seconds;
    }
    add("storeCode", problem.store_code);
    return {{"kind", "Status"},
            {"apiVersion", "v1"},
            {"metadata", json::object{}},
            {"status", "Failure"},
            {"message", problem.message},
            {"reason", problem.reason},
            {"details", std::move(details)},
            {"code", problem.code}};
}

}  // namespace

std::string resource_name(model::Kind kind) {
    const model::KindInfo& info = model::info(kind);
    return std::string(info.plural) + (info.group.empty() ? "" : "." + std::string(info.group));
}

Problem bad_request(std::string message) {
    return {.code = 400, .reason = "BadRequest", .message = std::move(message)};
}

Problem unauthorized() { return {.code = 401, .reason = "Unauthorized", .message = "Unauthorized"}; }

Problem unknown_path() {
    return {.code = 404, .reason = "NotFound", .message = "the server could not find the requested resource"};
}

Problem method_not_allowed(std::string allowed) {
    return {.code = 405,
            .reason = "MethodNotAllowed",
            .message = "the server does not allow this method on the requested resource",
            .allowed = std::move(allowed)};
}

Problem not_found(model::Kind kind, const std::string& name) {
    return about(404, "NotFound", kind, name, resource_name(kind) + " \"" + name + "\" not found");
}

Problem already_exists(model::Kind kind, const std::string& name) {
    return about(409, "AlreadyExists", kind, name, resource_name(kind) + " \"" + name + "\" already exists");
}

Problem conflict(model::Kind kind, const std::string& name, const std::string& why) {
    return about(409, "Conflict", kind, name,
                 "Operation cannot be fulfilled on " + resource_name(kind) + " \"" + name + "\": " + why);
}

Problem modified(model::Kind kind, const std::string& name) {
    return conflict(kind, name,
                    "the object has been modified; please apply your changes to the latest version and try again");
}

Problem invalid(model::Kind kind, const std::string& name, std::vector<Cause> causes) {
    const model::KindInfo& info = model::info(kind);
    Problem problem = about(422, "Invalid", kind, name,
                            std::string(info.name) + (info.group.empty() ? "" : "." + std::string(info.group)) + " \"" +
                                name + "\" is invalid: " + text_of(causes));
    problem.kind = info.name;  // Kubernetes names the kind here, and the resource elsewhere
    problem.causes = std::move(causes);
    return problem;
}

Problem invalid_options(const std::string& kind, std::vector<Cause> causes) {
    Problem problem{.code = 422,
                    .reason = "Invalid",
                    .message = kind + ".meta.k8s.io \"\" is invalid: " + text_of(causes),
                    .group = "meta.k8s.io",
                    .kind = kind};
    problem.causes = std::move(causes);
    return problem;
}

Problem forbidden(model::Kind kind, const std::string& name, const std::string& why) {
    return about(403, "Forbidden", kind, name,
                 resource_name(kind) + (name.empty() ? "" : " \"" + name + "\"") + " is forbidden: " + why);
}

Problem expired(std::string message) { return {.code = 410, .reason = "Expired", .message = std::move(message)}; }

Problem not_acceptable(std::string_view accepted) {
    return {.code = 406,
            .reason = "NotAcceptable",
            .message = "only the following media types are accepted: " + std::string(accepted)};
}

Problem unsupported_media_type(std::string_view found, std::string_view accepted) {
    return {.code = 415,
            .reason = "UnsupportedMediaType",
            .message = "the body of the request was in an unknown format - accepted media types include: " +
                       std::string(accepted) + " (found: " + std::string(found) + ")"};
}

std::vector<Cause> causes_of(const model::Findings& findings) {
    std::vector<Cause> causes;
    for (const model::Finding& finding : findings) {
        if (finding.severity == model::Finding::Severity::error) {
            const bool missing = finding.message.find("found nothing") != std::string::npos;
            causes.push_back({missing ? "FieldValueRequired" : "FieldValueInvalid",
                              (missing ? "Required value: " : "Invalid value: ") + finding.message, finding.path});
        }
    }
    return causes;
}

Problem problem_of(const store::StoreError& error, const model::Key& key) {
    const auto make = [&]() -> Problem {
        switch (error.code) {
            case Code::not_found:
                return not_found(key.kind, key.name);
            case Code::already_exists:
                return already_exists(key.kind, key.name);
            case Code::conflict:
                return error.message.find("uid") == std::string::npos ? modified(key.kind, key.name)
                                                                      : conflict(key.kind, key.name, error.message);
            case Code::invalid: {
                std::vector<Cause> causes;
                for (const std::string& line : error.details) {
                    causes.push_back(cause_of_line(line, key));
                }
                if (causes.empty()) {
                    causes.push_back(cause_of_line(error.message, key));
                }
                return invalid(key.kind, key.name, std::move(causes));
            }
            case Code::unsupported: {
                Problem problem = forbidden(key.kind, key.name, error.message);
                if (error.message.ends_with(store::kBeingTerminated)) {
                    problem.causes.push_back(
                        {"NamespaceTerminating", "namespace " + key.ns + " is being terminated", "metadata.namespace"});
                }
                return problem;
            }
            case Code::too_large:
                return {.code = 413, .reason = "RequestEntityTooLarge", .message = error.message};
            case Code::compacted:
                return expired(error.message);
            case Code::unknown_result:
                return {.code = 504, .reason = "Timeout", .message = error.message};
            case Code::corrupt:
                return {.code = 500, .reason = "InternalError", .message = error.message};
            case Code::unavailable:
            case Code::newer_schema:
                break;
        }
        return {.code = 503,
                .reason = "ServiceUnavailable",
                .message = "the datastore: " + error.message,
                .retry_after_seconds = 1};
    };
    Problem problem = make();
    problem.store_code = kStoreCodes[static_cast<std::size_t>(error.code)];
    return problem;
}

Problem apply_conflict(const std::vector<codec::FieldConflict>& conflicts) {
    Problem problem{.code = 409, .reason = "Conflict"};
    std::map<std::string, std::string> by_manager;
    for (const codec::FieldConflict& conflict : conflicts) {
        problem.causes.push_back({"FieldManagerConflict", "conflict with " + conflict.manager, conflict.path});
        by_manager[conflict.manager] += "\n- " + conflict.path;
    }
    if (conflicts.size() == 1) {
        problem.message =
            "Apply failed with 1 conflict: conflict with " + conflicts.front().manager + ": " + conflicts.front().path;
        return problem;
    }
    problem.message = "Apply failed with " + std::to_string(conflicts.size()) + " conflicts: ";
    std::string separator;
    for (const auto& [manager, paths] : by_manager) {
        problem.message += std::exchange(separator, "\n") + "conflicts with " + manager + ":" + paths;
    }
    return problem;
}

std::string to_json(const Problem& problem) { return json::serialize(status_object(problem)); }

Response response_of(const Problem& problem) {
    Response response{.status = problem.code, .body = to_json(problem) + "\n"};
    if (problem.retry_after_seconds != 0) {
        response.headers.emplace_back("Retry-After", std::to_string(problem.retry_after_seconds));
    }
    if (!problem.allowed.empty()) {
        response.headers.emplace_back("Allow", problem.allowed);
    }
    return response;
}

std::string success_json(model::Kind kind, const std::string& name, std::string_view uid) {
    json::object details{{"name", name}, {"kind", model::info(kind).plural}, {"uid", uid}};
    if (!model::info(kind).group.empty()) {
        details["group"] = model::info(kind).group;
    }
    return json::serialize(json::object{{"kind", "Status"},
                                        {"apiVersion", "v1"},
                                        {"metadata", json::object{}},
                                        {"status", "Success"},
                                        {"details", std::move(details)}});
}

}  // namespace manul::serve
