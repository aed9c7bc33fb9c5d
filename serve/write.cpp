#include "serve/write.hpp"

#include <algorithm>
#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/codec/secret.hpp"
#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"
#include "config/model/rbac.hpp"
#include "config/store/admission.hpp"
#include "config/store/document.hpp"
#include "config/store/kubernetes/read_backend.hpp"
#include "config/store/store.hpp"
#include "serve/call.hpp"
#include "serve/documents.hpp"
#include "serve/patch.hpp"

namespace manul::serve {

namespace json = boost::json;
using codec::Tree;
using Code = store::StoreError::Code;
using model::Kind;

namespace {

/// Attempts of a write that names no version, against others' writes to the same object.
constexpr int kAttempts = 20;
constexpr std::size_t kNameSuffix = 5;

bool is_unknown_field_message(const model::Finding& finding) {
    return finding.unknown_field && finding.severity == model::Finding::Severity::error;
}

/// Custom kinds, as Kubernetes sees them: all that are not its own.
bool is_custom(Kind kind) {
    const std::string_view group = model::info(kind).group;
    return group == "projectcalico.org" || group == "manul.io" || group == "policy.networking.k8s.io";
}

Tree* metadata_of(Tree& document) { return document.find("metadata"); }

/// Fields that the server keeps by itself; what a client sends there is not looked at.
void drop_server_fields(Tree& document) {
    if (Tree* metadata = metadata_of(document)) {
        for (const char* field : {"managedFields", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"}) {
            metadata->erase(field);
        }
    }
}

void put_status(Tree& document, const Tree* from) {
    const Tree* status = from == nullptr ? nullptr : from->find("status");
    if (status == nullptr) {
        document.erase("status");
    } else {
        document.make("status").assign(*status);
    }
}

std::string random_suffix() {
    // Letters that make no words, as Kubernetes takes them.
    static constexpr std::string_view kLetters = "bcdfghjklmnpqrstvwxz2456789";
    std::string out;
    for (const char c : store::make_uid()) {
        if (out.size() < kNameSuffix && c != '-') {
            out += kLetters[(static_cast<unsigned char>(c) * 7U + out.size() * 3U) % kLetters.size()];
        }
    }
    return out;
}

/// Removes what a finding's path names; nothing happens when it is not there.
bool erase_at(Tree& document, const std::string& path) {
    const std::size_t dot = path.find_last_of(".[");
    if (path.ends_with("\"]")) {
        const std::size_t bracket = path.rfind("[\"");
        Tree& parent = const_cast<Tree&>(codec::nearest(document, path.substr(0, bracket)));
        parent.erase(path.substr(bracket + 2, path.size() - bracket - 4));
        return true;
    }
    if (dot == std::string::npos) {
        document.erase(path);
        return true;
    }
    if (path[dot] != '.') {
        return false;
    }
    Tree& parent = const_cast<Tree&>(codec::nearest(document, path.substr(0, dot)));
    parent.erase(path.substr(dot + 1));
    return true;
}

struct DeleteOptions {
    std::string uid;
    std::string resource_version;
    bool dry_run = false;
};

Outcome<DeleteOptions> delete_options(const Request& request) {
    MANUL_TRY(const Tree body, parse_body(request));
    DeleteOptions out;
    if (!body.is_map()) {
        return out;
    }
    if (const Tree* preconditions = body.find("preconditions")) {
        out.uid = preconditions->text_at("uid");
        out.resource_version = preconditions->text_at("resourceVersion");
    }
    if (const Tree* dry = body.find("dryRun"); dry != nullptr && dry->is_list() && !dry->children.empty()) {
        out.dry_run = true;
    }
    return out;
}

}  // namespace

Outcome<void> check_grants(const Access& access, const model::Key& key, std::string_view document) {
    const auto decoded = codec::decode(key.kind, document, codec::Mode::lenient);
    const Rights& rights = access.rights();
    const auto refuse = [&](const std::string& what) {
        return std::unexpected(forbidden(key.kind, key.name,
                                         "user \"" + access.caller().user +
                                             "\" is attempting to grant rights not "
                                             "currently held: " +
                                             what));
    };
    const auto judge = [&](const std::vector<model::PolicyRule>* rules, const char* verb) -> Outcome<void> {
        if (access.may(verb, key) || (rules != nullptr && rights.covers(access.caller(), *rules, key.ns))) {
            return {};
        }
        return refuse(rules == nullptr ? "the role does not exist" : "a rule goes beyond them");
    };
    if (const auto role = model::as<model::Role>(decoded.resource)) {
        return judge(&role->rules, "escalate");
    }
    if (const auto cluster = model::as<model::ClusterRole>(decoded.resource)) {
        return cluster->aggregation_rule && !access.may("escalate", key)
                   ? Outcome<void>(refuse("a role that adds up others needs the verb escalate"))
                   : judge(&cluster->rules, "escalate");
    }
    if (const auto binding = model::as<model::RoleBinding>(decoded.resource)) {
        return judge(rights.rules_of(binding->role_ref, key.ns), "bind");
    }
    if (const auto everywhere = model::as<model::ClusterRoleBinding>(decoded.resource)) {
        return judge(rights.rules_of(everywhere->role_ref, ""), "bind");
    }
    return {};
}

Writer::Writer(WriteContext context) : context_(context) {
    const ResourcePath& path = context.route.resource;
    key_ = {path.kind, path.ns.value_or(""), path.name};
    subresource_ = path.subresource;
}

Outcome<void> Writer::read_options() {
    const std::string dry = context_.route.parameter("dryRun");
    if (!dry.empty() && dry != "All") {
        return std::unexpected(bad_request("dryRun: expected All, found \"" + dry + "\""));
    }
    dry_run_ = !dry.empty();
    const std::string strictness = context_.route.parameter("fieldValidation");
    if (!strictness.empty() && strictness != "Strict" && strictness != "Warn" && strictness != "Ignore") {
        return std::unexpected(
            bad_request("fieldValidation: expected Strict, Warn or Ignore, found \"" + strictness + "\""));
    }
    return {};
}

Outcome<Written> Writer::create() {
    auto done = create_checked();
    context_.audit.push_back(
        {"create", key_, {}, done ? 201U : done.error().code, done ? "" : done.error().message, {}, after_});
    return done;
}

Outcome<Written> Writer::create_checked() {
    const model::KindInfo& info = model::info(key_.kind);
    // The name comes with the body, but who may create nothing at all is not told what is wrong with it.
    if (!is_tiered(key_.kind) && !context_.access.may("create", key_)) {
        return std::unexpected(context_.access.refusal("create", key_));
    }
    MANUL_CHECK(read_options());
    MANUL_TRY(Tree document, parse_body(context_.request));
    if (!document.is_map()) {
        return std::unexpected(bad_request("the body of the request is no object"));
    }
    Tree& metadata = document.make("metadata");
    if (metadata.text_at("name").empty() && !metadata.text_at("generateName").empty()) {
        metadata.make("name").assign(Tree::of_text(std::string(metadata.text_at("generateName")) + random_suffix()));
    }
    if (!metadata.text_at("resourceVersion").empty()) {
        return std::unexpected(bad_request("resourceVersion should not be set on objects to be created"));
    }
    key_.name = metadata.text_at("name");
    if (info.namespaced && key_.ns.empty()) {
        return std::unexpected(bad_request("an object of this kind is created at the path of its namespace"));
    }
    MANUL_CHECK(check_envelope(document));
    if (has_status(key_.kind)) {
        document.erase("status");
    }
    if (!context_.access.may_with("create", key_, &document)) {
        return std::unexpected(context_.access.refusal("create", key_));
    }
    MANUL_TRY(const std::string text, validated(std::move(document), nullptr));
    MANUL_CHECK(check_grants(context_.access, key_, text));
    MANUL_TRY(const store::Object object, commit(text, nullptr));
    after_ = *object.document;
    return Written{*object.document, true};
}

Outcome<Written> Writer::update() {
    return modify("update", [this](const Tree& stored) -> Outcome<Tree> {
        MANUL_TRY(Tree document, parse_body(context_.request));
        if (!document.is_map()) {
            return std::unexpected(bad_request("the body of the request is no object"));
        }
        if (document.text_at("metadata", "resourceVersion").empty() && is_custom(key_.kind)) {
            return std::unexpected(invalid(key_.kind, key_.name,
                                           {{"FieldValueInvalid", "Invalid value: 0x0: must be specified for an update",
                                             "metadata.resourceVersion"}}));
        }
        if (!subresource_.empty()) {
            Tree out = stored;
            put_status(out, &document);
            if (const Tree* version = document.make("metadata").find("resourceVersion")) {
                out.make("metadata").make("resourceVersion").assign(*version);
            }
            return out;
        }
        return document;
    });
}

Outcome<Written> Writer::patch() {
    const std::string_view type =
        std::string_view(context_.request.content_type).substr(0, context_.request.content_type.find(';'));
    const bool strategic = type == "application/strategic-merge-patch+json";
    const bool known = type == "application/merge-patch+json" || type == "application/json-patch+json" ||
                       (strategic && !is_custom(key_.kind));
    if (!known) {
        const std::string accepted =
            "application/json-patch+json, application/merge-patch+json" +
            std::string(is_custom(key_.kind) ? "" : ", application/strategic-merge-patch+json");
        if (!context_.access.may("patch", key_, subresource_) && !is_tiered(key_.kind)) {
            return std::unexpected(context_.access.refusal("patch", key_, subresource_));
        }
        Problem problem = unsupported_media_type(type, accepted);
        if (type == "application/apply-patch+yaml") {
            problem.message =
                "server-side apply is not offered: this server keeps no field managers; apply without --server-side";
        }
        return std::unexpected(std::move(problem));
    }
    return modify("patch", [this, type, strategic](const Tree& stored) -> Outcome<Tree> {
        MANUL_TRY(const Tree changes, parse_body(context_.request));
        Tree document = stored;
        if (strategic) {
            MANUL_CHECK(strategic_merge_patch(document, changes));
        } else if (type == "application/json-patch+json") {
            MANUL_CHECK(json_patch(document, changes));
        } else if (changes.is_map()) {
            merge_patch(document, changes);
        } else {
            return std::unexpected(bad_request("the merge patch is no object"));
        }
        if (!document.is_map()) {
            return std::unexpected(bad_request("the patch leaves no object"));
        }
        if (!subresource_.empty()) {
            Tree out = stored;
            put_status(out, &document);
            return out;
        }
        return document;
    });
}

Outcome<Written> Writer::modify(const std::string& verb, const Change& change) {
    auto done = modify_checked(verb, change);
    if (!done || before_ != after_) {
        context_.audit.push_back({verb, key_, subresource_, done ? 200U : done.error().code,
                                  done ? "" : done.error().message, before_, done ? after_ : std::string()});
    }
    return done;
}

Outcome<Written> Writer::modify_checked(const std::string& verb, const Change& change) {
    if (!is_tiered(key_.kind) && !context_.access.may(verb, key_, subresource_)) {
        return std::unexpected(context_.access.refusal(verb, key_, subresource_));
    }
    MANUL_CHECK(read_options());
    for (int attempt = 1;; ++attempt) {
        const auto current = context_.store.get(key_);
        const bool absent = !current && current.error().code == Code::not_found;
        auto stored = current ? codec::parse_json(*current->document) : Result<Tree>(Tree{});
        if (!context_.access.may_with(verb, key_, current && stored ? &*stored : nullptr, subresource_)) {
            return std::unexpected(context_.access.refusal(verb, key_, subresource_));
        }
        if (absent) {
            return std::unexpected(not_found(key_.kind, key_.name));
        }
        if (!current || !stored) {
            return std::unexpected(current ? Problem{.message = stored.error().message}
                                           : problem_of(current.error(), key_));
        }
        before_ = *current->document;
        MANUL_TRY(Tree document, change(*stored));
        MANUL_CHECK(check_envelope(document));
        const std::string version(document.text_at("metadata", "resourceVersion"));
        const std::string uid(document.text_at("metadata", "uid"));
        const std::string stored_uid(stored->text_at("metadata", "uid"));
        if (!uid.empty() && uid != stored_uid) {
            return std::unexpected(
                conflict(key_.kind, key_.name,
                         "Precondition failed: UID in precondition: " + uid + ", UID in object meta: " + stored_uid));
        }
        if (!version.empty() && version != current->revision) {
            return std::unexpected(modified(key_.kind, key_.name));
        }
        if (subresource_.empty() && has_status(key_.kind)) {
            put_status(document, &*stored);
        }
        if (!context_.access.may_with(verb, key_, &document, subresource_)) {  // into another tier
            return std::unexpected(context_.access.refusal(verb, key_, subresource_));
        }
        MANUL_TRY(const std::string text, validated(std::move(document), &*stored));
        MANUL_CHECK(check_grants(context_.access, key_, text));
        auto written = commit(text, &*current);
        // Who put a version into a PUT wants to know; a patch is simply applied to what is there now.
        const bool lost = !written && written.error().code == 409;
        if (lost && (verb == "patch" || version.empty()) && attempt < kAttempts) {
            continue;
        }
        if (!written) {
            return std::unexpected(std::move(written).error());
        }
        after_ = *written->document;
        return Written{*written->document, false};
    }
}

Outcome<void> Writer::check_envelope(Tree& document) {
    const model::KindInfo& info = model::info(key_.kind);
    const std::string version = model::api_version(key_.kind);
    for (const auto& [field, wanted] : {std::pair("apiVersion", version), std::pair("kind", std::string(info.name))}) {
        const Tree* found = document.find(field);
        if (found == nullptr || found->text.empty()) {
            document.make(field).assign(Tree::of_text(wanted));
        } else if (found->text != wanted) {
            return std::unexpected(bad_request("the " + std::string(field) + " in the data (" + found->text +
                                               ") does not match the expected " + field + " (" + wanted + ")"));
        }
    }
    Tree& metadata = document.make("metadata");
    if (!metadata.is_map()) {
        return std::unexpected(bad_request("metadata: expected an object"));
    }
    const std::string_view name = metadata.text_at("name");
    if (name.empty()) {
        return std::unexpected(
            invalid(key_.kind, "",
                    {{"FieldValueRequired", "Required value: name or generateName is required", "metadata.name"}}));
    }
    if (name != key_.name) {
        return std::unexpected(bad_request("the name of the object (" + std::string(name) +
                                           ") does not match the name on the URL (" + key_.name + ")"));
    }
    const std::string_view ns = metadata.text_at("namespace");
    if (!ns.empty() && ns != key_.ns) {
        return std::unexpected(
            bad_request("the namespace of the provided object does not match the namespace sent on the request"));
    }
    if (!key_.ns.empty() && ns.empty()) {
        metadata.make("namespace").assign(Tree::of_text(key_.ns));
    }
    drop_server_fields(document);
    return {};
}

Outcome<std::string> Writer::validated(Tree document, const Tree* before) {
    std::string text = codec::to_json(document);
    if (key_.kind == Kind::secret) {
        auto completed =
            codec::completed_secret(text, before == nullptr ? std::nullopt : std::optional(codec::to_json(*before)));
        if (!completed) {
            return std::unexpected(
                invalid(key_.kind, key_.name, {{"FieldValueInvalid", completed.error().message, ""}}));
        }
        text = *std::move(completed);
    }
    auto with_defaults = codec::with_creation_defaults(key_.kind, text);
    if (!with_defaults) {
        return std::unexpected(bad_request(with_defaults.error().message));
    }
    const codec::Decoded decoded = codec::decode_and_validate(key_.kind, *with_defaults, codec::Mode::strict);
    std::string unknown;
    std::vector<std::string> unknown_paths;
    std::size_t errors = 0;
    for (const model::Finding& finding : decoded.findings) {
        if (finding.severity == model::Finding::Severity::warning) {
            context_.warnings.push_back(finding.path + ": " + finding.message);
        } else if (is_unknown_field_message(finding)) {
            unknown_paths.push_back(finding.path);
            const std::size_t hint = finding.message.find(", ");
            unknown += (unknown.empty() ? "" : ", ") + ("unknown field \"" + finding.path + "\"") +
                       (hint == std::string::npos ? "" : finding.message.substr(hint));
        } else {
            ++errors;
        }
    }
    const std::string strictness = context_.route.parameter("fieldValidation");
    if (!unknown_paths.empty() && errors == 0 && (strictness == "Ignore" || strictness == "Warn")) {
        if (strictness == "Warn") {
            context_.warnings.push_back(unknown);
        }
        return prune_unknown(std::move(document), unknown_paths);
    }
    if (!unknown_paths.empty() && errors == 0) {
        const model::KindInfo& info = model::info(key_.kind);
        return std::unexpected(bad_request(std::string(info.name) + " in version \"" + std::string(info.version) +
                                           "\" cannot be handled as a " + std::string(info.name) +
                                           ": strict decoding error: " + unknown));
    }
    if (!decoded.ok()) {
        return std::unexpected(invalid(key_.kind, key_.name, causes_of(decoded.findings)));
    }
    return text;
}

Outcome<std::string> Writer::prune_unknown(Tree document, const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
        if (!erase_at(document, path)) {
            return std::unexpected(bad_request("unknown field \"" + path + "\""));
        }
    }
    return codec::to_json(document);
}

Outcome<store::Object> Writer::commit(const std::string& text, const store::Object* before) {
    if (dry_run_) {
        return dry_run(text, before);
    }
    auto done =
        before == nullptr ? context_.store.create(key_, text) : context_.store.update(key_, text, before->revision);
    if (!done) {
        return std::unexpected(problem_of(done.error(), key_));
    }
    return *std::move(done);
}

Outcome<store::Object> Writer::dry_run(const std::string& text, const store::Object* before) const {
    store::kubernetes::ReadBackend reader(context_.store);
    if (before == nullptr && context_.store.get(key_)) {
        return std::unexpected(already_exists(key_.kind, key_.name));
    }
    const auto failed = [&](const store::StoreError& error) { return std::unexpected(problem_of(error, key_)); };
    auto admitted = store::admit_document(key_, text, store::Checks::full);
    if (!admitted) {
        return failed(admitted.error());
    }
    std::optional<json::object> old;
    if (before != nullptr) {
        auto parsed = store::parse_document(key_, *before->document);
        if (!parsed) {
            return failed(parsed.error());
        }
        old = *std::move(parsed);
    }
    if (const auto stamped = store::stamp(key_, admitted->document, old ? &*old : nullptr,
                                          {store::make_uid(), store::format_timestamp(context_.now)});
        !stamped) {
        return failed(stamped.error());
    }
    const store::PlannedWrite write{
        key_, before == nullptr ? std::nullopt : std::optional<std::string_view>(*before->document),
        admitted->resource};
    if (const auto checked = store::admit_writes(reader, std::span(&write, 1)); !checked) {
        return failed(checked.error());
    }
    const std::string plain = json::serialize(admitted->document);
    const store::Revision revision = before == nullptr ? std::string() : before->revision;
    auto shown = revision.empty() ? std::optional(plain) : store::with_resource_version(plain, revision);
    return store::Object{key_, revision, std::make_shared<const std::string>(shown.value_or(plain))};
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
    store::Object object{key_, {}, nullptr};
    if (current) {
        object = *current;
    } else if (current.error().code != Code::corrupt) {  // what cannot be read can be deleted
        return std::unexpected(problem_of(current.error(), key_));
    }
    MANUL_CHECK(remove_one("delete", object));
    return Response{
        .body = success_json(key_.kind, key_.name, stored ? stored->text_at("metadata", "uid") : std::string_view{}) +
                "\n"};
}

Outcome<void> Writer::remove_one(const std::string& verb, const store::Object& object) {
    MANUL_TRY(const DeleteOptions options, delete_options(context_.request));
    const auto tree = object.document ? codec::parse_json(*object.document) : Result<Tree>(Tree{});
    const std::string uid(tree ? tree->text_at("metadata", "uid") : std::string_view{});
    const model::Key& key = object.key;
    if (!options.uid.empty() && options.uid != uid) {
        return std::unexpected(
            conflict(key.kind, key.name,
                     "Precondition failed: UID in precondition: " + options.uid + ", UID in object meta: " + uid));
    }
    if (!options.resource_version.empty() && options.resource_version != object.revision) {
        return std::unexpected(
            conflict(key.kind, key.name,
                     "Precondition failed: ResourceVersion in precondition: " + options.resource_version +
                         ", ResourceVersion in object meta: " + object.revision));
    }
    if (dry_run_ || options.dry_run) {
        store::kubernetes::ReadBackend reader(context_.store);
        const store::PlannedWrite write{key, object.document ? std::string_view(*object.document) : std::string_view{},
                                        nullptr};
        const auto checked = store::admit_writes(reader, std::span(&write, 1));
        return checked ? Outcome<void>() : std::unexpected(problem_of(checked.error(), key));
    }
    const bool exact = !options.uid.empty() || !options.resource_version.empty();
    const auto removed =
        context_.store.remove(key, exact ? std::optional<store::Revision>(object.revision) : std::nullopt);
    const unsigned code = removed ? 200U : problem_of(removed.error(), key).code;
    context_.audit.push_back({verb,
                              key,
                              {},
                              code,
                              removed ? "" : removed.error().message,
                              object.document ? *object.document : std::string(),
                              {}});
    return removed ? Outcome<void>() : std::unexpected(problem_of(removed.error(), key));
}

Outcome<Response> Writer::remove_all(const Selection& selection) {
    if (!context_.access.may_somewhere("deletecollection", key_)) {
        return std::unexpected(context_.access.refusal("deletecollection", key_));
    }
    MANUL_CHECK(read_options());
    const auto listing = context_.store.list({.kind = key_.kind, .ns = context_.route.resource.ns, .name_prefix = {}});
    if (!listing) {
        return std::unexpected(problem_of(listing.error(), key_));
    }
    std::string items;
    for (const store::Object& object : listing->items) {
        const auto tree = codec::parse_json(*object.document);
        if (!tree || !selection.matches(*tree) || !context_.access.may_with("deletecollection", object.key, &*tree)) {
            continue;
        }
        if (const auto removed = remove_one("deletecollection", object); !removed) {
            if (removed.error().reason == "NotFound") {
                continue;
            }
            return std::unexpected(removed.error());
        }
        const bool hides = key_.kind == Kind::secret;
        items += (items.empty() ? "" : ",") +
                 (hides ? codec::masked_secret(*object.document).value_or("{}") : *object.document);
    }
    return Response{.body = R"({"kind":")" + std::string(model::info(key_.kind).name) + R"(List","apiVersion":")" +
                            model::api_version(key_.kind) + R"(","metadata":{"resourceVersion":")" + listing->revision +
                            R"("},"items":[)" + items + "]}\n"};
}

}  // namespace manul::serve
