#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>

#include "config/codec/schema.hpp"
#include "config/codec/tree.hpp"
#include "config/model/field.hpp"
#include "config/model/scalar.hpp"

namespace manul::codec {

namespace {

using model::Field;
using model::ObjectInfo;
using model::Scalar;
using model::ScalarForm;
using model::TypeInfo;
using Shape = TypeInfo::Shape;

Tree from_scalar(Scalar scalar) {
    const auto type = scalar.form == ScalarForm::text     ? Tree::Type::text
                      : scalar.form == ScalarForm::number ? Tree::Type::number
                                                          : Tree::Type::boolean;
    return {.type = type, .text = std::move(scalar.text)};
}

void encode_fields(const ObjectInfo& object, const void* value, const void* initial, Tree& out) {
    // Accessors take a pointer that may be written through; here nothing is written.
    void* const mutable_value = const_cast<void*>(value);
    void* const mutable_initial = const_cast<void*>(initial);
    if (object.base != nullptr) {
        encode_fields(*object.base, object.to_base(mutable_value),
                      initial == nullptr ? nullptr : object.to_base(mutable_initial), out);
    }
    for (const Field& field : object.fields) {
        if (field.member == nullptr) {
            continue;
        }
        const void* const member = field.member(mutable_value);
        const bool is_initial = initial != nullptr && field.type->equals(member, field.member(mutable_initial));
        if (is_initial && !field.is_required) {
            continue;
        }
        Tree child = encode_value(*field.type, member);
        child.key = field.name;
        out.children.push_back(std::move(child));
    }
}

}  // namespace

Tree encode_object(const ObjectInfo& object, const void* value) {
    Tree out{.type = Tree::Type::map};
    encode_fields(object, value, object.initial == nullptr ? nullptr : object.initial(), out);
    return out;
}

Tree encode_value(const TypeInfo& type, const void* value) {
    switch (type.shape) {
        case Shape::any:
            return {};
        case Shape::scalar:
            return from_scalar(type.scalar->print(value));
        case Shape::optional: {
            const void* inner = type.get(value);
            return inner == nullptr ? Tree{} : encode_value(*type.element, inner);
        }
        case Shape::list: {
            Tree out{.type = Tree::Type::list};
            for (std::size_t i = 0; i < type.size(value); ++i) {
                out.children.push_back(encode_value(*type.element, type.at(value, i)));
            }
            return out;
        }
        case Shape::map: {
            struct Context {
                Tree out{.type = Tree::Type::map};
                const TypeInfo* element;
            } context{.element = type.element};
            type.each(value, &context, [](void* c, std::string key, const void* item) {
                auto& [out, element] = *static_cast<Context*>(c);
                Tree child = encode_value(*element, item);
                child.key = std::move(key);
                out.children.push_back(std::move(child));
            });
            return std::move(context.out);
        }
        case Shape::object:
            return encode_object(*type.object, value);
    }
    return {};
}

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
