#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.hpp"
#include "config/store/document.hpp"
#include "config/store/store.hpp"

namespace manul::store {

/// One of those that fill a queue.
class EventSource {};

/// What a watch's own thread hands to the watch's owner. push() and fail() on the one, the rest on the other.
class EventQueue {
public:
    EventQueue() : ready_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

    [[nodiscard]] int fd() const noexcept { return ready_.get(); }

    void push(std::vector<Event> events) {
        if (events.empty()) {
            return;
        }
        const std::lock_guard lock(mutex_);
        std::move(events.begin(), events.end(), std::back_inserter(events_));
        signal();
    }
    void push(Event event) {
        const std::lock_guard lock(mutex_);
        events_.push_back(std::move(event));
        signal();
    }
    /// Everything up to `revision` was pushed.
    void reach(Revision revision) {
        const std::lock_guard lock(mutex_);
        reached_ = std::move(revision);
    }
    /// `source` (nothing: the only one) cannot work until it recovers.
    void fail(StoreError error, const EventSource* source = nullptr) {
        const std::lock_guard lock(mutex_);
        failing_.insert_or_assign(source, error);
        error_ = std::move(error);
        signal();
    }
    void recover(const EventSource* source = nullptr) {
        const std::lock_guard lock(mutex_);
        if (failing_.erase(source) != 0 && failing_.empty()) {
            error_.reset();
            signal();
        }
    }
    /// As Watch::problem().
    [[nodiscard]] std::optional<StoreError> problem() {
        const std::lock_guard lock(mutex_);
        return failing_.empty() ? std::nullopt : std::optional(failing_.begin()->second);
    }
    /// As Watch::take().
    [[nodiscard]] StoreResult<std::vector<Event>> take() {
        const std::lock_guard lock(mutex_);
        std::uint64_t count = 0;
        if (::read(ready_.get(), &count, sizeof count) < 0 && errno != EAGAIN) {
            return std::unexpected(
                error(StoreError::Code::unavailable, std::string("eventfd: ") + std::strerror(errno)));
        }
        if (events_.empty() && error_) {
            return std::unexpected(*std::exchange(error_, std::nullopt));
        }
        if (error_) {
            signal();  // to be told by the next call
        }
        taken_ = reached_;
        return std::exchange(events_, {});
    }
    /// As Positioned::position().
    [[nodiscard]] std::optional<Revision> position() {
        const std::lock_guard lock(mutex_);
        if (events_.empty()) {
            taken_ = reached_;
        }
        return taken_;
    }

private:
    void signal() {
        const std::uint64_t one = 1;
        if (::write(ready_.get(), &one, sizeof one) < 0) {
            return;  // the counter is at its limit, so the descriptor is readable
        }
    }

    UniqueFd ready_;
    std::mutex mutex_;
    std::vector<Event> events_;
    std::optional<Revision> reached_;
    std::map<const EventSource*, StoreError> failing_;
    std::optional<StoreError> error_;  ///< to be told
    std::optional<Revision> taken_;    ///< what was reached when nothing was left to take
};

}  // namespace manul::store
