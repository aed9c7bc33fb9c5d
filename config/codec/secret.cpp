#include "config/codec/secret.hpp"

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/base64.hpp"
#include "base/error.hpp"
#include "base/try.hpp"
#include "config/codec/tree.hpp"
#include "config/model/secret.hpp"

namespace manul::codec {

namespace {

constexpr std::string_view kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";
constexpr std::string_view kPlainMask = "***";

Result<Tree> parse_object(std::string_view document) {
    MANUL_TRY(Tree tree, parse_json(document));
    if (!tree.is_map()) {
        return fail("expected a JSON object");
    }
    return tree;
}

Tree* last_applied(Tree& document) {
    Tree* metadata = document.find("metadata");
    Tree* annotations = metadata == nullptr ? nullptr : metadata->find("annotations");
    return annotations == nullptr ? nullptr : annotations->find(kLastApplied);
}

void mask_values(Tree& document) {
    for (const auto& [list, mask] :
         {std::pair{"data", std::string_view(model::kSecretMask)}, {"stringData", kPlainMask}}) {
        if (Tree* values = document.find(list)) {
            for (Tree& value : values->children) {
                value.assign(Tree::of_text(std::string(mask)));
            }
        }
    }
}

/// The value of a key in the first of these documents that has it.
const Tree* find_value(std::initializer_list<const Tree*> documents, std::string_view key) {
    for (const Tree* document : documents) {
        const Tree* data = document == nullptr ? nullptr : document->find("data");
        if (const Tree* value = data == nullptr ? nullptr : data->find(key)) {
            return value;
        }
    }
    return nullptr;
}

/// Values of `from` where a mask stands in `document`; the first key that has none is returned.
std::optional<std::string> unmask(Tree& document, std::initializer_list<const Tree*> from) {
    if (Tree* values = document.find("data")) {
        for (Tree& value : values->children) {
            if (value.text != model::kSecretMask) {
                continue;
            }
            const Tree* real = find_value(from, value.key);
            if (real == nullptr) {
                return value.key;
            }
            value.assign(*real);
        }
    }
    if (Tree* values = document.find("stringData")) {  // of what was applied
        for (Tree& value : values->children) {
            if (value.text != kPlainMask) {
                continue;
            }
            const Tree* real = find_value(from, value.key);
            auto text = real == nullptr ? std::nullopt : base64_decode(real->text);
            if (!text || !is_utf8(*text)) {
                return value.key;
            }
            value.assign(Tree::of_text(*std::move(text)));
        }
    }
    return std::nullopt;
}

}  // namespace

Result<std::string> masked_secret(std::string_view document) {
    MANUL_TRY(Tree tree, parse_object(document));
    mask_values(tree);
    if (Tree* applied = last_applied(tree)) {
        auto inner = parse_object(applied->text);
        if (inner) {
            mask_values(*inner);
        }
        applied->assign(Tree::of_text(inner ? to_json(*inner) : std::string(kPlainMask)));
    }
    return to_json(tree);
}

Result<std::string> completed_secret(std::string_view document, std::optional<std::string_view> stored) {
    MANUL_TRY(Tree tree, parse_object(document));
    if (const Tree* plain = tree.find("stringData"); plain != nullptr && plain->is_map()) {
        const Tree texts = *plain;  // a copy: make() may move its siblings
        for (const Tree& text : texts.children) {
            tree.make("data").make(text.key).assign(Tree::of_text(base64_encode(text.text)));
        }
    }
    tree.erase("stringData");
    std::optional<Tree> before;
    if (stored) {
        MANUL_TRY(before, parse_object(*stored));
    }
    const Tree* const old = before ? &*before : nullptr;
    if (const auto missing = unmask(tree, {old})) {
        return fail("data[\"" + *missing + "\"]: " + model::kSecretMask +
                    " stands for a value that is not shown, but none is stored; give the value");
    }
    if (Tree* applied = last_applied(tree)) {
        if (auto inner = parse_object(applied->text)) {
            if (!unmask(*inner, {&tree, old})) {
                applied->assign(Tree::of_text(to_json(*inner)));
            }
        }
    }
    return to_json(tree);
}

}  // namespace manul::codec
