#include "config/store/etcd/watch.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "config/store/document.hpp"
#include "config/store/event_queue.hpp"
#include "config/store/position.hpp"
#include "config/store/watched_kinds.hpp"

namespace manul::store::etcd {

using std::chrono::milliseconds;
using Code = StoreError::Code;

namespace {

constexpr milliseconds kFirstPause{50};
constexpr milliseconds kLongestPause{2'000};

/// One kind, up to where it was read.
struct Followed {
    model::Kind kind;
    std::int64_t seen;  ///< everything up to this revision was delivered
    bool ended = false;
    std::int64_t passed = 0;        ///< nothing happened up to this revision since
    std::vector<Event> incomplete;  ///< of a revision whose rest is still to come

    [[nodiscard]] std::int64_t position() const { return std::max(seen, passed); }
};

class EtcdWatch final : public Watch, public Positioned {
public:
    EtcdWatch(Cluster cluster, Keys keys, std::string identity, std::vector<Followed> kinds,
              milliseconds progress_every)
        : cluster_(std::move(cluster)),
          keys_(std::move(keys)),
          identity_(std::move(identity)),
          kinds_(std::move(kinds)),
          thread_([this] { follow(); }),
          asker_([this, progress_every] { ask(progress_every); }) {}
    ~EtcdWatch() override {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
            if (stream_) {
                stream_->cancel();
            }
        }
        stopped_.notify_all();
        thread_.join();
        asker_.join();
    }
    EtcdWatch(const EtcdWatch&) = delete;
    EtcdWatch& operator=(const EtcdWatch&) = delete;

    [[nodiscard]] int fd() const noexcept override { return queue_.fd(); }
    [[nodiscard]] StoreResult<std::vector<Event>> take() override { return queue_.take(); }
    [[nodiscard]] std::optional<StoreError> problem() override { return queue_.problem(); }
    [[nodiscard]] std::optional<Revision> position() override { return queue_.position(); }

private:
    void follow() {
        milliseconds pause = kFirstPause;
        while (!is_stopping()) {
            if (follow_once()) {
                pause = kFirstPause;
            }
            if (std::ranges::all_of(kinds_, &Followed::ended)) {
                return;
            }
            sleep(pause);
            pause = std::min(pause * 2, kLongestPause);
        }
    }

    /// Opens a stream and reads it to its end. True when it brought something.
    bool follow_once() {
        if (auto ready = end_what_is_lost(); !ready) {
            queue_.fail(std::move(ready).error());
            return false;
        }
        if (std::ranges::all_of(kinds_, &Followed::ended)) {
            return false;
        }
        auto stream = cluster_.watch();
        if (!stream) {
            queue_.fail(std::move(stream).error());
            return false;
        }
        adopt(*stream);
        promised_ = 0;
        for (std::size_t i = 0; i < kinds_.size(); ++i) {
            kinds_[i].incomplete.clear();
            if (!kinds_[i].ended &&
                !(*stream)->create(watch_of(i), keys_.of(kinds_[i].kind), kinds_[i].position() + 1)) {
                break;
            }
        }
        bool any = false;
        auto missing = std::ranges::count_if(kinds_, [](const Followed& each) { return !each.ended; });
        while (auto answer = (*stream)->read()) {
            any = any || !answer->created;
            missing -= answer->created ? 1 : 0;
            if (!apply(*std::move(answer))) {
                (*stream)->cancel();
                while ((*stream)->read()) {
                }
                break;
            }
            if (any || missing == 0) {
                queue_.recover();
            }
        }
        const Failure failure = (*stream)->finish();
        drop_stream();
        if (!is_stopping() && !refused_) {
            StoreError why = cluster_.stream_failed(failure);
            if (!any) {
                queue_.fail(std::move(why));  // one that worked for a time and broke is opened again without a word
            }
        }
        if (std::exchange(refused_, false)) {
            any = false;
        }
        return any;
    }

    /// Linearizable, at the member that the stream is opened at: so it has seen what the tokens speak of.
    StoreResult<void> end_what_is_lost() {
        MANUL_TRY(const RangeAnswer now, cluster_.range({.range = {keys_.of(kinds_.front().kind).key, {}}}));
        const bool other = std::to_string(now.cluster) != identity_;
        for (Followed& each : kinds_) {
            if (!each.ended && (other || each.seen < 0 || each.position() > now.revision)) {
                end(each);
            }
        }
        return {};
    }

    /// False: the stream is of no use any more.
    bool apply(WatchAnswer answer) {
        if (answer.cluster != 0 && std::to_string(answer.cluster) != identity_) {
            return false;
        }
        const bool known = answer.watch >= 1 && answer.watch <= std::ssize(kinds_);
        if (answer.canceled && answer.compacted == 0) {
            Failure why{static_cast<int>(Rpc::permission_denied),
                        answer.reason.empty() ? "a watch was refused" : answer.reason};
            refused_ = true;
            if (is_stale_token({static_cast<int>(Rpc::unavailable), answer.reason})) {
                cluster_.forget_token();
            } else {
                queue_.fail(cluster_.stream_failed(why));
            }
            return false;
        }
        if (!known) {
            if (!answer.created && answer.changes.empty()) {
                reached(answer.revision);
            }
            return true;
        }
        Followed& each = kinds_[static_cast<std::size_t>(answer.watch - 1)];
        if (answer.canceled) {
            end(each);
            return true;
        }
        for (Change& change : answer.changes) {
            if (change.entry.revision <= promised_) {
                promised_ = 0;  // it was on its way when that was promised: other promises are needed
            }
            auto key = keys_.parse(each.kind, change.entry.key);
            if (!key || change.entry.revision <= each.seen) {
                continue;
            }
            const bool has_body = !change.removed || !change.entry.value.empty();
            each.incomplete.push_back(
                {change.removed ? Event::Type::removed : Event::Type::put,
                 Object{*std::move(key), std::to_string(change.entry.revision),
                        has_body ? std::make_shared<const std::string>(std::move(change.entry.value)) : nullptr}});
        }
        if (answer.goes_on) {
            return true;
        }
        if (!answer.changes.empty()) {
            each.seen = std::max(each.seen, answer.changes.back().entry.revision);
        } else if (!answer.created) {
            each.seen = std::max(each.seen, answer.revision);  // progress: nothing is missing up to here
        }
        queue_.push(std::exchange(each.incomplete, {}));
        tell_position();
        return true;
    }

    /// An answer to ask(). What it promises is believed when the next one comes and nothing of before came between
    /// them: a member may give it while events up to there wait in it, but it goes through these ten times a second.
    void reached(std::int64_t revision) {
        const std::int64_t proven = std::exchange(promised_, revision);
        for (Followed& each : kinds_) {
            if (!each.ended && each.incomplete.empty()) {
                each.passed = std::max(each.passed, proven);
            }
        }
        tell_position();
    }

    void ask(milliseconds every) {
        std::unique_lock lock(mutex_);
        while (!stopped_.wait_for(lock, every, [this] { return stopping_; })) {
            if (const std::shared_ptr<WatchStream> stream = stream_) {
                lock.unlock();
                stream->ask_progress();
                lock.lock();
            }
        }
    }

    void tell_position() {
        std::optional<std::int64_t> lowest;
        for (const Followed& each : kinds_) {
            if (!each.ended) {
                lowest = std::min(lowest.value_or(each.position()), each.position());
            }
        }
        if (lowest) {
            queue_.reach(std::to_string(*lowest));
        }
    }

    void end(Followed& each) {
        each.ended = true;
        each.incomplete.clear();
        std::vector<Event> events;
        events.push_back({Event::Type::resync, Object{model::Key{each.kind, {}, {}}, {}, nullptr}});
        queue_.push(std::move(events));
    }

    static std::int64_t watch_of(std::size_t index) noexcept { return static_cast<std::int64_t>(index) + 1; }

    bool is_stopping() {
        const std::lock_guard lock(mutex_);
        return stopping_;
    }
    void adopt(const std::shared_ptr<WatchStream>& stream) {
        const std::lock_guard lock(mutex_);
        if (stopping_) {
            stream->cancel();
        }
        stream_ = stream;
    }
    void drop_stream() {
        const std::lock_guard lock(mutex_);
        stream_.reset();
    }
    void sleep(milliseconds time) {
        std::unique_lock lock(mutex_);
        stopped_.wait_for(lock, time, [this] { return stopping_; });
    }

    Cluster cluster_;
    Keys keys_;
    std::string identity_;
    std::vector<Followed> kinds_;
    bool refused_ = false;
    std::int64_t promised_ = 0;  ///< how far this stream was at the last answer to ask(), by the member's word
    EventQueue queue_;
    std::mutex mutex_;  // guards the two below
    std::shared_ptr<WatchStream> stream_;
    bool stopping_ = false;
    std::condition_variable stopped_;
    std::thread thread_;  // last, as the next one: they use everything above
    std::thread asker_;
};

}  // namespace

StoreResult<std::unique_ptr<Watch>> open_watch(Cluster cluster, Keys keys, std::string identity,
                                               std::span<const WatchStart> starts, milliseconds progress_every) {
    std::vector<Followed> kinds;
    for (const WatchStart& start : starts) {
        const auto revision = start.revision.empty() ? WatchedKinds::kEnded : parse_revision(start.revision);
        if (!revision) {
            return std::unexpected(
                error(Code::invalid, "\"" + start.revision + "\" is no revision to start a watch from"));
        }
        kinds.push_back({start.kind, *revision, false, 0, {}});
    }
    if (kinds.empty()) {
        return std::unexpected(error(Code::invalid, "a watch follows at least one kind"));
    }
    return std::make_unique<EtcdWatch>(std::move(cluster), std::move(keys), std::move(identity), std::move(kinds),
                                       progress_every);
}

}  // namespace manul::store::etcd
