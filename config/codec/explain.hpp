#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "config/model/kind.hpp"

/// The field tables as documentation: `manulctl explain` and generated pages.
namespace manul::codec {

struct FieldDoc {
    std::string path;  ///< "spec.ingress.action": without indexes
    std::string type;  ///< "[]Rule", "CIDR", "Allow|Deny|Log|Pass"
    std::string doc;
    std::string default_value;  ///< empty: none
    bool required = false;
    bool manul = false;  ///< not in Calico
    bool immutable = false;
    bool written_on_create = false;
    bool without_effect = false;  ///< accepted and kept, but an nftables dataplane has no use for it
};

/// Text about a kind or the field at `path` ("spec.ingress.source", "" for the kind) and its direct fields. The error
/// says which part is unknown and what may have been meant.
[[nodiscard]] Result<std::string> explain(model::Kind kind, std::string_view path);

/// Every field of a kind, depth first.
[[nodiscard]] std::vector<FieldDoc> list_fields(model::Kind kind);

}  // namespace manul::codec
