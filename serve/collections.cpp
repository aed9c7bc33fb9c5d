#include <algorithm>
#include <charconv>
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
#include "config/model/kind.hpp"
#include "config/store/store.hpp"
#include "config/store/watched_kinds.hpp"
#include "serve/api.hpp"
#include "serve/call.hpp"
#include "serve/page_cache.hpp"

/// Lists and watches.
namespace manul::serve {

namespace json = boost::json;
using model::Kind;

namespace {

constexpr std::int64_t kLongestWatch = 3600;
constexpr std::int64_t kUsualWatch = 1800;
constexpr std::string_view kExact = "Exact";
constexpr std::string_view kNotOlder = "NotOlderThan";

std::optional<std::int64_t> integer(const std::string& text) {
    std::int64_t value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    return failed == std::errc{} && end == text.data() + text.size() && value >= 0 ? std::optional(value)
                                                                                   : std::nullopt;
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

/// Of a resource_name().
std::optional<Kind> find_resource(std::string_view name) {
    const auto kinds = model::all_kinds();
    const auto found =
        std::ranges::find_if(kinds, [&](const model::KindInfo& info) { return resource_name(info.kind) == name; });
    return found == kinds.end() ? std::nullopt : std::optional(found->kind);
}

Outcome<std::int64_t> watch_time(const Route& route) {
    MANUL_TRY(const std::int64_t asked, integer_parameter(route, "timeoutSeconds"));
    return std::min(asked > 0 ? asked : kUsualWatch, kLongestWatch);
}

/// Who may list or watch objects by name asks for one by its field (`kubectl get NAME --watch` does).
model::Key asked_key(model::Key key, const Selection& selection) {
    key.name = selection.fields.only_name();
    return key;
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

/// Whether the caller may see values that he was perhaps not shown when he read the watch's revision.
bool is_outdated(const WatchRequest& watch) {
    const ReferencedSecrets* referenced = watch.rendering.secrets.referenced();
    return referenced != nullptr && store::parse_revision(watch.revision).value_or(0) < referenced->since;
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
    const bool partial = !rendering.metadata_version.empty();
    const bool hides = partial || (kind == Kind::secret && !rendering.secrets.is_everything());
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
    const std::string name = partial ? "PartialObjectMetadata" : std::string(model::info(kind).name);
    const std::string version = partial ? "meta.k8s.io/" + rendering.metadata_version : model::api_version(kind);
    std::string out = R"({"kind":")" + name + R"(List","apiVersion":")" + version + R"(","metadata":)" +
                      json::serialize(metadata) + R"(,"items":[)";
    for (std::size_t i = 0; i < documents.size(); ++i) {
        out += i == 0 ? "" : ",";
        out += documents[i];
    }
    out += "]}\n";
    return out;
}

/// What a list shows that begins now.
Outcome<PageCache::ListingPtr> first_page(const Route& route, const model::Key& key, store::Store& store) {
    const std::string asked = route.parameter("resourceVersion");
    auto read = store.list({.kind = key.kind, .ns = route.resource.ns, .name_prefix = {}});
    if (!read) {
        return std::unexpected(problem_of(read.error(), key));
    }
    MANUL_CHECK(check_revision(asked, read->revision));
    if (route.parameter("resourceVersionMatch") == kExact && asked != read->revision) {
        return std::unexpected(expired("The provided resource version is too old."));
    }
    return std::make_shared<const store::Listing>(*std::move(read));
}

/// What the first page of this list has shown a part of.
Outcome<PageCache::ListingPtr> later_page(const Route& route, const model::Key& key, const PageStart& start,
                                          PageCache& pages, std::int64_t now) {
    const std::string asked = route.parameter("resourceVersion");
    if (!asked.empty() && asked != "0") {
        return std::unexpected(bad_request("specifying resource version is not allowed when using continue"));
    }
    PageCache::ListingPtr listing = pages.find(key.kind, route.resource.ns, start.revision, now);
    if (!listing) {
        return std::unexpected(
            expired("The provided continue parameter is too old to display a consistent list result. You must "
                    "start a new list without the continue parameter."));
    }
    return listing;
}

}  // namespace

Outcome<void> check_list_options(const Route& route, bool watches) {
    std::vector<Cause> causes;
    const auto forbid = [&](bool wrong, const char* field, const std::string& why) {
        if (wrong) {
            causes.push_back({"FieldValueForbidden", "Forbidden: " + why, field});
        }
    };
    const std::string match = route.parameter("resourceVersionMatch");
    const std::string version = route.parameter("resourceVersion");
    const bool initial = route.query.contains("sendInitialEvents");
    constexpr const char* kMatch = "resourceVersionMatch";
    forbid(!watches && initial, "sendInitialEvents", "sendInitialEvents is forbidden for list");
    forbid(watches && initial && match != kNotOlder, kMatch,
           "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
    if (!match.empty()) {
        forbid(watches && !initial, kMatch,
               "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
        forbid(!watches && version.empty(), kMatch,
               "resourceVersionMatch is forbidden unless resourceVersion is provided");
        forbid(!route.parameter("continue").empty(), kMatch,
               "resourceVersionMatch is forbidden when continue is provided");
        forbid(!watches && match == kExact && version == "0", kMatch,
               "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
        if (match != kNotOlder && (watches || match != kExact)) {
            causes.push_back({"FieldValueNotSupported",
                              "Unsupported value: \"" + match + "\": supported values: " +
                                  (watches ? "\"NotOlderThan\"" : "\"Exact\", \"NotOlderThan\""),
                              kMatch});
        }
    }
    return causes.empty() ? Outcome<void>() : std::unexpected(invalid_options("ListOptions", std::move(causes)));
}

Outcome<std::int64_t> integer_parameter(const Route& route, std::string_view name) {
    const std::string text = route.parameter(name);
    std::int64_t value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (!text.empty() && (failed != std::errc{} || end != text.data() + text.size())) {
        return std::unexpected(bad_request(std::string(name) + ": expected a number, found \"" + text + "\""));
    }
    return value;
}

Outcome<Selection> selection_of(const Route& route) {
    Selection selection;
    MANUL_TRY(selection.labels, LabelQuery::parse(route.parameter("labelSelector")));
    MANUL_TRY(selection.fields, FieldQuery::parse(route.resource.kind, route.parameter("fieldSelector")));
    return selection;
}

Outcome<Answer> Api::list(Call& call) {
    MANUL_TRY(const Selection selection, selection_of(call.route));
    const model::Key key = asked_key(call.key(), selection);
    if (!call.access.may_somewhere("list", key)) {
        return std::unexpected(call.access.refusal("list", key));
    }
    MANUL_TRY(const std::int64_t limit, integer_parameter(call.route, "limit"));
    MANUL_CHECK(check_list_options(call.route, false));
    const std::string token = call.route.parameter("continue");
    MANUL_TRY(const std::optional<PageStart> start,
              token.empty() ? Outcome<std::optional<PageStart>>(std::nullopt) : parse_continue(token));
    MANUL_TRY(const PageCache::ListingPtr listing, start ? later_page(call.route, key, *start, pages_, call.around.now)
                                                         : first_page(call.route, key, store_));
    const auto visible = visibility(call.access, "list", key);
    // Items are in the order of their keys: a page costs what it shows, however long the list.
    const auto place = [](const store::Object& item) {
        return std::pair<std::string_view, std::string_view>(item.key.ns, item.key.name);
    };
    auto item = listing->items.begin();
    if (start) {
        item = std::ranges::upper_bound(
            listing->items, std::pair<std::string_view, std::string_view>(start->ns, start->name), {}, place);
    }
    const bool whole = selection.empty() && !visible;
    std::vector<const store::Object*> items;
    std::size_t left = 0;
    for (; item != listing->items.end(); ++item) {
        if (!passes(*item->document, selection, visible)) {
            continue;
        }
        if (limit > 0 && items.size() == static_cast<std::size_t>(limit)) {
            left = static_cast<std::size_t>(listing->items.end() - item);
            break;
        }
        items.push_back(&*item);
    }
    json::object metadata = list_metadata(*listing);
    if (left > 0) {
        metadata["continue"] = continue_token(listing->revision, items.back()->key);
        if (whole) {  // what a selection leaves out is not known beforehand
            metadata["remainingItemCount"] = left;
        }
        if (!start) {
            pages_.keep(key.kind, call.route.resource.ns, listing, call.around.now);
        }
    }
    // After the list: what is referenced by its revision is shown.
    MANUL_TRY(const Rendering rendering,
              rendering_of(call.request, call.route, call.access, call.store, call.around.now));
    return Answer{.response = {.body = render_list(key.kind, items, metadata, rendering)}};
}

Outcome<Answer> Api::watch(Call& call) {
    MANUL_TRY(Selection selection, selection_of(call.route));
    const model::Key key = asked_key(call.key(), selection);
    if (!call.access.may_somewhere("watch", key)) {
        return std::unexpected(call.access.refusal("watch", key));
    }
    WatchRequest watch{.kind = key.kind, .ns = call.route.resource.ns, .selection = std::move(selection)};
    MANUL_TRY(watch.rendering, rendering_of(call.request, call.route, call.access, call.store, call.around.now));
    watch.visible = visibility(call.access, "watch", key);
    watch.bookmarks = call.route.flag("allowWatchBookmarks");
    const std::string asked = call.route.parameter("resourceVersion");
    if (!asked.empty() && !integer(asked)) {
        return std::unexpected(bad_request("invalid resource version: \"" + asked + "\""));
    }
    MANUL_CHECK(check_list_options(call.route, true));
    MANUL_TRY(watch.timeout_seconds, watch_time(call.route));
    const bool from_now = asked.empty() || asked == "0";
    const bool marked = call.route.flag("sendInitialEvents");
    const bool initial = marked || (from_now && !call.route.query.contains("sendInitialEvents"));
    watch.marks_initial_end = marked && watch.bookmarks;
    watch.revision = asked;
    watch.outdated = !from_now && !initial && is_outdated(watch);
    if (from_now || initial) {
        const auto listing = store_.list({.kind = key.kind, .ns = watch.ns, .name_prefix = {}});
        if (!listing) {
            return std::unexpected(problem_of(listing.error(), key));
        }
        MANUL_CHECK(check_revision(asked, listing->revision));
        watch.revision = listing->revision;
        for (const store::Object& item : listing->items) {
            if (initial && passes(*item.document, watch.selection, watch.visible)) {
                watch.initial.push_back(*item.document);
            }
        }
    }
    Answer answer;
    answer.watches.push_back(std::move(watch));
    return answer;
}

/// `starts=PLURAL[.GROUP]:REVISION,…`: what a watch of each kind from that revision would bring, with bookmarks. The
/// end of one kind (an ERROR that names it in its details) is not that of the others. Kubernetes' API has no such
/// thing, and daemons would need a connection for each of some twenty kinds.
Outcome<Answer> Api::watches(Call& call) {
    Answer answer;
    const std::string starts = call.route.parameter("starts");
    for (std::string_view rest = starts; !rest.empty();) {
        const std::string_view start = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(start.size() + 1, rest.size()));
        const std::size_t colon = start.find(':');
        const std::string revision(colon == std::string_view::npos ? std::string_view{} : start.substr(colon + 1));
        const auto kind = find_resource(start.substr(0, colon));
        const bool twice =
            kind && std::ranges::any_of(answer.watches, [&](const WatchRequest& w) { return w.kind == *kind; });
        if (!kind || twice || !integer(revision)) {
            return std::unexpected(
                bad_request("starts: expected each kind once, as networksets.projectcalico.org:12, "
                            "found \"" +
                            std::string(start) + "\""));
        }
        const model::Key key{*kind, "", ""};
        if (!call.access.may_somewhere("watch", key)) {
            return std::unexpected(call.access.refusal("watch", key));
        }
        WatchRequest watch{.kind = *kind, .ns = {}};
        if (*kind == Kind::secret) {
            MANUL_TRY(watch.rendering.secrets, secret_view(call.route, "", call.access, call.store));
        }
        watch.visible = visibility(call.access, "watch", key);
        watch.bookmarks = true;
        MANUL_TRY(watch.timeout_seconds, watch_time(call.route));
        watch.revision = revision;
        watch.outdated = is_outdated(watch);
        answer.watches.push_back(std::move(watch));
    }
    if (answer.watches.empty()) {
        return std::unexpected(bad_request("starts: expected at least one kind and revision"));
    }
    return answer;
}

}  // namespace manul::serve
