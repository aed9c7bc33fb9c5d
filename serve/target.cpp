#include "serve/target.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"

namespace manul::serve {

namespace {

constexpr std::size_t kLongestTarget = 8192;
constexpr std::size_t kLongestName = 253;

int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

std::optional<std::string> decoded(std::string_view text, bool plus_is_blank) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%') {
            const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
            const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return std::nullopt;
            }
            out += static_cast<char>(high * 16 + low);
            i += 2;
        } else {
            out += text[i] == '+' && plus_is_blank ? ' ' : text[i];
        }
    }
    if (out.find('\0') != std::string::npos || !codec::is_utf8(out)) {
        return std::nullopt;
    }
    return out;
}

Outcome<void> parse_query(std::string_view text, Route& route) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('&'), text.size());
        const std::string_view pair = text.substr(0, end);
        const std::size_t equals = std::min(pair.find('='), pair.size());
        const auto key = decoded(pair.substr(0, equals), true);
        const auto value = decoded(equals < pair.size() ? pair.substr(equals + 1) : std::string_view{}, true);
        if (!key || !value) {
            return std::unexpected(bad_request("the query of the request is not encoded as it should be"));
        }
        if (!key->empty()) {
            route.query.emplace(*key, *value);  // the first one counts
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return {};
}

std::optional<model::Kind> find_resource(std::string_view group, std::string_view version, std::string_view plural) {
    for (const model::KindInfo& info : model::all_kinds()) {
        if (info.group == group && info.version == version && info.plural == plural) {
            return info.kind;
        }
    }
    return std::nullopt;
}

/// What follows /api/v1 or /apis/GROUP/VERSION.
Outcome<ResourcePath> resource_path(std::string_view group, std::string_view version,
                                    std::span<const std::string> rest) {
    ResourcePath out;
    // /namespaces/NAME and /namespaces/NAME/status are the object itself.
    const bool scoped = rest.size() >= 3 && rest[0] == "namespaces" && rest[2] != "status" && rest[2] != "finalize";
    if (scoped) {
        out.ns = rest[1];
        rest = rest.subspan(2);
    }
    const auto kind = rest.empty() ? std::nullopt : find_resource(group, version, rest[0]);
    if (!kind || rest.size() > 3) {
        return std::unexpected(unknown_path());
    }
    out.kind = *kind;
    const bool namespaced = model::info(*kind).namespaced;
    if (scoped && !namespaced) {
        return std::unexpected(unknown_path());
    }
    if (rest.size() > 1) {
        if (namespaced && !scoped) {
            return std::unexpected(unknown_path());
        }
        out.name = rest[1];
    }
    if (rest.size() > 2) {
        out.subresource = rest[2];
    }
    if (out.name.size() > kLongestName || (out.ns && out.ns->size() > kLongestName)) {
        return std::unexpected(unknown_path());
    }
    return out;
}

constexpr std::array<std::string_view, 5> kHealthPaths{"healthz", "livez", "readyz", "healthz/ping", "livez/ping"};

constexpr std::array<std::pair<std::string_view, Route::Type>, 6> kOwnPaths{{
    {"apis/authorization.k8s.io/v1/selfsubjectaccessreviews", Route::Type::access_review},
    {"apis/authorization.k8s.io/v1/selfsubjectrulesreviews", Route::Type::rules_review},
    {"apis/authentication.k8s.io/v1/selfsubjectreviews", Route::Type::self_review},
    {"apis/manul.io/v1/transactions", Route::Type::transactions},
    {"apis/manul.io/v1/identity", Route::Type::identity},
    {"apis/manul.io/v1/watches", Route::Type::watches},
}};

bool is_document(std::string_view path) {
    return path == "/api" || path == "/apis" || path == "/openapi/v2" || path == "/openapi/v3" ||
           path.starts_with("/openapi/v3/");
}

}  // namespace

std::string Route::parameter(std::string_view name) const {
    const auto found = query.find(std::string(name));
    return found == query.end() ? std::string() : found->second;
}

bool Route::flag(std::string_view name) const {
    const auto found = query.find(std::string(name));
    return found != query.end() && found->second != "0" && found->second != "false";
}

Outcome<Route> parse_target(std::string_view target) {
    if (target.size() > kLongestTarget || !target.starts_with('/')) {
        return std::unexpected(bad_request("the target of the request is no path, or longer than 8192 bytes"));
    }
    const std::size_t mark = std::min(target.find('?'), target.size());
    Route route;
    MANUL_CHECK(parse_query(mark < target.size() ? target.substr(mark + 1) : std::string_view{}, route));
    std::string_view path = target.substr(0, mark);
    if (path.size() > 1 && path.ends_with('/')) {
        path.remove_suffix(1);
    }
    std::vector<std::string> segments;
    for (std::string_view rest = path.substr(1); !rest.empty();) {
        const std::size_t end = std::min(rest.find('/'), rest.size());
        auto segment = decoded(rest.substr(0, end), false);
        if (!segment || segment->empty() || *segment == ".." || *segment == ".") {
            return std::unexpected(bad_request("the path of the request is not encoded as it should be"));
        }
        route.path += "/" + *segment;
        segments.push_back(*std::move(segment));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    const std::string_view whole = std::string_view(route.path).substr(std::min<std::size_t>(1, route.path.size()));
    if (std::ranges::find(kHealthPaths, whole) != kHealthPaths.end()) {
        route.type = Route::Type::health;
        return route;
    }
    if (whole == "version") {
        route.type = Route::Type::version;
        return route;
    }
    const bool is_core = segments.size() >= 2 && segments[0] == "api" && segments[1] == "v1";
    const bool is_group = segments.size() >= 2 && segments[0] == "apis";
    const std::size_t prefix = is_core ? 2 : 3;
    if (is_document(route.path) || route.path.empty() || ((is_core || is_group) && segments.size() <= prefix)) {
        route.type = Route::Type::document;
        return route;
    }
    if (!is_core && !is_group) {
        return std::unexpected(unknown_path());
    }
    for (const auto& [own, type] : kOwnPaths) {
        if (whole == own) {
            route.type = type;
            return route;
        }
    }
    const std::string_view group = is_core ? std::string_view{} : std::string_view(segments[1]);
    MANUL_TRY(route.resource, resource_path(group, is_core ? segments[1] : segments[2],
                                            std::span<const std::string>(segments).subspan(prefix)));
    route.type = Route::Type::resource;
    return route;
}

}  // namespace manul::serve
