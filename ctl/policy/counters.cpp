#include "ctl/policy/counters.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string_view>
#include <tuple>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/control.hpp"
#include "base/error.hpp"
#include "base/try.hpp"
#include "ctl/output/document.hpp"
#include "ctl/output/table.hpp"

namespace manul::ctl {

namespace {

namespace json = boost::json;

constexpr std::chrono::seconds kPatience{10};

std::string text_of(const json::object& entry, std::string_view name) {
    const auto* value = entry.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string{};
}

std::uint64_t number_of(const json::object& entry, std::string_view name) {
    const auto* value = entry.if_contains(name);
    return value != nullptr && value->is_number() ? value->to_number<std::uint64_t>() : 0;
}

RuleCount count_of(const json::object& entry) {
    RuleCount count;
    const std::string owner = text_of(entry, "owner");  // kind/namespace/name
    if (const std::size_t kind_end = owner.find('/'); kind_end != std::string::npos) {
        const std::size_t ns_end = owner.find('/', kind_end + 1);
        count.kind = owner.substr(0, kind_end);
        count.ns = owner.substr(kind_end + 1, ns_end - kind_end - 1);
        count.name = owner.substr(ns_end + 1);
    }
    count.tier = text_of(entry, "tier");
    count.direction = text_of(entry, "direction");
    count.action = text_of(entry, "action");
    count.reason = text_of(entry, "reason");
    count.rule = owner.empty() ? -1 : static_cast<std::int64_t>(number_of(entry, "rule"));
    count.id = text_of(entry, "id");
    count.packets = number_of(entry, "packets");
    count.bytes = number_of(entry, "bytes");
    return count;
}

Result<std::vector<RuleCount>> ask_felix(const Context& context) {
    std::vector<RuleCount> counts;
    json::object request{{"op", "counters"}};
    for (bool more = true; more;) {
        MANUL_TRY(const json::value answer,
                  control::call(context.settings.run_dir + "/felix.sock", request, kPatience));
        const auto* object = answer.if_object();
        const auto* list = object == nullptr ? nullptr : object->if_contains("counters");
        if (list == nullptr || !list->is_array()) {
            return fail("manul-felix gave an answer that this manulctl does not understand");
        }
        for (const json::value& entry : list->get_array()) {
            if (entry.is_object()) {
                counts.push_back(count_of(entry.get_object()));
            }
        }
        const auto* rest = object->if_contains("more");
        more = rest != nullptr && rest->is_bool() && rest->get_bool() && !counts.empty();
        if (more) {
            request["after"] = counts.back().id;
        }
    }
    return counts;
}

auto place(const RuleCount& count) {
    return std::tie(count.tier, count.kind, count.ns, count.name, count.direction, count.rule, count.reason);
}

bool same_policy(const RuleCount& a, const RuleCount& b) {
    return std::tie(a.tier, a.kind, a.ns, a.name) == std::tie(b.tier, b.kind, b.ns, b.name);
}

/// "NAME", "NAMESPACE/NAME" or with the kind in front.
bool is_named(const RuleCount& count, const std::string& wanted) {
    const std::string qualified = (count.ns.empty() ? "" : count.ns + "/") + count.name;
    return !count.kind.empty() &&
           (wanted == count.name || wanted == qualified || wanted == count.kind + "/" + qualified);
}

std::string policy_cell(const RuleCount& count) {
    if (count.kind.empty()) {
        return count.tier.empty() ? "(" + (count.reason.empty() ? "rule that is gone" : count.reason) + ")"
                                  : "(end of tier)";
    }
    return count.kind + " " + (count.ns.empty() ? "" : count.ns + "/") + count.name;
}

json::array as_json(const std::vector<RuleCount>& counts) {
    json::array list;
    for (const RuleCount& count : counts) {
        json::object entry{{"kind", count.kind},     {"namespace", count.ns},        {"name", count.name},
                           {"tier", count.tier},     {"direction", count.direction}, {"ruleIndex", count.rule},
                           {"action", count.action}, {"ruleID", count.id},           {"packets", count.packets},
                           {"bytes", count.bytes}};
        if (!count.reason.empty()) {
            entry["reason"] = count.reason;
        }
        list.emplace_back(std::move(entry));
    }
    return list;
}

}  // namespace

std::string counters_table(std::vector<RuleCount> counts) {
    std::ranges::sort(counts, [](const RuleCount& a, const RuleCount& b) { return place(a) < place(b); });
    Table table({"TIER", "POLICY", "DIRECTION", "RULE", "ACTION", "PACKETS", "BYTES"});
    table.right_align_from(5);
    for (std::size_t i = 0; i < counts.size(); ++i) {
        const RuleCount& count = counts[i];
        const bool first = i == 0 || !same_policy(counts[i - 1], count);
        if (first && !count.kind.empty()) {
            std::uint64_t packets = 0;
            std::uint64_t bytes = 0;
            for (std::size_t j = i; j < counts.size() && same_policy(counts[j], count); ++j) {
                packets += counts[j].packets;
                bytes += counts[j].bytes;
            }
            table.add({count.tier, policy_cell(count), "", "", "", std::to_string(packets), std::to_string(bytes)});
        }
        table.add({count.kind.empty() ? count.tier : "", count.kind.empty() ? policy_cell(count) : "", count.direction,
                   count.rule < 0 ? "" : std::to_string(count.rule), count.action, std::to_string(count.packets),
                   std::to_string(count.bytes)});
    }
    return table.plain();
}

ExitCode policy_counters(const Context& context, const CountersOptions& options) {
    auto counts = ask_felix(context);
    if (!counts) {
        return context.fail("manul-felix of this node does not answer: " + counts.error().message);
    }
    std::erase_if(*counts, [&options](const RuleCount& count) {
        return (options.used && count.packets == 0) || (!options.policy.empty() && !is_named(count, options.policy));
    });
    if (!options.policy.empty() && counts->empty() && !options.used) {
        return context.fail("no policy '" + options.policy + "' applies to an endpoint of this node");
    }
    if (options.format.empty()) {
        context.print(counters_table(*std::move(counts)));
        return ExitCode::ok;
    }
    std::ranges::sort(*counts, [](const RuleCount& a, const RuleCount& b) { return place(a) < place(b); });
    return print_document(context, as_json(*counts), options.format);
}

}  // namespace manul::ctl
