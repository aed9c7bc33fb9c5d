#include "serve/selection.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"
#include "config/model/names.hpp"

namespace manul::serve {

namespace {

constexpr std::string_view kBlanks = " \t\r\n";

Problem bad_labels(std::string_view text, const std::string& why) {
    return bad_request("unable to parse requirement: \"" + std::string(text) + "\": " + why);
}

std::optional<std::int64_t> integer(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    return failed == std::errc{} && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

/// Fields of each kind beside metadata.name and metadata.namespace.
std::vector<std::string_view> fields_of(model::Kind kind) {
    switch (kind) {
        case model::Kind::pod:
            return {"spec.nodeName", "spec.serviceAccountName", "spec.hostNetwork", "status.phase", "status.podIP"};
        case model::Kind::service:
            return {"spec.clusterIP", "spec.type"};
        case model::Kind::secret:
            return {"type"};
        case model::Kind::namespace_:
            return {"status.phase"};
        case model::Kind::network_policy:
        case model::Kind::global_network_policy:
        case model::Kind::staged_network_policy:
        case model::Kind::staged_global_network_policy:
            return {"spec.tier"};
        case model::Kind::workload_endpoint:
        case model::Kind::host_endpoint:
        case model::Kind::bgp_peer:
            return {"spec.node"};
        default:
            return {};
    }
}

std::string_view trimmed(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(kBlanks);
    return begin == std::string_view::npos ? std::string_view{}
                                           : text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

}  // namespace

class LabelQuery::Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    Outcome<std::vector<Requirement>> run() {
        std::vector<Requirement> out;
        skip();
        while (at_ < text_.size()) {
            MANUL_TRY(Requirement requirement, one());
            if (!model::is_label_key(requirement.key) ||
                !std::ranges::all_of(requirement.values, model::is_label_value)) {
                return std::unexpected(bad_labels(text_, "no label has this name, or this value"));
            }
            out.push_back(std::move(requirement));
            skip();
            if (at_ == text_.size()) {
                break;
            }
            if (!accept(",")) {
                return std::unexpected(bad_labels(text_, "expected a comma between requirements"));
            }
            skip();
            if (at_ == text_.size()) {
                return std::unexpected(bad_labels(text_, "expected the name of a label after the comma"));
            }
        }
        return out;
    }

private:
    Outcome<Requirement> one() {
        Requirement out;
        const bool negated = accept("!");
        skip();
        out.key = word();
        if (out.key.empty()) {
            return std::unexpected(bad_labels(text_, "expected the name of a label"));
        }
        skip();
        if (negated) {
            out.op = Operator::absent;
            return out;
        }
        if (at_ == text_.size() || text_[at_] == ',') {
            out.op = Operator::exists;
            return out;
        }
        if (accept("!=")) {
            out.op = Operator::not_in;
        } else if (accept("==") || accept("=")) {
            out.op = Operator::in;
        } else if (accept(">") || accept("<")) {
            out.op = text_[at_ - 1] == '>' ? Operator::greater : Operator::less;
            skip();
            out.values.push_back(word());
            if (!integer(out.values.front())) {
                return std::unexpected(bad_labels(text_, "> and < compare with an integer"));
            }
            return out;
        } else {
            return among(std::move(out));
        }
        skip();
        out.values.push_back(word());
        return out;
    }

    Outcome<Requirement> among(Requirement out) {
        const std::string name = word();
        if (name != "in" && name != "notin") {
            return std::unexpected(bad_labels(text_, "expected =, ==, !=, in, notin, > or <"));
        }
        out.op = name == "in" ? Operator::in : Operator::not_in;
        skip();
        if (!accept("(")) {
            return std::unexpected(bad_labels(text_, "expected ( after " + name));
        }
        do {
            skip();
            out.values.push_back(word());
            skip();
        } while (accept(","));
        if (!accept(")")) {
            return std::unexpected(bad_labels(text_, "expected ) after the values of " + name));
        }
        return out;
    }

    bool accept(std::string_view token) {
        if (!text_.substr(at_).starts_with(token)) {
            return false;
        }
        at_ += token.size();
        return true;
    }
    void skip() { at_ = std::min(text_.find_first_not_of(kBlanks, at_), text_.size()); }
    std::string word() {
        const std::size_t start = at_;
        at_ = std::min(text_.find_first_of(" \t\r\n,()=!<>", at_), text_.size());
        return std::string(text_.substr(start, at_ - start));
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

Outcome<LabelQuery> LabelQuery::parse(std::string_view text) {
    LabelQuery out;
    MANUL_TRY(out.requirements_, Parser(text).run());
    return out;
}

bool LabelQuery::Requirement::matches(const codec::Tree* labels) const {
    const codec::Tree* label = labels == nullptr ? nullptr : labels->find(key);
    switch (op) {
        case Operator::exists:
            return label != nullptr;
        case Operator::absent:
            return label == nullptr;
        case Operator::in:
            return label != nullptr && std::ranges::find(values, label->text) != values.end();
        case Operator::not_in:
            return label == nullptr || std::ranges::find(values, label->text) == values.end();
        case Operator::greater:
        case Operator::less: {
            const auto found = label == nullptr ? std::nullopt : integer(label->text);
            const auto bound = integer(values.front());
            return found && bound && (op == Operator::greater ? *found > *bound : *found < *bound);
        }
    }
    return false;
}

bool LabelQuery::matches(const codec::Tree* labels) const {
    return std::ranges::all_of(requirements_, [&](const Requirement& r) { return r.matches(labels); });
}

Outcome<FieldQuery> FieldQuery::parse(model::Kind kind, std::string_view text) {
    FieldQuery out;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(','), text.size());
        const std::string_view term = trimmed(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (term.empty()) {
            continue;
        }
        const std::size_t equals = term.find('=');
        if (equals == std::string_view::npos || equals == 0) {
            return std::unexpected(bad_request("invalid field selector: \"" + std::string(term) +
                                               "\"; can't understand it, expected FIELD=VALUE or FIELD!=VALUE"));
        }
        Term parsed;
        parsed.equals = term[equals - 1] != '!';
        parsed.path = trimmed(term.substr(0, parsed.equals ? equals : equals - 1));
        const bool twice = equals + 1 < term.size() && term[equals + 1] == '=';
        parsed.value = trimmed(term.substr(equals + (twice ? 2 : 1)));
        const std::vector<std::string_view> known = fields_of(kind);
        if (parsed.path != "metadata.name" && parsed.path != "metadata.namespace" &&
            std::ranges::find(known, parsed.path) == known.end()) {
            return std::unexpected(bad_request("field label not supported: " + parsed.path));
        }
        out.terms_.push_back(std::move(parsed));
    }
    return out;
}

bool FieldQuery::Term::matches(const codec::Tree& document) const {
    const std::size_t dot = std::min(path.find('.'), path.size());
    const codec::Tree* node = document.find(path.substr(0, dot));
    if (node != nullptr && dot < path.size()) {
        node = node->find(path.substr(dot + 1));
    }
    return ((node == nullptr ? std::string_view{} : std::string_view(node->text)) == value) == equals;
}

bool FieldQuery::matches(const codec::Tree& document) const {
    return std::ranges::all_of(terms_, [&](const Term& term) { return term.matches(document); });
}

bool FieldQuery::matches_name(const codec::Tree& document) const {
    return std::ranges::all_of(
        terms_, [&](const Term& term) { return !term.path.starts_with("metadata.") || term.matches(document); });
}

std::string FieldQuery::only_name() const {
    const auto found =
        std::ranges::find_if(terms_, [](const Term& term) { return term.equals && term.path == "metadata.name"; });
    return found == terms_.end() ? std::string() : found->value;
}

bool Selection::matches(const codec::Tree& document) const {
    const codec::Tree* metadata = document.find("metadata");
    return labels.matches(metadata == nullptr ? nullptr : metadata->find("labels")) && fields.matches(document);
}

bool Selection::matches(std::string_view document) const {
    if (empty()) {
        return true;
    }
    const auto tree = codec::parse_json(document);
    return tree && matches(*tree);
}

}  // namespace manul::serve
