#include "bgpd/io/engine.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/overloaded.hpp"
#include "base/unique_fd.hpp"
#include "bgpd/io/address_text.hpp"
#include "bgpd/io/messages.hpp"
#include "bgpd/io/tcp.hpp"
#include "bgpd/speaker/action.hpp"
#include "bgpd/speaker/event.hpp"
#include "bgpd/speaker/neighbours.hpp"
#include "net/ip.hpp"
#include "net/scoped.hpp"

namespace manul::bgp::io {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kFinishTime{1};

}  // namespace

Engine::Engine(boost::asio::io_context& io, bool program_kernel, OnPeer on_peer)
    : on_peer_(std::move(on_peer)),
      connections_([this](speaker::ConnectionId id, ByteView data) { return received(id, data); },
                   [this](speaker::Event event) { add(std::move(event)); }),
      listener_(
          io, [this](UniqueFd fd, const speaker::Endpoint& remote) { accepted(std::move(fd), remote); },
          [this](const speaker::Endpoint& remote) { heard(remote.address); }),
      discovery_(io, [this](const net::Ip& router) { heard(router); }),
      kernel_(io, program_kernel, [this] { turn(); }),
      bfd_(io, [this](const bfd::Changed& change) { bfd_changed(change); }),
      stations_(io, speaker_),
      sockets_(io, connections_.fd(), [this] { on_sockets(); }),
      timer_(io, [this] {
          wakes_at_.reset();
          turn();
      }) {}

Result<void> Engine::start() {
    auto started = kernel_.start();
    if (started) {
        turn();
    }
    return started;
}

void Engine::configure(std::shared_ptr<const speaker::Configuration> configuration) {
    kernel_.configure(*configuration);
    if (in_kernel_) {
        stations_.configure(*configuration);
    }
    wanted_ = std::move(configuration);
    place_peers();
    turn();
}

/// Links and the routers on them come and go: peers on links are configured with the addresses that follow from that.
void Engine::place_peers() {
    const auto on_link = [](const speaker::PeerConfig& peer) {
        return !peer.interface.empty() || peer.address.is_link_local();
    };
    if (wanted_ == nullptr) {
        return;
    }
    auto placed = wanted_;
    std::vector<std::uint32_t> links_to_watch;
    if (std::ranges::any_of(wanted_->peers, on_link)) {
        const speaker::Links links = kernel_.links();
        auto copy = std::make_shared<speaker::Configuration>(*wanted_);
        speaker::place_on_links(*copy, links, neighbours_);
        for (const speaker::PeerConfig& peer : copy->peers) {
            if (const auto link = links.find(peer.interface); peer.any_neighbour && link != links.end()) {
                links_to_watch.push_back(link->second.index);
            }
        }
        placed = std::move(copy);
    }
    discovery_.watch(std::move(links_to_watch));
    if (configuration_ == nullptr || *configuration_ != *placed) {
        configuration_ = placed;
        add(speaker::Configure{std::move(placed)});
    }
}

/// A router has shown itself on its link: it advertises itself, or it connects to us.
void Engine::heard(const net::Ip& router) {
    const std::uint32_t link = net::scope_of(router);
    if (link == 0 || !discovery_.watches(link)) {
        return;
    }
    const auto known = neighbours_.on(link);
    const bool in_use = known && *known != router && std::ranges::any_of(speaker_.peers(), [&](const auto& peer) {
                            return peer.address == *known && peer.state == speaker::SessionState::established;
                        });
    if (neighbours_.heard(link, router, Clock::now(), in_use)) {
        place_peers();
        turn();
    }
}

void Engine::originate(std::shared_ptr<const std::vector<speaker::LocalRoute>> routes) {
    add(speaker::Originate{std::move(routes)});
    turn();
}

void Engine::command(speaker::PeerCommand command) {
    add(std::move(command));
    turn();
}

void Engine::leave(std::string text, std::function<void()> done) {
    left_ = std::move(done);
    command({speaker::PeerCommand::What::leave, std::nullopt, std::move(text)});
}

void Engine::finish() {
    add(speaker::Finish{});
    drain();
    connections_.flush();
    stations_.finish();
    connections_.finish(Clock::now() + kFinishTime);
}

void Engine::report_kernel() {
    if (const wire::FamilySet now = kernel_.families(); now != in_kernel_) {
        in_kernel_ = now;
        add(speaker::KernelRoutes{now});
    }
}

void Engine::accepted(UniqueFd fd, const speaker::Endpoint& remote) {
    const speaker::Endpoint local = local_endpoint(fd.get());
    add(speaker::Accepted{connections_.adopt(std::move(fd)), local, remote});
    turn();
}

void Engine::bfd_changed(const bfd::Changed& change) {
    const bool up = change.status.state == bfd::State::up;
    add(speaker::BfdChanged{change.status.remote, up, !up && !change.failure});
    turn();
}

std::size_t Engine::received(speaker::ConnectionId connection, ByteView data) {
    const speaker::Speaker::Outcome outcome = speaker_.handle(speaker::Received{connection, data}, Clock::now());
    const std::size_t consumed = outcome.consumed;
    for (const speaker::Action& action : outcome.actions) {
        carry_out(action);
    }
    return consumed;
}

void Engine::on_sockets() {
    connections_.poll();
    turn();
}

void Engine::drain() {
    while (!events_.empty()) {
        const speaker::Event event = std::move(events_.front());
        events_.pop_front();
        for (const speaker::Action& action : speaker_.handle(event, Clock::now()).actions) {
            carry_out(action);
        }
        listener_.settle();
    }
}

void Engine::carry_out(const speaker::Action& action) {
    std::visit(overloaded{
                   [&](const speaker::Write& write) { connections_.write(write); },
                   [&](const speaker::Connect& connect) { connections_.connect(connect); },
                   [&](const speaker::Close& close) { connections_.close(close, Clock::now()); },
                   [&](const speaker::FibBatch& batch) { kernel_.change(batch); },
                   [&](const speaker::FibGroup& group) { kernel_.define(group); },
                   [&](const speaker::FibComplete&) {
                       kernel_.complete();
                       in_sync_ = true;
                   },
                   [&](const speaker::TrackNextHop& track) { kernel_.track(track); },
                   [&](const speaker::Listen& listen) { listener_.listen(listen); },
                   [&](const speaker::ExpectPeer& peer) { listener_.expect(peer); },
                   [&](const speaker::ForgetPeer& peer) { listener_.forget(peer); },
                   [&](const speaker::ExpectRange& range) { listener_.expect(range); },
                   [&](const speaker::ForgetRange& range) { listener_.forget(range); },
                   [&](const speaker::PeerChanged& peer) { on_peer_(*peer.status, peer.removed); },
                   [&](const speaker::SetBfdSessions& watch) { bfd_.configure(watch.sessions); },
                   [&](const speaker::Monitored& news) { stations_.tell(news); },
                   [&](const speaker::ManyPrefixes& many) {
                       log::emit(kManyPrefixes, address_text(many.peer), many.received, many.most);
                   },
               },
               action);
}

void Engine::turn() {
    if (!in_kernel_) {
        const bool more = kernel_.work();
        if (!kernel_.loaded()) {
            wake_at(more ? std::optional(Clock::now()) : std::nullopt);
            return;
        }
        // What an earlier run left is known before anything is said to a peer.
        in_kernel_ = kernel_.families();
        events_.push_front(speaker::KernelRoutes{*in_kernel_});
        if (wanted_ != nullptr) {
            stations_.configure(*wanted_);  // not before: until this turn the speaker has nothing to greet them with
        }
    }
    if (kernel_.take_link_change()) {
        place_peers();
    }
    const Clock::time_point now = Clock::now();
    connections_.expire(now);
    if (const auto due = speaker_.next_deadline(); due && *due <= now) {
        add(speaker::Tick{});
    }
    kernel_.take_changes(from_kernel_);
    for (speaker::Event& event : from_kernel_) {
        add(std::move(event));
    }
    from_kernel_.clear();
    drain();
    // Next hops that were asked about meanwhile are answered before the turn ends, so that their routes count in it.
    kernel_.take_changes(from_kernel_);
    for (speaker::Event& event : from_kernel_) {
        add(std::move(event));
    }
    from_kernel_.clear();
    connections_.flush();
    drain();
    add(speaker::TurnEnd{});
    drain();
    connections_.flush();
    drain();
    const bool more_routes = kernel_.work();
    report_kernel();
    drain();
    if (left_ && !speaker_.busy() && !more_routes && kernel_.settled()) {
        std::exchange(left_, nullptr)();
    }

    const Clock::duration took = Clock::now() - now;
    ++turns_.count;
    turns_.total += took;
    turns_.longest = std::max(turns_.longest, took);

    std::optional<Clock::time_point> next = speaker_.next_deadline();
    if (const auto closing = connections_.next_deadline(); closing && (!next || *closing < *next)) {
        next = closing;
    }
    wake_at(speaker_.busy() || more_routes ? std::optional(now) : next);
}

/// Most turns change no timer, and setting one is a system call.
void Engine::wake_at(std::optional<Clock::time_point> when) {
    if (when == wakes_at_) {
        return;
    }
    wakes_at_ = when;
    if (when) {
        const auto left = std::chrono::ceil<std::chrono::microseconds>(*when - Clock::now());
        timer_.after_us(std::max<std::int64_t>(0, left.count()));
    } else {
        timer_.cancel();
    }
}

}  // namespace manul::bgp::io
