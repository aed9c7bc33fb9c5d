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
#include "bgpd/io/messages.hpp"
#include "bgpd/io/tcp.hpp"
#include "bgpd/speaker/action.hpp"
#include "bgpd/speaker/event.hpp"

namespace manul::bgp::io {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kFinishTime{1};

}  // namespace

Engine::Engine(boost::asio::io_context& io, bool program_kernel, OnPeer on_peer)
    : on_peer_(std::move(on_peer)),
      connections_([this](speaker::ConnectionId id, ByteView data) { return received(id, data); },
                   [this](speaker::Event event) { add(std::move(event)); }),
      listener_(io, [this](UniqueFd fd, const speaker::Endpoint& remote) { accepted(std::move(fd), remote); }),
      kernel_(io, program_kernel, [this] { turn(); }),
      bfd_(io, [this](const bfd::Changed& change) { path_changed(change); }),
      stations_(io, speaker_),
      sockets_(io, connections_.fd(), [this] { on_sockets(); }),
      timer_(io, [this] { turn(); }) {}

Result<void> Engine::start() {
    auto started = kernel_.start();
    if (started) {
        turn();
    }
    return started;
}

void Engine::configure(std::shared_ptr<const speaker::Configuration> configuration) {
    kernel_.configure(*configuration);
    stations_.configure(*configuration);
    add(speaker::Configure{std::move(configuration)});
    turn();
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

void Engine::path_changed(const bfd::Changed& change) {
    const bool up = change.status.state == bfd::State::up;
    if (up || change.failure) {
        add(speaker::BfdChanged{change.status.remote, up});
        turn();
    }
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
                   [&](const speaker::PeerChanged& peer) { on_peer_(peer.status, peer.removed); },
                   [&](const speaker::WatchPaths& watch) { bfd_.configure(watch.sessions); },
                   [&](const speaker::Monitored& news) { stations_.tell(news); },
                   [&](const speaker::ManyPrefixes& many) {
                       log::emit(kManyPrefixes, many.peer.to_string(), many.received, many.most);
                   },
               },
               action);
}

void Engine::turn() {
    if (!in_kernel_) {
        const bool more = kernel_.work();
        if (!kernel_.loaded()) {
            more ? timer_.after_us(0) : timer_.cancel();
            return;
        }
        // What an earlier run left is known before anything is said to a peer.
        in_kernel_ = kernel_.families();
        events_.push_front(speaker::KernelRoutes{*in_kernel_});
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
    if (left_ && !speaker_.busy() && !more_routes) {
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
    if (speaker_.busy() || more_routes) {
        timer_.after_us(0);
    } else if (next) {
        timer_.after_us(std::chrono::ceil<std::chrono::microseconds>(*next - Clock::now()).count());
    } else {
        timer_.cancel();
    }
}

}  // namespace manul::bgp::io
