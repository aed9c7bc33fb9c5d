#include "config/codec/felix_settings.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/ascii.hpp"
#include "base/error.hpp"
#include "config/codec/json.hpp"
#include "config/codec/schema.hpp"
#include "config/codec/tree.hpp"
#include "config/model/felix_configuration.hpp"
#include "config/model/field.hpp"
#include "config/model/finding.hpp"
#include "config/model/scalar.hpp"
#include "config/model/tables.hpp"

namespace manul::codec {

namespace {

using model::Field;
using Shape = model::TypeInfo::Shape;

using Names = std::pair<std::string_view, std::string_view>;

/// Variables that Calico does not call as the field.
constexpr auto kVariables =
    std::to_array<Names>({{"ipipEnabled", "IpInIpEnabled"},
                          {"ipipMTU", "IpInIpMtu"},
                          {"externalNodesList", "ExternalNodesCIDRList"},
                          {"iptablesPostWriteCheckInterval", "IptablesPostWriteCheckIntervalSecs"},
                          {"iptablesLockProbeInterval", "IptablesLockProbeIntervalMillis"},
                          {"netlinkTimeout", "NetlinkTimeoutSecs"},
                          {"reportingInterval", "ReportingIntervalSecs"},
                          {"reportingTTL", "ReportingTTLSecs"},
                          {"endpointReportingDelay", "EndpointReportingDelaySecs"},
                          {"usageReportingInitialDelay", "UsageReportingInitialDelaySecs"},
                          {"usageReportingInterval", "UsageReportingIntervalSecs"},
                          {"bpfConntrackMode", "BPFConntrackCleanupMode"},
                          {"wireguardKeepAlive", "WireguardPersistentKeepAlive"}});

constexpr auto kBooleans = std::to_array<Names>({{"true", "true"},
                                                 {"true", "yes"},
                                                 {"true", "y"},
                                                 {"true", "t"},
                                                 {"true", "1"},
                                                 {"false", "false"},
                                                 {"false", "no"},
                                                 {"false", "n"},
                                                 {"false", "f"},
                                                 {"false", "0"}});

/// The field that a variable is about.
std::string_view field_name(std::string_view variable) {
    const auto named = std::ranges::find_if(
        kVariables, [variable](const Names& names) { return ascii::same_letters(names.second, variable); });
    return named == kVariables.end() ? variable : named->first;
}

std::string_view trimmed(std::string_view text) {
    while (text.starts_with(' ')) {
        text.remove_prefix(1);
    }
    while (text.ends_with(' ')) {
        text.remove_suffix(1);
    }
    return text;
}

const void* member_of(const Field& field, const model::FelixConfigurationSpec& spec) {
    return field.member(const_cast<model::FelixConfigurationSpec*>(&spec));  // only read through
}

std::string expectation(const model::Findings& findings) {
    return findings.empty() ? "cannot be read" : findings.front().message;
}

/// "1.5" seconds as a duration's text; others as they are.
std::string duration_text(std::string_view value) {
    double seconds = 0;
    const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), seconds);
    if (ec != std::errc{} || end != value.data() + value.size() || !(std::abs(seconds) < 1e9)) {
        return std::string(value);
    }
    return model::Duration{std::chrono::nanoseconds(std::llround(seconds * 1e9))}.to_string();
}

Tree scalar_tree(const model::ScalarInfo& scalar, std::string_view value) {
    if (scalar.name == "duration") {
        return Tree::of_text(duration_text(value));
    }
    if (scalar.name == "boolean") {
        for (const auto& [text, word] : kBooleans) {
            if (ascii::same_letters(word, value)) {
                return {.type = Tree::Type::boolean, .text = std::string(text)};
            }
        }
    }
    const bool is_text = scalar.name == "string" || !scalar.names.empty();
    return !is_text && is_json_number(value) ? Tree::of_number(std::string(value)) : Tree::of_text(std::string(value));
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> out;
    int brackets = 0;
    std::size_t start = 0;
    for (std::size_t i = 0; i <= text.size(); ++i) {
        if (i < text.size() && text[i] == '[') {
            ++brackets;
        } else if (i < text.size() && text[i] == ']') {
            --brackets;
        } else if (i == text.size() || (text[i] == separator && brackets == 0)) {
            out.push_back(text.substr(start, i - start));
            start = i + 1;
        }
    }
    return out;
}

/// `port`, `proto:port` or `proto:net:port`, IPv6 nets in brackets; a missing protocol is TCP.
Tree failsafe_tree(std::string_view text) {
    std::vector<std::string_view> parts = split(text, ':');
    Tree out{.type = Tree::Type::map};
    out.make("protocol").assign(Tree::of_text(parts.size() > 1 ? std::string(parts.front()) : "TCP"));
    if (parts.size() == 3) {
        std::string_view net = parts[1];
        if (net.starts_with('[') && net.ends_with(']')) {
            net = net.substr(1, net.size() - 2);
        }
        out.make("net").assign(Tree::of_text(std::string(net)));
    }
    out.make("port").assign(is_json_number(parts.back()) ? Tree::of_number(std::string(parts.back()))
                                                         : Tree::of_text(std::string(parts.back())));
    return out;
}

Tree list_tree(const model::TypeInfo& element, std::string_view value) {
    Tree out{.type = Tree::Type::list};
    if (value.empty() || ascii::same_letters(value, "none")) {
        return out;
    }
    for (const std::string_view part : split(value, ',')) {
        const std::string_view item = trimmed(part);
        if (!item.empty()) {
            out.children.push_back(element.shape == Shape::scalar ? scalar_tree(*element.scalar, item)
                                                                  : failsafe_tree(item));
        }
    }
    return out;
}

bool is_readable_from_text(const model::TypeInfo& type, std::string_view name) {
    const model::TypeInfo& element = *type.element;
    return element.shape == Shape::scalar ||
           (element.shape == Shape::list && (element.element->shape == Shape::scalar || name.starts_with("failsafe")));
}

}  // namespace

Result<void> set_from_environment(model::FelixConfigurationSpec& spec, std::string_view name, std::string_view value) {
    const auto fields = model::felix_table().fields;
    const std::string_view wanted = field_name(name);
    const auto found =
        std::ranges::find_if(fields, [&](const Field& field) { return ascii::same_letters(field.name, wanted); });
    if (found == fields.end()) {
        return fail("unknown setting");
    }
    if (!is_readable_from_text(*found->type, found->name)) {
        return fail("cannot be set from the environment");
    }
    const model::TypeInfo& element = *found->type->element;
    const Tree tree =
        element.shape == Shape::scalar ? scalar_tree(*element.scalar, value) : list_tree(*element.element, value);
    // Through an object with this one field, so that the table's range and allowed texts count.
    Tree object{.type = Tree::Type::map};
    object.make(found->name).assign(tree);
    model::FelixConfigurationSpec read;
    model::Findings findings;
    decode_object(model::felix_table(), &read, object, "", Mode::strict, findings);
    if (model::has_errors(findings)) {
        return fail(expectation(findings));
    }
    found->type->assign(found->member(&spec), found->member(&read));
    return {};
}

std::vector<std::string> fields_without_effect(const model::FelixConfigurationSpec& spec) {
    std::vector<std::string> names;
    for (const Field& field : model::felix_table().fields) {
        if (field.is_without_effect && field.type->get(member_of(field, spec)) != nullptr) {
            names.emplace_back(field.name);
        }
    }
    return names;
}

}  // namespace manul::codec
