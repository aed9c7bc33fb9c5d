#include "bgpd/io/route_writer.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "bgpd/io/messages.hpp"

namespace manul::bgp::io {

struct RouteWriter::Impl {
    explicit Impl(netlink::Socket kernel) : socket(std::move(kernel)), news(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

    void run();
    [[nodiscard]] Outcome pop() {
        Outcome first = std::move(outcomes.front());
        outcomes.pop_front();
        return first;
    }

    netlink::Socket socket;  ///< the thread's while it is busy, else the caller's
    UniqueFd news;           ///< rung while `outcomes` is not empty
    std::thread thread;

    std::mutex mutex;  ///< guards what follows
    std::condition_variable changed;
    std::deque<netlink::RequestBuffer> batches;
    std::deque<Outcome> outcomes;
    bool busy = false;
    bool ending = false;
};

void RouteWriter::Impl::run() {
    std::unique_lock lock(mutex);
    while (true) {
        changed.wait(lock, [this] { return ending || !batches.empty(); });
        if (ending) {
            return;
        }
        netlink::RequestBuffer batch = std::move(batches.front());
        batches.pop_front();
        busy = true;
        lock.unlock();
        Outcome outcome = socket.batch(batch);
        lock.lock();
        busy = false;
        outcomes.push_back(std::move(outcome));
        const std::uint64_t one = 1;
        static_cast<void>(::write(news.get(), &one, sizeof one));
        changed.notify_all();
    }
}

RouteWriter::RouteWriter(netlink::Socket socket) : impl_(std::make_unique<Impl>(std::move(socket))) {}

RouteWriter::~RouteWriter() {
    {
        const std::lock_guard lock(impl_->mutex);
        impl_->ending = true;
    }
    impl_->changed.notify_all();
    if (impl_->thread.joinable()) {
        impl_->thread.join();
    }
}

int RouteWriter::fd() const noexcept { return impl_->news.get(); }

std::uint32_t RouteWriter::port() const noexcept { return impl_->socket.port(); }

void RouteWriter::submit(netlink::RequestBuffer requests) {
    {
        const std::lock_guard lock(impl_->mutex);
        impl_->batches.push_back(std::move(requests));
    }
    impl_->changed.notify_all();
    if (!impl_->thread.joinable()) {
        impl_->thread = std::thread([this] { impl_->run(); });
    }
}

std::optional<RouteWriter::Outcome> RouteWriter::take() {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->outcomes.empty()) {
        std::uint64_t count = 0;
        static_cast<void>(::read(impl_->news.get(), &count, sizeof count));
        return std::nullopt;
    }
    return impl_->pop();
}

RouteWriter::Outcome RouteWriter::wait() {
    std::unique_lock lock(impl_->mutex);
    impl_->changed.wait(lock, [this] { return !impl_->outcomes.empty(); });
    return impl_->pop();
}

netlink::Socket& RouteWriter::socket() {
    std::unique_lock lock(impl_->mutex);
    impl_->changed.wait(lock, [this] { return impl_->batches.empty() && !impl_->busy; });
    return impl_->socket;
}

std::optional<std::vector<netlink::RefusedRequest>> RouteWriter::send(netlink::RequestBuffer& requests) {
    if (requests.empty()) {
        return std::vector<netlink::RefusedRequest>();
    }
    Outcome outcome = socket().batch(requests);
    requests.clear();
    if (!outcome) {
        log::emit(kKernelFailed, outcome.error().message());
        has_failed_ = true;
        return std::nullopt;
    }
    return *std::move(outcome);
}

}  // namespace manul::bgp::io
