#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/ascii.hpp"
#include "config/model/checks.hpp"
#include "config/model/duration.hpp"
#include "config/model/felix_configuration.hpp"
#include "config/model/names.hpp"
#include "config/model/resource.hpp"
#include "net/ip.hpp"

namespace manul::model {

namespace {

constexpr std::uint64_t kMaxTables = 65'535;

void check_route_tables(Checks& checks, const FelixConfigurationSpec& spec) {
    checks.check(!spec.route_table_range || !spec.route_table_ranges, "spec.routeTableRange",
                 "cannot stand beside routeTableRanges");
    std::uint64_t total = 0;
    const auto check_range = [&](const RouteTableRange& range, const std::string& path) {
        checks.check(range.min <= range.max, path, "min is larger than max");
        total += range.max >= range.min ? std::uint64_t{range.max} - range.min + 1 : 0;
    };
    if (const auto& range = spec.route_table_range) {
        check_range(*range, "spec.routeTableRange");
        checks.check(range->min >= 1 && range->max <= 250, "spec.routeTableRange", "must lie within 1 to 250");
    }
    if (spec.route_table_ranges) {
        for (std::size_t i = 0; i < spec.route_table_ranges->size(); ++i) {
            check_range((*spec.route_table_ranges)[i], indexed("spec.routeTableRanges", i));
        }
        checks.check(total <= kMaxTables, "spec.routeTableRanges", "expected at most 65535 tables in all");
    }
}

/// "", or "N/second", "/minute", "/hour", "/day".
bool is_rate(std::string_view text) {
    if (text.empty()) {
        return true;
    }
    std::uint32_t count = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), count);
    const std::string_view rest = text.substr(static_cast<std::size_t>(end - text.data()));
    constexpr auto kUnits = std::to_array<std::string_view>({"/second", "/minute", "/hour", "/day"});
    return ec == std::errc{} && count > 0 && std::ranges::find(kUnits, rest) != kUnits.end();
}

/// "k=v,k=v".
bool is_key_values(std::string_view text) {
    while (!text.empty()) {
        const std::size_t comma = text.find(',');
        const std::string_view item = text.substr(0, comma);
        const std::size_t equals = item.find('=');
        if (equals == std::string_view::npos || equals == 0) {
            return false;
        }
        text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    }
    return true;
}

bool is_interface_filter(std::string_view text) {
    return text.size() <= 15 && std::ranges::all_of(text, [](char c) {
               return ascii::is_alphanumeric(c) || std::string_view(":._+-").find(c) != std::string_view::npos;
           });
}

bool is_health_name(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return ascii::is_alphanumeric(c) || c == '_' || c == ' ' || c == '-';
    });
}

void check_bpf_timeouts(Checks& checks, const BpfConntrackTimeouts& timeouts) {
    const std::array fields{std::pair(&timeouts.creation_grace_period, "creationGracePeriod"),
                            std::pair(&timeouts.tcp_syn_sent, "tcpSynSent"),
                            std::pair(&timeouts.tcp_established, "tcpEstablished"),
                            std::pair(&timeouts.tcp_fins_seen, "tcpFinsSeen"),
                            std::pair(&timeouts.tcp_reset_seen, "tcpResetSeen"),
                            std::pair(&timeouts.udp_timeout, "udpTimeout"),
                            std::pair(&timeouts.generic_timeout, "genericTimeout"),
                            std::pair(&timeouts.icmp_timeout, "icmpTimeout")};
    for (const auto& [text, name] : fields) {
        checks.check(!*text || **text == "Auto" || Duration::parse(**text),
                     std::string("spec.bpfConntrackTimeouts.") + name, "expected a duration or Auto");
    }
}

void check_texts(Checks& checks, const FelixConfigurationSpec& spec) {
    for (const auto& [rate, path] : {std::pair(&spec.log_action_rate_limit, "spec.logActionRateLimit"),
                                     std::pair(&spec.deny_logging_rate_limit, "spec.denyLoggingRateLimit")}) {
        checks.check(is_rate(rate->value_or("")), path,
                     "expected nothing or a number and /second, /minute, /hour or /day");
    }
    checks.check(is_interface_filter(spec.iptables_nat_outgoing_interface_filter.value_or("")),
                 "spec.iptablesNATOutgoingInterfaceFilter",
                 "expected the name of an interface, where + at the end matches any rest");
    checks.check(is_key_values(spec.feature_detect_override.value_or("")), "spec.featureDetectOverride",
                 "expected key=value, separated by commas");
    checks.check(is_key_values(spec.feature_gates.value_or("")), "spec.featureGates",
                 "expected key=value, separated by commas");
}

}  // namespace

void check_felix_configuration(Checks& checks, const Resource& resource) {
    const auto* configuration = as<FelixConfiguration>(resource);
    if (configuration == nullptr) {
        return;
    }
    const FelixConfigurationSpec& spec = configuration->spec;
    const std::string& name = resource.metadata.name;
    const bool has_selector = spec.node_selector.has_value() && !spec.node_selector->empty();
    if (name == "default" || name.starts_with("node.")) {
        checks.check(!has_selector, "spec.nodeSelector", "not in the objects called \"default\" and \"node.<name>\"");
    }
    checks.selector("spec.nodeSelector", spec.node_selector.value_or(""));
    check_route_tables(checks, spec);
    checks.check(!spec.nftables_mark_mask || std::popcount(*spec.nftables_mark_mask) >= 8, "spec.nftablesMarkMask",
                 "expected at least 8 bits");
    if (spec.external_nodes_list) {
        for (std::size_t i = 0; i < spec.external_nodes_list->size(); ++i) {
            checks.check((*spec.external_nodes_list)[i].family() == net::Family::v4,
                         indexed("spec.externalNodesList", i), "expected IPv4");
        }
    }
    if (spec.health_timeout_overrides) {
        for (std::size_t i = 0; i < spec.health_timeout_overrides->size(); ++i) {
            const HealthTimeoutOverride& item = (*spec.health_timeout_overrides)[i];
            const std::string path = indexed("spec.healthTimeoutOverrides", i);
            checks.check(is_health_name(item.name), path + ".name", "expected letters, digits, '_', '-' and blanks");
            checks.check(item.timeout.value.count() >= 0, path + ".timeout", "must not be negative");
        }
    }
    if (spec.bpf_conntrack_timeouts) {
        check_bpf_timeouts(checks, *spec.bpf_conntrack_timeouts);
    }
    check_texts(checks, spec);
    for (const auto& [name_of_link, path] :
         {std::pair(&spec.wireguard_interface_name, "spec.wireguardInterfaceName"),
          std::pair(&spec.wireguard_interface_name_v6, "spec.wireguardInterfaceNameV6")}) {
        checks.check(!*name_of_link || (*name_of_link)->empty() || is_interface_name(**name_of_link), path,
                     "expected the name of an interface");
    }
}

}  // namespace manul::model
