#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "config/model/kind.hpp"
#include "config/store/store.hpp"

/// Lists as Manul's own server writes them. Its documents are those of the store: they are cut out of the answer, which
/// costs a tenth of parsing and printing them.
namespace manul::store::kubernetes {

/// One page of a list.
struct ServedPage {
    std::vector<std::string_view> items;  ///< into the text
    boost::json::object metadata;         ///< of the list
};

/// Nothing when the text is no JSON object.
[[nodiscard]] std::optional<ServedPage> split_page(std::string_view text);

/// An item without what no store keeps (managedFields, selfLink). Nothing when it is not written as the server writes,
/// and has to be parsed.
[[nodiscard]] std::optional<Object> cut_out(model::Kind kind, std::string_view item);

}  // namespace manul::store::kubernetes
