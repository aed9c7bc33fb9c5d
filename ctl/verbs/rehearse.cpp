#include "ctl/verbs/rehearse.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/codec/tree.hpp"
#include "config/codec/yaml.hpp"
#include "config/store/rehearsal.hpp"
#include "ctl/output/unified_diff.hpp"
#include "ctl/verbs/fetch.hpp"
#include "ctl/verbs/print.hpp"
#include "ctl/verbs/verbs.hpp"

namespace manul::ctl {

namespace {

using codec::Tree;
using store::Object;
using store::StoreError;
using Code = StoreError::Code;

std::string_view outcome(const std::optional<Object>& before, const std::optional<Object>& after) {
    if (!before) {
        return "created";
    }
    if (!after) {
        return "deleted";
    }
    return codec::same_content(*before->document, *after->document) ? "unchanged" : "configured";
}

/// The object; nothing when there is none. A damaged one counts as there.
store::StoreResult<std::optional<Object>> present(store::Store& store, const model::Key& key) {
    auto found = store.get(key);
    if (found) {
        return *std::move(found);
    }
    if (found.error().code == Code::not_found) {
        return std::nullopt;
    }
    if (found.error().code == Code::corrupt) {
        return Object{key, {}, std::make_shared<const std::string>("{}")};
    }
    return std::unexpected(std::move(found).error());
}

const Tree* value_at(const Tree& secret, std::string_view list, std::string_view key) {
    const Tree* values = secret.find(list);
    return values == nullptr ? nullptr : values->find(key);
}

/// Marks the masked values that another version of the Secret does not have.
void mark(Tree& masked, const Tree& own, const Tree& other, std::string_view when) {
    for (const std::string_view list : {"data", "stringData"}) {
        Tree* values = masked.find(list);
        for (std::size_t i = 0; values != nullptr && i < values->children.size(); ++i) {
            Tree& value = values->children[i];
            const Tree* theirs = value_at(other, list, value.key);
            const Tree* ours = value_at(own, list, value.key);
            if (ours == nullptr || theirs == nullptr || !ours->same_value(*theirs)) {
                value.text += when;
            }
        }
    }
}

/// Without what the store sets by itself, and in an order of its own.
Result<Tree> comparable(const Object& object) {
    MANUL_TRY(Tree tree, codec::parse_json(*object.document));
    if (Tree* metadata = tree.find("metadata")) {
        for (const char* field : {"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"}) {
            metadata->erase(field);
        }
    }
    return tree;
}

void sort_keys(Tree& tree) {
    if (tree.is_map()) {
        std::ranges::stable_sort(tree.children, {}, &Tree::key);
    }
    std::ranges::for_each(tree.children, sort_keys);
}

/// A version of an object as it is compared, and of a Secret also as it is shown.
struct Version {
    Tree plain;
    Tree shown;
};

Result<Version> version_of(Object object) {
    Version out;
    MANUL_TRY(out.plain, comparable(object));
    MANUL_CHECK(mask_secret(object));
    MANUL_TRY(out.shown, comparable(object));
    return out;
}

Result<std::string> text_of(Tree tree) {
    std::ranges::for_each(tree.children, sort_keys);  // apiVersion, kind, metadata, spec stay in front
    return codec::to_yaml(to_json(tree));
}

Result<std::string> difference(const model::Key& key, const std::optional<Object>& before, const Object& after) {
    std::string old_text;
    MANUL_TRY(Version now, version_of(after));
    if (before) {
        MANUL_TRY(Version old, version_of(*before));
        if (key.kind == model::Kind::secret) {
            mark(old.shown, old.plain, now.plain, " (before)");
            mark(now.shown, now.plain, old.plain, " (after)");
        }
        MANUL_TRY(old_text, text_of(std::move(old.shown)));
    }
    MANUL_TRY(const std::string new_text, text_of(std::move(now.shown)));
    const std::string name = key.to_string();
    return unified_diff(old_text, new_text, before ? "stored " + name : "/dev/null", "applied " + name);
}

}  // namespace

ExitCode rehearse(const Context& context, std::span<const InputObject> objects, const WriteOne& write,
                  std::optional<Code> tolerated) {
    const auto store = store::make_rehearsal(*context.store);
    std::string errors;
    for (const InputObject& object : objects) {
        const auto before = present(*store, object.key);
        const auto written =
            before ? write(*store, object) : store::StoreResult<Object>(std::unexpected(before.error()));
        const auto after = present(*store, object.key);
        if (written && after) {
            context.print(object_word(object.key) + " " + std::string(outcome(*before, *after)) + " (dry run)\n");
        } else if (written || written.error().code != tolerated) {
            errors += "\n  " + object.origin + ": " + object.key.to_string() + ": " +
                      describe(written ? after.error() : written.error());
        }
    }
    return errors.empty() ? ExitCode::ok : context.fail("would fail (dry run):" + errors);
}

ExitCode diff_objects(const Context& context, const DiffOptions& options) {
    Input input = read_input(context, options.input);
    if (refuse_input(context, input, false, "nothing can be compared")) {
        return ExitCode::trouble;
    }
    std::ranges::stable_sort(input.objects, {}, [](const InputObject& o) { return dependency_rank(o.key.kind); });
    const auto store = store::make_rehearsal(*context.store);
    ExitCode code = ExitCode::ok;
    for (const InputObject& object : input.objects) {
        const auto before = present(*store, object.key);
        const auto after = before ? apply_object(*store, object) : std::unexpected(before.error());
        const auto text = after ? difference(object.key, *before, *after) : fail(describe(after.error()));
        if (!text) {
            (void)context.fail(object.origin + ": " + object.key.to_string() + ": " + text.error().message);
            code = ExitCode::trouble;
        } else if (!text->empty()) {
            context.print(context.out_is_terminal ? coloured_diff(*text) : *text);
            code = code == ExitCode::ok ? ExitCode::failed : code;
        }
    }
    return code;
}

}  // namespace manul::ctl
