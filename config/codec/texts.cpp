#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

#include "base/ascii.hpp"
#include "config/codec/document.hpp"
#include "config/codec/tree.hpp"
#include "config/model/field.hpp"
#include "config/model/kind.hpp"
#include "config/model/scalar.hpp"
#include "config/model/tables.hpp"

namespace manul::codec {

namespace {

using model::Field;
using model::ObjectInfo;
using model::TypeInfo;
using Shape = TypeInfo::Shape;

/// Whether a program that reads the number and writes it again writes the same.
template <class Number>
bool reads_as_written(std::string_view text) {
    Number number{};
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    std::array<char, 32> buffer{};
    const auto printed = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number);
    return ec == std::errc{} && end == text.data() + text.size() && printed.ec == std::errc{} &&
           std::string_view(buffer.data(), printed.ptr) == text;
}

bool is_plain(const Tree& tree) {
    return tree.type == Tree::Type::boolean ||
           (tree.type == Tree::Type::number && tree.text.find_first_of("eE") == std::string::npos &&
            (reads_as_written<std::int64_t>(tree.text) || reads_as_written<double>(tree.text)));
}

class Settler {
public:
    /// `folds`: keys in another letter case are the fields', too.
    Settler(Author author, bool folds) : author_(author), folds_(folds) {}

    void object(const ObjectInfo& info, Tree& tree) const {
        if (info.base != nullptr) {
            object(*info.base, tree);
        }
        for (const Field& field : info.fields) {
            Tree* child = tree.find(field.name);
            if (child == nullptr && folds_ && tree.is_map()) {
                const auto other = std::ranges::find_if(
                    tree.children, [&](const Tree& c) { return ascii::same_letters(c.key, field.name); });
                child = other == tree.children.end() ? nullptr : &*other;
            }
            if (child != nullptr) {
                child->key = field.name;
                value(*field.type, *child);
            }
        }
    }

private:
    void value(const TypeInfo& type, Tree& tree) const {
        switch (type.shape) {
            case Shape::any:
                break;
            case Shape::scalar:
                if (type.scalar == &model::ScalarOf<std::string>::kInfo && author_ == Author::person &&
                    is_plain(tree)) {
                    tree.type = Tree::Type::text;
                }
                break;
            case Shape::optional:
                value(*type.element, tree);
                break;
            case Shape::map:
                for (Tree& child : tree.children) {
                    const bool wants_text = type.element->scalar == &model::ScalarOf<std::string>::kInfo;
                    if (wants_text && child.type == Tree::Type::null) {
                        child.type = Tree::Type::text;
                    }
                    value(*type.element, child);
                }
                break;
            case Shape::list:
                for (Tree& child : tree.children) {
                    value(*type.element, child);
                }
                break;
            case Shape::object:
                object(*type.object, tree);
                break;
        }
    }

    Author author_;
    bool folds_;
};

}  // namespace

void settle_texts(model::Kind kind, Tree& document, Author author) {
    // Calico's tools read JSON as Go does; Kubernetes is exact.
    const Settler settler(author, author == Author::person && model::info(kind).group == "projectcalico.org");
    if (Tree* metadata = document.find("metadata")) {
        settler.object(model::metadata_table(), *metadata);
    }
    settler.object(*model::table(kind).object, document);
}

}  // namespace manul::codec
