#include "config/model/names.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/ascii.hpp"

namespace manul::model {

namespace {

/// `inner` may stand anywhere but at the ends, where only `edge` may.
template <class Edge, class Inner>
bool made_of(std::string_view text, Edge edge, Inner inner) {
    return !text.empty() && edge(text.front()) && edge(text.back()) &&
           std::ranges::all_of(text, [&](char c) { return edge(c) || inner(c); });
}

bool is_dns_part(std::string_view text) {
    return made_of(
        text, [](char c) { return ascii::is_lower(c) || ascii::is_digit(c); }, [](char c) { return c == '-'; });
}

bool is_name_part(std::string_view text) {
    return text.size() <= 63 &&
           made_of(text, ascii::is_alphanumeric, [](char c) { return c == '-' || c == '_' || c == '.'; });
}

/// Levenshtein distance with swapped neighbours as one error, in lower case.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) {
        d[i][0] = i;
    }
    std::iota(d[0].begin(), d[0].end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const bool same = ascii::to_lower(a[i - 1]) == ascii::to_lower(b[j - 1]);
            d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (same ? 0U : 1U)});
            if (i > 1 && j > 1 && ascii::to_lower(a[i - 1]) == ascii::to_lower(b[j - 2]) &&
                ascii::to_lower(a[i - 2]) == ascii::to_lower(b[j - 1])) {
                d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
            }
        }
    }
    return d[a.size()][b.size()];
}

}  // namespace

bool is_dns_label(std::string_view text) noexcept { return text.size() <= 63 && is_dns_part(text); }

bool is_dns_subdomain(std::string_view text) noexcept {
    if (text.size() > 253) {
        return false;
    }
    while (true) {
        const std::size_t dot = text.find('.');
        if (!is_dns_part(text.substr(0, dot))) {
            return false;
        }
        if (dot == std::string_view::npos) {
            return true;
        }
        text.remove_prefix(dot + 1);
    }
}

bool is_label_key(std::string_view text) noexcept {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) {
        return is_name_part(text);
    }
    return is_dns_subdomain(text.substr(0, slash)) && is_name_part(text.substr(slash + 1));
}

bool is_label_value(std::string_view text) noexcept { return text.empty() || is_name_part(text); }

bool is_iana_service_name(std::string_view text) noexcept {
    return text.size() <= 15 && is_dns_part(text) && std::ranges::any_of(text, ascii::is_lower) &&
           text.find("--") == std::string_view::npos;
}

bool is_rule_port_name(std::string_view text) noexcept {
    return !text.empty() && text.size() <= 128 && std::ranges::all_of(text, [](char c) {
        return ascii::is_alphanumeric(c) || c == '_' || c == '.' || c == '-';
    });
}

bool is_interface_name(std::string_view text) noexcept { return text.size() <= 15 && is_rule_port_name(text); }

std::optional<std::string_view> closest(std::string_view text, std::span<const std::string_view> candidates) {
    constexpr std::size_t kLongest = 64;  // longer texts are no typing errors, and the distance is quadratic
    if (text.empty() || text.size() > kLongest) {
        return std::nullopt;
    }
    std::optional<std::string_view> best;
    std::size_t best_distance = std::max<std::size_t>(text.size() / 3, 1) + 1;
    for (const std::string_view candidate : candidates) {
        if (candidate.empty() || candidate.size() > kLongest) {
            continue;
        }
        const std::size_t d = distance(text, candidate);
        if (d < best_distance && d < candidate.size()) {
            best = candidate;
            best_distance = d;
        }
    }
    return best;
}

}  // namespace manul::model
