#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/model/resource.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"

namespace manul::model {

struct EndpointPort {
    std::string name;
    net::Protocol protocol = net::kTcp;
    std::uint16_t port = 0;

    bool operator==(const EndpointPort&) const = default;
};

struct HostEndpointSpec {
    std::string node;
    std::string interface_name;  ///< "*" for all interfaces of the node
    std::vector<net::Ip> expected_ips;
    std::vector<std::string> profiles;
    std::vector<EndpointPort> ports;

    bool operator==(const HostEndpointSpec&) const = default;
};

struct HostEndpoint final : ResourceOf<Kind::host_endpoint> {
    HostEndpointSpec spec;
};

}  // namespace manul::model
