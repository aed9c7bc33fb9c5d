#include "bgpd/io/kernel.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
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
#include "net/netlink/socket.hpp"

namespace manul::bgp::io {
namespace {

constexpr std::int64_t kSettleMicroseconds = 50'000;  // a link that comes up announces itself several times
constexpr std::int64_t kRetryMicroseconds = 5'000'000;
constexpr std::size_t kRoutesATurn = 1000;  // two to six milliseconds

}  // namespace

Kernel::Kernel(boost::asio::io_context& io, bool program, std::function<void()> on_change)
    : io_(io),
      program_(program),
      on_change_(std::move(on_change)),
      watch_(!program),
      look_again_(io, [this] { look_again(); }),
      retry_(io, [this] {
          fib_->retry();
          on_change_();
      }) {}

Result<void> Kernel::start() {
    const netlink::Monitor::Options options{
        .links = true, .addresses = true, .routes = true, .ignore_new_routes_of = kRouteProtocol};
    auto monitor = netlink::Monitor::open(options);
    if (!monitor) {
        return fail(monitor.error().message());
    }
    auto questions = netlink::Socket::open();
    if (!questions) {
        return fail(questions.error().message());
    }
    monitor_ = *std::move(monitor);
    socket_ = *std::move(questions);
    if (program_) {
        auto writes = netlink::Socket::open();
        if (!writes) {
            return fail(writes.error().message());
        }
        fib_.emplace(*std::move(writes));
    }
    if (const auto done = reload(); !done) {
        return fail(done.error().message());
    }
    readable_ = std::make_unique<ReadableWatch>(io_, monitor_->fd(), [this] { on_monitor(); });
    return {};
}

netlink::SocketResult<void> Kernel::reload() {
    reload_ = false;
    MANUL_TRY(const auto links, socket_->links());
    MANUL_TRY(const auto addresses, socket_->addresses());
    watch_.clear();
    for (const netlink::Link& link : links) {
        watch_.take(link);
    }
    for (const netlink::Address& address : addresses) {
        watch_.take(address);
    }
    std::vector<netlink::Route> own;
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        MANUL_TRY(auto routes, socket_->routes({.family = family, .table = netlink::kMainTable}));
        for (netlink::Route& route : routes) {
            if (route.protocol == kRouteProtocol) {
                own.push_back(std::move(route));
            } else {
                watch_.take(route);
            }
        }
    }
    return fib_ ? fib_->resync(own) : netlink::SocketResult<void>{};
}

netlink::SocketResult<void> Kernel::resync() {
    std::vector<netlink::Route> own;
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        MANUL_TRY(const auto routes,
                  socket_->routes({.family = family, .table = netlink::kMainTable, .protocol = kRouteProtocol}));
        own.insert(own.end(), routes.begin(), routes.end());
    }
    return fib_->resync(own);
}

void Kernel::on_monitor() {
    const auto events = monitor_->take();
    if (!events) {
        log::emit(kKernelFailed, events.error().message());
        reload_ = true;
        look_again_.after_us(kRetryMicroseconds);
        return;
    }
    bool touched = false;
    const auto touches = [&](std::uint32_t ifindex) { touched = touched || (fib_ && fib_->uses(ifindex)); };
    for (const netlink::Event& event : *events) {
        std::visit(overloaded{
                       [&](const netlink::Overrun&) { reload_ = true; },
                       [&](const netlink::Changed<netlink::Link>& link) {
                           watch_.take(link.value);
                           touches(link.value.index);
                       },
                       [&](const netlink::Removed<netlink::Link>& link) {
                           watch_.remove(link.value);
                           touches(link.value.index);
                       },
                       [&](const netlink::Changed<netlink::Address>& address) {
                           watch_.take(address.value);
                           touches(address.value.ifindex);
                       },
                       [&](const netlink::Removed<netlink::Address>& address) {
                           watch_.remove(address.value);
                           touches(address.value.ifindex);
                       },
                       [&](const netlink::Changed<netlink::Route>& route) { watch_.take(route.value); },
                       [&](const netlink::Removed<netlink::Route>& route) { watch_.remove(route.value); },
                       [](const auto&) {},
                   },
                   event);
    }
    if (reload_ || touched) {
        look_again_.after_us(kSettleMicroseconds);
    }
    on_change_();
}

void Kernel::look_again() {
    const auto done = reload_ ? reload() : resync();
    if (!done) {
        log::emit(kKernelFailed, done.error().message());
        reload_ = true;
        look_again_.after_us(kRetryMicroseconds);
        return;
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
    if (!fib_) {
        return false;
    }
    const bool more = fib_->work(kRoutesATurn);
    if (fib_->needs_resync() && !look_again_.armed()) {
        look_again_.after_us(kSettleMicroseconds);
    }
    if (fib_->has_refused() && !retry_.armed()) {
        retry_.after_us(kRetryMicroseconds);
    }
    return more;
}

wire::FamilySet Kernel::families() const {
    return fib_ ? fib_->families() : wire::FamilySet{net::Family::v4, net::Family::v6};
}

std::optional<FibSync::Counts> Kernel::counts() const { return fib_ ? std::optional(fib_->counts()) : std::nullopt; }

}  // namespace manul::bgp::io
