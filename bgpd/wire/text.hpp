#pragma once

#include <cstddef>
#include <string>
#include <string_view>

/// Words that peers put into messages: they end up in logs, on terminals and in JSON, and must do no harm there.
namespace manul::bgp::wire {

/// Octets of the UTF-8 character at the front of `text`; 0 when it is not a well-formed one (RFC 3629 section 4).
[[nodiscard]] std::size_t utf8_length(std::string_view text) noexcept;
/// Nothing but well-formed characters.
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;
/// Control characters become spaces; each octet that belongs to no character becomes a question mark.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace manul::bgp::wire
