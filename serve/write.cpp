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

#include "base/try.hpp"
#include "config/codec/document.hpp"
#include "config/codec/json.hpp"
#include "config/codec/managed_fields.hpp"
#include "config/codec/secret.hpp"
#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"
#include "config/store/admission.hpp"
#include "config/store/document.hpp"
#include "config/store/kubernetes/read_backend.hpp"
#include "config/store/store.hpp"
#include "serve/accept.hpp"
#include "serve/call.hpp"
#include "serve/documents.hpp"
#include "serve/patch.hpp"

namespace manul::serve {

using codec::Tree;
using Code = store::StoreError::Code;
using model::Kind;

namespace {

/// Attempts of a write that names no version, against others' writes to the same object.
constexpr int kAttempts = 20;
constexpr std::size_t kLongestManager = 128;
constexpr std::size_t kNameSuffix = 5;
constexpr std::size_t kMostWarnings = 20;  ///< of keys that are given twice: they are headers of the answer

bool is_unknown_field_message(const model::Finding& finding) {
    return finding.unknown_field && finding.severity == model::Finding::Severity::error;
}

/// With what may be meant, where that is known.
std::string unknown_field_text(const model::Finding& finding) {
    const std::size_t hint = finding.message.find(", ");
    return "unknown field \"" + finding.path + "\"" + (hint == std::string::npos ? "" : finding.message.substr(hint));
}

Tree* metadata_of(Tree& document) { return document.find("metadata"); }

/// Fields that the server keeps by itself; what a client sends there is not looked at.
void drop_server_fields(Tree& document) {
    if (Tree* metadata = metadata_of(document)) {
        for (const char* field : {"selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"}) {
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

/// What a write to the status subresource asks for: nothing of it counts but the status, and which object it means.
Tree only_status(const Tree& stored, Tree& wanted) {
    Tree out = stored;
    put_status(out, &wanted);
    for (const char* precondition : {"resourceVersion", "uid"}) {
        if (const Tree* given = wanted.make("metadata").find(precondition)) {
            out.make("metadata").make(precondition).assign(*given);
        }
    }
    return out;
}

std::string random_suffix() {
    // Letters that make no words, as Kubernetes takes them.
    static constexpr std::string_view kLetters = "bcdfghjklmnpqrstvwxz2456789";
    std::string out;
    for (const char c : store::make_uid()) {
        if (out.size() < kNameSuffix && c != '-') {
            out += kLetters[(std::size_t{static_cast<unsigned char>(c)} * 7 + out.size() * 3) % kLetters.size()];
        }
    }
    return out;
}

/// What the options of a request are together.
std::string options_kind(std::string_view method) {
    return method == "POST"    ? "CreateOptions"
           : method == "PUT"   ? "UpdateOptions"
           : method == "PATCH" ? "PatchOptions"
                               : "DeleteOptions";
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

}  // namespace

Writer::Writer(WriteContext context) : context_(context) {
    const ResourcePath& path = context.route.resource;
    key_ = {path.kind, path.ns.value_or(""), path.name};
    subresource_ = path.subresource;
}

Outcome<void> Writer::read_options() {
    std::vector<Cause> causes;
    const std::string dry = context_.route.parameter("dryRun");
    dry_run_ = context_.route.query.contains("dryRun");
    if (dry_run_ && dry != "All") {
        causes.push_back(
            {"FieldValueNotSupported", "Unsupported value: [\"" + dry + "\"]: supported values: \"All\"", "dryRun"});
    }
    const std::string strictness = context_.route.parameter("fieldValidation");
    if (!strictness.empty() && strictness != "Strict" && strictness != "Warn" && strictness != "Ignore") {
        causes.push_back(
            {"FieldValueNotSupported",
             "Unsupported value: \"" + strictness + "\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"",
             "fieldValidation"});
    }
    if (context_.route.parameter("fieldManager").size() > kLongestManager) {
        causes.push_back({"FieldValueTooLong", "Too long: may not be more than 128 bytes", "fieldManager"});
    }
    return causes.empty() ? Outcome<void>()
                          : std::unexpected(invalid_options(options_kind(context_.request.method), std::move(causes)));
}

Outcome<Tree> Writer::body() {
    const std::string strictness = context_.route.parameter("fieldValidation");
    std::vector<std::string> repeated;
    auto tree = parse_body(context_.request, strictness == "Ignore" || strictness == "Warn" ? &repeated : nullptr);
    repeated.resize(std::min(repeated.size(), kMostWarnings));
    for (const std::string& path : repeated) {
        warn("duplicate field \"" + path + "\"");
    }
    return tree;
}

Outcome<Written> Writer::create() {
    auto body = this->body();
    return body ? create(*std::move(body)) : std::unexpected(std::move(body).error());
}

Outcome<Written> Writer::create(Tree document) {
    auto done = create_checked(std::move(document));
    context_.audit.push_back(
        {"create", key_, {}, done ? 201U : done.error().code, done ? "" : done.error().message, {}, after_});
    return done;
}

Outcome<Written> Writer::create_checked(Tree document) {
    // The name comes with the body, but who may create nothing at all is not told what is wrong with it.
    if (!is_tiered(key_.kind) && !context_.access.may("create", key_)) {
        return std::unexpected(context_.access.refusal("create", key_));
    }
    MANUL_CHECK(read_options());
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
    MANUL_CHECK(check_envelope(document));
    if (has_status(key_.kind)) {
        document.erase("status");
    }
    if (!context_.access.may_with("create", key_, &document)) {
        return std::unexpected(context_.access.refusal("create", key_));
    }
    MANUL_CHECK(complete(document, nullptr));
    if (!applies_) {
        prune_unknown(document, nullptr);
        codec::record_update(document, nullptr, field_writer());
    }
    MANUL_TRY(const std::string text, validated(std::move(document), nullptr));
    MANUL_CHECK(check_grants(context_.access, key_, text));
    MANUL_TRY(const store::Object object, commit(text, nullptr));
    after_ = *object.document;
    return Written{*object.document, true};
}

Outcome<Written> Writer::update() {
    return modify("update", [this](const Tree& stored) -> Outcome<Tree> {
        MANUL_TRY(Tree document, body());
        if (!document.is_map()) {
            return std::unexpected(bad_request("the body of the request is no object"));
        }
        if (document.text_at("metadata", "resourceVersion").empty() && codec::is_custom(key_.kind)) {
            return std::unexpected(invalid(key_.kind, key_.name,
                                           {{"FieldValueInvalid", "Invalid value: 0x0: must be specified for an update",
                                             "metadata.resourceVersion"}}));
        }
        return subresource_.empty() ? std::move(document) : only_status(stored, document);
    });
}

Outcome<Written> Writer::patch() {
    const std::string type = media_type(context_.request.content_type);
    if (type == kApplyPatch) {
        return apply();
    }
    const bool strategic = type == "application/strategic-merge-patch+json";
    const bool known = type == "application/merge-patch+json" || type == "application/json-patch+json" ||
                       (strategic && !codec::is_custom(key_.kind));
    if (!known) {
        const std::string accepted =
            "application/json-patch+json, application/merge-patch+json, " + std::string(kApplyPatch) +
            std::string(codec::is_custom(key_.kind) ? "" : ", application/strategic-merge-patch+json");
        if (!context_.access.may("patch", key_, subresource_) && !is_tiered(key_.kind)) {
            return std::unexpected(context_.access.refusal("patch", key_, subresource_));
        }
        return std::unexpected(unsupported_media_type(type, accepted));
    }
    if (!context_.route.parameter("force").empty()) {
        return std::unexpected(invalid_options(
            "PatchOptions", {{"FieldValueForbidden", "Forbidden: may not be specified for non-apply patch", "force"}}));
    }
    return modify("patch", [this, &type, strategic](const Tree& stored) -> Outcome<Tree> {
        MANUL_TRY(const Tree changes, body());
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
        return subresource_.empty() ? std::move(document) : only_status(stored, document);
    });
}

Outcome<Written> Writer::apply() {
    applies_ = true;
    MANUL_TRY(Tree config, applied_config());
    const bool force = context_.route.flag("force");
    for (int attempt = 1;; ++attempt) {
        if (const auto present = context_.store.get(key_);
            present || !subresource_.empty() || present.error().code != Code::not_found) {
            return modify("patch", [&](const Tree& stored) -> Outcome<Tree> {
                Tree wanted = config;
                MANUL_CHECK(complete(wanted, &stored));
                prune_unknown(wanted, &stored);
                auto applied = codec::apply_fields(&stored, wanted, force, field_writer());
                if (!applied) {
                    return std::unexpected(apply_conflict(applied.error()));
                }
                Tree document = *std::move(applied);
                for (const char* precondition : {"resourceVersion", "uid"}) {  // modify() judges them
                    if (const std::string_view given = wanted.text_at("metadata", precondition); !given.empty()) {
                        document.make("metadata").make(precondition).assign(Tree::of_text(std::string(given)));
                    }
                }
                return document;
            });
        }
        if (!context_.access.may_with("patch", key_, &config)) {
            return std::unexpected(context_.access.refusal("patch", key_));
        }
        if (const std::string_view uid = config.text_at("metadata", "uid"); !uid.empty()) {
            return std::unexpected(conflict(key_.kind, key_.name,
                                            "uid mismatch: the provided object specified uid " + std::string(uid) +
                                                ", and no existing object was found"));
        }
        config.make("metadata").erase("resourceVersion");
        MANUL_CHECK(complete(config, nullptr));
        prune_unknown(config, nullptr);
        auto applied = codec::apply_fields(nullptr, config, force, field_writer());
        if (!applied) {
            return std::unexpected(apply_conflict(applied.error()));
        }
        auto done = create(*std::move(applied));
        if (done || done.error().reason != "AlreadyExists" || attempt == kAttempts) {
            return done;
        }
    }
}

Outcome<Tree> Writer::applied_config() {
    if (!context_.access.may("patch", key_, subresource_) && !is_tiered(key_.kind)) {
        return std::unexpected(context_.access.refusal("patch", key_, subresource_));
    }
    if (context_.route.parameter("fieldManager").empty()) {
        return std::unexpected(invalid_options(
            "PatchOptions", {{"FieldValueRequired", "Required value: is required for apply patch", "fieldManager"}}));
    }
    MANUL_TRY(Tree config, body());
    if (!config.is_map()) {
        return std::unexpected(bad_request("the applied configuration is no object"));
    }
    for (const char* field : {"apiVersion", "kind"}) {
        if (config.text_at(field).empty()) {
            return std::unexpected(bad_request("the applied configuration lacks its " + std::string(field)));
        }
    }
    if (const Tree* metadata = config.find("metadata");
        metadata != nullptr && metadata->find("managedFields") != nullptr) {
        return std::unexpected(bad_request("metadata.managedFields must be nil"));
    }
    config.make("metadata").make("name");
    Tree& name = *config.find("metadata")->find("name");
    if (name.type == Tree::Type::null) {
        name.assign(Tree::of_text(key_.name));
    }
    MANUL_CHECK(check_envelope(config));
    // Of a status subresource nothing else is applied, and elsewhere no status.
    if (!subresource_.empty()) {
        std::erase_if(config.children, [](const Tree& child) { return child.key == "spec" || child.key == "data"; });
        Tree* metadata = config.find("metadata");
        std::erase_if(metadata->children, [](const Tree& child) { return child.is_map() || child.is_list(); });
    } else if (has_status(key_.kind)) {
        config.erase("status");
    }
    return config;
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
            return std::unexpected(conflict(key_.kind, key_.name,
                                            std::string("Precondition failed: UID in precondition: ")
                                                .append(uid)
                                                .append(", UID in object meta: ")
                                                .append(stored_uid)));
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
        MANUL_CHECK(complete(document, &*stored));
        if (!applies_) {
            prune_unknown(document, &*stored);
            codec::record_update(document, &*stored, field_writer());
        }
        MANUL_TRY(const bool last, lets_go(document, *stored));
        MANUL_TRY(const std::string text, validated(std::move(document), &*stored));
        MANUL_CHECK(check_grants(context_.access, key_, text));
        auto written = last ? let_go(text, *current) : commit(text, &*current);
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
    if (metadata.type == Tree::Type::null) {
        metadata.assign(Tree{.type = Tree::Type::map});
    } else if (!metadata.is_map()) {
        return std::unexpected(bad_request("metadata: expected an object"));
    }
    const std::string_view name = metadata.text_at("name");
    if (name.empty() && !key_.name.empty()) {
        return std::unexpected(bad_request("the name of the object (" + key_.name +
                                           " based on URL) was undeterminable: name must be provided"));
    }
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

std::string manager_of(const Request& request) {
    std::string manager = request.user_agent.substr(0, request.user_agent.find('/'));
    return manager.empty() ? "unknown" : manager.substr(0, kLongestManager);
}

codec::FieldWriter Writer::field_writer() const {
    const std::string manager = context_.route.parameter("fieldManager");
    return {.manager = manager.empty() ? manager_of(context_.request) : manager,
            .api_version = model::api_version(key_.kind),
            .subresource = subresource_,
            .time = store::format_timestamp(context_.now),
            .rules = codec::FieldRules(key_.kind)};
}

Outcome<void> Writer::complete(Tree& document, const Tree* before) const {
    if (key_.kind != Kind::secret) {
        return {};
    }
    const auto completed = codec::completed_secret(
        codec::to_json(document), before == nullptr ? std::nullopt : std::optional(codec::to_json(*before)));
    auto tree = completed ? codec::parse_json(*completed) : std::unexpected(completed.error());
    if (!tree) {
        return std::unexpected(invalid(key_.kind, key_.name, {{"FieldValueInvalid", tree.error().message, ""}}));
    }
    document = *std::move(tree);
    return {};
}

Outcome<std::string> Writer::validated(Tree document, const Tree* stored) {
    codec::settle_texts(key_.kind, document, codec::Author::program);
    std::string text = codec::to_json(document);
    auto with_defaults = codec::with_creation_defaults(key_.kind, text);
    if (!with_defaults) {
        return std::unexpected(bad_request(with_defaults.error().message));
    }
    codec::Decoded decoded = codec::decode_and_validate(key_.kind, *with_defaults, codec::Mode::strict);
    if (stored != nullptr) {  // what a newer version wrote stays
        store::drop_kept_fields(decoded.findings, document, *stored);
    }
    std::string unknown;
    std::size_t errors = 0;
    for (const model::Finding& finding : decoded.findings) {
        if (finding.severity == model::Finding::Severity::warning) {
            context_.warnings.push_back(finding.path + ": " + finding.message);
        } else if (is_unknown_field_message(finding)) {
            unknown += (unknown.empty() ? "" : ", ") + unknown_field_text(finding);
        } else {
            ++errors;
        }
    }
    if (!unknown.empty() && errors == 0) {
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

void Writer::prune_unknown(Tree& document, const Tree* stored) {
    const std::string strictness = context_.route.parameter("fieldValidation");
    if (strictness != "Ignore" && strictness != "Warn") {
        return;
    }
    codec::Decoded decoded = codec::decode_and_validate(key_.kind, codec::to_json(document), codec::Mode::strict);
    if (stored != nullptr) {  // what a newer version wrote stays
        store::drop_kept_fields(decoded.findings, document, *stored);
    }
    std::string unknown;
    for (const model::Finding& finding : decoded.findings) {
        if (is_unknown_field_message(finding) && erase_at(document, finding.path)) {
            unknown += (unknown.empty() ? "" : ", ") + unknown_field_text(finding);
        }
    }
    if (!unknown.empty()) {
        warn(unknown);
    }
}

void Writer::warn(const std::string& what) {
    const bool asked = context_.route.parameter("fieldValidation") == "Warn";
    if (asked && std::ranges::find(context_.warnings, what) == context_.warnings.end()) {
        context_.warnings.push_back(what);  // once, however often the write is tried
    }
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
    const auto stored = before == nullptr ? std::nullopt : std::optional<std::string_view>(*before->document);
    const auto admitted = store::admit_document(key_, text, stored.value_or(std::string_view{}));
    if (!admitted) {
        return failed(admitted.error());
    }
    const auto stamped =
        store::stamp(key_, admitted->document, stored, {store::make_uid(), store::format_timestamp(context_.now)});
    if (!stamped) {
        return failed(stamped.error());
    }
    const store::PlannedWrite write{key_, stored, admitted->resource};
    if (const auto checked = store::admit_writes(reader, std::span(&write, 1)); !checked) {
        return failed(checked.error());
    }
    const std::string& plain = stamped->text;
    const store::Revision revision = before == nullptr ? std::string() : before->revision;
    auto shown = revision.empty() ? std::optional(plain) : store::with_resource_version(plain, revision);
    return store::Object{key_, revision, std::make_shared<const std::string>(shown.value_or(plain))};
}

}  // namespace manul::serve
