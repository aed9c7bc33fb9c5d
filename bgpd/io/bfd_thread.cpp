#include "bgpd/io/bfd_thread.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "base/daemon.hpp"
#include "base/log.hpp"
#include "base/overloaded.hpp"
#include "base/unique_fd.hpp"
#include "bgpd/bfd/packet.hpp"
#include "bgpd/bfd/sessions.hpp"
#include "bgpd/io/bfd_sockets.hpp"
#include "bgpd/io/messages.hpp"
#include "net/ip.hpp"

namespace manul::bgp::io {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kBatch = 256;           // datagrams read from one socket before time is looked at again
constexpr int kThreadNiceness = -15;  // a packet costs microseconds; waiting for the CPU costs the session
constexpr std::chrono::seconds kReopen{1};

struct Receiver {
    net::Family family;
    bool single_hop;
    UniqueFd fd;
    std::string problem;  ///< the last one that was logged
};

void ring(int fd) {
    const std::uint64_t one = 1;
    static_cast<void>(::write(fd, &one, sizeof one));
}

void hush(int fd) {
    std::uint64_t count = 0;
    static_cast<void>(::read(fd, &count, sizeof count));
}

}  // namespace

struct BfdThread::Impl {
    Impl(boost::asio::io_context& io, OnChange callback)
        : on_change(std::move(callback)),
          work(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
          news(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
          watch(io, news.get(), [this] { deliver(); }) {}

    void run();
    void open_receivers();
    void receive(const Receiver& receiver, Clock::time_point now);
    void carry_out();
    void send(const bfd::Send& packet);
    void deliver();

    OnChange on_change;
    UniqueFd work;  ///< rung for the thread: the wanted sessions changed, or it is to end
    UniqueFd news;  ///< rung for the io_context: `changes` is not empty
    ReadableWatch watch;
    std::thread thread;

    mutable std::mutex mutex;  ///< guards what follows; the thread lets go of it only while it waits
    bfd::Sessions sessions{std::random_device{}()};
    std::optional<std::vector<bfd::SessionConfig>> wanted;
    std::vector<bfd::Changed> changes;
    bool ending = false;

    // The thread's alone.
    std::map<net::Ip, bfd::SessionConfig> open;
    std::map<net::Ip, UniqueFd> senders;
    std::array<Receiver, 4> receivers{{{net::Family::v4, true, {}, {}},
                                       {net::Family::v4, false, {}, {}},
                                       {net::Family::v6, true, {}, {}},
                                       {net::Family::v6, false, {}, {}}}};
    bfd::Actions actions;
};

void BfdThread::Impl::open_receivers() {
    for (Receiver& receiver : receivers) {
        const bool needed = std::ranges::any_of(open, [&](const auto& session) {
            return session.first.family() == receiver.family && session.second.single_hop == receiver.single_hop;
        });
        if (!needed) {
            receiver.fd.reset();
        } else if (!receiver.fd) {
            auto fd = open_bfd_receiver(receiver.family, receiver.single_hop);
            if (fd) {
                receiver.fd = *std::move(fd);
                receiver.problem.clear();
            } else if (std::exchange(receiver.problem, fd.error().message) != fd.error().message) {
                log::emit(kBfdSocket, receiver.problem);
            }
        }
    }
}

void BfdThread::Impl::receive(const Receiver& receiver, Clock::time_point now) {
    for (int i = 0; i < kBatch; ++i) {
        const auto datagram = receive_bfd(receiver.fd.get());
        if (!datagram) {
            return;
        }
        sessions.receive({.source = datagram->source,
                          .ttl = datagram->ttl,
                          .single_hop = receiver.single_hop,
                          .data = ByteView(datagram->data).first(datagram->size)},
                         now, actions);
        carry_out();
    }
}

void BfdThread::Impl::send(const bfd::Send& packet) {
    const auto session = open.find(packet.remote);
    if (session == open.end()) {
        return;
    }
    UniqueFd& sender = senders[packet.remote];
    if (!sender) {
        auto fd = open_bfd_sender(session->second);
        if (!fd) {
            return;  // no route or address yet; the next packet tries again, and meanwhile the session is down
        }
        sender = *std::move(fd);
    }
    // An earlier packet's ICMP error is reported by the first send after it and says nothing about this one.
    for (int attempt = 0; attempt < 2; ++attempt) {
        if (::send(sender.get(), packet.data.data(), packet.data.size(), MSG_NOSIGNAL) >= 0 || errno == EAGAIN) {
            return;
        }
    }
    if (errno != ECONNREFUSED) {
        sender.reset();  // an address or a link went away: the next packet gets a new socket
    }
}

void BfdThread::Impl::carry_out() {
    for (const bfd::Action& action : std::exchange(actions, {})) {
        std::visit(overloaded{
                       [&](const bfd::Open& one) { open[one.session.remote] = one.session; },
                       [&](const bfd::Close& one) {
                           open.erase(one.remote);
                           senders.erase(one.remote);
                       },
                       [&](const bfd::Send& packet) { send(packet); },
                       [&](const bfd::Changed& change) {
                           changes.push_back(change);
                           ring(news.get());
                       },
                   },
                   action);
    }
}

void BfdThread::Impl::run() {
    static_cast<void>(::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kThreadNiceness));
    std::unique_lock lock(mutex);
    while (!ending) {
        if (wanted) {
            sessions.configure(*wanted, Clock::now(), actions);
            wanted.reset();
            carry_out();
        }
        open_receivers();
        std::vector<pollfd> polled{{work.get(), POLLIN, 0}};
        bool missing = false;
        for (const Receiver& receiver : receivers) {
            polled.push_back({receiver.fd.get(), POLLIN, 0});  // poll() passes over what is not open
            missing = missing || !receiver.problem.empty();
        }
        auto due = sessions.next_deadline();
        if (missing && (!due || *due > Clock::now() + kReopen)) {
            due = Clock::now() + kReopen;
        }
        timespec timeout{};
        if (due) {
            const auto left = std::max(*due - Clock::now(), Clock::duration::zero());
            const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
            timeout = {seconds.count(), std::chrono::nanoseconds(left - seconds).count()};
        }
        lock.unlock();
        static_cast<void>(::ppoll(polled.data(), polled.size(), due ? &timeout : nullptr, nullptr));
        lock.lock();
        hush(work.get());
        const Clock::time_point now = Clock::now();
        for (const Receiver& receiver : receivers) {
            if (receiver.fd) {
                receive(receiver, now);
            }
        }
        // What had already arrived counts before silence does: this thread may itself have been kept waiting.
        sessions.tick(Clock::now(), actions);
        carry_out();
    }
    sessions.stop(Clock::now(), actions);
    carry_out();
}

void BfdThread::Impl::deliver() {
    hush(news.get());
    std::vector<bfd::Changed> arrived;
    {
        const std::scoped_lock lock(mutex);
        arrived.swap(changes);
    }
    for (const bfd::Changed& change : arrived) {
        on_change(change);
    }
}

BfdThread::BfdThread(boost::asio::io_context& io, OnChange on_change)
    : impl_(std::make_unique<Impl>(io, std::move(on_change))) {}

BfdThread::~BfdThread() {
    if (impl_->thread.joinable()) {
        {
            const std::scoped_lock lock(impl_->mutex);
            impl_->ending = true;
        }
        ring(impl_->work.get());
        impl_->thread.join();
    }
}

void BfdThread::configure(std::vector<bfd::SessionConfig> wanted) {
    if (!impl_->thread.joinable()) {
        if (wanted.empty()) {
            return;
        }
        impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
    }
    {
        const std::scoped_lock lock(impl_->mutex);
        impl_->wanted = std::move(wanted);
    }
    ring(impl_->work.get());
}

std::vector<bfd::SessionStatus> BfdThread::status() const {
    const std::scoped_lock lock(impl_->mutex);
    return impl_->sessions.status();
}

}  // namespace manul::bgp::io
