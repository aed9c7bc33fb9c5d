#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/daemon.hpp"
#include "base/unique_fd.hpp"
#include "bgpd/fsm/rate_limit.hpp"
#include "bgpd/speaker/action.hpp"
#include "bgpd/speaker/event.hpp"
#include "net/ip.hpp"

namespace boost::asio {
class io_context;
}

namespace manul::bgp::io {

/// The listening sockets and who may connect to them. A connection from an address that nobody expects is handed over
/// to be refused, or closed at once when there are too many. An address that cannot be bound (not there yet, port
/// taken) is tried again every five seconds.
class Listener {
public:
    /// An accepted connection, with its peer's options already set, or that of a stranger.
    using OnAccept = std::function<void(UniqueFd fd, const speaker::Endpoint& remote)>;

    /// Somebody whom nobody expects has connected: the last chance to expect it.
    using OnStranger = std::function<void(const speaker::Endpoint& remote)>;

    Listener(boost::asio::io_context& io, OnAccept on_accept, OnStranger on_stranger);

    void listen(const speaker::Listen& where);
    void expect(const speaker::ExpectPeer& peer);
    void forget(const speaker::ForgetPeer& peer);
    void expect(const speaker::ExpectRange& range);
    void forget(const speaker::ForgetRange& range);
    /// To be called when all is said: what was said of peers is brought together with the ranges that they are in.
    void settle();

private:
    struct Socket {
        speaker::Endpoint endpoint;
        UniqueFd fd;
        std::unique_ptr<ReadableWatch> watch;  // after the descriptor: stops watching before it is closed
    };

    void open_missing();
    void accept_all(int fd);
    void refuse_one(int fd);
    /// Whom to expect from an address or a range.
    struct Entry {
        speaker::SocketOptions options;
        std::vector<net::Prefix> md5_places;  ///< where the kernel has its TCP-MD5 key
    };

    void apply(const Socket& socket, const net::Prefix& remotes, const Entry& entry) const;
    void replace(const net::Prefix& remotes, const speaker::SocketOptions* options);
    [[nodiscard]] std::vector<net::Prefix> md5_places(const net::Prefix& remotes, const Entry& entry) const;
    enum class Key : std::uint8_t { same, other };
    void place_md5_key(const net::Prefix& remotes, Entry& entry, Key key);
    void touch_ranges_around(const net::Prefix& remotes);
    [[nodiscard]] bool set_md5(const Socket& socket, const net::Prefix& place,
                               const std::optional<std::string>& key) const;
    /// Null: nobody expects a connection from there.
    [[nodiscard]] const speaker::SocketOptions* options_for(const net::Ip& address) const;

    boost::asio::io_context& io_;
    OnAccept on_accept_;
    OnStranger on_stranger_;
    std::vector<speaker::Endpoint> wanted_;
    std::vector<Socket> sockets_;
    std::map<net::Prefix, Entry> peers_;  ///< single addresses and ranges
    std::set<net::Prefix> touched_;       ///< ranges whose keys may have to be elsewhere
    fsm::RateLimit strangers_;
    Timer retry_;
    UniqueFd spare_;  ///< given up for a moment when descriptors run out
};

}  // namespace manul::bgp::io
