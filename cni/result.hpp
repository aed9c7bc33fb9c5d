#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cni/error.hpp"
#include "cni/net_conf.hpp"
#include "cni/prev_result.hpp"
#include "net/ip.hpp"
#include "net/mac.hpp"
#include "net/prefix.hpp"

/// What goes to standard output: one JSON object, in the form of the version that the request names. Pure.
namespace manul::cni {

struct PodRoute {
    net::Prefix dst;
    net::Ip gateway;
};

struct AddResult {
    std::string host_name;
    net::Mac host_mac;
    std::string pod_name;
    net::Mac pod_mac;
    std::string sandbox;    ///< CNI_NETNS
    std::uint32_t mtu = 0;  ///< of both ends
    std::vector<net::Ip> ips;
    std::vector<PodRoute> routes;
    Dns dns;
};

/// `version` is a supported one.
[[nodiscard]] std::string print_result(const AddResult& result, std::string_view version);
/// What came, as it came: a plugin that changes nothing of a pod's network hands on the result of the one before it.
[[nodiscard]] std::string print_result(const PrevResult& unchanged, std::string_view version);
/// Empty `version`: our newest.
[[nodiscard]] std::string print_error(const CniError& error, std::string_view version);
[[nodiscard]] std::string print_versions(std::string_view version);

}  // namespace manul::cni
