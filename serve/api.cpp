#include "serve/api.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
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
#include "config/codec/secret.hpp"
#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"
#include "config/store/watched_kinds.hpp"
#include "serve/call.hpp"
#include "serve/documents.hpp"
#include "serve/protobuf.hpp"
#include "serve/transactions.hpp"
#include "serve/write.hpp"

namespace manul::serve {

namespace json = boost::json;
using model::Kind;

namespace {

constexpr std::int64_t kLongestWatch = 3600;
constexpr std::int64_t kUsualWatch = 1800;

std::optional<std::int64_t> integer(const std::string& text) {
    std::int64_t value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    return failed == std::errc{} && end == text.data() + text.size() && value >= 0 ? std::optional(value)
                                                                                   : std::nullopt;
}

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

/// The end of a page, in the form in which clients give it back.
std::string continue_token(const store::Revision& revision, const model::Key& last) {
    return base64_encode(
        json::serialize(json::object{{"v", "meta.k8s.io/v1"}, {"rv", revision}, {"ns", last.ns}, {"name", last.name}}));
}

struct PageStart {
    store::Revision revision;
    std::string ns;
    std::string name;
};

Outcome<PageStart> parse_continue(const std::string& token) {
    const auto bytes = base64_decode(token);
    boost::system::error_code failed;
    const json::value parsed = bytes ? json::parse(*bytes, failed) : json::value();
    const json::object* object = parsed.if_object();
    const auto text = [&](const char* key) -> const json::string* {
        const json::value* value = object == nullptr ? nullptr : object->if_contains(key);
        return value == nullptr ? nullptr : value->if_string();
    };
    if (failed || text("rv") == nullptr || text("ns") == nullptr || text("name") == nullptr) {
        return std::unexpected(bad_request("continue key is not valid: it is none that this server gave"));
    }
    return PageStart{std::string(*text("rv")), std::string(*text("ns")), std::string(*text("name"))};
}

/// Refuses a revision that the store never gave, or has not reached.
Outcome<void> check_revision(const std::string& asked, const store::Revision& present) {
    const auto wanted = integer(asked);
    if (!asked.empty() && !wanted) {
        return std::unexpected(bad_request("invalid resource version: \"" + asked + "\""));
    }
    const auto newest = store::parse_revision(present);
    if (wanted && newest && *wanted > *newest) {
        return std::unexpected(Problem{.code = 504,
                                       .reason = "Timeout",
                                       .message = "Too large resource version: " + asked + ", current: " + present,
                                       .causes = {{"ResourceVersionTooLarge", "Too large resource version", {}}},
                                       .retry_after_seconds = 1});
    }
    return {};
}

std::string verb_of(const Request& request, const Route& route) {
    const bool one = !route.resource.name.empty();
    if (request.method == "GET" || request.method == "HEAD") {
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

Outcome<Selection> selection_of(const Route& route) {
    Selection selection;
    MANUL_TRY(selection.labels, LabelQuery::parse(route.parameter("labelSelector")));
    MANUL_TRY(selection.fields, FieldQuery::parse(route.resource.kind, route.parameter("fieldSelector")));
    return selection;
}

/// Nothing when the caller may see every object of the kind.
std::function<bool(const codec::Tree&)> visibility(const Access& access, const std::string& verb,
                                                   const model::Key& key) {
    if (access.may(verb, key)) {
        return {};
    }
    return [access, verb, key](const codec::Tree& document) {
        const model::Key one{key.kind, std::string(document.text_at("metadata", "namespace")),
                             std::string(document.text_at("metadata", "name"))};
        return access.may_in_tier(verb, one, tier_of_document(document));
    };
}

bool passes(std::string_view document, const Selection& selection,
            const std::function<bool(const codec::Tree&)>& visible) {
    if (selection.empty() && !visible) {
        return true;
    }
    const auto tree = codec::parse_json(document);
    return tree && selection.matches(*tree) && (!visible || visible(*tree));
}

/// `{"resourceVersion":…,"continue":…}`, and what is stored but cannot be read.
json::object list_metadata(const store::Listing& listing) {
    json::object metadata{{"resourceVersion", listing.revision}};
    if (!listing.damaged.empty()) {
        json::array damaged;
        for (const store::DamagedObject& object : listing.damaged) {
            damaged.push_back(json::object{{"namespace", object.key.ns},
                                           {"name", object.key.name},
                                           {"resourceVersion", object.revision},
                                           {"message", object.error.message}});
        }
        metadata["damaged"] = std::move(damaged);
    }
    return metadata;
}

std::string render_list(Kind kind, const std::vector<const store::Object*>& items, const json::object& metadata,
                        const Rendering& rendering) {
    std::vector<std::string> masked;
    std::vector<std::string_view> documents;
    documents.reserve(items.size());
    const bool hides = kind == Kind::secret && !rendering.revealed;
    masked.reserve(hides ? items.size() : 0);
    for (const store::Object* item : items) {
        if (hides) {
            documents.emplace_back(masked.emplace_back(rendering.document(kind, *item->document)));
        } else {
            documents.emplace_back(*item->document);
        }
    }
    if (rendering.table) {
        return table_of(kind, documents, json::serialize(metadata), *rendering.table);
    }
    std::string out = R"({"kind":")" + std::string(model::info(kind).name) + R"(List","apiVersion":")" +
                      model::api_version(kind) + R"(","metadata":)" + json::serialize(metadata) + R"(,"items":[)";
    for (std::size_t i = 0; i < documents.size(); ++i) {
        out += i == 0 ? "" : ",";
        out += documents[i];
    }
    out += "]}\n";
    return out;
}

}  // namespace

std::string Rendering::document(Kind kind, std::string_view stored) const {
    if (kind != Kind::secret || revealed) {
        return std::string(stored);
    }
    return codec::masked_secret(stored).value_or("{}");
}

Rendering rendering_of(const Request& request, const Route& route, const Access& access, std::int64_t now) {
    Rendering out;
    // The first of the types that are offered is what the client likes best.
    const std::string first = request.accept.substr(0, request.accept.find(','));
    if (first.find("as=Table") != std::string::npos) {
        out.table = TableOptions{.version = first.find("v=v1beta1") != std::string::npos ? "v1beta1" : "v1",
                                 .include = "Metadata",
                                 .now = now};
        if (const std::string include = route.parameter("includeObject"); include == "None" || include == "Object") {
            out.table->include = include;
        }
    }
    out.revealed = route.resource.kind == Kind::secret && route.flag("reveal") &&
                   access.sees_secrets(route.resource.ns.value_or(""));
    return out;
}

Outcome<codec::Tree> parse_body(const Request& request) {
    if (request.body.empty()) {
        return codec::Tree{};
    }
    const std::string_view type = std::string_view(request.content_type).substr(0, request.content_type.find(';'));
    std::string text;
    std::string_view body = request.body;
    if (type == kProtobufMediaType) {
        auto document = document_of_protobuf(request.body);
        if (!document) {
            return std::unexpected(bad_request("the body of the request cannot be read: " + document.error().message));
        }
        text = *std::move(document);
        body = text;
    } else if (!type.empty() && !type.ends_with("json") && type != "application/apply-patch+yaml") {
        return std::unexpected(unsupported_media_type(type, "application/json, application/vnd.kubernetes.protobuf"));
    }
    auto tree = codec::parse_json(body);
    if (!tree) {
        return std::unexpected(bad_request("the body of the request is no JSON: " + tree.error().message));
    }
    return *std::move(tree);
}

Response object_response(Kind kind, std::string_view document, const Rendering& rendering, unsigned status) {
    const std::string shown = rendering.document(kind, document);
    if (!rendering.table) {
        return {.status = status, .body = shown + "\n"};
    }
    const std::string_view view = shown;
    const auto tree = codec::parse_json(shown);
    const json::object metadata{
        {"resourceVersion", tree ? tree->text_at("metadata", "resourceVersion") : std::string_view{}}};
    return {.status = status, .body = table_of(kind, std::span(&view, 1), json::serialize(metadata), *rendering.table)};
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
                return std::unexpected(method_not_allowed());
            }
            MANUL_TRY(Response response, document_answer(call.route, request));
            return Answer{.response = std::move(response)};
        }
        case Route::Type::access_review:
            return access_review(call);
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
                return std::unexpected(method_not_allowed());
            }
            MANUL_TRY(const codec::Tree body, parse_body(request));
            MANUL_TRY(Response response, transaction(store_, call.access, body, call.audit));
            return Answer{.response = std::move(response)};
        }
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
        return std::unexpected(method_not_allowed());
    }
    const bool reads = verb == "get" || verb == "list" || verb == "watch";
    if (!reads && (is_read_only(path.kind) || (!path.subresource.empty() && verb == "delete"))) {
        return std::unexpected(method_not_allowed());
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
    const auto rendering = rendering_of(call.request, call.route, call.access, call.around.now);
    if (verb == "deletecollection") {
        MANUL_TRY(const Selection selection, selection_of(call.route));
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
    return Answer{.response = object_response(key.kind, *object->document,
                                              rendering_of(call.request, call.route, call.access, call.around.now))};
}

Outcome<Answer> Api::list(Call& call) {
    const model::Key key = call.key();
    if (!call.access.may_somewhere("list", key)) {
        return std::unexpected(call.access.refusal("list", key));
    }
    MANUL_TRY(const Selection selection, selection_of(call.route));
    const std::optional<std::string>& ns = call.route.resource.ns;
    const auto limit = integer(call.route.parameter("limit").empty() ? "0" : call.route.parameter("limit"));
    if (!limit) {
        return std::unexpected(
            bad_request("limit: expected a number, found \"" + call.route.parameter("limit") + "\""));
    }
    PageCache::ListingPtr listing;
    PageStart start;
    const std::string token = call.route.parameter("continue");
    if (!token.empty()) {
        MANUL_TRY(start, parse_continue(token));
        listing = pages_.find(key.kind, ns, start.revision, call.around.now);
        if (!listing) {
            return std::unexpected(
                expired("The provided continue parameter is too old to display a consistent list result. You must "
                        "start a new list without the continue parameter."));
        }
    } else {
        auto read = store_.list({.kind = key.kind, .ns = ns, .name_prefix = {}});
        if (!read) {
            return std::unexpected(problem_of(read.error(), key));
        }
        listing = std::make_shared<const store::Listing>(*std::move(read));
        const std::string asked = call.route.parameter("resourceVersion");
        MANUL_CHECK(check_revision(asked, listing->revision));
        if (call.route.parameter("resourceVersionMatch") == "Exact" && asked != listing->revision) {
            return std::unexpected(expired("The provided resource version is too old."));
        }
    }
    const auto visible = visibility(call.access, "list", key);
    std::vector<const store::Object*> items;
    std::size_t left = 0;
    for (const store::Object& item : listing->items) {
        const bool before = !token.empty() && std::pair(item.key.ns, item.key.name) <= std::pair(start.ns, start.name);
        if (before || (ns && item.key.ns != *ns) || !passes(*item.document, selection, visible)) {
            continue;
        }
        if (*limit != 0 && items.size() == static_cast<std::size_t>(*limit)) {
            ++left;
            if (!selection.empty() || visible) {
                break;  // how many are left is told for whole lists alone
            }
            continue;
        }
        items.push_back(&item);
    }
    json::object metadata = list_metadata(*listing);
    if (left > 0) {
        metadata["continue"] = continue_token(listing->revision, items.back()->key);
        if (selection.empty() && !visible) {
            metadata["remainingItemCount"] = left;
        }
        if (token.empty()) {
            pages_.keep(key.kind, ns, listing, call.around.now);
        }
    }
    return plain(
        render_list(key.kind, items, metadata, rendering_of(call.request, call.route, call.access, call.around.now)));
}

Outcome<Answer> Api::watch(Call& call) {
    const model::Key key = call.key();
    if (!call.access.may_somewhere("watch", key)) {
        return std::unexpected(call.access.refusal("watch", key));
    }
    WatchRequest watch{.kind = key.kind, .ns = call.route.resource.ns};
    MANUL_TRY(watch.selection, selection_of(call.route));
    watch.rendering = rendering_of(call.request, call.route, call.access, call.around.now);
    watch.visible = visibility(call.access, "watch", key);
    watch.bookmarks = call.route.flag("allowWatchBookmarks");
    const std::string asked = call.route.parameter("resourceVersion");
    if (!asked.empty() && !integer(asked)) {
        return std::unexpected(bad_request("invalid resource version: \"" + asked + "\""));
    }
    const auto timeout = integer(call.route.parameter("timeoutSeconds"));
    watch.timeout_seconds = std::min(timeout && *timeout > 0 ? *timeout : kUsualWatch, kLongestWatch);
    watch.marks_initial_end = call.route.flag("sendInitialEvents");
    watch.revision = asked;
    if (asked.empty() || asked == "0" || watch.marks_initial_end) {
        const auto listing = store_.list({.kind = key.kind, .ns = watch.ns, .name_prefix = {}});
        if (!listing) {
            return std::unexpected(problem_of(listing.error(), key));
        }
        MANUL_CHECK(check_revision(asked, listing->revision));
        watch.revision = listing->revision;
        for (const store::Object& item : listing->items) {
            if (passes(*item.document, watch.selection, watch.visible)) {
                watch.initial.push_back(*item.document);
            }
        }
    }
    return Answer{.response = {}, .watch = std::move(watch)};
}

Outcome<Answer> Api::access_review(Call& call) const {
    if (call.request.method != "POST") {
        return std::unexpected(method_not_allowed());
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

Outcome<Answer> Api::self_review(Call& call) const {
    if (call.request.method != "POST") {
        return std::unexpected(method_not_allowed());
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
