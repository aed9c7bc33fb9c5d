#include "felix/calc/rule_json.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/overloaded.hpp"
#include "config/model/policy.hpp"
#include "config/model/resource.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

namespace manul::felix {

namespace {

std::string quoted(std::string_view text) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20) {
            out += "\\u00";
            out += kDigits[byte >> 4U];
            out += kDigits[byte & 0xfU];
        } else {
            out += c;
        }
    }
    return out + '"';
}

/// An object under construction; fields that are absent never get here.
class Object {
public:
    void raw(std::string_view name, std::string_view value) {
        text_ += text_.empty() ? '{' : ',';
        text_ += quoted(name);
        text_ += ':';
        text_ += value;
    }
    void string(std::string_view name, std::string_view value) { raw(name, quoted(value)); }
    void string_unless_empty(std::string_view name, std::string_view value) {
        if (!value.empty()) {
            string(name, value);
        }
    }
    template <class List, class Text>
    void list(std::string_view name, const List& items, const Text& text) {
        if (items.empty()) {
            return;
        }
        std::string array;
        for (const auto& item : items) {
            array += array.empty() ? '[' : ',';
            array += text(item);
        }
        raw(name, array + "]");
    }
    [[nodiscard]] bool empty() const noexcept { return text_.empty(); }
    [[nodiscard]] std::string take() { return text_.empty() ? "{}" : std::move(text_) + "}"; }

private:
    std::string text_;
};

std::string prefix_text(const net::Prefix& prefix) { return quoted(prefix.to_string()); }

std::string port_text(const model::Port& port) {
    return std::visit(overloaded{
                          [](const net::PortRange& range) {
                              return range.first() == range.last() ? std::to_string(range.first())
                                                                   : quoted(range.to_string());
                          },
                          [](const std::string& name) { return quoted(name); },
                      },
                      port);
}

std::string protocol_text(net::Protocol protocol) {
    const std::string text = protocol.to_string();
    return text.find_first_not_of("0123456789") == std::string::npos ? text : quoted(text);
}

std::string map_text(const model::StringMap& map) {
    Object object;
    for (const auto& [key, value] : map) {
        object.string(key, value);
    }
    return object.take();
}

std::string icmp_text(const model::IcmpMatch& match) {
    Object object;
    if (match.type) {
        object.raw("type", std::to_string(*match.type));
    }
    if (match.code) {
        object.raw("code", std::to_string(*match.code));
    }
    return object.take();
}

std::string entity_text(const model::EntityRule& entity) {
    Object object;
    object.list("nets", entity.nets, prefix_text);
    object.list("notNets", entity.not_nets, prefix_text);
    object.string_unless_empty("selector", entity.selector);
    object.string_unless_empty("notSelector", entity.not_selector);
    object.string_unless_empty("namespaceSelector", entity.namespace_selector);
    if (entity.services) {
        Object services;
        services.string_unless_empty("name", entity.services->name);
        services.string_unless_empty("namespace", entity.services->namespace_);
        object.raw("services", services.take());
    }
    object.list("ports", entity.ports, port_text);
    object.list("notPorts", entity.not_ports, port_text);
    if (entity.service_accounts) {
        Object accounts;
        accounts.list("names", entity.service_accounts->names, quoted);
        accounts.string_unless_empty("selector", entity.service_accounts->selector);
        object.raw("serviceAccounts", accounts.take());
    }
    return object.take();
}

std::string http_text(const model::HttpMatch& http) {
    Object object;
    object.list("methods", http.methods, quoted);
    object.list("paths", http.paths, [](const model::HttpPath& path) {
        Object one;
        if (path.exact) {
            one.string("exact", *path.exact);
        }
        if (path.prefix) {
            one.string("prefix", *path.prefix);
        }
        return one.take();
    });
    return object.take();
}

std::string_view action_text(model::Action action) noexcept {
    switch (action) {
        case model::Action::allow:
            return "Allow";
        case model::Action::deny:
            return "Deny";
        case model::Action::log:
            return "Log";
        case model::Action::pass:
            return "Pass";
    }
    std::unreachable();
}

}  // namespace

std::string canonical_json(const model::Rule& rule) {
    Object object;
    object.string("action", action_text(rule.action));
    if (rule.metadata && !rule.metadata->annotations.empty()) {
        Object metadata;
        metadata.raw("annotations", map_text(rule.metadata->annotations));
        object.raw("metadata", metadata.take());
    }
    if (rule.ip_version) {
        object.raw("ipVersion", std::to_string(std::to_underlying(*rule.ip_version)));
    }
    if (rule.protocol) {
        object.raw("protocol", protocol_text(*rule.protocol));
    }
    if (rule.not_protocol) {
        object.raw("notProtocol", protocol_text(*rule.not_protocol));
    }
    if (rule.icmp) {
        object.raw("icmp", icmp_text(*rule.icmp));
    }
    if (rule.not_icmp) {
        object.raw("notICMP", icmp_text(*rule.not_icmp));
    }
    if (!rule.source.empty()) {
        object.raw("source", entity_text(rule.source));
    }
    if (!rule.destination.empty()) {
        object.raw("destination", entity_text(rule.destination));
    }
    if (rule.http) {
        object.raw("http", http_text(*rule.http));
    }
    if (rule.deny_action) {
        object.string("denyAction", *rule.deny_action == model::DenyAction::drop ? "Drop" : "Reject");
    }
    return object.take();
}

}  // namespace manul::felix
