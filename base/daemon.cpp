#include "base/daemon.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <ranges>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/log.hpp"

namespace manul {

namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr log::Message kReady{"DAEMON_READY", log::Level::info, "{} {} is ready", "No action needed."};
constexpr log::Message kStopping{"DAEMON_STOPPING", log::Level::info,
                                 "{} stops on signal {}; the kernel keeps its routes and rules", "No action needed."};

/// systemd's readiness protocol: one datagram to $NOTIFY_SOCKET (a path or an abstract name that begins with @).
void notify_service_manager(const char* state) {
    const char* path = std::getenv("NOTIFY_SOCKET");  // NOLINT(concurrency-mt-unsafe): read at start only
    sockaddr_un address{};
    if (path == nullptr || std::strlen(path) >= sizeof(address.sun_path)) {
        return;
    }
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path);  // NOLINT: length checked above
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
    if (address.sun_path[0] == '@') {
        address.sun_path[0] = '\0';
    }
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        ::sendto(fd, state, std::strlen(state), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), length);
        ::close(fd);
    }
}

}  // namespace

struct Daemon::Impl {
    explicit Impl(std::string n) : name(std::move(n)), signals(io) {}

    std::string name;
    asio::io_context io{1};
    asio::signal_set signals;
    std::vector<std::function<void()>> hooks;
    int exit_code = 0;
};

Daemon::Daemon(std::string name) : impl_(std::make_unique<Impl>(std::move(name))) {
    // NOLINTBEGIN(bugprone-signal-handler)
    std::signal(SIGPIPE, SIG_IGN);  // writes report EPIPE instead
    std::signal(SIGHUP, SIG_IGN);   // "read your files again" to other daemons of this kind: what is stored is followed
    // NOLINTEND(bugprone-signal-handler)
    impl_->signals.add(SIGTERM);
    impl_->signals.add(SIGINT);
    impl_->signals.async_wait([this](const error_code& ec, int signal) {
        if (!ec) {
            log::emit(kStopping, impl_->name, signal);
            stop(0);
        }
    });
}

Daemon::~Daemon() = default;

asio::io_context& Daemon::io() noexcept { return impl_->io; }

void Daemon::on_stop(std::function<void()> hook) { impl_->hooks.push_back(std::move(hook)); }

void Daemon::ready() {
    log::emit(kReady, impl_->name, MANUL_VERSION);
    notify_service_manager("READY=1");
}

void Daemon::stop(int exit_code) {
    impl_->exit_code = exit_code;
    notify_service_manager("STOPPING=1");
    for (const auto& hook : impl_->hooks | std::views::reverse) {
        hook();
    }
    impl_->hooks.clear();
    impl_->io.stop();
}

int Daemon::run() {
    const auto guard = asio::make_work_guard(impl_->io);
    impl_->io.run();
    return impl_->exit_code;
}

struct Worker::Impl {
    using Job = std::move_only_function<std::move_only_function<void()>()>;

    explicit Impl(asio::io_context& context) : io(context), thread([this] { loop(); }) {}
    ~Impl() {
        {
            const std::lock_guard lock(mutex);
            stopping = true;
        }
        wake.notify_one();
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void loop() {
        for (;;) {
            Job job;
            {
                std::unique_lock lock(mutex);
                wake.wait(lock, [this] { return stopping || !jobs.empty(); });
                if (stopping) {
                    return;
                }
                job = std::move(jobs.front());
                jobs.pop_front();
            }
            asio::post(io, job());
        }
    }

    asio::io_context& io;
    std::mutex mutex;
    // Not condition_variable_any: that one notifies with a lock held which the thread that wakes up runs into at once.
    std::condition_variable wake;
    std::deque<Job> jobs;
    bool stopping = false;
    std::jthread thread;  // last: joins before the rest goes
};

Worker::Worker(asio::io_context& io) : impl_(std::make_unique<Impl>(io)) {}
Worker::~Worker() = default;

void Worker::submit(Impl::Job job) {
    {
        const std::lock_guard lock(impl_->mutex);
        impl_->jobs.push_back(std::move(job));
    }
    impl_->wake.notify_one();
}

struct ReadableWatch::Impl : std::enable_shared_from_this<ReadableWatch::Impl> {
    Impl(asio::io_context& io, int fd, std::function<void()> callback)
        : descriptor(io, fd), on_ready(std::move(callback)) {}

    void wait() {
        descriptor.async_wait(asio::posix::descriptor_base::wait_read,
                              [self = shared_from_this()](const error_code& ec) {
                                  if (ec || !self->on_ready) {
                                      return;
                                  }
                                  // A copy: the callback may destroy this watch.
                                  const auto callback = self->on_ready;
                                  callback();
                                  if (self->on_ready) {
                                      self->wait();
                                  }
                              });
    }

    asio::posix::stream_descriptor descriptor;
    std::function<void()> on_ready;
};

ReadableWatch::ReadableWatch(asio::io_context& io, int fd, std::function<void()> on_ready)
    : impl_(std::make_shared<Impl>(io, fd, std::move(on_ready))) {
    impl_->wait();
}

ReadableWatch::~ReadableWatch() {
    impl_->on_ready = nullptr;
    impl_->descriptor.release();  // the owner closes the descriptor
}

struct Timer::Impl : std::enable_shared_from_this<Timer::Impl> {
    Impl(asio::io_context& io, std::function<void()> callback) : timer(io), on_expiry(std::move(callback)) {}

    asio::steady_timer timer;
    std::function<void()> on_expiry;
    bool armed = false;
    std::uint64_t setting = 0;  ///< tells a late completion of an earlier setting apart
};

Timer::Timer(asio::io_context& io, std::function<void()> on_expiry)
    : impl_(std::make_shared<Impl>(io, std::move(on_expiry))) {}

Timer::~Timer() { cancel(); }

void Timer::after_us(std::int64_t delay_us) {
    impl_->timer.expires_after(std::chrono::microseconds(delay_us < 0 ? 0 : delay_us));
    impl_->armed = true;
    const std::uint64_t setting = ++impl_->setting;
    impl_->timer.async_wait([self = impl_, setting](const error_code& ec) {
        if (!ec && self->armed && self->setting == setting) {
            self->armed = false;
            const auto callback = self->on_expiry;
            callback();
        }
    });
}

void Timer::cancel() {
    impl_->armed = false;
    impl_->timer.cancel();
}

bool Timer::armed() const noexcept { return impl_->armed; }

}  // namespace manul
