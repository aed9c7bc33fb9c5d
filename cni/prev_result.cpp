#include "cni/prev_result.hpp"

#include <algorithm>

#include <boost/json/value.hpp>

#include "cni/net_conf.hpp"

namespace manul::cni {

namespace {

std::optional<net::InterfaceAddress> parse_address(std::string_view text) { return net::InterfaceAddress::parse(text); }

/// Empty text stands for an absent value: Go writes both.
template <class T, class Parse>
std::optional<T> read_optional(const JsonFields& fields, std::string_view key, std::string_view wanted, Parse parse) {
    std::string text;
    fields.read(key, text);
    std::optional<T> out;
    if (!text.empty()) {
        fields.read_text(key, out, wanted, parse);
    }
    return out;
}

}  // namespace

const PrevResult::Interface* PrevResult::pod_interface(std::string_view ifname) const {
    const auto found = std::ranges::find_if(interfaces, [ifname](const Interface& interface) {
        return interface.name == ifname && !interface.sandbox.empty();
    });
    return found == interfaces.end() ? nullptr : &*found;
}

std::vector<net::InterfaceAddress> PrevResult::ips_of(std::string_view ifname) const {
    const Interface* wanted = pod_interface(ifname);
    const bool only_one =
        std::ranges::count_if(interfaces, [](const Interface& one) { return !one.sandbox.empty(); }) <= 1;
    std::vector<net::InterfaceAddress> out;
    for (const Ip& ip : ips) {
        const bool of_it = ip.interface ? *ip.interface < interfaces.size() && &interfaces[*ip.interface] == wanted
                                        : only_one && (wanted != nullptr || interfaces.empty());
        if (of_it) {
            out.push_back(ip.address);
        }
    }
    return out;
}

std::optional<PrevResult> read_prev_result(const JsonFields& fields) {
    std::optional<PrevResult> out;
    fields.read_object("prevResult", [&out](const JsonFields& previous) {
        PrevResult& result = out.emplace();
        result.document = previous.object();
        std::string version;
        previous.read("cniVersion", version);
        if (!version.empty() && !is_supported(version)) {
            previous.wrong("cniVersion", boost::json::value(version), "a version of this plugin");
        }
        previous.read_objects("interfaces", [&result](const JsonFields& item) {
            PrevResult::Interface& interface = result.interfaces.emplace_back();
            item.read("name", interface.name);
            interface.mac = read_optional<net::Mac>(item, "mac", "a MAC address", net::Mac::parse);
            item.read("sandbox", interface.sandbox);
            item.read("mtu", interface.mtu);
        });
        previous.read_objects("ips", [&result](const JsonFields& item) {
            PrevResult::Ip& ip = result.ips.emplace_back();
            item.read_text("address", ip.address, "an address such as 10.0.0.1/32", parse_address);
            if (item.find("interface") != nullptr) {
                item.read("interface", ip.interface.emplace());
            }
        });
        previous.read_objects("routes", [&result](const JsonFields& item) {
            PrevResult::Route& route = result.routes.emplace_back();
            item.read_text("dst", route.dst, "a prefix", net::Prefix::parse_loose);
            route.gateway = read_optional<net::Ip>(item, "gw", "an IP address", net::Ip::parse);
        });
    });
    return out;
}

}  // namespace manul::cni
