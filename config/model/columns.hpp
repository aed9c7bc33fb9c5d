#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/model/resource.hpp"
#include "net/asn.hpp"

namespace manul::model {

/// What a cell may need beside its own object.
struct ColumnContext {
    std::optional<net::Asn> global_as;  ///< of BGPConfiguration `default`, for nodes that inherit it
};

struct Column {
    std::string_view heading;
    bool in_default;  ///< shown without `-o wide`
    bool in_wide;
    std::string (*cell)(const Resource& resource, const ColumnContext& context);
};

/// calicoctl's columns of the kind, in order; a kind that it does not offer has NAME and what tells its objects apart.
[[nodiscard]] std::span<const Column> columns_of(Kind kind) noexcept;

}  // namespace manul::model
