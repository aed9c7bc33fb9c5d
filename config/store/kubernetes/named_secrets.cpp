#include "config/store/kubernetes/named_secrets.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ascii.hpp"
#include "config/codec/json.hpp"
#include "config/model/kind.hpp"
#include "config/model/referenced_secret.hpp"
#include "config/store/store.hpp"

namespace manul::store::kubernetes {

namespace {

constexpr std::string_view kMark = "names:";  // revisions of the server are numbers

/// Names of objects have nothing else in them, so no text that a revision or selector is made of.
bool is_name(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return ascii::is_lower(c) || ascii::is_digit(c) || c == '-' || c == '.';
    });
}

}  // namespace

Revision revision_of(const std::vector<NamedSecret>& secrets) {
    std::string out(kMark);
    for (const NamedSecret& secret : secrets) {
        out += secret.name + "=" + secret.revision + ",";
    }
    return out;
}

std::optional<std::vector<NamedSecret>> named_secrets(std::string_view revision) {
    if (!revision.starts_with(kMark)) {
        return std::nullopt;
    }
    revision.remove_prefix(kMark.size());
    std::vector<NamedSecret> out;
    while (!revision.empty()) {
        const std::size_t equals = revision.find('=');
        const std::size_t comma = revision.find(',');
        out.push_back(
            {std::string(revision.substr(0, equals)), std::string(revision.substr(equals + 1, comma - equals - 1))});
        revision.remove_prefix(comma + 1);
    }
    return out;
}

std::string named_secret(model::Kind kind, std::string_view document) {
    if (std::ranges::find(model::kReferringKinds, kind) == model::kReferringKinds.end() ||
        document.find("secretKeyRef") == std::string_view::npos) {
        return {};
    }
    const auto decoded = codec::decode(kind, document, codec::Mode::lenient);
    std::string name = decoded.resource ? model::referenced_secret(*decoded.resource) : std::string();
    return is_name(name) ? name : std::string();
}

std::string name_selector(const std::string& name) { return "metadata.name=" + name; }

}  // namespace manul::store::kubernetes
