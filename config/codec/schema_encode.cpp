#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/codec/document.hpp"
#include "config/codec/json.hpp"
#include "config/codec/schema.hpp"
#include "config/codec/tree.hpp"
#include "config/model/field.hpp"
#include "config/model/kind.hpp"
#include "config/model/resource.hpp"
#include "config/model/scalar.hpp"
#include "config/model/tables.hpp"

namespace manul::codec {

namespace {

using model::Field;
using model::ObjectInfo;
using model::Scalar;
using model::ScalarForm;
using model::TypeInfo;
using Shape = TypeInfo::Shape;

/// Takes a walk's values as a tree.
class TreeOut {
public:
    void null() { add({}); }
    void text(std::string_view value) { add(Tree::of_text(std::string(value))); }
    void scalar(Scalar value) {
        const auto type = value.form == ScalarForm::text     ? Tree::Type::text
                          : value.form == ScalarForm::number ? Tree::Type::number
                                                             : Tree::Type::boolean;
        add({.type = type, .text = std::move(value.text)});
    }
    void key(std::string_view name) { key_ = name; }
    void open_list() { open_.push_back(&add({.type = Tree::Type::list})); }
    void open_map() { open_.push_back(&add({.type = Tree::Type::map})); }
    void close_list() { open_.pop_back(); }
    void close_map() { open_.pop_back(); }

    [[nodiscard]] Tree take() { return std::move(root_); }

private:
    Tree& add(Tree value) {
        value.key = std::exchange(key_, {});
        if (open_.empty()) {
            return root_ = std::move(value);
        }
        return open_.back()->children.emplace_back(std::move(value));
    }

    Tree root_;
    std::vector<Tree*> open_;  ///< each the last child of the one before it, so none moves while it is open
    std::string key_;
};

/// Takes a walk's values as compact JSON.
class TextOut {
public:
    void null() { begin() += "null"; }
    void text(std::string_view value) { append_json_text(begin(), value); }
    void scalar(const Scalar& value) {
        if (value.form == ScalarForm::text) {
            text(value.text);
        } else {
            begin() += value.text;
        }
    }
    void key(std::string_view name) {
        append_json_text(begin(), name);
        out_ += ':';
    }
    void open_list() { begin() += '['; }
    void open_map() { begin() += '{'; }
    void close_list() { out_ += ']'; }
    void close_map() { out_ += '}'; }

    [[nodiscard]] std::string take() { return std::move(out_); }

private:
    /// No value ends like one of these.
    std::string& begin() {
        if (!out_.empty() && std::string_view("[{:").find(out_.back()) == std::string_view::npos) {
            out_ += ',';
        }
        return out_;
    }

    std::string out_;
};

template <class Out>
void walk_object(const ObjectInfo& object, const void* value, Out& out);

template <class Out>
void walk_value(const TypeInfo& type, const void* value, Out& out) {
    switch (type.shape) {
        case Shape::any:
            out.null();
            return;
        case Shape::scalar:
            if (type.scalar == &model::ScalarOf<std::string>::kInfo) {
                out.text(*static_cast<const std::string*>(value));
            } else {
                out.scalar(type.scalar->print(value));
            }
            return;
        case Shape::optional:
            if (const void* inner = type.get(value)) {
                walk_value(*type.element, inner, out);
            } else {
                out.null();
            }
            return;
        case Shape::list:
            out.open_list();
            for (std::size_t i = 0; i < type.size(value); ++i) {
                walk_value(*type.element, type.at(value, i), out);
            }
            out.close_list();
            return;
        case Shape::map: {
            struct Context {
                Out& out;
                const TypeInfo& element;
            } context{out, *type.element};
            out.open_map();
            type.each(value, &context, [](void* c, std::string key, const void* item) {
                auto& [to, element] = *static_cast<Context*>(c);
                to.key(key);
                walk_value(element, item, to);
            });
            out.close_map();
            return;
        }
        case Shape::object:
            walk_object(*type.object, value, out);
            return;
    }
}

/// `always`: a field that is written also when it is as in a new object.
template <class Out>
void walk_fields(const ObjectInfo& object, const void* value, const void* initial, Out& out,
                 std::string_view always = {}) {
    // Accessors take a pointer that may be written through; here nothing is written.
    void* const mutable_value = const_cast<void*>(value);
    void* const mutable_initial = const_cast<void*>(initial);
    if (object.base != nullptr) {
        walk_fields(*object.base, object.to_base(mutable_value),
                    initial == nullptr ? nullptr : object.to_base(mutable_initial), out);
    }
    for (const Field& field : object.fields) {
        if (field.member == nullptr) {
            continue;
        }
        const void* const member = field.member(mutable_value);
        const bool is_initial = initial != nullptr && field.type->equals(member, field.member(mutable_initial));
        if (!is_initial || field.is_required || field.name == always) {
            out.key(field.name);
            walk_value(*field.type, member, out);
        }
    }
}

const void* initial_of(const ObjectInfo& object) { return object.initial == nullptr ? nullptr : object.initial(); }

template <class Out>
void walk_object(const ObjectInfo& object, const void* value, Out& out) {
    out.open_map();
    walk_fields(object, value, initial_of(object), out);
    out.close_map();
}

template <class Out>
auto walk_resource(const model::Resource& resource) {
    const model::KindTable& table = model::table(resource.kind());
    Out out;
    out.open_map();
    out.key("apiVersion");
    out.text(model::api_version(resource.kind()));
    out.key("kind");
    out.text(model::info(resource.kind()).name);
    out.key("metadata");
    walk_object(model::metadata_table(), &resource.metadata, out);
    // A spec that is as in a new object has fields that are required all the same.
    const bool has_spec = table.object->fields.front().name == "spec";
    walk_fields(*table.object, table.const_self(resource), initial_of(*table.object), out, has_spec ? "spec" : "");
    out.close_map();
    return out.take();
}

}  // namespace

Tree encode_value(const TypeInfo& type, const void* value) {
    TreeOut out;
    walk_value(type, value, out);
    return out.take();
}

Tree encode_tree(const model::Resource& resource) { return walk_resource<TreeOut>(resource); }

std::string encode(const model::Resource& resource) { return walk_resource<TextOut>(resource); }

Tree default_tree(const Field& field) {
    const std::string_view text = field.default_text;
    if (text.empty()) {
        return {};
    }
    if (auto parsed = parse_json(text)) {
        const model::ScalarInfo* scalar = scalar_of(*field.type);
        const bool is_text = scalar != nullptr && scalar->name == "string";
        return is_text && parsed->is_scalar() ? Tree::of_text(std::string(text)) : *std::move(parsed);
    }
    if (text.front() == '[' && text.back() == ']') {  // words, as YAML would take them
        Tree out{.type = Tree::Type::list};
        for (std::size_t at = 1; at < text.size() - 1;) {
            const std::size_t end = std::min(text.find(',', at), text.size() - 1);
            out.children.push_back(Tree::of_text(std::string(text.substr(at, end - at))));
            at = end + 2;  // the comma and the blank
        }
        return out;
    }
    return Tree::of_text(std::string(text));
}

}  // namespace manul::codec
