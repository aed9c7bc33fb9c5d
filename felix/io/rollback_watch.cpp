#include "felix/io/rollback_watch.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

#include "base/log.hpp"
#include "felix/io/messages.hpp"
#include "felix/io/store_events.hpp"

namespace manul::felix::io {

namespace {

constexpr std::int64_t kRetryUs = 5'000'000;

}  // namespace

RollbackWatch::RollbackWatch(boost::asio::io_context& io, Worker& worker, store::Store& store, Hooks hooks)
    : worker_(worker), store_(store), hooks_(std::move(hooks)), due_(io, [this] { on_due(); }), retry_(io, [this] {
          write_back();
      }) {}

bool RollbackWatch::handle(const Event& event, const StoreChanges& changes) {
    if (const auto* put = std::get_if<ResourcePut>(&event)) {
        if (put->resource->kind() != model::Kind::secret) {
            return false;
        }
        const auto document = changes.documents.find(config::rollback_key());
        if (put->resource->key() == config::rollback_key() && document != changes.documents.end()) {
            start({config::rollback_key(), put->resource->metadata.resource_version, document->second});
        }
        return true;
    }
    if (const auto* removed = std::get_if<ResourceRemoved>(&event)) {
        if (removed->key == config::rollback_key()) {
            end();
        }
        return removed->key.kind == model::Kind::secret;
    }
    const auto* refused = std::get_if<ResourceRefused>(&event);
    return refused != nullptr && refused->key.kind == model::Kind::secret;
}

void RollbackWatch::start(const store::Object& record) {
    auto pending = config::parse_rollback(record);
    if (!pending) {
        log::emit(kRollbackUnreadable, pending.error().message);
        return;
    }
    if (pending_ && pending_->revision == pending->revision) {
        return;  // listed again: the time goes on
    }
    log::emit(kChangeWaits, pending->objects.size(), pending->within.count());
    pending_ = *std::move(pending);
    due_.after_us(std::chrono::microseconds(pending_->within).count());
}

void RollbackWatch::end() {
    if (!std::exchange(pending_, std::nullopt)) {
        return;
    }
    due_.cancel();
    retry_.cancel();
    log::emit(kChangeSettled);
    if (!enforced_.empty()) {
        hooks_.read_again(std::exchange(enforced_, {}));  // confirmed at the last moment, or written back
    }
}

void RollbackWatch::on_due() {
    StoreChanges old;
    for (const config::PendingRollback::Entry& entry : pending_->objects) {
        if (!hooks_.is_current(entry.key, pending_->revision)) {
            continue;
        }
        enforced_.push_back(entry.key);
        if (entry.before) {
            const auto document = std::make_shared<const std::string>(*entry.before);
            old.events.push_back(event_of({entry.key, {}, document}));
            old.documents[entry.key] = document;
        } else {
            old.events.emplace_back(ResourceRemoved{entry.key});
        }
    }
    log::emit(kChangeUndone, enforced_.size());
    if (!old.events.empty()) {
        hooks_.enforce(old);
    }
    write_back();
}

void RollbackWatch::write_back() {
    if (!pending_) {
        return;
    }
    worker_.submit([this, pending = *pending_]() -> std::move_only_function<void()> {
        const auto left = config::roll_back(store_, pending);
        return [this, problem = left ? std::string{} : left.error().message] {
            if (!problem.empty() && pending_) {
                log::emit(kRollbackFailed, problem, kRetryUs / 1'000'000);
                retry_.after_us(kRetryUs);
            }
        };
    });
}

}  // namespace manul::felix::io
