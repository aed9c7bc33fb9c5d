#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/daemon.hpp"
#include "bgpd/speaker/workloads.hpp"
#include "net/ip.hpp"
#include "net/netlink/socket.hpp"

namespace boost::asio {
class io_context;
}

namespace manul::bgp::io {

/// Keeps the addresses that workloads peer with on the host's ends of their links. A link that is not there yet is
/// waited for; one that goes takes its address along. Addresses that stood there before are left when they are no
/// longer wanted: somebody else may have put them there.
class WorkloadLinks {
public:
    explicit WorkloadLinks(boost::asio::io_context& io) : again_(io, [this] { bring_in_line(); }) {}

    void keep(std::vector<speaker::WorkloadAddress> wanted);

private:
    using Place = std::pair<std::uint32_t, net::Ip>;  ///< index of the link

    void bring_in_line();
    [[nodiscard]] bool put(const Place& place);
    void remove(const Place& place);

    Timer again_;
    std::vector<speaker::WorkloadAddress> wanted_;
    std::map<Place, bool> there_;  ///< true: put there by us
    std::optional<netlink::Socket> socket_;
};

}  // namespace manul::bgp::io
