#include "serve/documents.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/sha256.hpp"
#include "config/model/field.hpp"
#include "config/model/kind.hpp"
#include "config/model/tables.hpp"

namespace manul::serve {

namespace json = boost::json;

namespace {

constexpr std::size_t kHashBytes = 16;

/// Two kinds that are asked for alone and are stored nowhere.
struct Review {
    std::string_view group;
    std::string_view plural;
    std::string_view kind;
};
constexpr auto kReviews = std::to_array<Review>({
    {"authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview"},
    {"authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview"},
    {"authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview"},
});

std::vector<const model::KindInfo*> kinds_of(const GroupVersion& version) {
    std::vector<const model::KindInfo*> out;
    for (const model::KindInfo& info : model::all_kinds()) {
        if (info.group == version.group && info.version == version.version) {
            out.push_back(&info);
        }
    }
    return out;
}

json::array verbs_of(model::Kind kind) {
    if (is_read_only(kind)) {
        return {"get", "list", "watch"};
    }
    if (!can_delete_collection(kind)) {
        return {"create", "delete", "get", "list", "patch", "update", "watch"};
    }
    return {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"};
}

json::array short_names(const model::KindInfo& info) {
    json::array out;
    for (std::string_view rest = info.short_names; !rest.empty();) {
        const std::size_t end = std::min(rest.find(','), rest.size());
        out.push_back(json::string(rest.substr(0, end)));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return out;
}

/// What `kubectl get all` means in every cluster.
bool is_of_all(model::Kind kind) { return kind == model::Kind::pod || kind == model::Kind::service; }

json::object resource_entry(const model::KindInfo& info) {
    json::object out{{"name", info.plural},
                     {"singularName", info.singular},
                     {"namespaced", info.namespaced},
                     {"kind", info.name},
                     {"verbs", verbs_of(info.kind)}};
    if (json::array names = short_names(info); !names.empty()) {
        out["shortNames"] = std::move(names);
    }
    if (is_of_all(info.kind)) {
        out["categories"] = json::array{"all"};
    }
    return out;
}

std::string resource_list(const GroupVersion& version) {
    json::array resources;
    for (const model::KindInfo* info : kinds_of(version)) {
        resources.push_back(resource_entry(*info));
        if (has_status(info->kind)) {
            resources.push_back(json::object{{"name", std::string(info->plural) + "/status"},
                                             {"singularName", ""},
                                             {"namespaced", info->namespaced},
                                             {"kind", info->name},
                                             {"verbs", json::array{"get", "patch", "update"}}});
        }
    }
    for (const Review& review : kReviews) {
        if (review.group == version.group) {
            resources.push_back(json::object{{"name", review.plural},
                                             {"singularName", ""},
                                             {"namespaced", false},
                                             {"kind", review.kind},
                                             {"verbs", json::array{"create"}}});
        }
    }
    return json::serialize(json::object{{"kind", "APIResourceList"},
                                        {"apiVersion", "v1"},
                                        {"groupVersion", version.text()},
                                        {"resources", std::move(resources)}});
}

json::object group_entry(const std::string& group) {
    json::array versions;
    for (const GroupVersion& version : group_versions()) {
        if (version.group == group) {
            versions.push_back(json::object{{"groupVersion", version.text()}, {"version", version.version}});
        }
    }
    json::value preferred = versions.front();
    return {{"name", group}, {"versions", std::move(versions)}, {"preferredVersion", std::move(preferred)}};
}

/// Names of the groups with a path below /apis, each once.
std::vector<std::string> group_names() {
    std::vector<std::string> out;
    for (const GroupVersion& version : group_versions()) {
        if (!version.group.empty() && std::ranges::find(out, version.group) == out.end()) {
            out.push_back(version.group);
        }
    }
    return out;
}

std::string group_list() {
    json::array groups;
    for (const std::string& group : group_names()) {
        groups.push_back(group_entry(group));
    }
    return json::serialize(json::object{{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", std::move(groups)}});
}

json::object aggregated_resource(const GroupVersion& version, std::string_view plural, std::string_view kind,
                                 std::string_view singular, bool namespaced, json::array verbs) {
    return {{"resource", plural},
            {"responseKind", json::object{{"group", version.group}, {"version", version.version}, {"kind", kind}}},
            {"scope", namespaced ? "Namespaced" : "Cluster"},
            {"singularResource", singular},
            {"verbs", std::move(verbs)}};
}

json::array aggregated_resources(const GroupVersion& version) {
    json::array out;
    for (const model::KindInfo* info : kinds_of(version)) {
        json::object entry = aggregated_resource(version, info->plural, info->name, info->singular, info->namespaced,
                                                 verbs_of(info->kind));
        entry["shortNames"] = short_names(*info);
        if (is_of_all(info->kind)) {
            entry["categories"] = json::array{"all"};
        }
        if (has_status(info->kind)) {
            entry["subresources"] = json::array{json::object{
                {"subresource", "status"},
                {"responseKind",
                 json::object{{"group", version.group}, {"version", version.version}, {"kind", info->name}}},
                {"verbs", json::array{"get", "patch", "update"}}}};
        }
        out.push_back(std::move(entry));
    }
    for (const Review& review : kReviews) {
        if (review.group == version.group) {
            out.push_back(aggregated_resource(version, review.plural, review.kind, "", false, {"create"}));
        }
    }
    return out;
}

/// Everything below /api or /apis in one answer.
std::string aggregated(bool core, const std::string& api) {
    json::array items;
    for (const std::string& group : core ? std::vector<std::string>{""} : group_names()) {
        json::array versions;
        for (const GroupVersion& version : group_versions()) {
            if (version.group == group) {
                versions.push_back(json::object{{"version", version.version},
                                                {"freshness", "Current"},
                                                {"resources", aggregated_resources(version)}});
            }
        }
        json::object metadata;
        if (!core) {
            metadata["name"] = group;
        }
        items.push_back(json::object{{"metadata", std::move(metadata)}, {"versions", std::move(versions)}});
    }
    return json::serialize(json::object{{"kind", "APIGroupDiscoveryList"},
                                        {"apiVersion", "apidiscovery.k8s.io/" + api},
                                        {"metadata", json::object{}},
                                        {"items", std::move(items)}});
}

std::string hash_of(std::string_view text) { return sha256_hex(text, kHashBytes); }

std::string v3_path(const GroupVersion& version) {
    return version.group.empty() ? "api/" + version.version : "apis/" + version.text();
}

std::string openapi_v3_index() {
    json::object paths;
    for (const GroupVersion& version : group_versions()) {
        const std::string path = v3_path(version);
        paths[path] =
            json::object{{"serverRelativeURL", "/openapi/v3/" + path + "?hash=" + hash_of(openapi_v3(version))}};
    }
    return json::serialize(json::object{{"paths", std::move(paths)}});
}

/// All fixed texts are made once: they follow from tables alone.
const std::string& index_text() {
    static const std::string text = openapi_v3_index();
    return text;
}
const std::string& v2_text() {
    static const std::string text = openapi_v2();
    return text;
}

Outcome<Response> fixed(std::string body, const Request& request, std::string content_type = "application/json") {
    Response response{.content_type = std::move(content_type), .body = std::move(body)};
    const std::string tag = "\"" + hash_of(response.body) + "\"";
    response.headers.emplace_back("ETag", tag);
    response.headers.emplace_back("Vary", "Accept");
    if (request.if_none_match == tag) {
        response.status = 304;
        response.body.clear();
    }
    return response;
}

Outcome<Response> root(bool core, const Request& request) {
    for (const char* api : {"v2", "v2beta1"}) {
        const std::string type =
            std::string("application/json;g=apidiscovery.k8s.io;v=") + api + ";as=APIGroupDiscoveryList";
        if (request.accept.find(type) != std::string::npos) {
            return fixed(aggregated(core, api), request, type);
        }
    }
    if (core) {
        return fixed(json::serialize(json::object{{"kind", "APIVersions"},
                                                  {"versions", json::array{"v1"}},
                                                  {"serverAddressByClientCIDRs", json::array{}}}),
                     request);
    }
    return fixed(group_list(), request);
}

}  // namespace

const std::vector<GroupVersion>& group_versions() {
    static const std::vector<GroupVersion> versions{{"", "v1"},
                                                    {"networking.k8s.io", "v1"},
                                                    {"policy.networking.k8s.io", "v1alpha2"},
                                                    {"policy.networking.k8s.io", "v1alpha1"},
                                                    {"discovery.k8s.io", "v1"},
                                                    {"coordination.k8s.io", "v1"},
                                                    {"rbac.authorization.k8s.io", "v1"},
                                                    {"projectcalico.org", "v3"},
                                                    {"manul.io", "v1"},
                                                    {"authorization.k8s.io", "v1"},
                                                    {"authentication.k8s.io", "v1"}};
    return versions;
}

bool is_read_only(model::Kind kind) noexcept {
    return kind == model::Kind::ipam_block || kind == model::Kind::ipam_handle || kind == model::Kind::block_affinity;
}

bool can_delete_collection(model::Kind kind) noexcept { return kind != model::Kind::namespace_; }

bool has_status(model::Kind kind) noexcept {
    return std::ranges::any_of(model::table(kind).object->fields,
                               [](const model::Field& field) { return field.name == "status"; });
}

Outcome<Response> document_answer(const Route& route, const Request& request) {
    if (route.path == "/openapi/v2") {
        // Clients that know the long media type fail on it (it has an @); for those without protobuf there is v3.
        return fixed(v2_text(), request, "application/octet-stream");
    }
    if (route.path == "/openapi/v3") {
        return fixed(index_text(), request);
    }
    if (route.path == "/api" || route.path == "/apis") {
        return root(route.path == "/api", request);
    }
    if (route.path.empty()) {
        return fixed(
            json::serialize(json::object{{"paths", json::array{"/api", "/api/v1", "/apis", "/healthz", "/openapi/v2",
                                                               "/openapi/v3", "/readyz", "/version"}}}),
            request);
    }
    for (const GroupVersion& version : group_versions()) {
        const std::string path = v3_path(version);
        if (route.path == "/openapi/v3/" + path) {
            return fixed(openapi_v3(version), request);
        }
        if (route.path == "/" + path) {
            return fixed(resource_list(version), request);
        }
        if (!version.group.empty() && route.path == "/apis/" + version.group) {
            json::object group = group_entry(version.group);
            group["kind"] = "APIGroup";
            group["apiVersion"] = "v1";
            return fixed(json::serialize(group), request);
        }
    }
    return std::unexpected(unknown_path());
}

}  // namespace manul::serve
