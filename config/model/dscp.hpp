#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace manul::model {

/// Annotation of pods and HostEndpoints: DSCP of what they send out of the cluster.
inline constexpr const char* kDscpAnnotation = "qos.projectcalico.org/dscp";

/// A number or a name such as EF, as annotations have it; nothing for other texts.
[[nodiscard]] std::optional<std::uint8_t> dscp_of_text(std::string_view text);

}  // namespace manul::model
