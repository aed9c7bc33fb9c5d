#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "config/codec/tree.hpp"

/// The part of Go's text/template that `get -o go-template=` needs: fields, variables, pipelines, range, if, with,
/// break, continue, comments, trimmed white space, and the functions of `template_functions.hpp`. Anything else
/// (define, template, block, methods) is refused by name. Fields are those of the JSON document, or, in a template that
/// begins with one of Go's names, as calicoctl's users write them (`{{range .}}{{range .Items}}{{.ObjectMeta.Name}}`),
/// in any letter case; absent fields then print nothing.
namespace manul::ctl {

namespace go {

struct Call;

/// `.spec.cidr`, `$x.name`, `(index .items 0).kind`, `"text"`, `len`: where a value comes from, then fields of it.
struct Operand {
    enum class Kind : std::uint8_t { dot, variable, literal, function, pipeline };

    Kind kind = Kind::dot;
    std::string name;         ///< of a variable ("" is the document) or function
    codec::Tree literal;      ///< null where no literal is
    std::vector<Call> inner;  ///< in parentheses
    std::vector<std::string> fields;
};

/// A value, or a function with its arguments.
struct Call {
    std::vector<Operand> operands;
};

/// `$i, $e := a | b`
struct Pipeline {
    std::vector<std::string> variables;
    bool declares = false;  ///< `:=` in place of `=`
    std::vector<Call> calls;
};

struct Node {
    enum class Kind : std::uint8_t { text, print, branch, with, range, leave, next };

    Kind kind = Kind::text;
    std::string text;
    Pipeline pipeline;
    std::vector<Node> body;
    std::vector<Node> otherwise;
};

}  // namespace go

class GoTemplate {
public:
    [[nodiscard]] static Result<GoTemplate> parse(std::string_view text);
    [[nodiscard]] Result<std::string> print(const codec::Tree& document) const;
    /// Whether fields have Go's names. The dot is then a list of what was found, as in calicoctl.
    [[nodiscard]] bool has_go_names() const noexcept { return has_go_names_; }

private:
    std::vector<go::Node> nodes_;
    bool has_go_names_ = false;
};

}  // namespace manul::ctl
