#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "ctl/policy/cluster_view.hpp"
#include "felix/eval/packet.hpp"
#include "felix/model/endpoint_key.hpp"
#include "net/ip.hpp"

namespace manul::ctl {

/// One end of a connection, as policy knows it.
struct End {
    enum class Kind : std::uint8_t { workload, host_endpoint, node, outside };
    Kind kind = Kind::outside;
    felix::EndpointKey endpoint;  ///< of a workload or host endpoint
    std::string node;             ///< empty: outside of the cluster, or unknown
    std::string interface;        ///< on that node; empty where there is none
    std::string label;            ///< "pod default/web", or the address
    std::vector<net::Ip> addresses;
};

/// "NAMESPACE/NAME" or "pod/NAMESPACE/NAME" (a pod, a workload or a WorkloadEndpoint), "host/NAME" (a host endpoint),
/// "node/NAME", or an address. An address that an object of the cluster has stands for that object.
[[nodiscard]] Result<End> find_end(const ClusterView& view, std::string_view text);

/// The addresses of both ends in a family that both have: the wanted one, else IPv4 if there is.
struct Addresses {
    net::Ip source;
    net::Ip destination;
};
[[nodiscard]] Result<Addresses> common_family(const End& source, const End& destination,
                                              std::optional<net::Family> wanted);

}  // namespace manul::ctl
