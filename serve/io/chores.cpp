#include "serve/io/chores.hpp"

#include <functional>
#include <memory>
#include <utility>

#include "base/log.hpp"
#include "config/rollback.hpp"
#include "config/store/namespaces.hpp"
#include "config/store/store.hpp"
#include "serve/messages.hpp"

namespace manul::serve {

namespace {

constexpr std::int64_t kRetrySeconds = 5;
/// Deletion does at once what can be done; this is for pods that end later, and for what a crash interrupted.
constexpr std::int64_t kNamespacesEverySeconds = 5;

}  // namespace

Chores::Chores(boost::asio::io_context& io, std::unique_ptr<store::Store> store)
    : store_(std::move(store)), worker_(io) {}

void Chores::check(std::int64_t now) {
    if (std::exchange(busy_, true)) {
        return;
    }
    worker_.submit([this, now]() -> std::move_only_function<void()> {
        undo_unconfirmed(now);
        end_namespaces(now);
        return [this] { busy_ = false; };
    });
}

void Chores::end_namespaces(std::int64_t now) {
    if (now < namespaces_at_) {
        return;
    }
    namespaces_at_ = now + kNamespacesEverySeconds;
    if (const auto gone = store::finish_namespaces(*store_); gone) {
        for (const model::Key& key : *gone) {
            log::emit(kNamespaceGone, key.name);
        }
    }  // else the datastore is away, which others tell of
}

void Chores::undo_unconfirmed(std::int64_t now) {
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
