#include "serve/tokens.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"

namespace manul::serve {

namespace {

/// Fields of one line of CSV (RFC 4180); nothing when a quote is not closed.
std::optional<std::vector<std::string>> fields_of(std::string_view line) {
    std::vector<std::string> out(1);
    bool quoted = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (c == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"') {
            out.back() += '"';
            ++i;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (c == ',' && !quoted) {
            out.emplace_back();
        } else if (c != ' ' || !out.back().empty()) {
            out.back() += c;
        }
    }
    return quoted ? std::nullopt : std::optional(std::move(out));
}

std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(','), text.size());
        if (end > 0) {
            out.emplace_back(text.substr(0, end));
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

bool same_secret(std::string_view a, std::string_view b) noexcept {
    unsigned difference = a.size() == b.size() ? 0U : 1U;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const char other = b.empty() ? '\0' : b[i % b.size()];
        difference |= static_cast<unsigned>(static_cast<unsigned char>(a[i])) ^ static_cast<unsigned char>(other);
    }
    return difference == 0;
}

}  // namespace

Result<Tokens> Tokens::parse(std::string_view text) {
    Tokens out;
    std::string mistakes;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        if (line.empty() || line.starts_with('#')) {
            continue;
        }
        auto fields = fields_of(line);
        if (!fields || fields->size() < 3 || fields->size() > 4 || (*fields)[0].empty() || (*fields)[1].empty()) {
            mistakes += (mistakes.empty() ? "" : "\n") + ("line " + std::to_string(number)) +
                        ": expected token,user,uid or token,user,uid,\"group1,group2\"";
            continue;
        }
        Caller caller{.user = (*fields)[1], .uid = (*fields)[2]};
        if (fields->size() == 4) {
            caller.groups = split((*fields)[3]);
        }
        caller.groups.emplace_back(kEveryoneGroup);
        out.rows_.emplace_back(std::move((*fields)[0]), std::move(caller));
    }
    if (!mistakes.empty()) {
        return fail(mistakes);
    }
    return out;
}

Caller Tokens::find(std::string_view token) const {
    Caller found;
    for (const auto& [known, caller] : rows_) {
        if (same_secret(known, token)) {
            found = caller;
        }
    }
    return found;
}

}  // namespace manul::serve
