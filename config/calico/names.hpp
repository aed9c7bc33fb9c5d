#pragma once

#include <string>
#include <string_view>

#include "net/ip.hpp"

/// How Calico made names of today's kinds out of those of its first API, whose names could hold anything.
namespace manul::calico {

/// Lower case, '/' as '.', everything else that a name cannot hold as '-'. For nodes, which others refer to by name.
[[nodiscard]] std::string normalised_name(std::string_view name);
/// The same; a name that had to be changed gets eight digits of its SHA-1, so that two never become one.
[[nodiscard]] std::string converted_name(std::string_view name);
/// The same without dots: for policies, where a dot separates the tier.
[[nodiscard]] std::string converted_name_without_dots(std::string_view name);
/// "10-0-0-1", "fd00-0000-0000-0000-0000-0000-0000-0001".
[[nodiscard]] std::string address_name(const net::Ip& address);

}  // namespace manul::calico
