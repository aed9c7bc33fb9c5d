#include "config/address_detection.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <regex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::config {

using Method = AddressDetection::Method;

namespace {

constexpr std::string_view kAccepted =
    "first-found, interface=REGEX, skip-interface=REGEX, can-reach=ADDRESS, cidr=LIST or none";

/// Calico's list, and Manul's own devices. A name that begins so is left out.
constexpr std::array<std::string_view, 18> kExcludedPrefixes{"docker",
                                                             "cbr",
                                                             "dummy",
                                                             "virbr",
                                                             "lxcbr",
                                                             "veth",
                                                             "cali",
                                                             "tunl",
                                                             "flannel",
                                                             "kube-ipvs",
                                                             "cni",
                                                             "vxlan.calico",
                                                             "vxlan.manul",
                                                             "vxlan-v6.calico",
                                                             "vxlan-v6.manul",
                                                             "wireguard.cali",
                                                             "wg-v6.cali",
                                                             "nodelocaldns"};

std::vector<std::string> split_list(std::string_view text) {
    std::vector<std::string> parts;
    while (!text.empty()) {
        const std::size_t comma = text.find(',');
        std::string_view part = text.substr(0, comma);
        text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
        part.remove_prefix(std::min(part.find_first_not_of(' '), part.size()));
        part = part.substr(0, part.find_last_not_of(' ') + 1);
        parts.emplace_back(part);
    }
    return parts;
}

/// ECMAScript expression; the library's exception ends here.
std::optional<std::regex> compile(const std::string& pattern) {
    try {
        return std::regex(pattern, std::regex::ECMAScript | std::regex::nosubs);
    } catch (const std::regex_error&) {
        return std::nullopt;
    }
}

bool matches_any(const std::string& name, std::span<const std::string> patterns) {
    return std::ranges::any_of(patterns, [&](const std::string& pattern) {
        const auto expression = compile(pattern);
        return expression && std::regex_search(name, *expression);
    });
}

bool is_usable(const net::Ip& address) {
    return !address.is_unspecified() && !address.is_loopback() && !address.is_multicast() && !address.is_link_local();
}

bool accepts_interface(const AddressDetection& how, const HostInterface& interface) {
    switch (how.method) {
        case Method::interface:
            return matches_any(interface.name, how.patterns);
        case Method::skip_interface:
            return !is_excluded_interface(interface.name) && !matches_any(interface.name, how.patterns);
        case Method::first_found:
        case Method::cidr:
            return !is_excluded_interface(interface.name);
        case Method::can_reach:
        case Method::none:
            return true;
    }
    return false;
}

}  // namespace

Result<AddressDetection> AddressDetection::parse(std::string_view text) {
    const std::size_t equals = text.find('=');
    const std::string_view word = text.substr(0, equals);
    const std::string_view argument = equals == std::string_view::npos ? std::string_view{} : text.substr(equals + 1);
    AddressDetection result;
    if (text == "first-found" || text == "none") {
        result.method = text == "none" ? Method::none : Method::first_found;
        return result;
    }
    if (argument.empty()) {
        return fail("\"" + std::string(text) + "\" is none of " + std::string(kAccepted));
    }
    if (word == "interface" || word == "skip-interface") {
        result.method = word == "interface" ? Method::interface : Method::skip_interface;
        result.patterns = split_list(argument);
        for (const std::string& pattern : result.patterns) {
            if (pattern.empty() || !compile(pattern)) {
                return fail("\"" + pattern + "\" is no regular expression");
            }
        }
        return result;
    }
    if (word == "can-reach") {
        result.method = Method::can_reach;
        result.target = net::Ip::parse(argument);
        if (!result.target) {
            return fail("can-reach needs an IP address, not \"" + std::string(argument) + "\"");
        }
        return result;
    }
    if (word == "cidr") {
        result.method = Method::cidr;
        for (const std::string& part : split_list(argument)) {
            const auto prefix = net::Prefix::parse(part);
            if (!prefix) {
                return fail("cidr: \"" + part + "\" is no prefix like 10.0.0.0/8");
            }
            result.cidrs.push_back(*prefix);
        }
        return result;
    }
    return fail("\"" + std::string(text) + "\" is none of " + std::string(kAccepted));
}

bool is_excluded_interface(std::string_view name) noexcept {
    return name == "lo" ||
           std::ranges::any_of(kExcludedPrefixes, [&](std::string_view prefix) { return name.starts_with(prefix); });
}

std::optional<net::InterfaceAddress> detect_address(const AddressDetection& how, net::Family family,
                                                    std::span<const HostInterface> interfaces,
                                                    const SourceAddress& source_address) {
    if (how.method == Method::none) {
        return std::nullopt;
    }
    std::optional<net::Ip> wanted;
    if (how.method == Method::can_reach) {
        if (!how.target || how.target->family() != family) {
            return std::nullopt;
        }
        wanted = source_address(*how.target);
        if (!wanted) {
            return std::nullopt;
        }
    }
    for (const HostInterface& interface : interfaces) {
        if (!interface.up || !accepts_interface(how, interface)) {
            continue;
        }
        for (const net::InterfaceAddress& candidate : interface.addresses) {
            const net::Ip& address = candidate.address;
            const bool fits = !wanted ? is_usable(address) : address == *wanted;
            const bool in_range = how.method != Method::cidr || std::ranges::any_of(how.cidrs, [&](const auto& cidr) {
                                      return cidr.contains(address);
                                  });
            if (address.family() == family && fits && in_range) {
                return candidate;
            }
        }
    }
    return std::nullopt;
}

}  // namespace manul::config
