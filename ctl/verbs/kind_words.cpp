#include "ctl/verbs/kind_words.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "config/model/names.hpp"

namespace manul::ctl {

namespace {

std::vector<std::string_view> every_name() {
    std::vector<std::string_view> names;
    for (const model::KindInfo& row : model::all_kinds()) {
        names.insert(names.end(), {row.singular, row.plural});
    }
    return names;
}

void ask(AskedWords& out, std::string_view kind_text, std::vector<std::string> names) {
    const auto kind = kind_named(kind_text);
    if (!kind) {
        out.errors.push_back(kind.error().message);
    } else if (std::ranges::find(names, std::string()) != names.end()) {  // an unset variable of a script
        out.errors.emplace_back("the name of an object may not be empty");
    } else if (!out.asked.empty() && out.asked.back().kind == *kind && !names.empty()) {
        auto& present = out.asked.back().names;
        present.insert(present.end(), names.begin(), names.end());
    } else {
        out.asked.push_back({*kind, std::move(names)});
    }
}

}  // namespace

Result<model::Kind> kind_named(std::string_view text) {
    if (const auto kind = model::find_kind_by_alias(text)) {
        return *kind;
    }
    const auto close = model::closest(text, every_name());
    return fail("unknown kind '" + std::string(text) + "'" +
                (close ? ", did you mean '" + std::string(*close) + "'?" : "") + "; `manulctl explain` lists all");
}

AskedWords parse_asked(const std::vector<std::string>& words) {
    AskedWords out;
    if (words.front().find('/') == std::string::npos) {
        std::string_view kinds = words.front();
        for (bool more = true; more;) {
            const std::size_t comma = kinds.find(',');
            more = comma != std::string_view::npos;
            ask(out, kinds.substr(0, comma), {words.begin() + 1, words.end()});
            kinds.remove_prefix(more ? comma + 1 : kinds.size());
        }
        return out;
    }
    for (const std::string& word : words) {
        const std::size_t slash = word.find('/');
        if (slash == std::string::npos || slash + 1 == word.size()) {
            out.errors.push_back("expected KIND/NAME like the word before, not '" + word + "'");
            continue;
        }
        ask(out, std::string_view(word).substr(0, slash), {word.substr(slash + 1)});
    }
    return out;
}

}  // namespace manul::ctl
