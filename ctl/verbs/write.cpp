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

#include "config/codec/json.hpp"
#include "config/settings.hpp"
#include "config/store/namespaces.hpp"
#include "ctl/verbs/input.hpp"
#include "ctl/verbs/kind_words.hpp"
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

/// What was wrong with the input, or nothing when the work may begin.
std::optional<ExitCode> refuse_input(const Context& context, const Input& input, bool skip_empty,
                                     std::string_view outcome = "nothing was changed") {
    for (const std::string& warning : input.warnings) {
        context.err(warning + "\n");
    }
    if (!input.errors.empty()) {
        std::string text = std::string(outcome) + "; the input has " + std::to_string(input.errors.size()) +
                           (input.errors.size() == 1 ? " error:" : " errors:");
        for (const std::string& error : input.errors) {
            text += "\n  " + error;
        }
        return context.fail(text);
    }
    if (input.objects.empty()) {
        if (skip_empty) {
            context.print("No resources specified\n");
            return ExitCode::ok;
        }
        return context.fail("no resources specified: " +
                            (input.emptiness.empty() ? std::string("the input is empty") : input.emptiness));
    }
    return std::nullopt;
}

std::optional<store::Revision> revision_of(const InputObject& object) {
    return object.resource_version.empty() ? std::nullopt : std::optional(object.resource_version);
}

store::StoreResult<store::Object> apply(store::Store& store, const InputObject& object) {
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
    return apply(store, object);
}

std::string failure_line(const InputObject& object, const StoreError& error) {
    return object.origin + ": " + object.key.to_string() + ": " + describe(error);
}

/// A Kubernetes API server and `serve` end a namespace by themselves.
store::StoreResult<store::Object> remove_one(const Context& context, const InputObject& object) {
    const config::DatastoreType type = context.settings.datastore.type;
    if (object.key.kind != model::Kind::namespace_ || type == config::DatastoreType::kubernetes ||
        type == config::DatastoreType::server) {
        return context.store->remove(object.key, revision_of(object));
    }
    store::NamespaceEnd end;
    auto removed = store::remove_namespace(*context.store, object.key.name, revision_of(object), end);
    if (removed && end.running > 0) {
        return std::unexpected(StoreError{
            .code = StoreError::Code::unavailable,
            .message = fmt::format("{} is being deleted, and nothing new can be made in it; {} pods of it run, and its "
                                   "policies stay for them: end them, then give the command again",
                                   object.key.to_string(), end.running),
            .details = {}});
    }
    return removed;
}

/// Objects that `delete KIND NAME...` names.
Input named_objects(const DeleteOptions& options) {
    Input input;
    AskedWords words = parse_asked(options.words);
    input.errors = std::move(words.errors);
    for (const auto& [kind, names] : words.asked) {
        const model::KindInfo& info = model::info(kind);
        if (names.empty()) {
            input.errors.push_back("name the objects to delete: " + std::string(info.singular) + " NAME...");
        }
        if (!info.namespaced && options.input.ns) {
            input.errors.push_back(std::string(info.name) + " is not namespaced: leave out -n");
        }
        const std::string ns = info.namespaced ? options.input.ns.value_or("default") : std::string();
        for (const std::string& name : names) {
            input.objects.push_back(InputObject{
                .key = model::Key{kind, ns, name}, .document = {}, .resource_version = {}, .origin = "delete"});
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

}  // namespace

ExitCode write_objects(const Context& context, WriteVerb verb, const WriteOptions& options) {
    Input input = read_input(context, options.input);
    if (const auto refused = refuse_input(context, input, options.skip_empty)) {
        return *refused;
    }
    std::ranges::stable_sort(input.objects, {}, [](const InputObject& o) { return dependency_rank(o.key.kind); });
    if (!options.confirm_within.empty()) {
        return apply_revertibly(context, input.objects, options.confirm_within);
    }
    std::vector<std::string> errors;
    std::size_t done = 0;
    for (const InputObject& object : input.objects) {
        const auto written = write_one(*context.store, verb, object);
        if (written) {
            ++done;
        } else if (options.skip_exists && written.error().code == StoreError::Code::already_exists) {
            context.print(object.key.to_string() + " exists already, skipped\n");
        } else {
            errors.push_back(failure_line(object, written.error()));
            if (verb == WriteVerb::replace) {
                break;
            }
        }
    }
    return report(context, words_of(verb), input.objects, done, errors);
}

ExitCode delete_objects(const Context& context, const DeleteOptions& options) {
    Input input = options.words.empty() ? read_input(context, options.input) : named_objects(options);
    if (const auto refused = refuse_input(context, input, options.skip_empty)) {
        return *refused;
    }
    std::ranges::stable_sort(input.objects, std::greater<>(),
                             [](const InputObject& o) { return dependency_rank(o.key.kind); });
    std::vector<std::string> errors;
    std::size_t done = 0;
    for (const InputObject& object : input.objects) {
        const auto removed = remove_one(context, object);
        if (removed) {
            ++done;
        } else if (!options.skip_not_exists || removed.error().code != StoreError::Code::not_found) {
            errors.push_back(options.words.empty() ? failure_line(object, removed.error()) : describe(removed.error()));
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
