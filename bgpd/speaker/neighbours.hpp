#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bgpd/speaker/configuration.hpp"
#include "bgpd/speaker/event.hpp"
#include "net/ip.hpp"

/// Peers that are named by a link: which router is at its other end, and what address that makes.
namespace manul::bgp::speaker {

/// The routers of links that have one peer each, heard by their advertisements (RFC 4861) or because they connect.
class Neighbours {
public:
    /// A router was heard on this interface. True: it is the neighbour from now on, and was not before. Another one
    /// takes its place when it has been silent for a while; `in_use`: it has a session, so it stays.
    bool heard(std::uint32_t interface, const net::Ip& address, Time now, bool in_use);
    [[nodiscard]] std::optional<net::Ip> on(std::uint32_t interface) const;

private:
    struct Known {
        net::Ip address;  ///< with scope
        Time at{};
    };
    std::map<std::uint32_t, Known> known_;
};

struct Link {
    std::uint32_t index = 0;
    std::vector<net::Ip> addresses;
};
using Links = std::map<std::string, Link>;  ///< by name

/// Gives peers on links their addresses, or the reason why there is none. A link-local address without an interface is
/// taken to be on the link of the session's local address.
void place_on_links(Configuration& configuration, const Links& links, const Neighbours& neighbours);

}  // namespace manul::bgp::speaker
