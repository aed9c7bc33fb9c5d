#include "ipam/core/auto_host_endpoints.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <regex>
#include <utility>

#include "base/ascii.hpp"
#include "base/base64.hpp"
#include "base/sha256.hpp"
#include "config/model/selector.hpp"
#include "ipam/core/names.hpp"
#include "ipam/core/tunnels.hpp"

namespace manul::ipam {

namespace {

constexpr const char* kProfile = "projectcalico-default-allow";
constexpr std::size_t kMaxName = 253;

/// Calico's name, also where it is too long: SHA-256 in base64 without what a name cannot hold.
std::string name_of(const std::string& stem) {
    constexpr std::string_view kSuffix = "-auto-hep";
    std::string name = stem + std::string(kSuffix);
    if (name.size() <= kMaxName) {
        return name;
    }
    const auto hash = sha256(name);
    name = ascii::lowered(base64_encode({reinterpret_cast<const char*>(hash.data()), hash.size()}));
    std::erase_if(name, [](char c) { return c == '+' || c == '/' || c == '='; });
    return name.append(kSuffix);
}

std::vector<net::Ip> addresses_of(const model::Node& node) {
    std::vector<net::Ip> out;
    const auto add = [&out](const net::Ip& address) {
        if (std::ranges::find(out, address) == out.end()) {
            out.push_back(address);
        }
    };
    if (node.spec.bgp && node.spec.bgp->ipv4_address) {
        add(node.spec.bgp->ipv4_address->address);
    }
    if (node.spec.bgp && node.spec.bgp->ipv6_address) {
        add(node.spec.bgp->ipv6_address->address);
    }
    for (const Tunnel tunnel : kTunnels) {
        if (const auto address = tunnel_address(node.spec, tunnel)) {
            add(*address);
        }
    }
    for (const model::NodeAddress& address : node.spec.addresses) {
        if (address.type == model::NodeAddressType::internal_ip) {
            add(address.address.address);
        }
    }
    for (const model::NodeInterface& interface : node.spec.interfaces) {
        std::ranges::for_each(interface.addresses, add);
    }
    return out;
}

std::optional<std::regex> compile(const std::string& pattern) {
    try {
        return std::regex(pattern, std::regex::ECMAScript | std::regex::nosubs);
    } catch (const std::regex_error&) {
        return std::nullopt;
    }
}

model::HostEndpoint make(const model::Node& node, std::string name, std::string interface,
                         std::vector<net::Ip> addresses) {
    model::HostEndpoint out;
    out.metadata.name = std::move(name);
    out.metadata.labels = node.metadata.labels;
    out.metadata.labels[kCreatedByLabel] = kCreatedByValue;
    out.spec.node = node.metadata.name;
    out.spec.interface_name = std::move(interface);
    out.spec.expected_ips = std::move(addresses);
    out.spec.profiles = {kProfile};
    return out;
}

void add_template(std::map<std::string, model::HostEndpoint>& out, const model::Node& node,
                  const model::HostEndpointTemplate& wanted) {
    const auto selector = model::Selector::parse(wanted.node_selector);
    if (!selector || !selector->matches(node.metadata.labels)) {
        return;
    }
    std::vector<net::Ip> addresses = addresses_of(node);
    std::erase_if(addresses, [&](const net::Ip& address) {
        return std::ranges::none_of(wanted.interface_cidrs,
                                    [&](const net::Prefix& cidr) { return cidr.contains(address); });
    });
    const auto put = [&](model::HostEndpoint endpoint) {
        for (const auto& [key, value] : wanted.labels) {
            endpoint.metadata.labels[key] = value;
        }
        endpoint.metadata.labels[kCreatedByLabel] = kCreatedByValue;
        endpoint.metadata.annotations = wanted.annotations;
        std::string name = endpoint.metadata.name;
        out.insert_or_assign(std::move(name), std::move(endpoint));
    };
    const std::string stem = node.metadata.name + "-" + wanted.generate_name;
    if (wanted.interface_pattern.empty()) {
        if (!addresses.empty()) {
            put(make(node, name_of(stem), {}, std::move(addresses)));
        }
        return;
    }
    const auto pattern = compile(wanted.interface_pattern);
    for (const model::NodeInterface& interface : node.spec.interfaces) {
        if (!pattern || !std::regex_search(interface.name, *pattern)) {
            continue;
        }
        std::vector<net::Ip> all = addresses;
        std::ranges::copy_if(interface.addresses, std::back_inserter(all), [&](const net::Ip& address) {
            return std::ranges::find(addresses, address) == addresses.end();
        });
        put(make(node, name_of(stem + "-" + interface.name), interface.name, std::move(all)));
    }
}

}  // namespace

std::map<std::string, model::HostEndpoint> auto_host_endpoints(
    const std::vector<std::shared_ptr<const model::Node>>& nodes, const model::AutoHostEndpoint& configuration) {
    std::map<std::string, model::HostEndpoint> out;
    if (configuration.auto_create != model::OnOff::enabled) {
        return out;
    }
    for (const auto& node : nodes) {
        if (configuration.create_default_host_endpoint != model::OnOff::disabled) {
            model::HostEndpoint endpoint = make(*node, name_of(node->metadata.name), "*", addresses_of(*node));
            std::string name = endpoint.metadata.name;
            out.insert_or_assign(std::move(name), std::move(endpoint));
        }
        for (const model::HostEndpointTemplate& wanted : configuration.templates) {
            add_template(out, *node, wanted);
        }
    }
    return out;
}

}  // namespace manul::ipam
