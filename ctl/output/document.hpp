#pragma once

#include <string_view>

#include <boost/json/value.hpp>

#include "ctl/context.hpp"

namespace manul::ctl {

/// Prints a document for `-o json` or `-o yaml`; any other format is an error.
[[nodiscard]] ExitCode print_document(const Context& context, const boost::json::value& document,
                                      std::string_view format);

}  // namespace manul::ctl
