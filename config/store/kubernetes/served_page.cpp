#include "config/store/kubernetes/served_page.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "config/model/kind.hpp"
#include "config/store/outline.hpp"
#include "config/store/store.hpp"

namespace manul::store::kubernetes {

namespace json = boost::json;

namespace {

/// What a server adds for its clients.
constexpr std::array<std::string_view, 2> kServersOwn{"managedFields", "selfLink"};

bool split_items(Walker& walker, std::vector<std::string_view>& items) {
    if (!walker.accept('[')) {
        return walker.value() == "null";
    }
    if (walker.accept(']')) {
        return true;
    }
    do {
        const auto item = walker.value();
        if (!item) {
            return false;
        }
        items.push_back(*item);
    } while (walker.accept(','));
    return walker.accept(']');
}

bool is_plain(std::string_view text) { return text.find('\\') == std::string_view::npos; }

}  // namespace

std::optional<ServedPage> split_page(std::string_view text) {
    ServedPage page;
    Walker walker(text);
    const bool whole = walker.each_member([&](std::string_view name) {
        if (name == "items") {
            return split_items(walker, page.items);
        }
        const auto value = walker.value();
        if (value && name == "metadata") {
            std::error_code failed;
            json::value metadata = json::parse({value->data(), value->size()}, failed);
            if (failed || !metadata.is_object()) {
                return false;
            }
            page.metadata = std::move(metadata.get_object());
        }
        return value.has_value();
    });
    return whole && walker.at_end() ? std::optional(std::move(page)) : std::nullopt;
}

std::optional<Object> cut_out(model::Kind kind, std::string_view item) {
    auto parts = outline(item);
    if (!parts || !parts->members || !item.starts_with(R"({"apiVersion":)") ||
        unquoted(parts->api_version) != model::api_version(kind) || unquoted(parts->kind) != model::info(kind).name) {
        return std::nullopt;
    }
    Metadata& metadata = *parts->members;
    const std::string_view ns = metadata.text("namespace");
    const std::string_view name = metadata.text("name");
    if (!is_plain(ns) || !is_plain(name)) {
        return std::nullopt;
    }
    Object object{.key = {kind, std::string(ns), std::string(name)},
                  .revision = std::string(metadata.text("resourceVersion")),
                  .document = nullptr};
    std::string document(item);
    if (std::ranges::any_of(kServersOwn, [&](std::string_view member) { return !metadata.raw(member).empty(); })) {
        const auto at = static_cast<std::size_t>(parts->metadata.data() - item.data());
        std::ranges::for_each(kServersOwn, [&](std::string_view member) { metadata.erase(member); });
        document.resize(at);
        metadata.append_to(document);
        document += item.substr(at + parts->metadata.size());
    }
    object.document = std::make_shared<const std::string>(std::move(document));
    return object;
}

}  // namespace manul::store::kubernetes
