#include "test/bench/bgp/load/peers.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "bgpd/wire/framer.hpp"
#include "bgpd/wire/notification.hpp"
#include "bgpd/wire/open.hpp"
#include "test/bench/bgp/load/scan.hpp"

namespace manul::bench {

namespace wire = bgp::wire;

namespace {

constexpr std::uint16_t kPort = 179;
constexpr std::uint32_t kOpeningAtOnce = 8;
constexpr std::size_t kRead = std::size_t{256} << 10U;
constexpr std::size_t kSend = std::size_t{256} << 10U;
constexpr double kTick = 0.02;

sockaddr_in socket_address(std::uint32_t address, std::uint16_t port) {
    sockaddr_in result{};
    result.sin_family = AF_INET;
    result.sin_port = htons(port);
    result.sin_addr.s_addr = htonl(address);
    return result;
}

}  // namespace

Peers::Peers(const Options& options, const Prefixes& prefixes, bool reflector)
    : expected(prefixes.size()),
      options_(options),
      prefixes_(prefixes),
      reflector_(reflector),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      buffer_(kRead + wire::kMaxMessage + Prefixes::kReadBehind) {}

void Peers::add(std::uint32_t as, bool receives) {
    Peer peer;
    peer.number = static_cast<std::uint32_t>(all_.size());
    peer.as = as;
    peer.receives = receives;
    if (receives) {
        peer.table.resize(prefixes_.size());
    }
    all_.push_back(std::move(peer));
}

void Peers::count() {
    not_right_ = 0;
    for (Peer& peer : all_) {
        if (peer.receives) {
            count(peer);
            not_right_ += peer.right != peer.wanted ? 1U : 0U;
        }
    }
}

void Peers::count(Peer& peer) const {
    peer.right = 0;
    peer.wanted = 0;
    peer.right_at = 0;
    for (std::uint32_t i = 0; i < prefixes_.size(); ++i) {
        const bool looked_at = owners_.empty() || owners_[i] != peer.number + 1;
        peer.wanted += looked_at ? 1U : 0U;
        peer.right += looked_at && peer.table[i] == expected[i] ? 1U : 0U;
    }
}

std::uint64_t Peers::missing() const noexcept {
    std::uint64_t sum = 0;
    for (const Peer& peer : all_) {
        sum += peer.receives ? peer.wanted - peer.right : 0;
    }
    return sum;
}

void Peers::give(std::size_t peer, ByteView stream) {
    all_[peer].stream = all_[peer].whole = stream;
    if (all_[peer].state == Peer::State::established) {
        flush(all_[peer]);
    }
}

void Peers::send(std::size_t peer, ByteView bytes) {
    all_[peer].queue.insert(all_[peer].queue.end(), bytes.begin(), bytes.end());
    flush(all_[peer]);
}

void Peers::down(std::size_t peer) {
    all_[peer].stays_down = true;
    close(all_[peer], 0);
}

void Peers::up(std::size_t peer) {
    all_[peer].stays_down = false;
    all_[peer].retry_at = 0;
}

void Peers::watch(Peer& peer, int operation, bool writable) {
    epoll_event what{};
    what.events = std::uint32_t{EPOLLIN} | (writable ? std::uint32_t{EPOLLOUT} : 0U);
    what.data.u32 = peer.number;
    peer.waits_for_writable = writable;
    ::epoll_ctl(epoll_.get(), operation, peer.fd.get(), &what);
}

void Peers::connect(Peer& peer) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in local = socket_address(peer_address(peer.number).value(), 0);
    in_addr address{};
    if (::inet_pton(AF_INET, options_.speaker.c_str(), &address) != 1) {
        die("no address: " + options_.speaker);
    }
    const sockaddr_in remote = socket_address(ntohl(address.s_addr), kPort);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0) {
        die("an address of a peer is missing here");
    }
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&remote), sizeof remote) != 0 && errno != EINPROGRESS) {
        peer.retry_at = now() + 0.2;
        return;
    }
    peer.fd = std::move(fd);
    peer.state = Peer::State::connecting;
    peer.retry_at = now() + 3;
    ++opening_;
    watch(peer, EPOLL_CTL_ADD, true);
}

void Peers::connected(Peer& peer) {
    int code = 0;
    socklen_t size = sizeof code;
    ::getsockopt(peer.fd.get(), SOL_SOCKET, SO_ERROR, &code, &size);
    if (code != 0) {
        return close(peer, 0.2);
    }
    peer.state = Peer::State::open_sent;
    peer.retry_at = now() + 5;
    wire::Open open{.as = *net::Asn::make(peer.as),
                    .identifier = *net::RouterId::make(peer_address(peer.number).value()),
                    .hold_time = options_.hold_time,
                    .capabilities = {}};
    open.capabilities.multiprotocol = {wire::AfiSafi::of(net::Family::v4)};
    if (prefixes_.has_v6()) {
        open.capabilities.multiprotocol.push_back(wire::AfiSafi::of(net::Family::v6));
    }
    open.capabilities.route_refresh = true;
    if (options_.graceful_restart) {
        constexpr std::uint16_t kRestartTime = 120;
        open.capabilities.graceful_restart = wire::GracefulRestart{false, false, kRestartTime, {}};
        for (const wire::AfiSafi& family : open.capabilities.multiprotocol) {
            open.capabilities.graceful_restart->families.push_back({family, false});
        }
    }
    open.capabilities.four_octet_as = peer.as;
    wire::encode_open(open, peer.queue);
    flush(peer);
}

/// What a peer learned is over with its session, and what it sent is to be sent again.
void Peers::close(Peer& peer, double retry_after) {
    if (peer.state == Peer::State::established) {
        --established_;
        std::ranges::fill(peer.table, Origin{0});
        if (peer.receives) {
            const bool was_right = peer.right == peer.wanted;
            count(peer);
            not_right_ += was_right && peer.right != peer.wanted ? 1U : 0U;
        }
    } else if (peer.state != Peer::State::idle) {
        --opening_;
    }
    peer.fd.reset();
    peer.state = Peer::State::idle;
    peer.queue.clear();
    peer.tail.clear();
    peer.stream = peer.whole;
    peer.retry_at = now() + retry_after;
}

void Peers::flush(Peer& peer) {
    if (peer.state == Peer::State::idle || peer.state == Peer::State::connecting) {
        return;
    }
    while (true) {
        // Small messages wait until the stream is through: it may stand in the middle of a message.
        const bool established = peer.state == Peer::State::established;
        const bool under_way = peer.stream.size() < peer.whole.size() && !peer.stream.empty();
        const bool small = !peer.queue.empty() && !under_way;
        const ByteView bytes = small ? ByteView(peer.queue) : established ? peer.stream : ByteView();
        if (bytes.empty()) {
            break;
        }
        const ssize_t sent =
            ::send(peer.fd.get(), bytes.data(), std::min(bytes.size(), kSend), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) {
            break;  // full, or broken: then reading says so
        }
        peer.last_sent = now();
        if (small) {
            peer.queue.erase(peer.queue.begin(), peer.queue.begin() + sent);
        } else {
            peer.stream = peer.stream.subspan(static_cast<std::size_t>(sent));
            break;  // the others have their turn
        }
    }
    const bool more = !peer.queue.empty() || (peer.state == Peer::State::established && !peer.stream.empty());
    if (more != peer.waits_for_writable) {
        watch(peer, EPOLL_CTL_MOD, more);
    }
}

void Peers::read(Peer& peer) {
    const std::size_t kept = peer.tail.size();
    std::ranges::copy(peer.tail, buffer_.begin());
    const ssize_t got = ::recv(peer.fd.get(), buffer_.data() + kept, kRead, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        drops_ += peer.state == Peer::State::established ? 1U : 0U;
        return close(peer, 0.3);
    }
    received_.bytes += static_cast<std::uint64_t>(got);
    const double time = now();
    if (peer.state == Peer::State::established) {
        longest_silence_ = std::max(longest_silence_, time - peer.last_heard);
    }
    peer.last_heard = time;
    wire::Framer framer(ByteView(buffer_).first(kept + static_cast<std::size_t>(got)));
    while (true) {
        const auto frame = framer.next();
        if (!frame || (*frame && !message(peer, (*frame)->type, (*frame)->body()))) {
            learned_.clear();
            ++drops_;
            return close(peer, 0.5);
        }
        if (!*frame) {
            break;
        }
    }
    set_learned(peer);
    const ByteView rest =
        ByteView(buffer_).subspan(framer.consumed(), kept + static_cast<std::size_t>(got) - framer.consumed());
    peer.tail.assign(rest.begin(), rest.end());
}

bool Peers::message(Peer& peer, wire::MessageType type, ByteView body) {
    switch (type) {
        case wire::MessageType::open:
            if (peer.state == Peer::State::open_sent) {
                peer.state = Peer::State::open_confirm;
                wire::encode_keepalive(peer.queue);
                flush(peer);
            }
            return true;
        case wire::MessageType::keepalive:
            if (peer.state == Peer::State::open_confirm) {
                peer.state = Peer::State::established;
                --opening_;
                ++established_;
                flush(peer);
            }
            return true;
        case wire::MessageType::notification:
            last_notification_ = wire::decode_notification(body).to_string();
            return false;
        case wire::MessageType::update:
            ++received_.updates;
            return !peer.receives || update(peer, body);
        default:
            return true;
    }
}

bool Peers::update(Peer& peer, ByteView body) {
    const auto found = scan_update(body);
    return found && learn(peer, found->withdrawn, net::Family::v4, 0) &&
           learn(peer, found->mp_withdrawn, found->mp_withdrawn_family, 0) &&
           (found->announced.empty() ||
            learn(peer, found->announced, net::Family::v4, origin_of(found->as_path, found->next_hop))) &&
           (found->mp_announced.empty() || learn(peer, found->mp_announced, found->mp_announced_family,
                                                 origin_of(found->as_path, found->mp_next_hop)));
}

/// Behind a reflector the next hop tells, else the AS path: the first sender's number in it.
Origin Peers::origin_of(ByteView as_path, ByteView next_hop) const {
    if (reflector_) {
        const auto address = net::Ip::from_bytes(next_hop);
        const auto peer = address ? peer_of(*address) : std::nullopt;
        return peer ? static_cast<Origin>(*peer + 1) : kStranger;
    }
    for (std::size_t at = 0; at + 2 <= as_path.size();) {
        std::size_t left = as_path[at + 1];
        for (at += 2; left > 0 && at + 4 <= as_path.size(); --left, at += 4) {
            const std::uint32_t as = std::uint32_t{as_path[at]} << 24U | std::uint32_t{as_path[at + 1]} << 16U |
                                     std::uint32_t{as_path[at + 2]} << 8U | as_path[at + 3];
            if (as - kSenderAs < all_.size()) {
                return static_cast<Origin>(as - kSenderAs + 1);
            }
        }
    }
    return kStranger;
}

/// False: the prefixes do not fill their field.
bool Peers::learn(Peer& peer, ByteView prefixes, net::Family family, Origin origin) {
    std::size_t at = 0;
    for (; at < prefixes.size(); at += 1 + (std::size_t{prefixes[at]} + 7) / 8) {
        ++received_.prefixes;
        const std::uint32_t number = prefixes_.likely_number_of(prefixes.data() + at, family);
        if (number < prefixes_.size()) {
            __builtin_prefetch(&peer.table[number], 1);
            __builtin_prefetch(&expected[number]);
            prefixes_.prefetch(number);
            learned_.push_back({number, origin, prefixes[at]});
        } else if (number < Prefixes::kFirstProbe) {
            ++received_.unknown;
        } else if (origin != 0 && on_probe_) {
            on_probe_(peer, number - Prefixes::kFirstProbe);
        }
    }
    return at == prefixes.size();
}

void Peers::set_learned(Peer& peer) {
    for (const Learned& one : learned_) {
        if (prefixes_.has(one.prefix, one.length)) {
            set(peer, one.prefix, one.origin);
        } else {
            ++received_.unknown;
        }
    }
    learned_.clear();
}

void Peers::set(Peer& peer, std::uint32_t prefix, Origin origin) {
    if (!owners_.empty() && owners_[prefix] == peer.number + 1) {
        ++received_.own;
        return;
    }
    const Origin before = std::exchange(peer.table[prefix], origin);
    if (before == origin) {
        return;
    }
    if (origin == expected[prefix]) {
        if (++peer.right == peer.wanted) {
            peer.right_at = now();
            --not_right_;
        }
    } else if (before == expected[prefix] && peer.right-- == peer.wanted) {
        peer.right_at = 0;
        ++not_right_;
    }
}

void Peers::tick() {
    const double time = now();
    if (time < next_tick_) {
        return;
    }
    next_tick_ = time + kTick;
    for (Peer& peer : all_) {
        if (peer.state == Peer::State::idle) {
            if (!peer.stays_down && time >= peer.retry_at && opening_ < kOpeningAtOnce) {
                connect(peer);
            }
        } else if (peer.state != Peer::State::established) {
            if (time > peer.retry_at) {
                close(peer, 0.1);
            }
        } else if (time - peer.last_heard > options_.hold_time) {
            longest_silence_ = std::max(longest_silence_, time - peer.last_heard);
            ++drops_;
            close(peer, 0.5);
        } else if (time - peer.last_sent > options_.hold_time / 3.0) {
            wire::encode_keepalive(peer.queue);
            flush(peer);
        }
    }
}

void Peers::poll(int milliseconds) {
    std::array<epoll_event, 128> ready{};
    const int count = ::epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()), milliseconds);
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = ready[static_cast<std::size_t>(i)];
        Peer& peer = all_[event.data.u32];
        if (!peer.fd) {
            continue;
        }
        if (peer.state == Peer::State::connecting) {
            connected(peer);
            continue;
        }
        if ((event.events & ~std::uint32_t{EPOLLOUT}) != 0) {
            read(peer);
        }
        if (peer.fd && (event.events & EPOLLOUT) != 0) {
            flush(peer);
        }
    }
    tick();
}

}  // namespace manul::bench
