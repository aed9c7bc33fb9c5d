#include "serve/accept.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/ascii.hpp"

namespace manul::serve {

namespace {

std::string_view trimmed(std::string_view text) {
    const std::size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
    return text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

/// The text before the separator; that and the separator are taken off.
std::string_view next(std::string_view& rest, char separator) {
    const std::string_view part = rest.substr(0, rest.find(separator));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    return trimmed(part);
}

/// One of the types that a header offers.
struct Clause {
    std::string type;
    double weight = 1;
    bool converts = false;
    std::string group;
    Format format;
};

Clause parse_clause(std::string_view text) {
    Clause out;
    out.type = ascii::lowered(next(text, ';'));
    while (!text.empty()) {
        std::string_view value = next(text, ';');
        const std::string name = ascii::lowered(next(value, '='));
        if (name == "q") {
            double weight = 1;
            const auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), weight);
            out.weight = failed == std::errc{} && end == value.data() + value.size() ? weight : 1;
        } else if (name == "as" || name == "g" || name == "v") {
            out.converts = true;
            (name == "as" ? out.format.as : name == "g" ? out.group : out.format.version) = value;
        }
    }
    return out;
}

/// Of equal weight the one that says more.
int generality(const Clause& clause) { return clause.type == "*/*" ? 2 : clause.type.ends_with("/*") ? 1 : 0; }

bool is_offered(const Clause& clause) {
    if (clause.weight <= 0) {
        return false;
    }
    if (clause.converts) {
        const Format& format = clause.format;
        const bool known =
            format.as == "Table" || format.as == "PartialObjectMetadata" || format.as == "PartialObjectMetadataList";
        if (!known || clause.group != "meta.k8s.io" || (format.version != "v1" && format.version != "v1beta1")) {
            return false;
        }
    }
    return clause.type == "application/json" || clause.type == "application/yaml" || generality(clause) == 2 ||
           clause.type == "application/*";
}

}  // namespace

std::optional<Format> negotiated(std::string_view accept) {
    if (trimmed(accept).empty()) {
        return Format{};
    }
    std::vector<Clause> clauses;
    while (!accept.empty()) {
        clauses.push_back(parse_clause(next(accept, ',')));
    }
    std::ranges::stable_sort(clauses, [](const Clause& a, const Clause& b) {
        return a.weight != b.weight ? a.weight > b.weight : generality(a) < generality(b);
    });
    const auto best = std::ranges::find_if(clauses, is_offered);
    if (best == clauses.end()) {
        return std::nullopt;
    }
    best->format.yaml = best->type == "application/yaml";
    return best->format;
}

std::string media_type(std::string_view text) { return ascii::lowered(next(text, ';')); }

}  // namespace manul::serve
