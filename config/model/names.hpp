#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

/// What may be a name, a label or a port name, and which name was probably meant.
namespace manul::model {

/// Parts of lower-case letters, digits and inner '-', joined by '.', at most 253 characters.
[[nodiscard]] bool is_dns_subdomain(std::string_view text) noexcept;
/// One such part, at most 63 characters.
[[nodiscard]] bool is_dns_label(std::string_view text) noexcept;
/// `[subdomain/]name`, the name at most 63 of letters, digits and inner '-', '_', '.'.
[[nodiscard]] bool is_label_key(std::string_view text) noexcept;
[[nodiscard]] bool is_label_value(std::string_view text) noexcept;
/// As endpoints declare ports (RFC 6335): at most 15 of lower-case letters, digits and single inner '-', one letter.
[[nodiscard]] bool is_iana_service_name(std::string_view text) noexcept;
/// As rules name ports: `[a-zA-Z0-9_.-]{1,128}`.
[[nodiscard]] bool is_rule_port_name(std::string_view text) noexcept;
/// `[a-zA-Z0-9_.-]{1,15}`.
[[nodiscard]] bool is_interface_name(std::string_view text) noexcept;

/// The candidate that differs from `text` by letter case or few typing errors; nothing when none is close.
[[nodiscard]] std::optional<std::string_view> closest(std::string_view text,
                                                      std::span<const std::string_view> candidates);

}  // namespace manul::model
