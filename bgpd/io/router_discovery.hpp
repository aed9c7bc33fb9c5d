#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/daemon.hpp"
#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "net/ip.hpp"
#include "net/router_discovery.hpp"

namespace boost::asio {
class io_context;
}

namespace manul::bgp::io {

/// Router advertisements on the links of peers that are named by interface: this node shows itself there and hears who
/// else does, as other speakers with unnumbered peers do. The advertisements make nobody use this node as default
/// router and announce no prefix.
class RouterDiscovery {
public:
    /// The link-local address of a router, with its link.
    using OnRouter = std::function<void(const net::Ip& router)>;

    RouterDiscovery(boost::asio::io_context& io, OnRouter on_router);

    /// Speaks and listens on these links (by index) and no others.
    void watch(std::vector<std::uint32_t> links);
    [[nodiscard]] bool watches(std::uint32_t link) const { return links_.contains(link); }

private:
    struct Link {
        bool joined = false;   ///< hears solicitations
        int early_rounds = 0;  ///< of the first, which are close together and ask others to answer
    };

    [[nodiscard]] Result<void> open();
    void receive();
    void send_round();
    void send(std::uint32_t link, net::RouterMessage message) const;
    void receive_one(bool& more);

    boost::asio::io_context& io_;
    OnRouter on_router_;
    UniqueFd fd_;
    std::unique_ptr<ReadableWatch> readable_;  // after the descriptor: stops watching before it is closed
    std::map<std::uint32_t, Link> links_;
    Timer round_;
    int rounds_ = 0;  ///< since all links last advertised
    bool complained_ = false;
};

}  // namespace manul::bgp::io
