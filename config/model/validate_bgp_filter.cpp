#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/model/bgp_filter.hpp"
#include "config/model/checks.hpp"
#include "config/model/resource.hpp"
#include "net/ip.hpp"

namespace manul::model {

namespace {

constexpr const char* kCommunityText = "expected aa:nn or aa:nn:mm";

void check_lengths(Checks& checks, const BgpFilterRule& rule, net::Family family, const std::string& path) {
    if (!rule.prefix_length) {
        return;
    }
    checks.check(rule.cidr.has_value(), path, "needs cidr");
    const int longest = family == net::Family::v4 ? 32 : 128;
    const auto end = [&](const std::optional<std::uint8_t>& length, const char* name) {
        checks.check(!length || *length <= longest, path + name, "expected at most " + std::to_string(longest));
    };
    end(rule.prefix_length->min, ".min");
    end(rule.prefix_length->max, ".max");
    checks.check(rule.prefix_length->min.value_or(0) <= rule.prefix_length->max.value_or(128), path + ".max",
                 "must not be below min");
}

void check_operation(Checks& checks, const FilterOperation& operation, const std::string& path) {
    const int given =
        (operation.add_community ? 1 : 0) + (operation.prepend_as_path ? 1 : 0) + (operation.set_priority ? 1 : 0);
    checks.check(given == 1, path, "expected exactly one of addCommunity, prependASPath and setPriority");
    if (operation.add_community) {
        checks.check(is_community(operation.add_community->value), path + ".addCommunity.value", kCommunityText);
    }
    if (operation.prepend_as_path) {
        checks.check(!operation.prepend_as_path->prefix.empty(), path + ".prependASPath.prefix",
                     "expected at least one AS number");
    }
}

void check_rule(Checks& checks, const BgpFilterRule& rule, net::Family family, const std::string& path) {
    checks.check(!rule.cidr || rule.match_operator, path + ".matchOperator", "required with cidr");
    checks.check(rule.cidr || !rule.match_operator, path + ".cidr", "required with matchOperator");
    checks.check(!rule.cidr || rule.cidr->family() == family, path + ".cidr",
                 family == net::Family::v4 ? "expected an IPv4 range" : "expected an IPv6 range");
    check_lengths(checks, rule, family, path + ".prefixLength");
    checks.check(rule.interface.empty() || is_interface_glob(rule.interface), path + ".interface",
                 "expected the name of an interface, where * stands for any text");
    if (rule.communities) {
        checks.check(rule.communities->values.size() == 1 && is_community(rule.communities->values.front()),
                     path + ".communities.values", "expected exactly one community, aa:nn or aa:nn:mm");
    }
    checks.check(rule.operations.empty() || rule.action == FilterAction::accept, path + ".operations",
                 "only with action Accept");
    for (std::size_t i = 0; i < rule.operations.size(); ++i) {
        check_operation(checks, rule.operations[i], indexed(path + ".operations", i));
    }
}

void check_list(Checks& checks, const std::vector<BgpFilterRule>& rules, net::Family family, const char* list) {
    for (std::size_t i = 0; i < rules.size(); ++i) {
        check_rule(checks, rules[i], family, indexed(list, i));
    }
}

}  // namespace

void check_bgp_filter(Checks& checks, const Resource& resource) {
    if (const auto* filter = as<BgpFilter>(resource)) {
        check_list(checks, filter->spec.export_v4, net::Family::v4, "spec.exportV4");
        check_list(checks, filter->spec.import_v4, net::Family::v4, "spec.importV4");
        check_list(checks, filter->spec.export_v6, net::Family::v6, "spec.exportV6");
        check_list(checks, filter->spec.import_v6, net::Family::v6, "spec.importV6");
    }
}

}  // namespace manul::model
