#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace boost::asio {
class io_context;
}

namespace manul {

/// What every daemon's main() needs: one io_context on one thread, signals, readiness, orderly stop. SIGTERM and SIGINT
/// mean restart: stop hooks run in reverse order of registration and leave the kernel's state in force.
class Daemon {
public:
    explicit Daemon(std::string name);
    ~Daemon();
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    [[nodiscard]] boost::asio::io_context& io() noexcept;

    /// Runs `hook` when the daemon is asked to stop.
    void on_stop(std::function<void()> hook);
    /// Tells the service manager (sd_notify protocol) and the log that the daemon serves.
    void ready();
    /// Asks for an orderly stop with this exit code; callable from handlers.
    void stop(int exit_code = 0);
    /// Runs until stopped; returns the exit code.
    int run();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// One background thread for blocking calls (store writes, big dumps). Jobs run in order; `done` is posted back to the
/// io_context. Destruction finishes the job at hand and drops the rest.
class Worker {
public:
    explicit Worker(boost::asio::io_context& io);
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// Runs `job` on the worker thread; what it returns runs on the io_context's thread.
    void submit(std::move_only_function<std::move_only_function<void()>()> job);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// Calls `on_ready` on the io_context whenever `fd` (not owned) is readable, until destroyed. For store watches and
/// netlink sockets.
class ReadableWatch {
public:
    ReadableWatch(boost::asio::io_context& io, int fd, std::function<void()> on_ready);
    ~ReadableWatch();
    ReadableWatch(const ReadableWatch&) = delete;
    ReadableWatch& operator=(const ReadableWatch&) = delete;

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

/// A re-armable one-shot timer on the steady clock.
class Timer {
public:
    Timer(boost::asio::io_context& io, std::function<void()> on_expiry);
    ~Timer();
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    /// Fires once after `delay_us` microseconds; replaces an earlier setting.
    void after_us(std::int64_t delay_us);
    void cancel();
    [[nodiscard]] bool armed() const noexcept;

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace manul
