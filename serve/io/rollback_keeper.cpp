#include "serve/io/rollback_keeper.hpp"

#include <functional>
#include <memory>
#include <utility>

#include "base/log.hpp"
#include "config/rollback.hpp"
#include "config/store/store.hpp"
#include "serve/messages.hpp"

namespace manul::serve {

namespace {

constexpr std::int64_t kRetrySeconds = 5;

}  // namespace

RollbackKeeper::RollbackKeeper(boost::asio::io_context& io, std::unique_ptr<store::Store> store)
    : store_(std::move(store)), worker_(io) {}

void RollbackKeeper::check(std::int64_t now) {
    if (std::exchange(busy_, true)) {
        return;
    }
    worker_.submit([this, now]() -> std::move_only_function<void()> {
        look(now);
        return [this] { busy_ = false; };
    });
}

void RollbackKeeper::look(std::int64_t now) {
    const auto pending = config::pending_rollback(*store_);
    if (!pending) {
        return;  // the datastore is away, which others tell of; or the record is none, and nothing can be undone
    }
    if (!*pending) {
        waiting_.clear();
        return;
    }
    const config::PendingRollback& change = **pending;
    if (change.revision != waiting_) {
        waiting_ = change.revision;
        since_ = now;
        retry_at_ = 0;
    }
    if (now - since_ < change.within.count() || now < retry_at_) {
        return;
    }
    if (const auto left = config::roll_back(*store_, change); !left) {
        retry_at_ = now + kRetrySeconds;
        log::emit(kRollbackFailed, left.error().message, kRetrySeconds);
    } else {
        log::emit(kChangeUndone, change.objects.size() - left->size());
    }
}

}  // namespace manul::serve
