#include "config/store/outline.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "config/codec/tree.hpp"

namespace manul::store {

namespace {

constexpr std::size_t kUsualMembers = 12;

using codec::Tree;

/// Whether what comes next is the value of a tree. Not sure: there is an escape that does not look as we write it.
class Comparison {
public:
    explicit Comparison(std::string_view text) : walker_(text) {}

    bool is_next(const Tree& tree) {
        switch (tree.type) {
            case Tree::Type::map:
                return is_map(tree);
            case Tree::Type::list:
                return is_list(tree);
            case Tree::Type::text:
                return is_text(tree.text);
            case Tree::Type::number: {
                const auto number = walker_.value();
                return number && codec::is_json_number(*number) &&
                       Tree::of_number(std::string(*number)).same_value(tree);
            }
            case Tree::Type::boolean:
                return walker_.value() == tree.text;
            case Tree::Type::null:
                return walker_.value() == "null";
        }
        return false;
    }

    [[nodiscard]] bool at_end() { return walker_.at_end(); }
    [[nodiscard]] bool unsure() const { return unsure_; }

private:
    static bool has_escape(std::string_view text) { return text.find('\\') != std::string_view::npos; }

    bool is_text(const std::string& wanted) {
        const auto found = walker_.string();
        if (!found || !has_escape(*found)) {
            return found == wanted;
        }
        std::string written;
        codec::append_json_text(written, wanted);
        const bool same = std::string_view(written).substr(1, written.size() - 2) == *found;
        unsure_ = unsure_ || !same;
        return same;
    }

    bool is_map(const Tree& tree) {
        std::size_t members = 0;
        if (!walker_.accept('{')) {
            return false;
        }
        if (!walker_.accept('}')) {
            do {
                const auto name = walker_.string();
                const Tree* member = name && walker_.accept(':') ? tree.find(*name) : nullptr;
                if (member == nullptr) {
                    unsure_ = unsure_ || (name && has_escape(*name));
                    return false;
                }
                if (!is_next(*member)) {
                    return false;
                }
                ++members;
            } while (walker_.accept(','));
            if (!walker_.accept('}')) {
                return false;
            }
        }
        return members == tree.children.size();
    }

    bool is_list(const Tree& tree) {
        if (!walker_.accept('[')) {
            return false;
        }
        for (std::size_t i = 0; i < tree.children.size(); ++i) {
            if ((i > 0 && !walker_.accept(',')) || !is_next(tree.children[i])) {
                return false;
            }
        }
        return walker_.accept(']');
    }

    Walker walker_;
    bool unsure_ = false;
};

}  // namespace

bool same_json(std::string_view a, std::string_view b) {
    if (a == b) {
        return true;
    }
    const auto first = codec::parse_json(a);
    const auto second = codec::parse_json(b);
    return first && second && first->same_value(*second);
}

bool is_value_of(std::string_view json, const Tree& tree) {
    Comparison comparison(json);
    if (comparison.is_next(tree)) {
        return comparison.at_end();
    }
    if (json.starts_with('{') && !comparison.unsure()) {  // a lone number is not found: nothing ends it
        return false;
    }
    const auto parsed = codec::parse_json(json);
    return parsed && parsed->same_value(tree);
}

bool begins_with_value_of(std::string_view json, const Tree& tree) {
    Comparison comparison(json);
    if (comparison.is_next(tree)) {
        return true;
    }
    const auto value = comparison.unsure() ? Walker(json).value() : std::nullopt;
    return value && is_value_of(*value, tree);
}

std::optional<Metadata> Metadata::read(Walker& walker) {
    Metadata out;
    out.members_.reserve(kUsualMembers);
    if (!walker.accept('{')) {
        return std::nullopt;
    }
    if (!walker.accept('}')) {
        do {
            const auto name = walker.string();
            const auto value = name && walker.accept(':') ? walker.value() : std::nullopt;
            if (!value || name->find('\\') != std::string_view::npos || out.find(*name) != nullptr) {
                return std::nullopt;
            }
            out.members_.push_back({*name, *value, false});
        } while (walker.accept(','));
        if (!walker.accept('}')) {
            return std::nullopt;
        }
    }
    return out;
}

void Metadata::append_to(std::string& out) const {
    out += '{';
    for (const Member& member : members_) {
        out += out.back() == '{' ? "\"" : ",\"";
        out.append(member.name).append("\":");
        const std::string_view quote = member.is_bare ? "\"" : "";
        out.append(quote).append(member.value).append(quote);
    }
    out += '}';
}

bool Metadata::same_value(const Metadata& other) const {
    return members_.size() == other.members_.size() && std::ranges::all_of(members_, [&](const Member& member) {
               const Member* twin = other.find(member.name);
               return twin != nullptr && same_json(member.value, twin->value);
           });
}

std::optional<Outline> outline(std::string_view document) {
    Walker walker(document);
    Outline out;
    const bool whole = walker.each_member([&](std::string_view name) {
        const std::string_view rest = walker.rest();
        if (name == "metadata" && rest.starts_with('{')) {
            out.members = Metadata::read(walker);
            if (!out.members) {
                return false;
            }
        } else if (!walker.skip_value()) {
            return false;
        }
        const std::string_view value = rest.substr(0, rest.size() - walker.left());
        if (name == "apiVersion") {
            out.api_version = value;
        } else if (name == "kind") {
            out.kind = value;
        } else if (name == "metadata") {
            out.metadata = value;
        } else if (name == "spec") {
            out.spec = value;
        }
        return true;
    });
    return whole && walker.at_end() ? std::optional(std::move(out)) : std::nullopt;
}

// Where both are objects, the stored one is not walked through: an object ends where
// its text says, so that one which begins with the whole of the other is the other.
Before compare_with(std::string_view stored, std::string_view spec) {
    Walker walker(stored);
    Before out;
    std::string_view old_spec;
    if (!walker.accept('{')) {
        return out;
    }
    do {
        const auto name = walker.string();
        if (!name || !walker.accept(':')) {
            break;
        }
        if (*name == "spec") {
            out.spec = walker.rest();
        }
        if (*name == "spec" && out.metadata && spec.starts_with('{')) {
            out.same_spec = out.spec.starts_with(spec);
            return out;
        }
        if (*name == "metadata") {
            out.metadata = Metadata::read(walker);
            if (!out.metadata) {
                break;
            }
            continue;
        }
        const auto value = walker.value();
        if (!value) {
            break;
        }
        if (*name == "spec") {
            old_spec = *value;
        }
    } while (walker.accept(','));
    out.same_spec = spec == old_spec;
    return out;
}

std::optional<std::size_t> inside_metadata(std::string_view document) {
    // Nearly always it is the first object inside the document. No text before it can look like this: in a text the
    // quotes would be escaped.
    const std::size_t brace = document.find('{', 1);
    if (brace != std::string_view::npos && document.substr(0, brace).ends_with(R"(,"metadata":)")) {
        return brace + 1;
    }
    Walker walker(document);
    if (!walker.accept('{')) {
        return std::nullopt;
    }
    do {
        const auto name = walker.string();
        if (!name || !walker.accept(':')) {
            return std::nullopt;
        }
        if (*name == "metadata") {
            return walker.accept('{') ? std::optional(walker.position()) : std::nullopt;
        }
        if (!walker.skip_value()) {
            return std::nullopt;
        }
    } while (walker.accept(','));
    return std::nullopt;
}

}  // namespace manul::store
