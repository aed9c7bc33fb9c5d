#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"
#include "serve/status.hpp"

/// labelSelector and fieldSelector of lists and watches, in Kubernetes' own syntax.
namespace manul::serve {

/// `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>5`
class LabelQuery {
public:
    [[nodiscard]] static Outcome<LabelQuery> parse(std::string_view text);

    [[nodiscard]] bool empty() const noexcept { return requirements_.empty(); }
    /// `labels` is metadata.labels, or null.
    [[nodiscard]] bool matches(const codec::Tree* labels) const;

private:
    enum class Operator : std::uint8_t { in, not_in, exists, absent, greater, less };
    struct Requirement {
        std::string key;
        Operator op{};
        std::vector<std::string> values;

        [[nodiscard]] bool matches(const codec::Tree* labels) const;
    };
    class Parser;

    std::vector<Requirement> requirements_;
};

/// `metadata.name=a,spec.nodeName!=b`; which fields can be asked for depends on the kind.
class FieldQuery {
public:
    [[nodiscard]] static Outcome<FieldQuery> parse(model::Kind kind, std::string_view text);

    [[nodiscard]] bool empty() const noexcept { return terms_.empty(); }
    [[nodiscard]] bool matches(const codec::Tree& document) const;
    /// What the terms on name and namespace say alone: of an object they never change.
    [[nodiscard]] bool matches_name(const codec::Tree& document) const;
    /// The one name that is asked for; empty when it is not one.
    [[nodiscard]] std::string only_name() const;

private:
    struct Term {
        std::string path;
        std::string value;
        bool equals = true;

        [[nodiscard]] bool matches(const codec::Tree& document) const;
    };

    std::vector<Term> terms_;
};

/// Both together; most requests have neither, and then no document is parsed.
struct Selection {
    LabelQuery labels;
    FieldQuery fields;

    [[nodiscard]] bool empty() const noexcept { return labels.empty() && fields.empty(); }
    [[nodiscard]] bool matches(const codec::Tree& document) const;
    /// The same for a document as text.
    [[nodiscard]] bool matches(std::string_view document) const;
};

}  // namespace manul::serve
