#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "config/model/bgp_peer.hpp"
#include "config/model/duration.hpp"
#include "config/model/enum_names.hpp"
#include "config/model/policy.hpp"
#include "net/asn.hpp"
#include "net/ip.hpp"
#include "net/mac.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

/// Single values of documents: the three forms that YAML and JSON know, and how value types are read from them.
namespace manul::model {

enum class ScalarForm : std::uint8_t { text, number, boolean };

struct Scalar {
    std::string text;  ///< number: as JSON writes it; boolean: "true" or "false"
    ScalarForm form = ScalarForm::text;

    bool operator==(const Scalar&) const = default;
};

struct ScalarResult {
    enum class Outcome : std::uint8_t {
        ok,
        ok_with_warning,  ///< `note` says what was made of it
        unset,            ///< counts as absent
        bad,              ///< `note` may add a hint to "expected …, found …"
    };
    Outcome outcome = Outcome::ok;
    std::string note = {};
};

struct ScalarInfo {
    std::string_view name;                    ///< "CIDR", for `explain`
    std::string_view expected;                ///< "a CIDR such as 10.0.0.0/8"
    std::span<const std::string_view> names;  ///< of an enumeration
    bool any_letter_case = false;             ///< of `names`
    std::int64_t min = 0;                     ///< of an integer type
    std::uint64_t max = 0;                    ///< of an integer type; 0: this is none
    ScalarResult (*parse)(void* value, const Scalar& in) = nullptr;
    Scalar (*print)(const void* value) = nullptr;
};

template <class T>
struct ScalarOf;
/// Another text form of T, chosen by a tag below.
template <class T, class Tag>
struct ScalarAs;

struct CidrOrNone {};      ///< the empty text counts as absent
struct LooseCidr {};       ///< host bits allowed and cleared; a bare address is a whole one
struct RuleCidr {};        ///< a bare address is taken with a warning
struct KubernetesCidr {};  ///< needs a length; host bits are cleared with a warning
struct Dscp {};            ///< a number or a name such as EF

/// What a new element holds until it is read; some value types have no empty value.
template <class T>
[[nodiscard]] T initial_value() {
    if constexpr (std::is_same_v<T, net::PortRange>) {
        return *net::PortRange::make(1, 1);
    } else if constexpr (std::is_same_v<T, net::Asn>) {
        return *net::Asn::make(1);
    } else if constexpr (std::is_same_v<T, net::Protocol>) {
        return net::kTcp;
    } else if constexpr (std::is_same_v<T, Port>) {
        return Port(std::string());
    } else {
        return T{};
    }
}

namespace detail {

[[nodiscard]] ScalarResult bad(std::string note = {});
[[nodiscard]] std::optional<std::size_t> find_name(const ScalarInfo& info, const Scalar& in);
[[nodiscard]] ScalarResult parse_bool(void* value, const Scalar& in);
[[nodiscard]] Scalar print_bool(const void* value);
[[nodiscard]] ScalarResult parse_double(void* value, const Scalar& in);
[[nodiscard]] Scalar print_double(const void* value);
[[nodiscard]] ScalarResult parse_string(void* value, const Scalar& in);
[[nodiscard]] Scalar print_string(const void* value);
[[nodiscard]] ScalarResult not_an_integer(const Scalar& in);

template <class T>
ScalarResult parse_integer(void* value, const Scalar& in) {
    T number = 0;
    const auto [end, ec] = std::from_chars(in.text.data(), in.text.data() + in.text.size(), number);
    if (in.form != ScalarForm::number || ec != std::errc{} || end != in.text.data() + in.text.size()) {
        return not_an_integer(in);
    }
    *static_cast<T*>(value) = number;
    return {};
}

template <class T>
Scalar print_integer(const void* value) {
    return {std::to_string(*static_cast<const T*>(value)), ScalarForm::number};
}

template <class E>
ScalarResult parse_enum(void* value, const Scalar& in);

template <class E>
Scalar print_enum(const void* value) {
    return {std::string(EnumNames<E>::kNames[static_cast<std::size_t>(*static_cast<const E*>(value))])};
}

/// Types with `static optional<T> parse(string_view)` and `to_string()`.
template <class T>
ScalarResult parse_value(void* value, const Scalar& in) {
    const auto parsed = in.form == ScalarForm::text ? T::parse(in.text) : std::nullopt;
    if (!parsed) {
        return bad();
    }
    *static_cast<T*>(value) = *parsed;
    return {};
}

template <class T>
Scalar print_value(const void* value) {
    return {static_cast<const T*>(value)->to_string()};
}

}  // namespace detail

template <>
struct ScalarOf<bool> {
    static constexpr ScalarInfo kInfo{"boolean",           "true or false",    {}, false, 0, 0,
                                      &detail::parse_bool, &detail::print_bool};
};
template <>
struct ScalarOf<double> {
    static constexpr ScalarInfo kInfo{
        "number", "a number", {}, false, 0, 0, &detail::parse_double, &detail::print_double};
};
template <>
struct ScalarOf<std::string> {
    static constexpr ScalarInfo kInfo{"string", "text", {}, false, 0, 0, &detail::parse_string, &detail::print_string};
};
template <std::integral T>
struct ScalarOf<T> {
    static constexpr ScalarInfo kInfo{"integer",
                                      "an integer",
                                      {},
                                      false,
                                      std::numeric_limits<T>::min(),
                                      static_cast<std::uint64_t>(std::numeric_limits<T>::max()),
                                      &detail::parse_integer<T>,
                                      &detail::print_integer<T>};
};
template <class E>
    requires std::is_enum_v<E>
struct ScalarOf<E> {
    static constexpr bool kAnyLetterCase = requires { EnumNames<E>::kAnyLetterCase; };
    static constexpr ScalarInfo kInfo{"enum", "one of", EnumNames<E>::kNames,   kAnyLetterCase,
                                      0,      0,        &detail::parse_enum<E>, &detail::print_enum<E>};
};

template <class E>
ScalarResult detail::parse_enum(void* value, const Scalar& in) {
    const auto index = find_name(ScalarOf<E>::kInfo, in);
    if (!index) {
        return bad();
    }
    *static_cast<E*>(value) = static_cast<E>(*index);
    return {};
}

#define MANUL_MODEL_VALUE_SCALAR(type, name, expected)                                                \
    template <>                                                                                       \
    struct ScalarOf<type> {                                                                           \
        static constexpr ScalarInfo kInfo{                                                            \
            name, expected, {}, false, 0, 0, &detail::parse_value<type>, &detail::print_value<type>}; \
    }
MANUL_MODEL_VALUE_SCALAR(net::Ip, "IP", "an IP address");
MANUL_MODEL_VALUE_SCALAR(net::Ip4, "IPv4", "an IPv4 address");
MANUL_MODEL_VALUE_SCALAR(net::Ip6, "IPv6", "an IPv6 address");
MANUL_MODEL_VALUE_SCALAR(net::Mac, "MAC", "a MAC address such as ee:ee:ee:ee:ee:ee");
MANUL_MODEL_VALUE_SCALAR(net::InterfaceAddress, "address", "an address with or without a length, such as 10.0.0.5/24");
MANUL_MODEL_VALUE_SCALAR(PeerAddress, "address", "an IP address, or one with a port: 192.0.2.1:179, [2001:db8::1]:179");
#undef MANUL_MODEL_VALUE_SCALAR

// Forms that need more than parse and to_string.
#define MANUL_MODEL_SCALAR(specialisation) \
    template <>                            \
    struct specialisation {                \
        static const ScalarInfo kInfo;     \
    }
MANUL_MODEL_SCALAR(ScalarOf<Duration>);
MANUL_MODEL_SCALAR(ScalarOf<net::Prefix>);
MANUL_MODEL_SCALAR(ScalarOf<net::Asn>);
MANUL_MODEL_SCALAR(ScalarOf<net::Protocol>);
MANUL_MODEL_SCALAR(ScalarOf<net::PortRange>);
MANUL_MODEL_SCALAR(ScalarOf<Port>);
using KubernetesPortValue = std::variant<std::uint16_t, std::string>;
template <>
struct ScalarAs<net::Prefix, CidrOrNone> {
    static const ScalarInfo kInfo;
};
template <>
struct ScalarAs<net::Prefix, LooseCidr> {
    static const ScalarInfo kInfo;
};
template <>
struct ScalarAs<net::Prefix, RuleCidr> {
    static const ScalarInfo kInfo;
};
template <>
struct ScalarAs<net::Prefix, KubernetesCidr> {
    static const ScalarInfo kInfo;
};
template <>
struct ScalarAs<std::uint8_t, Dscp> {
    static const ScalarInfo kInfo;
};
MANUL_MODEL_SCALAR(ScalarOf<KubernetesPortValue>);
MANUL_MODEL_SCALAR(ScalarOf<net::Family>);
#undef MANUL_MODEL_SCALAR

template <class K>
[[nodiscard]] std::optional<K> parse_key(std::string_view text) {
    if constexpr (std::is_same_v<K, std::string>) {
        return std::string(text);
    } else if constexpr (std::is_integral_v<K>) {
        K number = 0;
        const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
        return ec == std::errc{} && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
    } else {
        return K::parse(text);
    }
}

template <class K>
[[nodiscard]] std::string key_text(const K& key) {
    if constexpr (std::is_same_v<K, std::string>) {
        return key;
    } else if constexpr (std::is_integral_v<K>) {
        return std::to_string(key);
    } else {
        return key.to_string();
    }
}

}  // namespace manul::model
