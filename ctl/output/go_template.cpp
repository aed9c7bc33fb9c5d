#include "ctl/output/go_template.hpp"

#include <algorithm>
#include <cstddef>
#include <deque>
#include <utility>

#include "base/ascii.hpp"
#include "base/try.hpp"
#include "ctl/output/template_functions.hpp"

// Nodes to text.

namespace manul::ctl {

namespace {

using codec::Tree;
using go::Call;
using go::Node;
using go::Operand;
using go::Pipeline;

/// The field that Go's structs call so: their names differ from JSON's by letter case alone, but for metadata, whose
/// fields are the object's own, too.
const Tree* go_field(const Tree& value, std::string_view name) {
    if (const Tree* exact = value.find(name)) {
        return exact;
    }
    if (name == "TypeMeta") {
        return &value;
    }
    const Tree* metadata = value.find("metadata");
    if (name == "ObjectMeta" || name == "ListMeta") {
        return metadata;
    }
    const auto at =
        std::ranges::find_if(value.children, [&](const Tree& field) { return ascii::same_letters(field.key, name); });
    if (at != value.children.end()) {
        return &*at;
    }
    return metadata == nullptr ? nullptr : go_field(*metadata, name);
}

class Printer {
public:
    Printer(const Tree& document, bool has_go_names) : document_(document), has_go_names_(has_go_names) {}

    Result<std::string> run(const std::vector<Node>& nodes) {
        MANUL_CHECK(block(nodes, &document_));
        return std::move(out_);
    }

private:
    enum class Flow : std::uint8_t { on, leave, next };

    /// Variables of a block end with it.
    Result<Flow> block(const std::vector<Node>& nodes, const Tree* dot) {
        const std::size_t known = variables_.size();
        for (const Node& node : nodes) {
            MANUL_TRY(const Flow flow, one(node, dot));
            if (flow != Flow::on) {
                variables_.resize(known);
                return flow;
            }
        }
        variables_.resize(known);
        return Flow::on;
    }

    Result<Flow> one(const Node& node, const Tree* dot) {
        switch (node.kind) {
            case Node::Kind::text:
                out_ += node.text;
                return Flow::on;
            case Node::Kind::leave:
                return Flow::leave;
            case Node::Kind::next:
                return Flow::next;
            case Node::Kind::range:
                return range(node, dot);
            case Node::Kind::print:
            case Node::Kind::branch:
            case Node::Kind::with:
                break;
        }
        const std::size_t known = variables_.size();
        MANUL_TRY(const Tree* value, pipeline(node.pipeline, dot));
        if (node.kind == Node::Kind::print) {
            if (node.pipeline.variables.empty()) {
                out_ += value == nullptr && has_go_names_ ? "" : template_text(value);
            }
            return Flow::on;  // what it declares lives as long as the block around it
        }
        const bool truth = template_truth(value);
        auto flow = block(truth ? node.body : node.otherwise, truth && node.kind == Node::Kind::with ? value : dot);
        variables_.resize(known);
        return flow;
    }

    Result<Flow> range(const Node& node, const Tree* dot) {
        const std::size_t known = variables_.size();
        MANUL_TRY(const Tree* value, calls(node.pipeline.calls, dot));
        if (value != nullptr && value->is_scalar()) {
            return fail("range takes a list or an object, not '" + value->text + "'");
        }
        std::vector<const Tree*> items;
        for (std::size_t i = 0; value != nullptr && i < value->children.size(); ++i) {
            items.push_back(&value->children[i]);
        }
        if (value != nullptr && value->is_map()) {
            std::ranges::sort(items, {}, &Tree::key);
        }
        for (std::size_t i = 0; i < items.size(); ++i) {
            const auto& names = node.pipeline.variables;
            if (names.size() == 2) {
                const Tree& place = made_.emplace_back(value->is_map() ? Tree::of_text(items[i]->key)
                                                                       : Tree::of_number(std::to_string(i)));
                MANUL_CHECK(set(names.front(), &place, node.pipeline.declares));
            }
            if (!names.empty()) {
                MANUL_CHECK(set(names.back(), items[i], node.pipeline.declares));
            }
            MANUL_TRY(const Flow flow, block(node.body, items[i]));
            variables_.resize(known);
            if (flow == Flow::leave) {
                break;
            }
        }
        return items.empty() ? block(node.otherwise, dot) : Flow::on;
    }

    Result<void> set(const std::string& name, const Tree* value, bool declares) {
        if (declares) {
            variables_.emplace_back(name, value);
            return {};
        }
        const auto at = std::ranges::find(variables_.rbegin(), variables_.rend(), name,
                                          &std::pair<std::string, const Tree*>::first);
        if (at == variables_.rend()) {
            return fail("the variable $" + name + " is not known");
        }
        at->second = value;
        return {};
    }

    Result<const Tree*> pipeline(const Pipeline& pipeline, const Tree* dot) {
        MANUL_TRY(const Tree* value, calls(pipeline.calls, dot));
        if (!pipeline.variables.empty()) {
            MANUL_CHECK(set(pipeline.variables.front(), value, pipeline.declares));
        }
        return value;
    }

    /// Each call but the first gets what the one before gave as its last argument.
    Result<const Tree*> calls(const std::vector<Call>& calls, const Tree* dot) {
        const Tree* value = nullptr;
        for (const Call& call : calls) {
            MANUL_TRY(value, this->call(call, dot, &call == &calls.front() ? nullptr : &value));
        }
        return value;
    }

    Result<const Tree*> call(const Call& call, const Tree* dot, const Tree* const* before) {
        const Operand& first = call.operands.front();
        if (first.kind != Operand::Kind::function) {
            return before == nullptr ? operand(first, dot) : fail("behind | a function must stand");
        }
        const bool is_and = first.name == "and";
        const bool decides = is_and || first.name == "or";
        TemplateValues values;
        for (std::size_t i = 1; i < call.operands.size() + (before == nullptr ? 0 : 1); ++i) {
            if (before != nullptr && i == call.operands.size()) {
                values.push_back(*before);
            } else {
                MANUL_TRY(const Tree* value, operand(call.operands[i], dot));
                values.push_back(value);
            }
            if (decides && template_truth(values.back()) != is_and) {
                return values.back();
            }
        }
        if (decides) {
            return values.empty() ? fail(first.name + " takes values") : Result<const Tree*>(values.back());
        }
        return call_template_function(first.name, values, made_);
    }

    Result<const Tree*> operand(const Operand& operand, const Tree* dot) {
        const Tree* value = dot;
        switch (operand.kind) {
            case Operand::Kind::dot:
                break;
            case Operand::Kind::variable: {
                const auto at = std::ranges::find(variables_.rbegin(), variables_.rend(), operand.name,
                                                  &std::pair<std::string, const Tree*>::first);
                if (at == variables_.rend() && !operand.name.empty()) {
                    return fail("the variable $" + operand.name + " is not known");
                }
                value = operand.name.empty() ? &document_ : at->second;
                break;
            }
            case Operand::Kind::literal:
                return &operand.literal;
            case Operand::Kind::function: {
                MANUL_TRY(value, call_template_function(operand.name, {}, made_));
                break;
            }
            case Operand::Kind::pipeline: {
                MANUL_TRY(value, calls(operand.inner, dot));
                break;
            }
        }
        for (const std::string& field : operand.fields) {
            if (value != nullptr && (value->is_list() || value->is_scalar())) {
                return fail("there is no field " + field + " in " + template_text(value).substr(0, 60));
            }
            if (value != nullptr) {
                value = has_go_names_ ? go_field(*value, field) : value->find(field);
            }
        }
        return value;
    }

    const Tree& document_;
    const bool has_go_names_;
    std::vector<std::pair<std::string, const Tree*>> variables_;
    std::deque<Tree> made_;  ///< what functions computed
    std::string out_;
};

}  // namespace

Result<std::string> GoTemplate::print(const Tree& document) const {
    return Printer(document, has_go_names_).run(nodes_);
}

}  // namespace manul::ctl
