#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "config/model/scalar.hpp"

/// Field tables: what a struct of the model looks like as a document.
///
/// One constexpr table for each struct names its fields; a TypeInfo describes a C++ type without being a template, so
/// that one ordinary walk (config/codec/schema.hpp) decodes, encodes and explains every kind. Templates only fill in
/// the small functions of a TypeInfo, once for each type. Tables are in tables_*.cpp, the list of kinds in tables.hpp.
namespace manul::model {

struct ObjectInfo;

/// What can be done with a value of some C++ type, given as void*.
struct TypeInfo {
    enum class Shape : std::uint8_t {
        scalar,
        optional,
        list,
        map,
        object,
        any,  ///< kept in the document, not in the struct
    };

    Shape shape = Shape::any;
    const ScalarInfo* scalar = nullptr;  ///< scalar
    const TypeInfo* element = nullptr;   ///< optional, list, map
    const ObjectInfo* object = nullptr;  ///< object
    bool (*equals)(const void*, const void*) = nullptr;
    void (*assign)(void* to, const void* from) = nullptr;
    /// optional: the value or null.
    const void* (*get)(const void*) = nullptr;
    /// optional: makes a value. list: appends one. Returns it.
    void* (*emplace)(void*) = nullptr;
    /// optional: takes the value away. list: removes the last.
    void (*drop)(void*) = nullptr;
    std::size_t (*size)(const void*) = nullptr;              ///< list
    const void* (*at)(const void*, std::size_t) = nullptr;   ///< list
    void* (*insert)(void*, std::string_view key) = nullptr;  ///< map; null: not a key
    void (*each)(const void*, void* context,
                 void (*visit)(void* context, std::string key, const void* value)) = nullptr;  ///< map
};

/// One row of a table. The functions that change it are for building the table.
struct Field {
    std::string_view name;
    void* (*member)(void* object) = nullptr;  ///< null: known, but not in the struct
    const TypeInfo* type = nullptr;
    std::string_view doc;
    std::string_view default_text;  ///< as it would be written in YAML; empty: none
    std::int64_t min = std::numeric_limits<std::int64_t>::min();
    std::int64_t max = std::numeric_limits<std::int64_t>::max();
    std::size_t max_items = 0;                  ///< of a list; 0: no limit
    std::size_t max_length = 0;                 ///< of a text; 0: no limit
    std::span<const std::string_view> allowed;  ///< texts that a string field may have
    bool any_letter_case = false;               ///< for `allowed`, which then admits the empty text too
    bool is_required = false;
    bool is_manul = false;
    bool is_immutable = false;
    bool is_written_on_create = false;
    bool is_without_effect = false;

    [[nodiscard]] constexpr Field fallback(std::string_view text) const {
        Field copy = *this;
        copy.default_text = text;
        return copy;
    }
    [[nodiscard]] constexpr Field range(std::int64_t low, std::int64_t high) const {
        Field copy = *this;
        copy.min = low;
        copy.max = high;
        return copy;
    }
    [[nodiscard]] constexpr Field items(std::size_t limit) const {
        Field copy = *this;
        copy.max_items = limit;
        return copy;
    }
    [[nodiscard]] constexpr Field length(std::size_t limit) const {
        Field copy = *this;
        copy.max_length = limit;
        return copy;
    }
    [[nodiscard]] constexpr Field one_of(std::span<const std::string_view> texts) const {
        Field copy = *this;
        copy.allowed = texts;
        return copy;
    }
    [[nodiscard]] constexpr Field one_of_any_case(std::span<const std::string_view> texts) const {
        Field copy = one_of(texts);
        copy.any_letter_case = true;
        return copy;
    }
    [[nodiscard]] constexpr Field required() const {
        Field copy = *this;
        copy.is_required = true;
        return copy;
    }
    [[nodiscard]] constexpr Field manul() const {
        Field copy = *this;
        copy.is_manul = true;
        return copy;
    }
    [[nodiscard]] constexpr Field immutable() const {
        Field copy = *this;
        copy.is_immutable = true;
        return copy;
    }
    [[nodiscard]] constexpr Field written_on_create() const {
        Field copy = *this;
        copy.is_written_on_create = true;
        return copy;
    }
    [[nodiscard]] constexpr Field without_effect() const {
        Field copy = *this;
        copy.is_without_effect = true;
        return copy;
    }
};

struct ObjectInfo {
    std::string_view name;
    std::string_view doc;
    std::span<const Field> fields;
    const void* (*initial)() = nullptr;  ///< a default-constructed one: what absent fields mean
    const ObjectInfo* base = nullptr;    ///< fields of the base class come first
    void* (*to_base)(void*) = nullptr;
    void (*mark_unknown)(void*) = nullptr;  ///< called when a field below is unknown
    /// Kubernetes' own objects have far more fields than are read here: unknown ones are no finding.
    bool is_open = false;
};

/// The table of T; each is defined in one tables_*.cpp.
template <class T>
struct Described {
    static const ObjectInfo kInfo;
};

namespace detail {

template <class T>
concept IsScalar = requires { ScalarOf<T>::kInfo; };

template <class T, class Tag>
constexpr TypeInfo make_type();

}  // namespace detail

/// The descriptor of T. `Tag` chooses another text form of the scalar inside (see scalar.hpp).
template <class T, class Tag = void>
inline constexpr TypeInfo kType = detail::make_type<T, Tag>();

namespace detail {

template <class T, class Tag>
struct MakeType {
    static constexpr void fill(TypeInfo& info) {
        if constexpr (!std::is_void_v<Tag>) {
            info.shape = TypeInfo::Shape::scalar;
            info.scalar = &ScalarAs<T, Tag>::kInfo;
        } else if constexpr (IsScalar<T>) {
            info.shape = TypeInfo::Shape::scalar;
            info.scalar = &ScalarOf<T>::kInfo;
        } else {
            info.shape = TypeInfo::Shape::object;
            info.object = &Described<T>::kInfo;
        }
    }
};

template <class T, class Tag>
struct MakeType<std::optional<T>, Tag> {
    static constexpr void fill(TypeInfo& info) {
        using Optional = std::optional<T>;
        info.shape = TypeInfo::Shape::optional;
        info.element = &kType<T, Tag>;
        info.get = [](const void* o) -> const void* {
            const auto& value = *static_cast<const Optional*>(o);
            return value ? &*value : nullptr;
        };
        info.emplace = [](void* o) -> void* { return &static_cast<Optional*>(o)->emplace(initial_value<T>()); };
        info.drop = [](void* o) { static_cast<Optional*>(o)->reset(); };
    }
};

template <class T, class Tag>
struct MakeType<std::vector<T>, Tag> {
    static constexpr void fill(TypeInfo& info) {
        using List = std::vector<T>;
        info.shape = TypeInfo::Shape::list;
        info.element = &kType<T, Tag>;
        info.emplace = [](void* o) -> void* { return &static_cast<List*>(o)->emplace_back(initial_value<T>()); };
        info.drop = [](void* o) { static_cast<List*>(o)->pop_back(); };
        info.size = [](const void* o) { return static_cast<const List*>(o)->size(); };
        info.at = [](const void* o, std::size_t i) -> const void* { return &(*static_cast<const List*>(o))[i]; };
    }
};

template <class K, class V, class Compare, class Tag>
struct MakeType<std::map<K, V, Compare>, Tag> {
    static constexpr void fill(TypeInfo& info) {
        using Map = std::map<K, V, Compare>;
        info.shape = TypeInfo::Shape::map;
        info.element = &kType<V, Tag>;
        info.insert = [](void* o, std::string_view key) -> void* {
            auto parsed = parse_key<K>(key);
            return parsed ? &(*static_cast<Map*>(o))[*std::move(parsed)] : nullptr;
        };
        info.each = [](const void* o, void* context, void (*visit)(void*, std::string, const void*)) {
            for (const auto& [key, value] : *static_cast<const Map*>(o)) {
                visit(context, key_text(key), &value);
            }
        };
    }
};

template <class T, class Tag>
constexpr TypeInfo make_type() {
    TypeInfo info;
    info.equals = [](const void* a, const void* b) { return *static_cast<const T*>(a) == *static_cast<const T*>(b); };
    info.assign = [](void* to, const void* from) { *static_cast<T*>(to) = *static_cast<const T*>(from); };
    MakeType<T, Tag>::fill(info);
    return info;
}

template <class C, class M>
C class_of(M C::*);
template <class C, class M>
M member_of(M C::*);

}  // namespace detail

/// A row for a member: field<&IpPoolSpec::cidr>("cidr", "…").
template <auto Member, class Tag = void>
[[nodiscard]] constexpr Field field(std::string_view name, std::string_view doc) {
    using Class = decltype(detail::class_of(Member));
    using Value = decltype(detail::member_of(Member));
    Field row;
    row.name = name;
    row.doc = doc;
    row.member = [](void* object) -> void* { return &(static_cast<Class*>(object)->*Member); };
    row.type = &kType<Value, Tag>;
    return row;
}

inline constexpr TypeInfo kAnyType{};

/// A row for a field that may be there but is not read.
[[nodiscard]] constexpr Field known(std::string_view name, std::string_view doc) {
    Field row;
    row.name = name;
    row.doc = doc;
    row.type = &kAnyType;
    return row;
}

template <class T>
[[nodiscard]] constexpr ObjectInfo object(std::string_view name, std::string_view doc, std::span<const Field> fields) {
    ObjectInfo info;
    info.name = name;
    info.doc = doc;
    info.fields = fields;
    info.initial = []() -> const void* {
        static const T initial{};
        return &initial;
    };
    if constexpr (requires(T value) { value.has_unknown_fields = true; }) {
        info.mark_unknown = [](void* o) { static_cast<T*>(o)->has_unknown_fields = true; };
    }
    return info;
}

/// The same for a struct whose base class has a table of its own.
template <class T, class Base>
[[nodiscard]] constexpr ObjectInfo derived_object(std::string_view name, std::string_view doc,
                                                  std::span<const Field> fields) {
    ObjectInfo info = object<T>(name, doc, fields);
    info.base = &Described<Base>::kInfo;
    info.to_base = [](void* o) -> void* { return static_cast<Base*>(static_cast<T*>(o)); };
    return info;
}

[[nodiscard]] constexpr ObjectInfo open(ObjectInfo info) {
    info.is_open = true;
    return info;
}

}  // namespace manul::model
