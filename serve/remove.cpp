#include <algorithm>
#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "config/codec/secret.hpp"
#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"
#include "config/store/admission.hpp"
#include "config/store/document.hpp"
#include "config/store/kubernetes/read_backend.hpp"
#include "config/store/namespaces.hpp"
#include "config/store/store.hpp"
#include "serve/call.hpp"
#include "serve/write.hpp"

/// DELETE.
namespace manul::serve {

using codec::Tree;
using Code = store::StoreError::Code;
using model::Kind;

namespace {

constexpr std::array<std::string_view, 1> kDryRuns{"All"};
/// Nothing depends on other objects here, so all of them mean the same.
constexpr std::array<std::string_view, 3> kPropagations{"Foreground", "Background", "Orphan"};
constexpr int kAttempts = 20;
/// Of Calico's controllers, which no Manul has: what they look after, the store's own checks do.
constexpr std::string_view kCalicoFinalizer = "projectcalico.org/";

std::vector<std::string> finalizers_of(const Tree& document) {
    const Tree* metadata = document.find("metadata");
    const Tree* list = metadata == nullptr ? nullptr : metadata->find("finalizers");
    std::vector<std::string> out;
    for (const Tree& one : list == nullptr ? std::vector<Tree>{} : list->children) {
        out.push_back(one.text);
    }
    return out;
}

/// Whether somebody must agree before the object goes. A Namespace's are the store's business.
bool is_held(Kind kind, const Tree& document) {
    return kind != Kind::namespace_ && std::ranges::any_of(finalizers_of(document), [](const std::string& finalizer) {
               return !finalizer.starts_with(kCalicoFinalizer);
           });
}

struct TypedOption {
    std::string_view name;
    Tree::Type type;
    std::string_view expected;
};
constexpr auto kOptions = std::to_array<TypedOption>({{"dryRun", Tree::Type::list, "a list"},
                                                      {"preconditions", Tree::Type::map, "an object"},
                                                      {"gracePeriodSeconds", Tree::Type::number, "a number"},
                                                      {"orphanDependents", Tree::Type::boolean, "true or false"},
                                                      {"propagationPolicy", Tree::Type::text, "text"}});
constexpr auto kPreconditionTypes =
    std::to_array<TypedOption>({{"uid", Tree::Type::text, "text"}, {"resourceVersion", Tree::Type::text, "text"}});

/// What has another type would count as not given, and something would be deleted.
Outcome<void> check_types(const Tree& options, std::span<const TypedOption> known) {
    for (const TypedOption& option : known) {
        const Tree* given = options.find(option.name);
        if (given != nullptr && given->type != option.type && given->type != Tree::Type::null) {
            return std::unexpected(bad_request("DeleteOptions: " + std::string(option.name) + ": expected " +
                                               std::string(option.expected)));
        }
    }
    return {};
}

/// Nothing when it is not given: the empty one is that of no object.
std::optional<std::string> text_of(const Tree& map, std::string_view name) {
    const Tree* found = map.find(name);
    return found == nullptr || found->type == Tree::Type::null ? std::nullopt : std::optional(found->text);
}

}  // namespace

struct Writer::DeleteOptions {
    std::optional<std::string> uid;
    std::optional<std::string> resource_version;
    bool dry_run = false;
};

Outcome<Writer::DeleteOptions> Writer::delete_options() const {
    MANUL_TRY(Tree body, parse_body(context_.request));
    DeleteOptions out;
    out.dry_run = dry_run_;
    if (body.type == Tree::Type::null) {  // without a body the query says it
        body.assign(Tree{.type = Tree::Type::map});
        if (context_.route.query.contains("propagationPolicy")) {
            body.make("propagationPolicy").assign(Tree::of_text(context_.route.parameter("propagationPolicy")));
        }
        if (context_.route.flag("orphanDependents")) {
            body.make("orphanDependents").assign(Tree{.type = Tree::Type::boolean, .text = "true"});
        }
        MANUL_CHECK(integer_parameter(context_.route, "gracePeriodSeconds"));
    }
    if (!body.is_map()) {
        return std::unexpected(bad_request("the body of a delete is a DeleteOptions"));
    }
    if (const std::string_view kind = body.text_at("kind"); !kind.empty() && kind != "DeleteOptions") {
        return std::unexpected(bad_request("the body of a delete is a DeleteOptions, not a " + std::string(kind)));
    }
    MANUL_CHECK(check_types(body, kOptions));
    if (const Tree* preconditions = body.find("preconditions")) {
        MANUL_CHECK(check_types(*preconditions, kPreconditionTypes));
        out.uid = text_of(*preconditions, "uid");
        out.resource_version = text_of(*preconditions, "resourceVersion");
    }
    std::vector<Cause> causes;
    const auto check = [&](const std::string& field, const Tree& value, std::span<const std::string_view> known) {
        if (std::ranges::find(known, value.text) == known.end()) {
            std::string message = "Unsupported value: \"" + value.text + "\": supported values:";
            for (const std::string_view one : known) {
                message.append(one == known.front() ? " \"" : ", \"").append(one).append("\"");
            }
            causes.push_back({"FieldValueNotSupported", std::move(message), field});
        }
    };
    if (const Tree* dry = body.find("dryRun"); dry != nullptr) {
        for (const Tree& value : dry->children) {
            check("dryRun", value, kDryRuns);
            out.dry_run = true;
        }
    }
    const Tree* policy = body.find("propagationPolicy");
    const Tree* orphans = body.find("orphanDependents");
    if (policy != nullptr && policy->type != Tree::Type::null) {
        check("propagationPolicy", *policy, kPropagations);
        if (orphans != nullptr && orphans->type != Tree::Type::null) {
            causes.push_back(
                {"FieldValueInvalid",
                 "Invalid value: \"" + policy->text + "\": orphanDependents and deletionPropagation cannot be both set",
                 "propagationPolicy"});
        }
    }
    if (!causes.empty()) {
        return std::unexpected(invalid_options("DeleteOptions", std::move(causes)));
    }
    return out;
}

Outcome<Response> Writer::remove() {
    if (!is_tiered(key_.kind) && !context_.access.may("delete", key_)) {
        const Problem refused = context_.access.refusal("delete", key_);
        context_.audit.push_back({"delete", key_, {}, refused.code, refused.message, {}, {}});
        return std::unexpected(refused);
    }
    MANUL_CHECK(read_options());
    const auto current = context_.store.get(key_);
    const auto stored = current ? codec::parse_json(*current->document) : Result<Tree>(Tree{});
    if (!context_.access.may_with("delete", key_, current && stored ? &*stored : nullptr)) {
        const Problem refused = context_.access.refusal("delete", key_);
        context_.audit.push_back({"delete", key_, {}, refused.code, refused.message, {}, {}});
        return std::unexpected(refused);
    }
    MANUL_TRY(const DeleteOptions options, delete_options());
    store::Object object{key_, {}, nullptr};
    if (current) {
        object = *current;
    } else if (current.error().code != Code::corrupt) {  // what cannot be read can be deleted
        return std::unexpected(problem_of(current.error(), key_));
    }
    MANUL_CHECK(remove_one("delete", object, options));
    if ((held_ || key_.kind == Kind::namespace_) && !after_.empty()) {  // it may take a while: what it is now
        MANUL_TRY(const Rendering rendering,
                  rendering_of(context_.request, context_.route, context_.access, context_.store, context_.now));
        return object_response(key_.kind, after_, rendering);
    }
    return Response{
        .body = success_json(key_.kind, key_.name, stored ? stored->text_at("metadata", "uid") : std::string_view{}) +
                "\n"};
}

Outcome<void> Writer::remove_one(const std::string& verb, const store::Object& object, const DeleteOptions& options,
                                 int attempt) {
    const auto tree = object.document ? codec::parse_json(*object.document) : Result<Tree>(Tree{});
    const std::string uid(tree ? tree->text_at("metadata", "uid") : std::string_view{});
    const model::Key& key = object.key;
    if (options.uid && *options.uid != uid) {
        return std::unexpected(
            conflict(key.kind, key.name,
                     "Precondition failed: UID in precondition: " + *options.uid + ", UID in object meta: " + uid));
    }
    if (options.resource_version && *options.resource_version != object.revision) {
        return std::unexpected(
            conflict(key.kind, key.name,
                     "Precondition failed: ResourceVersion in precondition: " + *options.resource_version +
                         ", ResourceVersion in object meta: " + object.revision));
    }
    if (options.dry_run) {
        store::kubernetes::ReadBackend reader(context_.store);
        const store::PlannedWrite write{key, object.document ? std::string_view(*object.document) : std::string_view{},
                                        nullptr};
        const auto checked = store::admit_writes(reader, std::span(&write, 1));
        return checked ? Outcome<void>() : std::unexpected(problem_of(checked.error(), key));
    }
    const bool exact = options.uid || options.resource_version;
    store::NamespaceEnd end;
    held_ = tree && is_held(key.kind, *tree);
    auto removed =
        held_ ? mark(object, *tree)
        : key.kind == Kind::namespace_
            ? store::remove_namespace(context_.store, key.name, exact ? std::optional(object.revision) : std::nullopt,
                                      store::format_timestamp(context_.now), end)
            // As it was read: else a finalizer that came meanwhile would not be looked at.
            : context_.store.remove(key, tree ? std::optional(object.revision) : std::nullopt);
    if (!removed && removed.error().code == Code::conflict && !exact && attempt < kAttempts) {
        if (auto newest = context_.store.get(key)) {
            return remove_one(verb, *newest, options, attempt + 1);
        }
    }
    const unsigned code = removed ? 200U : problem_of(removed.error(), key).code;
    for (const model::Key& content : end.removed) {
        context_.audit.push_back({verb, content, {}, 200U, "", {}, {}});
    }
    context_.audit.push_back({verb,
                              key,
                              {},
                              code,
                              removed ? "" : removed.error().message,
                              object.document ? *object.document : std::string(),
                              held_ && removed ? *removed->document : std::string()});
    if (!removed) {
        return std::unexpected(problem_of(removed.error(), key));
    }
    after_ = removed->document ? *removed->document : std::string();
    return {};
}

/// From now on it is an object whose deletion was asked for: it goes with its last finalizer.
store::StoreResult<store::Object> Writer::mark(const store::Object& object, Tree document) {
    if (store::is_ending(*object.document)) {
        return object;
    }
    const store::PlannedWrite write{object.key, std::string_view(*object.document), nullptr};
    store::kubernetes::ReadBackend reader(context_.store);
    MANUL_CHECK(store::admit_writes(reader, std::span(&write, 1)));
    document.make("metadata").make("deletionTimestamp").assign(Tree::of_text(store::format_timestamp(context_.now)));
    const store::Op put = store::Put{object.key, codec::to_json(document), store::Precondition{false, object.revision}};
    MANUL_CHECK(context_.store.transact(std::span(&put, 1), store::Checks::own_fields_only));
    return context_.store.get(object.key);
}

Outcome<bool> Writer::lets_go(const Tree& document, const Tree& stored) const {
    if (stored.text_at("metadata", "deletionTimestamp").empty() || key_.kind == Kind::namespace_) {
        return false;
    }
    const std::vector<std::string> before = finalizers_of(stored);
    std::string added;
    for (const std::string& one : finalizers_of(document)) {
        if (std::ranges::find(before, one) == before.end()) {
            added.append(added.empty() ? "\"" : ", \"").append(one).append("\"");
        }
    }
    if (!added.empty()) {
        return std::unexpected(invalid(key_.kind, key_.name,
                                       {{"FieldValueForbidden",
                                         "Forbidden: no new finalizers can be added if the object is being deleted, "
                                         "found new finalizers []string{" +
                                             added + "}",
                                         "metadata.finalizers"}}));
    }
    return !is_held(key_.kind, document);
}

Outcome<store::Object> Writer::let_go(const std::string& text, const store::Object& before) {
    MANUL_TRY(store::Object last, dry_run(text, &before));
    if (!dry_run_) {
        if (const auto removed = context_.store.remove(key_, before.revision); !removed) {
            return std::unexpected(problem_of(removed.error(), key_));
        }
    }
    return last;
}

Outcome<Response> Writer::remove_all(const Selection& selection) {
    if (!context_.access.may_somewhere("deletecollection", key_)) {
        return std::unexpected(context_.access.refusal("deletecollection", key_));
    }
    MANUL_CHECK(read_options());
    MANUL_TRY(const DeleteOptions options, delete_options());
    MANUL_TRY(const std::int64_t limit, integer_parameter(context_.route, "limit"));
    std::int64_t count = 0;
    const auto listing = context_.store.list({.kind = key_.kind, .ns = context_.route.resource.ns, .name_prefix = {}});
    if (!listing) {
        return std::unexpected(problem_of(listing.error(), key_));
    }
    std::string items;
    for (const store::Object& object : listing->items) {
        if (limit > 0 && count == limit) {
            break;  // one page; what comes next is the next request's
        }
        const auto tree = codec::parse_json(*object.document);
        if (!tree || !selection.matches(*tree) || !context_.access.may_with("deletecollection", object.key, &*tree)) {
            continue;
        }
        if (const auto removed = remove_one("deletecollection", object, options); !removed) {
            if (removed.error().reason == "NotFound") {
                continue;
            }
            return std::unexpected(removed.error());
        }
        ++count;
        const bool hides = key_.kind == Kind::secret;
        items += (items.empty() ? "" : ",") +
                 (hides ? codec::masked_secret(*object.document).value_or("{}") : *object.document);
    }
    return Response{.body = R"({"kind":")" + std::string(model::info(key_.kind).name) + R"(List","apiVersion":")" +
                            model::api_version(key_.kind) + R"(","metadata":{"resourceVersion":")" + listing->revision +
                            R"("},"items":[)" + items + "]}\n"};
}

}  // namespace manul::serve
