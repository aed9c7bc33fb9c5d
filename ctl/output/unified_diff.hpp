#pragma once

#include <string>
#include <string_view>

namespace manul::ctl {

/// The lines in which two texts differ, with three lines around them, as `diff -u` prints them; empty when they do not.
/// The headings are printed behind `---` and `+++`. Where thousands of lines differ in a row, all of them are replaced.
[[nodiscard]] std::string unified_diff(std::string_view before, std::string_view after, std::string_view before_heading,
                                       std::string_view after_heading);

/// The same with colours of a terminal.
[[nodiscard]] std::string coloured_diff(std::string_view diff);

}  // namespace manul::ctl
