#include "cni/result.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "cni/error.hpp"
#include "cni/net_conf.hpp"
#include "cni/prev_result.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::cni {

namespace {

namespace json = boost::json;

std::string_view or_newest(std::string_view version) { return version.empty() ? kSupportedVersions.back() : version; }

json::array list_of(const std::vector<std::string>& texts) { return json::array(texts.begin(), texts.end()); }

json::object dns_object(const Dns& dns) {
    json::object out;
    if (!dns.nameservers.empty()) {
        out["nameservers"] = list_of(dns.nameservers);
    }
    if (!dns.domain.empty()) {
        out["domain"] = dns.domain;
    }
    if (!dns.search.empty()) {
        out["search"] = list_of(dns.search);
    }
    if (!dns.options.empty()) {
        out["options"] = list_of(dns.options);
    }
    return out;
}

}  // namespace

std::string print_result(const PrevResult& unchanged, std::string_view version) {
    json::object out = unchanged.document;
    out["cniVersion"] = version;
    return json::serialize(out);
}

std::string print_result(const AddResult& result, std::string_view version) {
    const bool names_family = is_older(version, "1.0.0");  // ips[].version went away with 1.0.0
    const bool names_mtu = !is_older(version, "1.1.0");
    json::object host{{"name", result.host_name}, {"mac", result.host_mac.to_string()}};
    json::object pod{{"name", result.pod_name}, {"mac", result.pod_mac.to_string()}, {"sandbox", result.sandbox}};
    if (names_mtu && result.mtu != 0) {
        host["mtu"] = result.mtu;
        pod["mtu"] = result.mtu;
    }
    json::array ips;
    for (const net::Ip& ip : result.ips) {
        json::object item;
        if (names_family) {
            item["version"] = ip.is_v4() ? "4" : "6";
        }
        item["address"] = net::Prefix::host(ip).to_string();
        item["interface"] = 1;  // the pod's end below
        ips.push_back(std::move(item));
    }
    json::array routes;
    for (const PodRoute& route : result.routes) {
        routes.push_back(json::object{{"dst", route.dst.to_string()}, {"gw", route.gateway.to_string()}});
    }
    return json::serialize(json::object{{"cniVersion", version},
                                        {"interfaces", json::array{std::move(host), std::move(pod)}},
                                        {"ips", std::move(ips)},
                                        {"routes", std::move(routes)},
                                        {"dns", dns_object(result.dns)}});
}

std::string print_error(const CniError& error, std::string_view version) {
    json::object out{{"cniVersion", or_newest(version)}, {"code", error.code}, {"msg", error.msg}};
    if (!error.details.empty()) {
        out["details"] = error.details;
    }
    return json::serialize(out);
}

std::string print_versions(std::string_view version) {
    return json::serialize(
        json::object{{"cniVersion", or_newest(version)},
                     {"supportedVersions", json::array(kSupportedVersions.begin(), kSupportedVersions.end())}});
}

}  // namespace manul::cni
