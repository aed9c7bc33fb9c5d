#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/settings.hpp"
#include "config/store/document.hpp"
#include "config/store/namespaces.hpp"
#include "ctl/verbs/input.hpp"
#include "ctl/verbs/rehearse.hpp"
#include "ctl/verbs/verbs.hpp"
#include "ipam/service/node_release.hpp"

// create, apply, replace and delete: one report, in calicoctl's words, for all of them.

namespace manul::ctl {

namespace {

using store::StoreError;

struct Words {
    std::string_view past;  ///< Successfully ... 3 'IPPool' resource(s)
    std::string_view infinitive;
};
constexpr Words kCreated{"created", "create"};
constexpr Words kApplied{"applied", "apply"};
constexpr Words kReplaced{"replaced", "replace"};
constexpr Words kDeleted{"deleted", "delete"};

constexpr Words words_of(WriteVerb verb) {
    return verb == WriteVerb::create ? kCreated : verb == WriteVerb::apply ? kApplied : kReplaced;
}

/// " 'IPPool'" when all objects are of one kind, else nothing.
std::string kind_text(std::span<const InputObject> objects) {
    std::set<std::string_view> names;
    for (const InputObject& object : objects) {
        names.insert(model::info(object.key.kind).name);
    }
    return names.size() == 1 ? " '" + std::string(*names.begin()) + "'" : std::string();
}

ExitCode report(const Context& context, const Words& words, std::span<const InputObject> objects, std::size_t done,
                const std::vector<std::string>& errors) {
    const std::string kind = kind_text(objects);
    if (errors.empty()) {
        context.print("Successfully " + std::string(words.past) + " " + std::to_string(done) + kind + " resource(s)\n");
        return ExitCode::ok;
    }
    std::string text;
    if (done == 0) {
        text = "failed to " + std::string(words.infinitive) + " any" + kind + " resource(s):";
    } else {
        context.print("Partial success: " + std::string(words.past) + " " + std::to_string(done) + " out of " +
                      std::to_string(objects.size()) + kind + " resources\n");
        text = "hit error:";
    }
    for (const std::string& error : errors) {
        text += "\n  " + error;
    }
    return context.fail(text);
}

std::optional<store::Revision> revision_of(const InputObject& object) {
    return object.resource_version.empty() ? std::nullopt : std::optional(object.resource_version);
}

store::StoreResult<store::Object> write_one(store::Store& store, WriteVerb verb, const InputObject& object) {
    switch (verb) {
        case WriteVerb::create:
            if (!object.resource_version.empty()) {
                return std::unexpected(StoreError{.code = StoreError::Code::invalid,
                                                  .message = "metadata.resourceVersion must not be set when creating",
                                                  .details = {}});
            }
            return store.create(object.key, object.document);
        case WriteVerb::replace:
            return store.update(object.key, object.document, revision_of(object));
        case WriteVerb::apply:
            break;
    }
    return apply_object(store, object);
}

std::string failure_line(const InputObject& object, const StoreError& error) {
    const std::string name = object.key.to_string() + ": ";
    const std::string why = describe(error);
    return object.origin + ": " + (why.starts_with(name) ? "" : name) + why;
}

/// A Kubernetes API server and `serve` end a namespace by themselves.
store::StoreResult<store::Object> remove_one(store::Store& store, config::DatastoreType type, const InputObject& object,
                                             std::chrono::milliseconds last_pods_wait) {
    if (object.key.kind != model::Kind::namespace_ || type == config::DatastoreType::kubernetes ||
        type == config::DatastoreType::server) {
        return store.remove(object.key, revision_of(object));
    }
    store::NamespaceEnd end;
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    auto removed = store::remove_namespace(store, object.key.name, revision_of(object),
                                           store::format_timestamp(now.time_since_epoch().count()), end);
    constexpr std::chrono::milliseconds kLookAgain{50};
    const auto deadline = std::chrono::steady_clock::now() + last_pods_wait;
    while (removed && end.running > 0 && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(kLookAgain);
        end = {};
        const auto again = store::remove_namespace(store, object.key.name, removed->revision, {}, end);
        if (!again && again.error().code != StoreError::Code::not_found) {  // else another process ended it
            return again;
        }
    }
    if (removed && end.running > 0) {
        return std::unexpected(StoreError{
            .code = StoreError::Code::unsupported,
            .message = fmt::format("{} is being deleted, and nothing new can be made in it; {} pods of it run, and its "
                                   "policies stay for them: end them, then give the command again",
                                   object.key.to_string(), end.running),
            .details = {}});
    }
    return removed;
}

/// Objects that `delete KIND NAME...` names, or that its selector finds.
Input named_objects(const Context& context, const DeleteOptions& options) {
    Input input;
    Scopes asked = scopes_of(context, options.objects);
    input.errors = std::move(asked.errors);
    const auto add = [&input](const model::Key& key) {
        input.objects.push_back(InputObject{.key = key, .document = {}, .resource_version = {}, .origin = "delete"});
    };
    for (const Scope& scope : asked.scopes) {
        std::ranges::for_each(scope.keys, add);
        if (!scope.keys.empty()) {
            continue;
        }
        if (scope.selection.empty() && !options.all) {
            input.errors.push_back("name the objects to delete: " + std::string(model::info(scope.kind).singular) +
                                   " NAME..., or give --selector or --all");
            continue;
        }
        const auto found = list_objects(*context.store, scope, input.errors);
        if (!found) {
            input.errors.push_back(describe(found.error()));
            continue;
        }
        for (const store::Object& object : found->objects) {
            add(object.key);
        }
    }
    return input;
}

/// Frees what deleted nodes held. A node whose Node came back is alive, and keeps it.
void release_nodes(const Context& context, const std::vector<InputObject>& objects, std::chrono::milliseconds wait,
                   std::vector<std::string>& errors) {
    std::this_thread::sleep_for(wait);
    for (const InputObject& object : objects) {
        if (object.key.kind != model::Kind::node) {
            continue;
        }
        const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
        const auto freed = ipam::release_node(*context.store, object.key.name, now);
        if (!freed) {
            errors.push_back("addresses of " + object.key.to_string() + ": " + freed.error().msg);
            continue;
        }
        context.print(fmt::format("Released {} endpoints, {} addresses and {} blocks of node {}\n", freed->endpoints,
                                  freed->addresses, freed->blocks, object.key.name));
    }
}

/// Whether what comes next would fail alike, after as long a wait: so it is not tried. An API server's refusal may
/// concern one kind alone, and deleting is what helps a full disk.
bool is_hopeless(const Context& context, const StoreError& error, bool deletes) {
    using Code = StoreError::Code;
    const config::DatastoreType type = context.settings.datastore.type;
    const bool whole = type == config::DatastoreType::etcd || (type == config::DatastoreType::sqlite && !deletes);
    return error.code == Code::newer_schema ||
           (whole && (error.code == Code::unavailable || error.code == Code::unknown_result));
}

/// Adds how many objects were not tried.
void note_untried(std::vector<std::string>& errors, std::size_t count) {
    if (count > 0) {
        errors.push_back(fmt::format("{} more {} not tried", count, count == 1 ? "was" : "were"));
    }
}

/// Whether this program commits by itself, and each commit waits for a disk.
bool has_own_commits(const Context& context) {
    const config::DatastoreType type = context.settings.datastore.type;
    return context.store->transactional() && type != config::DatastoreType::server;
}

/// Writes objects in their order, several of them in one commit where that can be.
class Writer {
public:
    Writer(const Context& context, WriteVerb verb)
        : context_(context), verb_(verb), together_(verb == WriteVerb::apply && has_own_commits(context)) {}

    /// Writes the first of the objects, or more, and gives the number. An error is the first one's.
    store::StoreResult<std::size_t> write_next(std::span<const InputObject> objects) {
        if (together_ && alone_ == 0) {
            auto applied = apply_together(objects);
            if (applied ? *applied > 0 : is_hopeless(context_, applied.error(), false)) {
                return applied;
            }
            alone_ = kMost;  // one of them is refused: each has an error of its own, and the others are applied
        }
        alone_ -= alone_ > 0 ? 1U : 0U;
        MANUL_TRY([[maybe_unused]] const auto object, write_one(*context_.store, verb_, objects.front()));
        return 1;
    }

private:
    static constexpr std::size_t kMost = 50;
    static constexpr std::size_t kMostBytes = std::size_t{256} << 10U;

    /// As many as one commit takes, or none.
    store::StoreResult<std::size_t> apply_together(std::span<const InputObject> objects) {
        std::vector<store::Op> ops;
        std::size_t bytes = 0;
        for (const InputObject& object : objects.first(std::min(objects.size(), kMost))) {
            bytes += object.document.size();
            if (bytes > kMostBytes) {
                break;
            }
            const auto revision = revision_of(object);
            ops.emplace_back(
                store::Put{object.key, object.document,
                           revision ? std::optional(store::Precondition{false, *revision}) : std::nullopt});
        }
        if (ops.size() < 2) {
            return 0;
        }
        MANUL_TRY([[maybe_unused]] const auto revision, context_.store->transact(ops, store::Checks::full));
        return ops.size();
    }

    const Context& context_;
    WriteVerb verb_;
    bool together_;
    std::size_t alone_ = 0;  ///< so many are to be written one by one
};

/// What may fail without being told.
std::optional<StoreError::Code> tolerated(bool tolerates, StoreError::Code code) {
    return tolerates ? std::optional(code) : std::nullopt;
}

}  // namespace

store::StoreResult<store::Object> apply_object(store::Store& store, const InputObject& object) {
    // An object that appears or vanishes between the two calls is tried again; each round is one more rival's write.
    constexpr int kRounds = 5;
    for (int round = 0;; ++round) {
        auto updated = store.update(object.key, object.document, revision_of(object));
        if (updated || updated.error().code != StoreError::Code::not_found) {
            return updated;
        }
        auto created = store.create(object.key, object.document);
        if (created || created.error().code != StoreError::Code::already_exists || round == kRounds) {
            return created;
        }
    }
}

ExitCode write_objects(const Context& context, WriteVerb verb, const WriteOptions& options) {
    Input input = read_input(context, options.input);
    if (const auto refused = refuse_input(context, input, options.skip_empty)) {
        return *refused;
    }
    std::ranges::stable_sort(input.objects, {}, [](const InputObject& o) { return dependency_rank(o.key.kind); });
    if (options.dry_run) {
        return rehearse(
            context, input.objects,
            [verb](store::Store& store, const InputObject& object) { return write_one(store, verb, object); },
            tolerated(options.skip_exists, StoreError::Code::already_exists));
    }
    if (!options.confirm_within.empty()) {
        return apply_revertibly(context, input.objects, options.confirm_within);
    }
    std::vector<std::string> errors;
    std::size_t done = 0;
    const std::span<const InputObject> objects(input.objects);
    Writer writer(context, verb);
    for (std::size_t i = 0; i < objects.size();) {
        const auto written = writer.write_next(objects.subspan(i));
        if (written) {
            done += *written;
            i += *written;
            continue;
        }
        const InputObject& object = objects[i++];
        if (options.skip_exists && written.error().code == StoreError::Code::already_exists) {
            context.print(object.key.to_string() + " exists already, skipped\n");
            continue;
        }
        errors.push_back(failure_line(object, written.error()));
        const bool hopeless = is_hopeless(context, written.error(), false);
        if (hopeless) {
            note_untried(errors, objects.size() - i);
        }
        if (hopeless || verb == WriteVerb::replace) {
            break;
        }
    }
    return report(context, words_of(verb), input.objects, done, errors);
}

ExitCode delete_objects(const Context& context, const DeleteOptions& options) {
    const bool by_file = options.objects.words.empty();
    const config::DatastoreType type = context.settings.datastore.type;
    Input input = by_file ? read_input(context, options.objects.input, Purpose::name) : named_objects(context, options);
    if (!by_file && input.errors.empty() && input.objects.empty()) {
        context.print("No resources found\n");  // by a selector
        return ExitCode::ok;
    }
    if (const auto refused = refuse_input(context, input, options.skip_empty)) {
        return *refused;
    }
    std::ranges::stable_sort(input.objects, std::greater<>(),
                             [](const InputObject& o) { return dependency_rank(o.key.kind); });
    if (options.dry_run) {
        return rehearse(
            context, input.objects,
            [type](store::Store& store, const InputObject& object) { return remove_one(store, type, object, {}); },
            tolerated(options.skip_not_exists, StoreError::Code::not_found));
    }
    std::vector<std::string> errors;
    std::size_t done = 0;
    for (const InputObject& object : input.objects) {
        const auto removed = remove_one(*context.store, type, object, options.last_pods_wait);
        if (removed) {
            ++done;
        } else if (!options.skip_not_exists || removed.error().code != StoreError::Code::not_found) {
            errors.push_back(by_file ? failure_line(object, removed.error()) : describe(removed.error()));
            if (is_hopeless(context, removed.error(), true)) {
                note_untried(errors, static_cast<std::size_t>(&input.objects.back() - &object));
                break;
            }
        }
    }
    if (options.release_addresses) {
        release_nodes(context, input.objects, options.write_back_wait, errors);
    }
    return report(context, kDeleted, input.objects, done, errors);
}

ExitCode validate_files(const Context& context, const InputOptions& options, bool skip_empty) {
    const Input input = read_input(context, options);
    if (const auto refused = refuse_input(context, input, skip_empty, "not valid")) {
        return *refused;
    }
    context.print("Successfully validated " + std::to_string(input.objects.size()) + kind_text(input.objects) +
                  " resource(s)\n");
    return ExitCode::ok;
}

}  // namespace manul::ctl
