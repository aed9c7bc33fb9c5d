#pragma once

#include <string>
#include <string_view>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

/// Reading JSON whose shape is not certain: what is missing or of another type counts as empty.
namespace manul::store::kubernetes {

[[nodiscard]] inline const boost::json::object& object_at(const boost::json::object& from, std::string_view key) {
    static const boost::json::object nothing;
    const boost::json::value* value = from.if_contains(key);
    return value != nullptr && value->is_object() ? value->get_object() : nothing;
}

[[nodiscard]] inline const boost::json::array& array_at(const boost::json::object& from, std::string_view key) {
    static const boost::json::array nothing;
    const boost::json::value* value = from.if_contains(key);
    return value != nullptr && value->is_array() ? value->get_array() : nothing;
}

[[nodiscard]] inline std::string text_at(const boost::json::object& from, std::string_view key) {
    const boost::json::value* value = from.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

/// The object at `key`, made when there is none.
inline boost::json::object& make_object(boost::json::object& in, std::string_view key) {
    boost::json::value& value = in[key];
    return value.is_object() ? value.get_object() : value.emplace_object();
}

}  // namespace manul::store::kubernetes
