#include "bgpd/io/listener.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/daemon.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "bgpd/io/address_text.hpp"
#include "bgpd/io/messages.hpp"
#include "bgpd/io/tcp.hpp"
#include "bgpd/io/tcp_ao.hpp"
#include "bgpd/speaker/action.hpp"
#include "bgpd/speaker/event.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"
#include "net/prefix_set.hpp"

namespace manul::bgp::io {
namespace {

constexpr int kAcceptsATurn = 64;
constexpr std::int64_t kListenRetryMicroseconds = 5'000'000;
constexpr std::uint8_t kGtsmTtl = 255;

bool has_md5_key(const speaker::SocketOptions& options) { return options.key && !options.ao; }

}  // namespace

Listener::Listener(boost::asio::io_context& io, OnAccept on_accept, OnStranger on_stranger)
    : io_(io),
      on_accept_(std::move(on_accept)),
      on_stranger_(std::move(on_stranger)),
      retry_(io, [this] { open_missing(); }),
      spare_(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {}

void Listener::listen(const speaker::Listen& where) {
    wanted_.clear();
    if (where.addresses.empty()) {
        wanted_ = {{net::Ip4(), where.port}, {net::Ip6(), where.port}};
    }
    for (const net::Ip& address : where.addresses) {
        wanted_.push_back({address, where.port});
    }
    std::erase_if(sockets_,
                  [&](const Socket& socket) { return std::ranges::find(wanted_, socket.endpoint) == wanted_.end(); });
    open_missing();
}

void Listener::open_missing() {
    bool failed = false;
    for (const speaker::Endpoint& endpoint : wanted_) {
        if (std::ranges::find(sockets_, endpoint, &Socket::endpoint) != sockets_.end()) {
            continue;
        }
        auto fd = listen_on(endpoint);
        if (!fd) {
            log::emit(kListenFailed, fd.error().message);
            failed = true;
            continue;
        }
        const int number = fd->get();
        auto watch = std::make_unique<ReadableWatch>(io_, number, [this, number] { accept_all(number); });
        const Socket& socket = sockets_.emplace_back(Socket{endpoint, *std::move(fd), std::move(watch)});
        for (const auto& [remotes, entry] : peers_) {
            apply(socket, remotes, entry);
            for (const net::Prefix& place : entry.md5_places) {
                static_cast<void>(set_md5(socket, place, entry.options.key));
            }
        }
        log::emit(kListening, endpoint.address.to_string(), endpoint.port);
    }
    if (failed) {
        retry_.after_us(kListenRetryMicroseconds);
    } else {
        retry_.cancel();
    }
}

/// All but TCP-MD5.
void Listener::apply(const Socket& socket, const net::Prefix& remotes, const Entry& entry) const {
    const speaker::SocketOptions& options = entry.options;
    if (remotes.family() != socket.endpoint.address.family()) {
        return;
    }
    if (options.ao && options.key) {
        if (const auto done = add_ao_key(socket.fd.get(), remotes, *options.ao, *options.key); !done) {
            log::emit(kSocketOption, remotes.to_string(), done.error().message);
        }
    }
    if (options.ttl == kGtsmTtl) {
        set_listener_ttl(socket.fd.get(), remotes.family(), kGtsmTtl);
    }
    if (options.minimum_ttl) {
        keep_syns(socket.fd.get());
    }
}

/// No key: takes it away. False: the kernel would not have it.
bool Listener::set_md5(const Socket& socket, const net::Prefix& place, const std::optional<std::string>& key) const {
    if (place.family() != socket.endpoint.address.family()) {
        return true;
    }
    const auto done = set_md5_key(socket.fd.get(), place, key);
    if (!done) {
        log::emit(kSocketOption, place.to_string(), done.error().message);
    }
    return done.has_value();
}

/// Where the kernel needs the entry's TCP-MD5 key. Of several keys for an address it takes the one with the longest
/// prefix, as we do, but it has no way to say that an address has none: a range with a peer inside that has no password
/// is cut into the prefixes around all that is inside.
std::vector<net::Prefix> Listener::md5_places(const net::Prefix& remotes, const Entry& entry) const {
    if (!has_md5_key(entry.options)) {
        return {};
    }
    std::vector<net::Prefix> inside;
    bool one_without = false;
    if (!remotes.is_host()) {
        for (const auto& [other, its] : peers_) {
            if (other != remotes && remotes.contains(other)) {
                inside.push_back(other);
                one_without = one_without || !has_md5_key(its.options);
            }
        }
    }
    return one_without ? net::without(remotes, inside) : std::vector{remotes};
}

/// Where the kernel has no room for all places of a range, the whole of it needs the key: who has none cannot connect
/// then, but nobody gets in without that needs one.
void Listener::place_md5_key(const net::Prefix& remotes, Entry& entry, Key key) {
    const std::vector<net::Prefix> before = std::exchange(entry.md5_places, md5_places(remotes, entry));
    const auto placed = [&](const net::Prefix& place) {
        return (key == Key::same && std::ranges::binary_search(before, place)) ||
               std::ranges::all_of(sockets_,
                                   [&](const Socket& socket) { return set_md5(socket, place, entry.options.key); });
    };
    const auto refused = std::ranges::find_if_not(entry.md5_places, placed);
    if (refused != entry.md5_places.end() && entry.md5_places.size() > 1) {
        for (const Socket& socket : sockets_) {
            std::for_each(entry.md5_places.begin(), refused,
                          [&](const net::Prefix& place) { static_cast<void>(set_md5(socket, place, std::nullopt)); });
        }
        entry.md5_places = {remotes};
        static_cast<void>(placed(remotes));
    }
    for (const net::Prefix& place : before) {
        // A place of a range that was cut can be that of another entry's own key by now.
        const auto other = place == remotes ? peers_.end() : peers_.find(place);
        if (std::ranges::binary_search(entry.md5_places, place) ||
            (other != peers_.end() && has_md5_key(other->second.options))) {
            continue;
        }
        for (const Socket& socket : sockets_) {
            static_cast<void>(set_md5(socket, place, std::nullopt));
        }
    }
}

void Listener::touch_ranges_around(const net::Prefix& remotes) {
    for (std::uint8_t length = 0; length < remotes.length(); ++length) {
        const net::Prefix range = *net::Prefix::masked(remotes.address(), length);
        if (peers_.contains(range)) {
            touched_.insert(range);
        }
    }
}

/// Each range once, however many peers inside have come or gone.
void Listener::settle() {
    for (const net::Prefix& range : std::exchange(touched_, {})) {
        if (const auto known = peers_.find(range); known != peers_.end()) {
            place_md5_key(range, known->second, Key::same);
        }
    }
}

/// New options, or none, for connections from these addresses; keys of the kind used before go.
void Listener::replace(const net::Prefix& remotes, const speaker::SocketOptions* options) {
    const auto known = peers_.find(remotes);
    if (known != peers_.end() && known->second.options.ao) {
        for (const Socket& socket : sockets_) {
            remove_ao_key(socket.fd.get(), remotes, *known->second.options.ao);
        }
    }
    if (options == nullptr) {
        if (known != peers_.end()) {
            known->second.options.key.reset();
            place_md5_key(remotes, known->second, Key::other);
            peers_.erase(known);
            touch_ranges_around(remotes);
        }
        return;
    }
    Entry& entry = peers_[remotes];
    entry.options = *options;
    touch_ranges_around(remotes);
    place_md5_key(remotes, entry, Key::other);
    for (const Socket& socket : sockets_) {
        apply(socket, remotes, entry);
    }
}

void Listener::expect(const speaker::ExpectPeer& peer) { replace(net::Prefix::host(peer.address), &peer.options); }

void Listener::forget(const speaker::ForgetPeer& peer) { replace(net::Prefix::host(peer.address), nullptr); }

void Listener::expect(const speaker::ExpectRange& range) { replace(range.range, &range.options); }

void Listener::forget(const speaker::ForgetRange& range) { replace(range.range, nullptr); }

const speaker::SocketOptions* Listener::options_for(const net::Ip& address) const {
    if (const auto known = peers_.find(net::Prefix::host(address)); known != peers_.end()) {
        return &known->second.options;
    }
    const speaker::SocketOptions* best = nullptr;
    int longest = -1;
    for (const auto& [remotes, entry] : peers_) {
        if (remotes.length() > longest && remotes.contains(address)) {
            best = &entry.options;
            longest = remotes.length();
        }
    }
    return best;
}

/// Takes what waits, but not without end: who connects faster than that must not keep others from being served.
void Listener::accept_all(int fd) {
    for (int taken = 0; taken < kAcceptsATurn; ++taken) {
        SocketAddress from;
        from.size = sizeof from.storage;
        UniqueFd accepted(::accept4(fd, from.get(), &from.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!accepted && (errno == EMFILE || errno == ENFILE)) {
            refuse_one(fd);
            continue;
        }
        if (!accepted) {
            return;
        }
        const speaker::Endpoint remote = to_endpoint(from);
        const speaker::SocketOptions* options = options_for(remote.address);
        if (options == nullptr) {
            on_stranger_(remote);
            options = options_for(remote.address);
        }
        if (options == nullptr) {
            log::emit(kUnexpectedPeer, address_text(remote.address));
            if (strangers_.take(std::chrono::steady_clock::now())) {
                on_accept_(std::move(accepted), remote);
            }
            continue;
        }
        if (const auto done = set_ttl(accepted.get(), remote.address.family(), *options); !done) {
            log::emit(kSocketOption, address_text(remote.address), done.error().message);
            continue;
        }
        // Segments are checked from here on; what came behind the SYN before that came the way that the SYN did.
        if (const auto ttl = syn_ttl(accepted.get()); options->minimum_ttl && ttl && *ttl < *options->minimum_ttl) {
            log::emit(kDistantPeer, address_text(remote.address), *ttl, *options->minimum_ttl);
            continue;
        }
        const int on = 1;
        static_cast<void>(::setsockopt(accepted.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
        on_accept_(std::move(accepted), remote);
    }
}

/// There is no descriptor left: without this one the connection would wait, and its socket be ready, for ever.
void Listener::refuse_one(int fd) {
    spare_.reset();
    UniqueFd refused(::accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    refused.reset();
    spare_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

}  // namespace manul::bgp::io
