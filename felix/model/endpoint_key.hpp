#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace manul::felix {

enum class EndpointKind : std::uint8_t { workload, host };

/// Identity of an endpoint; `ns` is empty for host endpoints.
struct EndpointKey {
    EndpointKind kind = EndpointKind::workload;
    std::string ns;
    std::string name;

    auto operator<=>(const EndpointKey&) const = default;
};

}  // namespace manul::felix
