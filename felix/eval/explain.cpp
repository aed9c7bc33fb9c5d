#include "felix/eval/explain.hpp"

#include <cstddef>
#include <optional>
#include <utility>

#include "felix/eval/evaluate.hpp"
#include "felix/model/address_set.hpp"
#include "net/ip.hpp"

namespace manul::felix {

namespace {

/// A criterion on its own: the rule that has nothing else.
struct Part {
    std::string text;
    Rule rule;
};

template <class List, class Text>
std::string joined(const List& list, Text text_of) {
    constexpr std::size_t kShown = 8;
    std::string out;
    std::size_t count = 0;
    for (const auto& item : list) {
        if (++count > kShown) {
            return out + ", ... (" + std::to_string(list.size()) + ")";
        }
        out += out.empty() ? "" : ", ";
        out += text_of(item);
    }
    return out;
}

template <class List>
std::string joined(const List& list) {
    return joined(list, [](const auto& item) { return item.to_string(); });
}

std::string icmp_text(const IcmpMatch& match) {
    std::string text = "ICMP type " + std::to_string(match.type);
    if (match.code) {
        text += " code " + std::to_string(*match.code);
    }
    return text;
}

class Parts {
public:
    Parts(const Snapshot& snapshot, const Rule& rule) : snapshot_(snapshot), rule_(rule) {}

    std::vector<Part> take() {
        if (rule_.never) {
            add(never_text(), [this](Rule& part) { part.never = rule_.never; });
        }
        if (rule_.family) {
            add(*rule_.family == net::Family::v4 ? "IPv4" : "IPv6", [this](Rule& part) { part.family = rule_.family; });
        }
        if (rule_.protocol) {
            add("protocol " + rule_.protocol->to_string(), [this](Rule& part) { part.protocol = rule_.protocol; });
        }
        if (rule_.not_protocol) {
            add("protocol not " + rule_.not_protocol->to_string(),
                [this](Rule& part) { part.not_protocol = rule_.not_protocol; });
        }
        if (rule_.icmp) {
            add(icmp_text(*rule_.icmp), [this](Rule& part) { part.icmp = rule_.icmp; });
        }
        if (rule_.not_icmp) {
            add("not " + icmp_text(*rule_.not_icmp), [this](Rule& part) {
                part.not_icmp = rule_.not_icmp;
                part.protocol = rule_.protocol;  // it decides whether other packets satisfy the negation
            });
        }
        add_end("source", rule_.source, &Rule::source);
        add_end("destination", rule_.destination, &Rule::destination);
        return std::move(parts_);
    }

private:
    template <class Edit>
    void add(std::string text, Edit edit) {
        Part& part = parts_.emplace_back(Part{std::move(text), {}});
        edit(part.rule);
    }

    [[nodiscard]] std::string never_text() const {
        switch (*rule_.never) {
            case Never::unknown_field:
                return "a field that this version does not know (so the rule matches nothing)";
            case Never::http:
                return "HTTP criteria, which are not enforced (so the rule matches nothing)";
            case Never::services:
                return "services whose members are not known (so the rule matches nothing)";
        }
        std::unreachable();
    }

    [[nodiscard]] std::string set_text(const SetId& id) const {
        const auto found = snapshot_.sets.find(id);
        return found == snapshot_.sets.end() ? "a set that is gone" : found->second.description;
    }

    void add_end(const std::string& end, const EntityMatch& match, EntityMatch Rule::* member) {
        const auto add_one = [&](const std::string& text, auto field) {
            add(end + " " + text, [&](Rule& part) { (part.*member).*field = match.*field; });
        };
        if (!match.nets.empty()) {
            add_one("in " + joined(match.nets), &EntityMatch::nets);
        }
        if (!match.not_nets.empty()) {
            add_one("not in " + joined(match.not_nets), &EntityMatch::not_nets);
        }
        const auto names = [this](const SetId& id) { return set_text(id); };
        for (const SetId& id : match.sets) {
            add(end + " in " + set_text(id), [&](Rule& part) { (part.*member).sets = {id}; });
        }
        for (const SetId& id : match.not_sets) {
            add(end + " not in " + set_text(id), [&](Rule& part) { (part.*member).not_sets = {id}; });
        }
        if (match.has_ports()) {
            std::string text = joined(match.ports);
            text += !match.ports.empty() && !match.named_ports.empty() ? ", " : "";
            text += joined(match.named_ports, names);
            add(end + " port " + text, [&](Rule& part) {
                (part.*member).ports = match.ports;
                (part.*member).named_ports = match.named_ports;
            });
        }
        if (!match.not_ports.empty() || !match.not_named_ports.empty()) {
            std::string text = joined(match.not_ports);
            text += !match.not_ports.empty() && !match.not_named_ports.empty() ? ", " : "";
            text += joined(match.not_named_ports, names);
            add(end + " port not " + text, [&](Rule& part) {
                (part.*member).not_ports = match.not_ports;
                (part.*member).not_named_ports = match.not_named_ports;
            });
        }
    }

    const Snapshot& snapshot_;
    const Rule& rule_;
    std::vector<Part> parts_;
};

}  // namespace

std::vector<Criterion> criteria(const Snapshot& snapshot, const Rule& rule, const Packet& packet) {
    std::vector<Criterion> out;
    for (Part& part : Parts(snapshot, rule).take()) {
        out.push_back({std::move(part.text), matches(snapshot, part.rule, packet)});
    }
    return out;
}

std::string describe(const Snapshot& snapshot, const Rule& rule) {
    std::string text(to_string(rule.action));
    const char* separator = " ";
    for (const Part& part : Parts(snapshot, rule).take()) {
        text += separator + part.text;
        separator = ", ";
    }
    return text;
}

std::string_view to_string(Action action) noexcept {
    switch (action) {
        case Action::allow:
            return "Allow";
        case Action::deny:
            return "Deny";
        case Action::log:
            return "Log";
        case Action::pass:
            return "Pass";
    }
    std::unreachable();
}

}  // namespace manul::felix
