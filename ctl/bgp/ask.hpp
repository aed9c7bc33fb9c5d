#pragma once

#include <functional>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/error.hpp"
#include "ctl/context.hpp"

namespace manul::ctl {

/// Asks bgpd of this node; what it refuses is an error, too.
[[nodiscard]] Result<boost::json::object> ask_bgpd(const Context& context, const boost::json::object& request);

/// Asks again and again with the cursor of the answer before, and gives each part's list `key` to `use`.
[[nodiscard]] Result<void> ask_in_parts(const Context& context, boost::json::object request, std::string_view key,
                                        const std::function<void(const boost::json::value& part)>& use);

/// A member as text; empty when absent. Numbers and booleans as they are written.
[[nodiscard]] std::string text_at(const boost::json::object& object, std::string_view key);

}  // namespace manul::ctl
