#include "bgpd/io/kernel.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "base/daemon.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/overloaded.hpp"
#include "base/try.hpp"
#include "bgpd/io/fib_sync.hpp"
#include "bgpd/io/messages.hpp"
#include "bgpd/io/next_hop_watch.hpp"
#include "bgpd/speaker/action.hpp"
#include "net/ip.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/monitor.hpp"
#include "net/netlink/route_dump.hpp"
#include "net/netlink/socket.hpp"

namespace manul::bgp::io {
namespace {

constexpr std::int64_t kSettleMicroseconds = 50'000;  // a link that comes up announces itself several times
constexpr std::int64_t kKernelRetryMicroseconds = 5'000'000;
constexpr std::size_t kRoutesATurn = 1000;  // two to six milliseconds
constexpr std::size_t kMostDeferred = 100'000;
constexpr int kReadAttempts = 5;
/// Each pod announces itself with half a dozen events, which change no next hop: they are read together, and leave the
/// processor meanwhile to those who make the pod.
constexpr std::int64_t kGatherPodsMicroseconds = 20'000;

bool is_of_a_pod(const netlink::Event& event) {
    const auto by_name = [](const netlink::Link& link) { return link.name.starts_with("cali"); };
    const auto elsewhere = [](const netlink::Route& route) {
        return route.table != netlink::kMainTable || route.protocol == kFelixProtocol;
    };
    return std::visit(overloaded{
                          [&](const netlink::Changed<netlink::Link>& link) { return by_name(link.value); },
                          [&](const netlink::Removed<netlink::Link>& link) { return by_name(link.value); },
                          [&](const netlink::Changed<netlink::Route>& route) { return elsewhere(route.value); },
                          [&](const netlink::Removed<netlink::Route>& route) { return elsewhere(route.value); },
                          [](const auto&) { return false; },
                      },
                      event);
}

}  // namespace

Kernel::Kernel(boost::asio::io_context& io, bool program, std::function<void()> on_change)
    : io_(io),
      program_(program),
      on_change_(std::move(on_change)),
      watch_(!program),
      look_again_(io, [this] { look_again(); }),
      retry_(io,
             [this] {
                 fib_->retry();
                 on_change_();
             }),
      listen_again_(io, [this] { listen(); }) {}

Result<void> Kernel::start() {
    auto questions = netlink::Socket::open();
    if (!questions) {
        return fail(questions.error().message());
    }
    socket_ = *std::move(questions);
    if (program_) {
        auto writes = netlink::Socket::open();
        if (!writes) {
            return fail(writes.error().message());
        }
        fib_.emplace(*std::move(writes));
        written_ = std::make_unique<ReadableWatch>(io_, fib_->fd(), on_change_);
    }
    auto monitor = netlink::Monitor::open(
        {.links = true, .addresses = true, .routes = true, .ignore_requests_of = fib_ ? fib_->port() : 0});
    if (!monitor) {
        return fail(monitor.error().message());
    }
    monitor_ = *std::move(monitor);
    listen();
    if (const auto begun = begin_reading(true, 1); !begun) {
        return fail(begun.error().message());
    }
    return {};
}

netlink::SocketResult<netlink::RouteDump> Kernel::list_routes(net::Family family, bool everything) {
    const std::uint8_t protocol = everything ? 0 : kRouteProtocol;
    return netlink::RouteDump::start({.family = family, .table = netlink::kMainTable, .protocol = protocol});
}

netlink::SocketResult<void> Kernel::begin_reading(bool everything, int attempts) {
    reading_.reset();
    reload_ = reload_ && !everything;
    NextHopWatch watch(!program_);
    if (everything) {
        MANUL_TRY(const auto links, socket_->links());
        MANUL_TRY(const auto addresses, socket_->addresses());
        for (const netlink::Link& link : links) {
            watch.take(link);
        }
        for (const netlink::Address& address : addresses) {
            watch.take(address);
        }
    }
    if (fib_) {
        MANUL_CHECK(fib_->begin_resync());
    }
    MANUL_TRY(auto dump, list_routes(net::Family::v4, everything));
    reading_.emplace(Reading{everything, net::Family::v4, std::move(dump), std::move(watch), {}, attempts});
    return {};
}

/// Reads one piece; what follows is read by the next turns.
netlink::SocketResult<void> Kernel::read_slice() {
    std::vector<netlink::Route> routes;
    auto more = reading_->dump.take(routes);
    if (!more && more.error().kind == netlink::SocketError::Kind::interrupted && reading_->attempts < kReadAttempts) {
        return begin_reading(reading_->everything, reading_->attempts + 1);
    }
    if (!more) {
        return std::unexpected(std::move(more).error());
    }
    const auto others = std::partition(routes.begin(), routes.end(),
                                       [](const netlink::Route& route) { return route.protocol == kRouteProtocol; });
    if (fib_) {
        fib_->found(std::span(routes.begin(), others));
    }
    for (auto route = others; route != routes.end(); ++route) {
        reading_->watch.take(*route);
    }
    if (*more) {
        return {};
    }
    if (reading_->family == net::Family::v6) {
        end_reading();
        return {};
    }
    MANUL_TRY(reading_->dump, list_routes(net::Family::v6, reading_->everything));
    reading_->family = net::Family::v6;
    return {};
}

void Kernel::end_reading() {
    Reading done = *std::exchange(reading_, std::nullopt);
    if (done.everything) {
        watch_.replace(std::move(done.watch));
        for (const netlink::Event& event : done.events) {
            take(event);
        }
    }
    if (fib_) {
        fib_->end_resync();
    }
    loaded_ = true;
}

void Kernel::read_failed(const netlink::SocketError& error) {
    log::emit(kKernelFailed, error.message());
    reading_.reset();
    reload_ = true;
    look_again_.after_us(kKernelRetryMicroseconds);
}

void Kernel::take(const netlink::Event& event) {
    std::visit(overloaded{
                   [&](const netlink::Changed<netlink::Link>& link) { watch_.take(link.value); },
                   [&](const netlink::Removed<netlink::Link>& link) { watch_.remove(link.value); },
                   [&](const netlink::Changed<netlink::Address>& address) { watch_.take(address.value); },
                   [&](const netlink::Removed<netlink::Address>& address) { watch_.remove(address.value); },
                   [&](const netlink::Changed<netlink::Route>& route) { watch_.take(route.value); },
                   [&](const netlink::Removed<netlink::Route>& route) { watch_.remove(route.value); },
                   [](const auto&) {},
               },
               event);
}

void Kernel::listen() {
    readable_ = std::make_unique<ReadableWatch>(io_, monitor_->fd(), [this] { on_monitor(); });
}

void Kernel::on_monitor() {
    auto events = monitor_->take();
    if (!events) {
        return read_failed(events.error());
    }
    if (!events->empty() && std::ranges::all_of(*events, is_of_a_pod)) {
        readable_.reset();
        listen_again_.after_us(kGatherPodsMicroseconds);
    }
    bool touched = false;
    const auto touches = [&](std::uint32_t ifindex) { touched = touched || (fib_ && fib_->uses(ifindex)); };
    for (const netlink::Event& event : *events) {
        take(event);
        std::visit(overloaded{
                       [&](const netlink::Overrun&) {
                           log::emit(kKernelOverrun);
                           reload_ = true;
                       },
                       [&](const netlink::Changed<netlink::Link>& link) { touches(link.value.index); },
                       [&](const netlink::Removed<netlink::Link>& link) { touches(link.value.index); },
                       [&](const netlink::Changed<netlink::Address>& address) { touches(address.value.ifindex); },
                       [&](const netlink::Removed<netlink::Address>& address) { touches(address.value.ifindex); },
                       [&](const netlink::Changed<netlink::Route>& route) {
                           if (fib_) {
                               fib_->noticed_change(route.value);
                           }
                       },
                       [&](const netlink::Removed<netlink::Route>& route) {
                           if (fib_) {
                               fib_->noticed_removal(route.value);
                           }
                       },
                       [](const auto&) {},
                   },
                   event);
    }
    if (reading_ && reading_->everything) {
        if (reading_->events.size() + events->size() > kMostDeferred) {
            reload_ = true;  // begun anew is done sooner
        } else {
            std::ranges::move(*events, std::back_inserter(reading_->events));
        }
    }
    if (reload_ || touched) {
        look_again_.after_us(kSettleMicroseconds);
    }
    on_change_();
}

void Kernel::look_again() {
    if (const auto begun = begin_reading(reload_ || !loaded_ || (reading_ && reading_->everything), 1); !begun) {
        return read_failed(begun.error());
    }
    on_change_();
}

void Kernel::configure(const speaker::Configuration& configuration) {
    std::map<net::Ip, net::Ip> gateways;
    bool filters_ask = false;
    for (const speaker::PeerConfig& peer : configuration.peers) {
        if (peer.reachable_by) {
            gateways.emplace(peer.address, *peer.reachable_by);
        }
        filters_ask = filters_ask || peer.rules.export_rules[0] || peer.rules.export_rules[1];
    }
    for (const speaker::PeerConfig& range : configuration.ranges) {
        filters_ask = filters_ask || range.rules.export_rules[0] || range.rules.export_rules[1];
    }
    watch_.set_gateways(std::move(gateways));
    watch_.want_host_routes(filters_ask ? std::optional(configuration.ignored_interfaces) : std::nullopt);
}

void Kernel::track(const speaker::TrackNextHop& what) { watch_.track(what); }

void Kernel::define(const speaker::FibGroup& group) {
    if (fib_) {
        fib_->define(group);
    }
}

void Kernel::change(const speaker::FibBatch& batch) {
    if (fib_) {
        fib_->change(batch);
    }
}

void Kernel::complete() {
    if (fib_) {
        fib_->complete();
    }
}

bool Kernel::work() {
    if (reading_) {
        if (const auto read = read_slice(); !read) {
            read_failed(read.error());
            return false;
        }
        return true;
    }
    if (!fib_) {
        return false;
    }
    const bool more = fib_->work(kRoutesATurn);
    if (fib_->needs_resync() && !look_again_.armed()) {
        look_again_.after_us(kSettleMicroseconds);
    }
    if (fib_->has_refused() && !retry_.armed()) {
        retry_.after_us(kKernelRetryMicroseconds);
    }
    return more;
}

wire::FamilySet Kernel::families() {
    return fib_ ? fib_->families() : wire::FamilySet{net::Family::v4, net::Family::v6};
}

std::optional<FibSync::Counts> Kernel::counts() const { return fib_ ? std::optional(fib_->counts()) : std::nullopt; }

}  // namespace manul::bgp::io
