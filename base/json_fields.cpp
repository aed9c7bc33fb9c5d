#include "base/json_fields.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/kind.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/ascii.hpp"

namespace manul {

namespace {

namespace json = boost::json;

constexpr std::size_t kShownValue = 60;  // characters of a wrong value in a message

}  // namespace

const json::value* JsonFields::find(std::string_view key) const {
    const json::value* found = object_.if_contains(key);
    if (found == nullptr && keys_ == Keys::any_case) {
        for (const auto& member : object_) {
            if (ascii::same_letters(member.key(), key)) {
                found = &member.value();
            }
        }
    }
    return found == nullptr || found->is_null() ? nullptr : found;
}

void JsonFields::wrong(std::string_view key, const json::value& value, std::string_view wanted) const {
    if (!error_.empty()) {
        return;
    }
    std::string shown = json::serialize(value);
    if (shown.size() > kShownValue) {
        shown = shown.substr(0, kShownValue) + "...";
    }
    error_ = path_of(key) + ": is " + shown + ", should be " + std::string(wanted);
}

std::string JsonFields::path_of(std::string_view key) const {
    return path_.empty() ? std::string(key) : path_ + '.' + std::string(key);
}

void JsonFields::read(std::string_view key, std::string& out) const {
    if (const json::value* value = find(key)) {
        if (const auto* text = value->if_string()) {
            out = std::string_view(*text);
        } else {
            wrong(key, *value, "text");
        }
    }
}

void JsonFields::read(std::string_view key, bool& out) const {
    if (const json::value* value = find(key)) {
        if (const auto* flag = value->if_bool()) {
            out = *flag;
        } else {
            wrong(key, *value, "true or false");
        }
    }
}

const json::array* JsonFields::list(std::string_view key) const {
    const json::value* value = find(key);
    if (value == nullptr) {
        return nullptr;
    }
    const auto* items = value->if_array();
    if (items == nullptr) {
        wrong(key, *value, "a list");
    }
    return items;
}

void JsonFields::read(std::string_view key, std::vector<std::string>& out) const {
    const auto* items = list(key);
    for (std::size_t i = 0; items != nullptr && i < items->size(); ++i) {
        if (const auto* text = (*items)[i].if_string()) {
            out.emplace_back(std::string_view(*text));
        } else {
            wrong(std::string(key) + '[' + std::to_string(i) + ']', (*items)[i], "text");
        }
    }
}

void JsonFields::read(std::string_view key, std::map<std::string, std::string>& out) const {
    read_object(key, [&out](const JsonFields& inner) {
        for (const auto& member : inner.object()) {
            std::string value;
            inner.read(member.key(), value);
            out.insert_or_assign(std::string(member.key()), value);
        }
    });
}

void JsonFields::read_number(std::string_view key, std::uint64_t& out, std::uint64_t largest) const {
    const json::value* value = find(key);
    if (value == nullptr) {
        return;
    }
    // Go writes large whole numbers as 1e+06: accept a fraction part of zero. 2^53 bounds what a double holds exactly.
    constexpr double kExact = 9007199254740992.0;
    std::uint64_t number = 0;
    bool good = false;
    if (value->is_uint64()) {
        number = value->get_uint64();
        good = true;
    } else if (value->is_int64() && value->get_int64() >= 0) {
        number = static_cast<std::uint64_t>(value->get_int64());
        good = true;
    } else if (value->is_double() && value->get_double() >= 0 && value->get_double() <= kExact) {
        number = static_cast<std::uint64_t>(value->get_double());
        good = static_cast<double>(number) == value->get_double();
    }
    if (!good || number > largest) {
        wrong(key, *value, "a whole number from 0 to " + std::to_string(largest));
        return;
    }
    out = number;
}

}  // namespace manul
