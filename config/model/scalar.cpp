#include "config/model/scalar.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>

#include "base/ascii.hpp"
#include "config/model/duration.hpp"
#include "config/model/names.hpp"
#include "config/model/policy.hpp"
#include "net/asn.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

namespace manul::model {

namespace detail {

ScalarResult bad(std::string note) { return {ScalarResult::Outcome::bad, std::move(note)}; }

std::optional<std::size_t> find_name(const ScalarInfo& info, const Scalar& in) {
    if (in.form != ScalarForm::text) {
        return std::nullopt;
    }
    const auto same = [&](std::string_view name) {
        return info.any_letter_case ? ascii::same_letters(name, in.text) : name == in.text;
    };
    const auto found = std::ranges::find_if(info.names, same);
    return found == info.names.end() ? std::nullopt
                                     : std::optional(static_cast<std::size_t>(found - info.names.begin()));
}

ScalarResult parse_bool(void* value, const Scalar& in) {
    if (in.form != ScalarForm::boolean) {
        const bool looks_so = ascii::same_letters(in.text, "true") || ascii::same_letters(in.text, "false");
        return bad(looks_so ? "without quotes and in lower case" : "");
    }
    *static_cast<bool*>(value) = in.text == "true";
    return {};
}

Scalar print_bool(const void* value) {
    return {*static_cast<const bool*>(value) ? "true" : "false", ScalarForm::boolean};
}

ScalarResult parse_double(void* value, const Scalar& in) {
    double number = 0;
    const auto [end, ec] = std::from_chars(in.text.data(), in.text.data() + in.text.size(), number);
    const bool whole = ec == std::errc{} && end == in.text.data() + in.text.size() && std::isfinite(number);
    if (in.form != ScalarForm::number || !whole) {
        return bad(whole ? "write it without quotes" : "");
    }
    *static_cast<double*>(value) = number;
    return {};
}

Scalar print_double(const void* value) {
    const double number = *static_cast<const double*>(value);
    std::array<char, 32> buffer{};
    // Whole numbers as integers: other programs compare texts, and 1e+06 is no integer to them.
    const bool whole = std::abs(number) < 1e15 && std::trunc(number) == number;
    const auto end =
        whole ? std::to_chars(buffer.data(), buffer.data() + buffer.size(), static_cast<std::int64_t>(number)).ptr
              : std::to_chars(buffer.data(), buffer.data() + buffer.size(), number).ptr;
    return {std::string(buffer.data(), end), ScalarForm::number};
}

ScalarResult parse_string(void* value, const Scalar& in) {
    if (in.form != ScalarForm::text) {
        return bad("put it in quotes");
    }
    *static_cast<std::string*>(value) = in.text;
    return {};
}

Scalar print_string(const void* value) { return {*static_cast<const std::string*>(value)}; }

ScalarResult not_an_integer(const Scalar& in) {
    if (in.form == ScalarForm::text && ascii::is_number(in.text)) {
        return bad(in.text.size() > 1 && in.text.front() == '0' ? "decimal, without leading zeros"
                                                                : "write it without quotes");
    }
    return bad(in.text.starts_with("0x") || in.text.starts_with("0o") ? "only decimal numbers are read" : "");
}

}  // namespace detail

namespace {

using detail::bad;
using detail::parse_integer;

template <class T>
T& as_value(void* value) {
    return *static_cast<T*>(value);
}

ScalarResult parse_duration(void* value, const Scalar& in) {
    const auto parsed = in.form == ScalarForm::text ? Duration::parse(in.text) : std::nullopt;
    if (!parsed) {
        return bad(in.form == ScalarForm::number ? "did you mean \"" + in.text + "s\"?" : "");
    }
    as_value<Duration>(value) = *parsed;
    return {};
}

std::string host_bits_hint(std::string_view text) {
    const auto loose = net::InterfaceAddress::parse(text);
    return loose ? "bits beyond the length must be zero; did you mean " + loose->network().to_string() + "?" : "";
}

ScalarResult parse_prefix(void* value, const Scalar& in) {
    if (in.form != ScalarForm::text) {
        return bad();
    }
    auto parsed = net::Prefix::parse(in.text);
    if (!parsed) {
        if (const auto ip = net::Ip::parse(in.text)) {
            parsed = net::Prefix::host(*ip);
        }
    }
    if (!parsed) {
        return bad(host_bits_hint(in.text));
    }
    as_value<net::Prefix>(value) = *parsed;
    return {};
}

ScalarResult parse_prefix_or_none(void* value, const Scalar& in) {
    return in.form == ScalarForm::text && in.text.empty() ? ScalarResult{ScalarResult::Outcome::unset}
                                                          : parse_prefix(value, in);
}

ScalarResult parse_rule_prefix(void* value, const Scalar& in) {
    ScalarResult result = parse_prefix(value, in);
    if (result.outcome == ScalarResult::Outcome::ok && in.text.find('/') == std::string::npos) {
        return {ScalarResult::Outcome::ok_with_warning,
                "the address is taken as " + as_value<net::Prefix>(value).to_string() + "; write it so"};
    }
    return result;
}

ScalarResult parse_loose_prefix(void* value, const Scalar& in) {
    const auto parsed = in.form == ScalarForm::text ? net::Prefix::parse_loose(in.text) : std::nullopt;
    if (!parsed) {
        return bad();
    }
    as_value<net::Prefix>(value) = *parsed;
    return {};
}

ScalarResult parse_kubernetes_prefix(void* value, const Scalar& in) {
    if (in.text.find('/') == std::string::npos) {
        return bad("the length is missing");
    }
    ScalarResult result = parse_loose_prefix(value, in);
    if (result.outcome == ScalarResult::Outcome::ok && !net::Prefix::parse(in.text)) {
        return {ScalarResult::Outcome::ok_with_warning,
                "bits beyond the length are ignored: " + as_value<net::Prefix>(value).to_string()};
    }
    return result;
}

ScalarResult parse_asn(void* value, const Scalar& in) {
    if (in.form == ScalarForm::boolean) {
        return bad();
    }
    if (in.text == "0") {
        return {ScalarResult::Outcome::unset};
    }
    const auto parsed = net::Asn::parse(in.text);
    if (!parsed) {
        return bad();
    }
    as_value<net::Asn>(value) = *parsed;
    return {};
}

Scalar print_asn(const void* value) { return {static_cast<const net::Asn*>(value)->to_string(), ScalarForm::number}; }

ScalarResult parse_protocol(void* value, const Scalar& in) {
    const auto parsed = in.form == ScalarForm::boolean ? std::nullopt : net::Protocol::parse(in.text);
    if (parsed) {
        as_value<net::Protocol>(value) = *parsed;
        return {};
    }
    for (const std::string_view name : {"TCP", "UDP", "ICMP", "ICMPv6", "SCTP", "UDPLite"}) {
        if (ascii::same_letters(name, in.text)) {
            return bad("did you mean \"" + std::string(name) + "\"?");
        }
    }
    return bad();
}

Scalar print_protocol(const void* value) {
    std::string text = static_cast<const net::Protocol*>(value)->to_string();
    const bool named = text.front() > '9';
    return {std::move(text), named ? ScalarForm::text : ScalarForm::number};
}

std::string port_hint(const Scalar& in) {
    const std::size_t dash = in.text.find('-');
    if (in.form == ScalarForm::text && dash != std::string::npos) {
        std::string with_colon = in.text;
        with_colon[dash] = ':';
        if (net::PortRange::parse(with_colon)) {
            return "did you mean \"" + with_colon + "\"?";
        }
    }
    return {};
}

ScalarResult parse_port_range(void* value, const Scalar& in) {
    const auto parsed = in.form == ScalarForm::boolean ? std::nullopt : net::PortRange::parse(in.text);
    if (!parsed) {
        return bad(port_hint(in));
    }
    as_value<net::PortRange>(value) = *parsed;
    return {};
}

Scalar print_port_range(const void* value) {
    const auto& range = *static_cast<const net::PortRange*>(value);
    return {range.to_string(), range.first() == range.last() ? ScalarForm::number : ScalarForm::text};
}

/// Text that consists of digits and colons was meant as numbers, so it is not a name.
bool looks_numeric(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return ascii::is_digit(c) || c == ':'; });
}

ScalarResult parse_port(void* value, const Scalar& in) {
    if (in.form == ScalarForm::boolean) {
        return bad();
    }
    if (const auto range = net::PortRange::parse(in.text)) {
        as_value<Port>(value) = *range;
        return {};
    }
    if (in.form != ScalarForm::text || looks_numeric(in.text) || !port_hint(in).empty() ||
        !is_rule_port_name(in.text)) {
        return bad(port_hint(in));
    }
    as_value<Port>(value) = in.text;
    return {};
}

Scalar print_port(const void* value) {
    const auto& port = *static_cast<const Port*>(value);
    if (const auto* range = std::get_if<net::PortRange>(&port)) {
        return print_port_range(range);
    }
    return {std::get<std::string>(port)};
}

ScalarResult parse_kubernetes_port(void* value, const Scalar& in) {
    if (in.form == ScalarForm::text && is_iana_service_name(in.text)) {
        as_value<KubernetesPortValue>(value) = in.text;
        return {};
    }
    std::uint16_t number = 0;
    if (in.form != ScalarForm::number ||
        parse_integer<std::uint16_t>(&number, in).outcome != ScalarResult::Outcome::ok || number == 0) {
        const bool quoted = in.form == ScalarForm::text && looks_numeric(in.text);
        return bad(quoted ? "a number must stand without quotes" : "");
    }
    as_value<KubernetesPortValue>(value) = number;
    return {};
}

Scalar print_kubernetes_port(const void* value) {
    const auto& port = *static_cast<const KubernetesPortValue*>(value);
    if (const auto* number = std::get_if<std::uint16_t>(&port)) {
        return {std::to_string(*number), ScalarForm::number};
    }
    return {std::get<std::string>(port)};
}

ScalarResult parse_family(void* value, const Scalar& in) {
    if (in.form != ScalarForm::number || (in.text != "4" && in.text != "6")) {
        return bad();
    }
    as_value<net::Family>(value) = in.text == "4" ? net::Family::v4 : net::Family::v6;
    return {};
}

Scalar print_family(const void* value) {
    return {*static_cast<const net::Family*>(value) == net::Family::v4 ? "4" : "6", ScalarForm::number};
}

struct DscpName {
    std::string_view name;
    std::uint8_t value;
};
constexpr auto kDscpNames = std::to_array<DscpName>(
    {{"DF", 0},    {"EF", 46},   {"AF11", 10}, {"AF12", 12}, {"AF13", 14}, {"AF21", 18}, {"AF22", 20},
     {"AF23", 22}, {"AF31", 26}, {"AF32", 28}, {"AF33", 30}, {"AF41", 34}, {"AF42", 36}, {"AF43", 38},
     {"CS0", 0},   {"CS1", 8},   {"CS2", 16},  {"CS3", 24},  {"CS4", 32},  {"CS5", 40},  {"CS6", 48}});

ScalarResult parse_dscp(void* value, const Scalar& in) {
    if (in.form == ScalarForm::text) {
        const auto found = std::ranges::find(kDscpNames, in.text, &DscpName::name);
        if (found == kDscpNames.end()) {
            return bad();
        }
        as_value<std::uint8_t>(value) = found->value;
        return {};
    }
    std::uint8_t number = 0;
    const ScalarResult result = parse_integer<std::uint8_t>(&number, in);
    if (result.outcome != ScalarResult::Outcome::ok || number > 63) {
        return bad();
    }
    as_value<std::uint8_t>(value) = number;
    return {};
}

constexpr ScalarInfo make(std::string_view name, std::string_view expected, ScalarResult (*parse)(void*, const Scalar&),
                          Scalar (*print)(const void*)) {
    return {name, expected, {}, false, 0, 0, parse, print};
}

}  // namespace

const ScalarInfo ScalarOf<Duration>::kInfo =
    make("duration", "a duration such as 90s, 1m30s or 500ms", &parse_duration, &detail::print_value<Duration>);
const ScalarInfo ScalarOf<net::Prefix>::kInfo =
    make("CIDR", "a CIDR such as 10.0.0.0/8 or fd00::/8", &parse_prefix, &detail::print_value<net::Prefix>);
const ScalarInfo ScalarAs<net::Prefix, CidrOrNone>::kInfo =
    make("CIDR", "a CIDR such as 10.0.0.0/8 or fd00::/8", &parse_prefix_or_none, &detail::print_value<net::Prefix>);
const ScalarInfo ScalarAs<net::Prefix, LooseCidr>::kInfo =
    make("CIDR", "a CIDR or address", &parse_loose_prefix, &detail::print_value<net::Prefix>);
const ScalarInfo ScalarAs<net::Prefix, RuleCidr>::kInfo =
    make("CIDR", "a CIDR such as 10.0.0.0/8 or fd00::/8", &parse_rule_prefix, &detail::print_value<net::Prefix>);
const ScalarInfo ScalarAs<net::Prefix, KubernetesCidr>::kInfo =
    make("CIDR", "a CIDR such as 10.0.0.0/8 or fd00::/8", &parse_kubernetes_prefix, &detail::print_value<net::Prefix>);
const ScalarInfo ScalarAs<std::uint8_t, Dscp>::kInfo =
    make("DSCP", "a number from 0 to 63 or a name such as EF, AF11 or CS3", &parse_dscp,
         &detail::print_integer<std::uint8_t>);
const ScalarInfo ScalarOf<net::Asn>::kInfo = make("ASN", "an AS number such as 64512 or 1.10", &parse_asn, &print_asn);
const ScalarInfo ScalarOf<net::Protocol>::kInfo = make(
    "protocol", "TCP, UDP, ICMP, ICMPv6, SCTP, UDPLite or a number from 1 to 255", &parse_protocol, &print_protocol);
const ScalarInfo ScalarOf<net::PortRange>::kInfo =
    make("ports", "a port from 1 to 65535 or a range such as \"8080:8090\"", &parse_port_range, &print_port_range);
const ScalarInfo ScalarOf<Port>::kInfo = make(
    "port", "a port from 1 to 65535, a range such as \"8080:8090\" or the name of a port", &parse_port, &print_port);
const ScalarInfo ScalarOf<KubernetesPortValue>::kInfo =
    make("port", "a port from 1 to 65535 or the name of a port", &parse_kubernetes_port, &print_kubernetes_port);
const ScalarInfo ScalarOf<net::Family>::kInfo = make("integer", "4 or 6", &parse_family, &print_family);

}  // namespace manul::model
