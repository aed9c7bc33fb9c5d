#include "ctl/verbs/edit.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/codec/tree.hpp"
#include "config/codec/yaml.hpp"
#include "config/model/finding.hpp"
#include "ctl/verbs/kind_words.hpp"
#include "serve/patch.hpp"

namespace manul::ctl {

namespace {

using codec::Tree;
using store::StoreError;

Result<model::Key> key_of(const std::string& kind_text, const std::string& name, const std::optional<std::string>& ns) {
    MANUL_TRY(const model::Kind kind, kind_named(kind_text));
    const model::KindInfo& info = model::info(kind);
    if (!info.namespaced && ns) {
        return fail(std::string(info.name) + " is not namespaced: leave out -n");
    }
    return model::Key{kind, info.namespaced ? ns.value_or("default") : std::string(), name};
}

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
};

Result<std::vector<Label>> parse_labels(const LabelOptions& options) {
    std::vector<Label> labels;
    for (const std::string& word : options.labels) {
        const std::size_t equals = word.find('=');
        Label label;
        if (options.remove) {
            label.key = word;
        } else if (equals != std::string::npos) {
            label = {word.substr(0, equals), word.substr(equals + 1)};
        } else if (word.ends_with('-')) {
            label.key = word.substr(0, word.size() - 1);
        } else {
            return fail("expected KEY=VALUE, or KEY- to remove a label, not '" + word + "'");
        }
        if (label.key.empty() || label.key.find('=') != std::string::npos) {
            return fail("'" + word + "' names no label");
        }
        if (std::ranges::find(labels, label.key, &Label::key) != labels.end()) {
            return fail("label " + label.key + " is given twice");
        }
        labels.push_back(std::move(label));
    }
    return labels;
}

}  // namespace

ExitCode patch_object(const Context& context, const PatchOptions& options) {
    constexpr std::array<std::string_view, 3> kTypes{"strategic", "merge", "json"};
    if (std::ranges::find(kTypes, options.type) == kTypes.end()) {
        context.fail("unknown type of patch '" + options.type + "'; there are strategic, merge and json");
        return ExitCode::usage;
    }
    const auto key = key_of(options.kind, options.name, options.ns);
    if (!key) {
        return context.fail(key.error().message);
    }
    const auto text = codec::yaml_to_json(options.patch, "the patch");
    const auto patch = text ? codec::parse_json(*text) : std::unexpected(text.error());
    if (!patch) {
        return context.fail(patch.error().message);
    }
    const auto done = edit(*context.store, *key,
                           [&](Tree& document) { return apply_patch(document, *patch, options.type, key->kind); });
    if (!done) {
        return context.fail("failed to patch '" + std::string(model::info(key->kind).name) +
                            "' resource: " + done.error().message);
    }
    context.print("Successfully patched 1 '" + std::string(model::info(key->kind).name) + "' resource\n");
    return ExitCode::ok;
}

ExitCode label_object(const Context& context, const LabelOptions& options) {
    const auto labels = parse_labels(options);
    if (!labels) {
        context.fail(labels.error().message);
        return ExitCode::usage;
    }
    const auto key = key_of(options.kind, options.name, options.ns);
    if (!key) {
        return context.fail(key.error().message);
    }
    const std::string object = options.kind + " " + options.name;
    std::string report;
    const auto done = edit(*context.store, *key, [&](Tree& document) -> Result<void> {
        Tree& present = document.make("metadata").make("labels");
        report.clear();
        for (const Label& label : *labels) {
            Tree* old = present.find(label.key);
            if (!label.value) {
                if (old == nullptr) {
                    return fail("cannot remove label of " + object + ", key " + label.key + " does not exist");
                }
                present.erase(label.key);
                report += "Successfully removed label " + label.key + " from " + object + "\n";
                continue;
            }
            if (old != nullptr && old->text != *label.value && !options.overwrite) {
                return fail("failed to update label of " + object + ", key " + label.key +
                            " is already present: give --overwrite to set a new value");
            }
            report += std::string("Successfully ") + (old == nullptr ? "set" : "updated") + " label " + label.key +
                      " on " + object + "\n";
            present.make(label.key).assign(Tree::of_text(*label.value));
        }
        if (present.children.empty()) {
            document.make("metadata").erase("labels");
        }
        return {};
    });
    if (!done) {
        return context.fail(done.error().message);
    }
    context.print(report);
    return ExitCode::ok;
}

}  // namespace manul::ctl
