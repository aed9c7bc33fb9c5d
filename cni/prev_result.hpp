#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "base/json_fields.hpp"
#include "net/ip.hpp"
#include "net/mac.hpp"
#include "net/prefix.hpp"

namespace manul::cni {

/// The result of an earlier ADD as a runtime hands it over: for CHECK what this attachment's ADD answered in the end,
/// for ADD what the plugin before this one in the list made. Pure.
struct PrevResult {
    struct Interface {
        std::string name;
        std::optional<net::Mac> mac;
        std::string sandbox;    ///< empty: in the host's namespace
        std::uint32_t mtu = 0;  ///< from CNI 1.1.0 on; 0 = not said
    };
    struct Ip {
        net::InterfaceAddress address;
        std::optional<std::uint32_t> interface;  ///< index in `interfaces`
    };
    struct Route {
        net::Prefix dst;
        std::optional<net::Ip> gateway;
    };
    std::vector<Interface> interfaces;
    std::vector<Ip> ips;
    std::vector<Route> routes;
    boost::json::object document;  ///< as it came

    /// The pod's end of this name; null when the result has none.
    [[nodiscard]] const Interface* pod_interface(std::string_view ifname) const;
    /// The addresses of that interface; those that name no interface count when `ifname` is the pod's only one.
    [[nodiscard]] std::vector<net::InterfaceAddress> ips_of(std::string_view ifname) const;
};

/// Member `prevResult` of a request; nothing when it is absent. What is wrong goes into the error of `fields`.
[[nodiscard]] std::optional<PrevResult> read_prev_result(const JsonFields& fields);

}  // namespace manul::cni
