#include "serve/api.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/base64.hpp"
#include "base/try.hpp"
#include "config/codec/tree.hpp"
#include "config/codec/yaml.hpp"
#include "config/codec/yaml_tree.hpp"
#include "config/model/kind.hpp"
#include "config/store/document.hpp"
#include "config/store/watched_kinds.hpp"
#include "serve/accept.hpp"
#include "serve/call.hpp"
#include "serve/documents.hpp"
#include "serve/protobuf.hpp"
#include "serve/transactions.hpp"
#include "serve/write.hpp"

namespace manul::serve {

namespace json = boost::json;
using model::Kind;

namespace {

Answer plain(std::string body) { return {.response = {.body = std::move(body)}}; }

Answer version_answer() {
    // What clients decide by this number is how they speak: as to a server of Kubernetes 1.26.
    return plain(json::serialize(json::object{{"major", "1"},
                                              {"minor", "26"},
                                              {"gitVersion", "v1.26.0+manul-" MANUL_VERSION},
                                              {"gitCommit", ""},
                                              {"gitTreeState", "clean"},
                                              {"buildDate", "1970-01-01T00:00:00Z"},
                                              {"goVersion", "none"},
                                              {"compiler", "g++"},
                                              {"platform", "linux"}}));
}

json::object caller_info(const Caller& caller) {
    json::array groups;
    for (const std::string& group : caller.groups) {
        groups.push_back(json::string(group));
    }
    return {{"username", caller.user}, {"uid", caller.uid}, {"groups", std::move(groups)}};
}

Result<codec::Tree> parse_yaml(std::string_view text) {
    codec::YamlFile file = codec::parse_yaml(text);
    if (file.documents.size() != 1) {
        return fail(file.findings.empty() ? "expected one document" : file.findings.front().to_string());
    }
    codec::YamlDocument& only = file.documents.front();
    if (!file.findings.empty() || !only.findings.empty()) {
        return fail((file.findings.empty() ? only.findings : file.findings).front().to_string());
    }
    return std::move(only.tree);
}

constexpr std::string_view kYaml = "application/yaml";
/// No kind needs a tenth of it, and what is done with the keys of one object takes time with the square of their
/// number.
constexpr std::size_t kMostKeys = 5000;

/// Whether no object has too many keys, nor metadata too long a list.
bool is_bounded(const codec::Tree& tree, bool in_metadata = false) {
    const bool is_wide = (tree.is_map() || (in_metadata && tree.is_list())) && tree.children.size() > kMostKeys;
    return !is_wide && std::ranges::all_of(tree.children, [&](const codec::Tree& child) {
        return is_bounded(child, in_metadata || child.key == "metadata");
    });
}

constexpr const char* kReading = "GET, HEAD";
constexpr std::string_view kWatchedTypes = "application/json;stream=watch";

/// A namespace at a time: a request that lacks one would else reach every namespace.
bool spans_namespaces(const ResourcePath& path) {
    return path.name.empty() && !path.ns && model::info(path.kind).namespaced;
}

bool may_delete(const ResourcePath& path) {
    return path.subresource.empty() && (!path.name.empty() || can_delete_collection(path.kind));
}

std::string allowed_methods(const ResourcePath& path) {
    std::string out = kReading;
    if (!is_read_only(path.kind) && !spans_namespaces(path)) {
        out += path.name.empty() ? ", POST" : ", PUT, PATCH";
        out += may_delete(path) ? ", DELETE" : "";
    }
    return out;
}

std::string verb_of(const Request& request, const Route& route) {
    const bool one = !route.resource.name.empty();
    if (request.method == "HEAD") {  // of a watch there would be no end
        return one ? "get" : "list";
    }
    if (request.method == "GET") {
        return one ? "get" : route.flag("watch") ? "watch" : "list";
    }
    if (request.method == "POST") {
        return one ? "" : "create";
    }
    if (request.method == "DELETE") {
        return one ? "delete" : "deletecollection";
    }
    return !one ? "" : request.method == "PUT" ? "update" : request.method == "PATCH" ? "patch" : "";
}

}  // namespace

std::string Rendering::document(Kind kind, std::string_view stored) const {
    std::string shown = kind == Kind::secret ? secrets.shown(stored) : std::string(stored);
    return metadata_version.empty() ? shown : partial_metadata(shown, metadata_version);
}

Outcome<SecretView> secret_view(const Route& route, const std::string& ns, const Access& access, store::Store& store) {
    if (!route.flag("reveal")) {
        return SecretView();
    }
    if (access.sees_secrets(ns)) {
        return SecretView::everything();
    }
    if (!access.sees_referenced_secrets(ns)) {
        return SecretView();
    }
    auto referenced = read_referenced_secrets(store);
    if (!referenced) {
        return std::unexpected(problem_of(referenced.error(), {Kind::secret, ns, {}}));
    }
    return SecretView::of(*std::move(referenced));
}

Outcome<Rendering> rendering_of(const Request& request, const Route& route, const Access& access, store::Store& store,
                                std::int64_t now) {
    Rendering out;
    const Format format = negotiated(request.accept).value_or(Format{});
    if (format.as.starts_with("PartialObjectMetadata")) {
        out.metadata_version = format.version;
    }
    if (format.as == "Table") {
        out.table = TableOptions{.version = format.version, .include = "Metadata", .now = now};
        if (const std::string include = route.parameter("includeObject"); include == "None" || include == "Object") {
            out.table->include = include;
        }
    }
    if (route.resource.kind == Kind::secret) {
        MANUL_TRY(out.secrets, secret_view(route, route.resource.ns.value_or(""), access, store));
    }
    return out;
}

Outcome<codec::Tree> parse_body(const Request& request, std::vector<std::string>* repeated) {
    if (request.body.empty()) {
        return codec::Tree{};
    }
    if (!request.content_encoding.empty() && request.content_encoding != "identity") {
        return std::unexpected(Problem{
            .code = 415,
            .reason = "UnsupportedMediaType",
            .message = "bodies are read as they are, not in the encoding \"" + request.content_encoding + "\""});
    }
    const std::string type = media_type(request.content_type);
    const bool is_yaml = type == kYaml || type == kApplyPatch;
    std::string text;
    std::string_view body = request.body;
    if (type == kProtobufMediaType) {
        auto document = document_of_protobuf(request.body);
        if (!document) {
            return std::unexpected(bad_request("the body of the request cannot be read: " + document.error().message));
        }
        text = *std::move(document);
        body = text;
    } else if (!type.empty() && type != "application/json" && !is_yaml &&
               !(request.method == "PATCH" && type.ends_with("+json"))) {
        return std::unexpected(
            unsupported_media_type(type, "application/json, application/yaml, application/vnd.kubernetes.protobuf"));
    }
    auto tree = is_yaml && !body.starts_with('{') ? parse_yaml(body)
                : repeated != nullptr             ? codec::parse_json(body, *repeated)
                                                  : codec::parse_json(body);
    if (!tree) {
        return std::unexpected(bad_request("the body of the request cannot be read: " + tree.error().message));
    }
    if (!is_bounded(*tree)) {
        return std::unexpected(Problem{.code = 413,
                                       .reason = "RequestEntityTooLarge",
                                       .message = "the body of the request has an object with more than " +
                                                  std::to_string(kMostKeys) +
                                                  " fields, or as long a list in metadata"});
    }
    return *std::move(tree);
}

Response object_response(Kind kind, std::string_view document, const Rendering& rendering, unsigned status) {
    const std::string shown = rendering.document(kind, document);
    if (!rendering.table) {
        return {.status = status, .body = shown + "\n"};
    }
    return {.status = status, .body = table_of(kind, shown, *rendering.table)};
}

Answer Api::handle(const Request& request, const Caller& caller, const Surroundings& around) {
    const auto refused = [](const Problem& problem) { return Answer{.response = response_of(problem)}; };
    const auto route = parse_target(request.target);
    if (!route) {
        return caller.user.empty() ? refused(unauthorized()) : refused(route.error());
    }
    Call call{request, *route, around, store_, Access(caller, around.rights), {}, {}};
    auto answer = dispatch(call);
    Answer out = answer ? *std::move(answer) : refused(answer.error());
    if (out.watches.empty() && out.response.content_type == "application/json" &&
        negotiated(request.accept).value_or(Format{}).yaml) {
        if (auto yaml = codec::to_yaml(out.response.body)) {
            out.response.body = *std::move(yaml);
            out.response.content_type = kYaml;
        }
    }
    out.audit = std::move(call.audit);
    for (const std::string& warning : call.warnings) {
        std::string quoted;
        for (const char c : warning) {
            quoted += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c < ' ' ? ' ' : c);
        }
        out.response.headers.emplace_back("Warning", "299 - \"" + quoted + "\"");
    }
    return out;
}

Outcome<Answer> Api::dispatch(Call& call) {
    const Request& request = call.request;
    const bool reads = request.method == "GET" || request.method == "HEAD";
    switch (call.route.type) {  // told to everybody
        case Route::Type::health: {
            Answer answer = plain("ok");
            answer.response.content_type = "text/plain; charset=utf-8";
            return answer;
        }
        case Route::Type::version:
            return version_answer();
        default:
            break;
    }
    const Caller& caller = call.access.caller();
    if (caller.user.empty()) {
        return std::unexpected(unauthorized());
    }
    if (request.impersonates) {
        return std::unexpected(Problem{.code = 403,
                                       .reason = "Forbidden",
                                       .message = "impersonation is not offered by this server; ask as yourself"});
    }
    switch (call.route.type) {
        case Route::Type::document: {
            if (!reads) {
                return std::unexpected(method_not_allowed(kReading));
            }
            MANUL_TRY(Response response, document_answer(call.route, request));
            return Answer{.response = std::move(response)};
        }
        case Route::Type::access_review:
            return access_review(call);
        case Route::Type::rules_review:
            return rules_review(call);
        case Route::Type::self_review:
            return self_review(call);
        case Route::Type::identity: {
            const auto identity = store_.identity();
            if (!identity) {
                return std::unexpected(problem_of(identity.error(), {}));
            }
            return plain(json::serialize(json::object{
                {"kind", "Identity"}, {"apiVersion", "manul.io/v1"}, {"metadata", json::object{{"uid", *identity}}}}));
        }
        case Route::Type::transactions: {
            if (request.method != "POST") {
                return std::unexpected(method_not_allowed("POST"));
            }
            MANUL_TRY(const codec::Tree body, parse_body(request));
            const TransactionWriter by{manager_of(request), store::format_timestamp(call.around.now)};
            MANUL_TRY(Response response, transaction(store_, call.access, body, by, call.audit));
            return Answer{.response = std::move(response)};
        }
        case Route::Type::watches:
            return reads ? watches(call) : std::unexpected(method_not_allowed(kReading));
        case Route::Type::resource:
        case Route::Type::health:
        case Route::Type::version:
            break;
    }
    return resource(call);
}

Outcome<Answer> Api::resource(Call& call) {
    const ResourcePath& path = call.route.resource;
    const std::string verb = verb_of(call.request, call.route);
    if (!path.subresource.empty() && (path.subresource != "status" || !has_status(path.kind))) {
        return std::unexpected(unknown_path());
    }
    if (verb.empty()) {
        return std::unexpected(method_not_allowed(allowed_methods(path)));
    }
    if (const auto format = negotiated(call.request.accept); !format || (format->yaml && verb == "watch")) {
        return std::unexpected(not_acceptable(verb == "watch" ? kWatchedTypes : kAcceptedTypes));
    }
    const bool reads = verb == "get" || verb == "list" || verb == "watch";
    const bool deletes = verb == "delete" || verb == "deletecollection";
    if (!reads && (is_read_only(path.kind) || spans_namespaces(path) || (deletes && !may_delete(path)))) {
        return std::unexpected(method_not_allowed(allowed_methods(path)));
    }
    if (verb == "get") {
        return get(call);
    }
    if (verb == "list") {
        return list(call);
    }
    if (verb == "watch") {
        return watch(call);
    }
    Writer writer({call.store, call.access, call.route, call.request, call.around.now, call.audit, call.warnings});
    MANUL_TRY(const Rendering rendering,
              rendering_of(call.request, call.route, call.access, call.store, call.around.now));
    if (verb == "deletecollection") {
        MANUL_TRY(const Selection selection, selection_of(call.route));
        MANUL_CHECK(check_list_options(call.route, false));
        if (!call.route.parameter("continue").empty()) {  // there are no pages: `limit` takes from what is left
            return std::unexpected(bad_request("continue: a collection is deleted from its beginning"));
        }
        MANUL_TRY(Response response, writer.remove_all(selection));
        return Answer{.response = std::move(response)};
    }
    if (verb == "delete") {
        MANUL_TRY(Response response, writer.remove());
        return Answer{.response = std::move(response)};
    }
    MANUL_TRY(const Written written, verb == "create"   ? writer.create()
                                     : verb == "update" ? writer.update()
                                                        : writer.patch());
    return Answer{.response = object_response(path.kind, written.document, rendering, written.created ? 201 : 200)};
}

Outcome<Answer> Api::get(Call& call) {
    const model::Key key = call.key();
    const std::string& subresource = call.route.resource.subresource;
    if (!call.access.may("get", key, subresource) && !is_tiered(key.kind)) {
        return std::unexpected(call.access.refusal("get", key, subresource));
    }
    auto object = store_.get(key);
    if (!object && object.error().code != store::StoreError::Code::not_found) {
        return std::unexpected(problem_of(object.error(), key));
    }
    const auto tree = object && is_tiered(key.kind) ? codec::parse_json(*object->document) : codec::Tree{};
    if (!call.access.may_with("get", key, object && tree ? &*tree : nullptr, subresource)) {
        return std::unexpected(call.access.refusal("get", key, subresource));
    }
    if (!object) {
        return std::unexpected(not_found(key.kind, key.name));
    }
    MANUL_TRY(const Rendering rendering,
              rendering_of(call.request, call.route, call.access, call.store, call.around.now));
    return Answer{.response = object_response(key.kind, *object->document, rendering)};
}

Outcome<Answer> Api::access_review(Call& call) const {
    if (call.request.method != "POST") {
        return std::unexpected(method_not_allowed("POST"));
    }
    MANUL_TRY(const codec::Tree body, parse_body(call.request));
    const codec::Tree* spec = body.find("spec");
    const codec::Tree* wanted = spec == nullptr ? nullptr : spec->find("resourceAttributes");
    const codec::Tree* path = spec == nullptr ? nullptr : spec->find("nonResourceAttributes");
    if (wanted == nullptr && path == nullptr) {
        return std::unexpected(
            bad_request("spec: exactly one of resourceAttributes and nonResourceAttributes must be given"));
    }
    Action action;
    if (wanted != nullptr) {
        const std::string part(wanted->text_at("subresource"));
        action = {.verb = std::string(wanted->text_at("verb")),
                  .group = std::string(wanted->text_at("group")),
                  .resource = std::string(wanted->text_at("resource")) + (part.empty() ? "" : "/" + part),
                  .ns = std::string(wanted->text_at("namespace")),
                  .name = std::string(wanted->text_at("name")),
                  .path = {}};
    } else {
        action.verb = path->text_at("verb");
        action.path = path->text_at("path");
    }
    const bool allowed = call.around.rights->allows(call.access.caller(), action);
    codec::Tree answer = body;
    answer.make("kind").assign(codec::Tree::of_text("SelfSubjectAccessReview"));
    answer.make("apiVersion").assign(codec::Tree::of_text("authorization.k8s.io/v1"));
    answer.make("status").assign(codec::Tree{.type = codec::Tree::Type::map});
    answer.make("status").make("allowed").assign(
        {.type = codec::Tree::Type::boolean, .text = allowed ? "true" : "false"});
    Answer out = plain(codec::to_json(answer));
    out.response.status = 201;
    return out;
}

Outcome<Answer> Api::rules_review(Call& call) const {
    if (call.request.method != "POST") {
        return std::unexpected(method_not_allowed("POST"));
    }
    MANUL_TRY(const codec::Tree body, parse_body(call.request));
    const std::string ns(body.text_at("spec", "namespace"));
    if (ns.empty()) {
        return std::unexpected(bad_request("no namespace on request"));
    }
    const auto list = [](const std::vector<std::string>& texts) { return json::array(texts.begin(), texts.end()); };
    json::array resources;
    json::array paths;
    for (const model::PolicyRule& rule : call.around.rights->all_rules(call.access.caller(), ns)) {
        json::object out{{"verbs", list(rule.verbs)}};
        if (!rule.non_resource_urls.empty()) {
            out["nonResourceURLs"] = list(rule.non_resource_urls);
            paths.push_back(std::move(out));
            continue;
        }
        out["apiGroups"] = list(rule.api_groups);
        out["resources"] = list(rule.resources);
        if (!rule.resource_names.empty()) {
            out["resourceNames"] = list(rule.resource_names);
        }
        resources.push_back(std::move(out));
    }
    Answer out = plain(json::serialize(json::object{{"kind", "SelfSubjectRulesReview"},
                                                    {"apiVersion", "authorization.k8s.io/v1"},
                                                    {"metadata", json::object{}},
                                                    {"spec", json::object{}},
                                                    {"status", json::object{{"resourceRules", std::move(resources)},
                                                                            {"nonResourceRules", std::move(paths)},
                                                                            {"incomplete", false}}}}));
    out.response.status = 201;
    return out;
}

Outcome<Answer> Api::self_review(Call& call) const {
    if (call.request.method != "POST") {
        return std::unexpected(method_not_allowed("POST"));
    }
    Answer out =
        plain(json::serialize(json::object{{"kind", "SelfSubjectReview"},
                                           {"apiVersion", "authentication.k8s.io/v1"},
                                           {"metadata", json::object{}},
                                           {"status", json::object{{"userInfo", caller_info(call.access.caller())}}}}));
    out.response.status = 201;
    return out;
}

}  // namespace manul::serve
