#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

namespace manul {

/// Typed reads out of a JSON object that somebody else wrote. Absent and null members leave the variable as it is. The
/// first member of a wrong type or value is put into `error` as "a.b[2]: is a number, should be text"; reading goes on,
/// so that a caller checks once at the end. Views the object and the error: both must outlive it.
class JsonFields {
public:
    enum class Keys : std::uint8_t {
        exact,
        any_case,  ///< Go programs match keys without regard to case, and write both `hostPort` and `HostPort`
    };

    JsonFields(const boost::json::object& object, std::string& error, Keys keys = Keys::exact, std::string path = {})
        : object_(object), error_(error), path_(std::move(path)), keys_(keys) {}

    /// Null when absent or JSON null.
    [[nodiscard]] const boost::json::value* find(std::string_view key) const;
    [[nodiscard]] const boost::json::object& object() const noexcept { return object_; }

    void read(std::string_view key, std::string& out) const;
    void read(std::string_view key, bool& out) const;
    void read(std::string_view key, std::vector<std::string>& out) const;
    void read(std::string_view key, std::map<std::string, std::string>& out) const;
    template <std::unsigned_integral T>
    void read(std::string_view key, T& out) const {
        std::uint64_t value = out;
        read_number(key, value, std::numeric_limits<T>::max());
        out = static_cast<T>(value);
    }
    /// Text that `parse` (an optional of T from a string_view) accepts; `wanted` says what it should be.
    template <class T, class Parse>
    void read_text(std::string_view key, T& out, std::string_view wanted, Parse parse) const {
        const boost::json::value* value = find(key);
        if (value == nullptr) {
            return;
        }
        const boost::json::string* text = value->if_string();
        auto parsed = text == nullptr ? decltype(parse(std::string_view()))() : parse(std::string_view(*text));
        if (!parsed) {
            wrong(key, *value, wanted);
            return;
        }
        auto& found = *parsed;
        out = T(std::move(found));
    }
    /// Calls `use(JsonFields)` for the object under `key`, if there is one.
    template <class Use>
    void read_object(std::string_view key, Use use) const {
        const boost::json::value* value = find(key);
        if (value == nullptr) {
            return;
        }
        if (const auto* inner = value->if_object()) {
            use(JsonFields(*inner, error_, keys_, path_of(key)));
        } else {
            wrong(key, *value, "an object");
        }
    }
    /// Calls `use(JsonFields)` for each object of the list under `key`.
    template <class Use>
    void read_objects(std::string_view key, Use use) const {
        const auto* items = list(key);
        for (std::size_t i = 0; items != nullptr && i < items->size(); ++i) {
            const std::string item = std::string(key) + '[' + std::to_string(i) + ']';
            if (const auto* inner = (*items)[i].if_object()) {
                use(JsonFields(*inner, error_, keys_, path_of(item)));
            } else {
                wrong(item, (*items)[i], "an object");
            }
        }
    }
    /// As read_text, for each text of a list.
    template <class T, class Parse>
    void read_texts(std::string_view key, std::vector<T>& out, std::string_view wanted, Parse parse) const {
        std::vector<std::string> texts;
        read(key, texts);
        for (std::size_t i = 0; i < texts.size(); ++i) {
            if (auto parsed = parse(std::string_view(texts[i]))) {
                out.push_back(*std::move(parsed));
            } else {
                wrong(std::string(key) + '[' + std::to_string(i) + ']', boost::json::value(texts[i]), wanted);
            }
        }
    }

    /// Records that member `key` holds `value` and should hold `wanted`.
    void wrong(std::string_view key, const boost::json::value& value, std::string_view wanted) const;

private:
    [[nodiscard]] const boost::json::array* list(std::string_view key) const;
    void read_number(std::string_view key, std::uint64_t& out, std::uint64_t largest) const;
    [[nodiscard]] std::string path_of(std::string_view key) const;

    const boost::json::object& object_;
    std::string& error_;
    std::string path_;
    Keys keys_;
};

}  // namespace manul
