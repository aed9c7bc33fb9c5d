#include "ctl/verbs/edit.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "base/error.hpp"
#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/codec/tree.hpp"
#include "config/codec/yaml.hpp"
#include "config/model/finding.hpp"
#include "config/store/rehearsal.hpp"
#include "ctl/verbs/input.hpp"
#include "serve/patch.hpp"

namespace manul::ctl {

namespace {

using codec::Tree;
using store::StoreError;

/// Reads, changes and writes; again when somebody else was faster. The error is what to tell.
Result<void> edit(store::Store& store, const model::Key& key, const std::function<Result<void>(Tree&)>& change) {
    constexpr int kRounds = 5;
    for (int round = 0;; ++round) {
        const auto found = store.get(key);
        if (!found) {
            return fail(describe(found.error()));
        }
        MANUL_TRY(Tree document, codec::parse_json(*found->document));
        const Tree before = document;
        MANUL_CHECK(change(document));
        for (const std::string_view field : {"apiVersion", "kind"}) {
            if (document.text_at(field) != before.text_at(field)) {
                return fail(std::string(field) + " cannot be changed");
            }
        }
        const auto written = store.update(key, to_json(document), found->revision);
        if (written) {
            return {};
        }
        if (written.error().code != StoreError::Code::conflict || round == kRounds) {
            return fail(describe(written.error()));
        }
    }
}

bool is_kubernetes_own(model::Kind kind) {
    const std::string_view group = model::info(kind).group;
    return group.empty() || group.ends_with(".k8s.io");
}

Result<void> apply_patch(Tree& document, const Tree& patch, const std::string& type, model::Kind kind) {
    if (type == "json") {
        const auto done = serve::json_patch(document, patch);
        return done ? Result<void>() : fail(done.error().message);
    }
    if (!patch.is_map()) {
        return fail("the patch must be an object, such as {\"spec\": {...}}");
    }
    if (type == "strategic" && is_kubernetes_own(kind)) {
        const auto done = serve::strategic_merge_patch(document, patch);
        return done ? Result<void>() : fail(done.error().message);
    }
    serve::merge_patch(document, patch);
    return {};
}

struct Label {
    std::string key;
    std::optional<std::string> value;  ///< nothing: removed
    bool must_exist = false;           ///< calicoctl's --remove; kubectl's KEY- is content where there is none
};

/// How many of the words name objects: KIND NAME... or KIND/NAME...
std::size_t object_words(const LabelOptions& options) {
    const std::vector<std::string>& words = options.words;
    if (!options.targets.objects.input.paths.empty()) {
        return 0;
    }
    if (options.remove) {
        const bool named = options.targets.all || !options.targets.objects.labels.empty() ||
                           !options.targets.objects.fields.empty() || words.front().find('/') != std::string::npos;
        return std::min<std::size_t>(named ? 1 : 2, words.size());
    }
    const auto first = std::ranges::find_if(
        words, [](const std::string& word) { return word.find('=') != std::string::npos || word.ends_with('-'); });
    return static_cast<std::size_t>(first - words.begin());
}

Result<std::vector<Label>> parse_labels(std::span<const std::string> words, bool remove) {
    std::vector<Label> labels;
    for (const std::string& word : words) {
        const std::size_t equals = word.find('=');
        Label label;
        if (remove) {
            label.key = word;
            label.must_exist = true;
        } else if (equals != std::string::npos) {
            label.key = word.substr(0, equals);
            label.value = word.substr(equals + 1);
        } else if (word.ends_with('-')) {
            label.key = word.substr(0, word.size() - 1);
        } else {
            return fail("expected KEY=VALUE, or KEY- to remove KEY, not '" + word + "'");
        }
        if (label.key.empty() || label.key.find('=') != std::string::npos) {
            return fail("'" + word + "' names no key");
        }
        if (std::ranges::find(labels, label.key, &Label::key) != labels.end()) {
            return fail(label.key + " is given twice");
        }
        labels.push_back(std::move(label));
    }
    return labels.empty() ? fail("give what to change: KEY=VALUE sets, KEY- removes")
                          : Result<std::vector<Label>>(labels);
}

/// Sets and removes; what was done, in words.
Result<std::string> change_labels(Tree& document, std::span<const Label> labels, const LabelOptions& options,
                                  const std::string& object) {
    const std::string noun = options.annotations ? "annotation" : "label";
    const std::string map = noun + "s";
    Tree& present = document.make("metadata").make(map);
    std::string report;
    for (const Label& label : labels) {
        Tree* old = present.find(label.key);
        if (!label.value) {
            if (old == nullptr && label.must_exist) {
                return fail(fmt::format("cannot remove {} of {}, key {} does not exist", noun, object, label.key));
            }
            report += old == nullptr ? fmt::format("No {} {} on {}", noun, label.key, object)
                                     : fmt::format("Successfully removed {} {} from {}", noun, label.key, object);
            present.erase(label.key);
        } else {
            if (old != nullptr && old->text != *label.value && !options.overwrite) {
                return fail(fmt::format(
                    "failed to update {} of {}, key {} is already present: give --overwrite to set a new value", noun,
                    object, label.key));
            }
            report +=
                fmt::format("Successfully {} {} {} on {}", old == nullptr ? "set" : "updated", noun, label.key, object);
            present.make(label.key).assign(Tree::of_text(*label.value));
        }
        report += options.targets.dry_run ? " (dry run)\n" : "\n";
    }
    if (present.children.empty()) {
        document.make("metadata").erase(map);
    }
    return report;
}

/// The keys of the objects; what cannot be found is told, and counted in `failed`.
std::vector<model::Key> find_targets(const Context& context, const EditTargets& targets, bool& failed) {
    const ObjectQuery& objects = targets.objects;
    if (objects.input.paths.empty() == objects.words.empty()) {
        (void)context.fail("give either KIND NAME... or -f FILE");
        failed = true;
        return {};
    }
    const Answer answer = fetch(context, objects);
    for (const std::string& error : answer.errors) {
        (void)context.fail(error);
    }
    failed = !answer.errors.empty();
    std::vector<model::Key> keys;
    for (const Found& found : answer.found) {
        if (!found.by_name && !targets.all && objects.labels.empty() && objects.fields.empty()) {
            (void)context.fail("name the objects, or give --selector or --all: " +
                               std::string(model::info(found.kind).singular) + " NAME...");
            failed = true;
            continue;
        }
        std::ranges::transform(found.objects, std::back_inserter(keys), &store::Object::key);
    }
    return keys;
}

/// What the object is called in reports: as it was typed.
std::string typed_name(const ObjectQuery& objects, const model::Key& key) {
    const std::string typed = objects.words.empty() ? "" : objects.words.front();
    const bool is_kind = model::find_kind_by_alias(typed).has_value();
    return (is_kind ? typed : std::string(model::info(key.kind).singular)) + " " + key.name;
}

using Change = std::function<Result<void>(const model::Key& key, Tree& document)>;

/// Changes every object that it finds; the keys of those that were changed. `failed`: also others were to be.
std::vector<model::Key> edit_all(const Context& context, const EditTargets& targets, const Change& change,
                                 const std::function<std::string(const model::Key&)>& problem,
                                 const std::function<void(const model::Key&)>& done, bool& failed) {
    const auto rehearsal = targets.dry_run ? store::make_rehearsal(*context.store) : nullptr;
    store::Store& store = rehearsal ? *rehearsal : *context.store;
    std::vector<model::Key> changed;
    for (const model::Key& key : find_targets(context, targets, failed)) {
        const auto edited = edit(store, key, [&](Tree& document) { return change(key, document); });
        if (!edited) {
            (void)context.fail(problem(key) + edited.error().message);
            failed = true;
            continue;
        }
        done(key);
        changed.push_back(key);
    }
    return changed;
}

}  // namespace

ExitCode patch_objects(const Context& context, const PatchOptions& options) {
    constexpr std::array<std::string_view, 3> kTypes{"strategic", "merge", "json"};
    if (std::ranges::find(kTypes, options.type) == kTypes.end()) {
        context.fail("unknown type of patch '" + options.type + "'; there are strategic, merge and json");
        return ExitCode::usage;
    }
    const std::string name = options.patch_file.empty() ? "the patch" : options.patch_file;
    const auto given = options.patch_file.empty() ? Result<std::string>(options.patch)
                                                  : read_text(context, options.patch_file, kLargestFile);
    const auto text = given ? codec::yaml_to_json(*given, name) : given;
    const auto patch = text ? codec::parse_json(*text) : std::unexpected(text.error());
    if (!patch) {
        return context.fail(patch.error().message);
    }
    bool failed = false;
    const auto kind_of = [](const model::Key& key) { return "'" + std::string(model::info(key.kind).name) + "'"; };
    const auto changed = edit_all(
        context, options.targets,
        [&](const model::Key& key, Tree& document) { return apply_patch(document, *patch, options.type, key.kind); },
        [&](const model::Key& key) { return "failed to patch " + kind_of(key) + " resource: "; },
        [](const model::Key&) {}, failed);
    if (!changed.empty()) {
        const bool one_kind =
            std::ranges::all_of(changed, [&](const model::Key& key) { return key.kind == changed.front().kind; });
        context.print("Successfully patched " + std::to_string(changed.size()) +
                      (one_kind ? " " + kind_of(changed.front()) : "") +
                      (changed.size() == 1 ? " resource" : " resources") +
                      (options.targets.dry_run ? " (dry run)\n" : "\n"));
    } else if (!failed) {
        context.print("No resources found\n");
    }
    return failed ? ExitCode::failed : ExitCode::ok;
}

ExitCode label_objects(const Context& context, const LabelOptions& options) {
    const std::size_t named = object_words(options);
    const auto labels = parse_labels(std::span(options.words).subspan(named), options.remove);
    if (!labels) {
        context.fail(labels.error().message);
        return ExitCode::usage;
    }
    EditTargets targets = options.targets;
    targets.objects.words.assign(options.words.begin(), options.words.begin() + static_cast<std::ptrdiff_t>(named));
    bool failed = false;
    std::string report;
    const auto changed = edit_all(
        context, targets,
        [&](const model::Key& key, Tree& document) -> Result<void> {
            MANUL_TRY(report, change_labels(document, *labels, options, typed_name(targets.objects, key)));
            return {};
        },
        [](const model::Key&) { return std::string(); }, [&](const model::Key&) { context.print(report); }, failed);
    if (changed.empty() && !failed) {
        context.print("No resources found\n");
    }
    return failed ? ExitCode::failed : ExitCode::ok;
}

}  // namespace manul::ctl
