#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "config/codec/tree.hpp"

/// Functions of Go's templates, and those that kubectl and calicoctl add, over JSON values.
namespace manul::ctl {

[[nodiscard]] bool is_template_function(std::string_view name);
/// All names, for people.
[[nodiscard]] std::string template_functions();

/// A null pointer stands for an absent value.
using TemplateValues = std::vector<const codec::Tree*>;
/// The result is a part of an argument, or is stored in `made`. `and` and `or` are not handled here: they evaluate no
/// more arguments than necessary, so the caller, who computes the arguments, implements them.
[[nodiscard]] Result<const codec::Tree*> call_template_function(std::string_view name, const TemplateValues& arguments,
                                                                std::deque<codec::Tree>& made);

/// As Go prints it: `map[a:1 b:2]`, `[x y]`, `<no value>`.
[[nodiscard]] std::string template_text(const codec::Tree* value);
/// False, zero, and whatever is empty or absent are false.
[[nodiscard]] bool template_truth(const codec::Tree* value);

}  // namespace manul::ctl
