#include "config/store/sqlite/log_tail.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <expected>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/try.hpp"
#include "config/model/kind.hpp"
#include "config/store/document.hpp"
#include "config/store/position.hpp"
#include "config/store/sqlite/connection.hpp"
#include "config/store/sqlite/database.hpp"
#include "config/store/sqlite/wakeup.hpp"
#include "config/store/store.hpp"
#include "config/store/watched_kinds.hpp"

namespace manul::store::sqlite {

using Code = StoreError::Code;

namespace {

constexpr time_t kLookEverySeconds = 2;
/// How many changes stay in memory for watches that were not taken yet.
constexpr std::size_t kRecentChanges = 1024;
/// A watch that is behind reads this much at a time; its descriptor stays readable until it has caught up.
constexpr std::size_t kBatch = 4096;

StoreError system_error(const char* attempt) {
    return error(Code::unavailable,
                 fmt::format("{}: {}", attempt, std::error_code(errno, std::generic_category()).message()));
}

/// Tails of this process by path and node.
struct Registry {
    std::mutex mutex;
    std::map<std::pair<std::string, std::string>, std::weak_ptr<LogTail>> tails;  ///< guarded by mutex
};

Registry& registry() {
    static Registry instance;
    return instance;
}

}  // namespace

class LogTail::TailWatch final : public Watch, public Positioned {
public:
    TailWatch(std::shared_ptr<LogTail> tail, std::string identity, WatchedKinds kinds)
        : tail_(std::move(tail)),
          identity_(std::move(identity)),
          kinds_(std::move(kinds)),
          wakeup_(::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC)),  // readable at once: there may be something already
          epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
        for (const int fd : {tail_->socket_.fd(), tail_->timer_, wakeup_}) {
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.fd = fd;
            ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
        }
        const std::lock_guard lock(tail_->mutex_);
        tail_->watches_.insert(this);
        tail_->follow(kinds_);
    }
    ~TailWatch() override {
        {
            const std::lock_guard lock(tail_->mutex_);
            tail_->watches_.erase(this);
        }
        ::close(epoll_);
        ::close(wakeup_);
    }
    TailWatch(const TailWatch&) = delete;
    TailWatch& operator=(const TailWatch&) = delete;

    [[nodiscard]] int fd() const noexcept override { return epoll_; }
    [[nodiscard]] StoreResult<std::vector<Event>> take() override { return tail_->take(*this); }
    [[nodiscard]] std::optional<Revision> position() override { return kinds_.revision(); }

    void wake() const noexcept { ::eventfd_write(wakeup_, 1); }
    void wake_read() const noexcept {
        eventfd_t count = 0;
        ::eventfd_read(wakeup_, &count);
    }
    [[nodiscard]] bool usable() const noexcept { return epoll_ >= 0 && wakeup_ >= 0; }
    /// The store became another one.
    void lose() noexcept { lost_ = true; }
    [[nodiscard]] bool follows(std::string_view identity) const noexcept { return !lost_ && identity_ == identity; }
    [[nodiscard]] WatchedKinds& kinds() noexcept { return kinds_; }

private:
    std::shared_ptr<LogTail> tail_;
    std::string identity_;
    WatchedKinds kinds_;
    bool lost_ = false;
    int wakeup_;
    int epoll_;
};

StoreResult<std::unique_ptr<Watch>> LogTail::watch(const std::string& path, const std::string& node,
                                                   std::string identity, WatchedKinds kinds) {
    Registry& shared = registry();
    const std::lock_guard lock(shared.mutex);
    std::weak_ptr<LogTail>& known = shared.tails[{path, node}];
    std::shared_ptr<LogTail> tail = known.lock();
    if (!tail) {
        MANUL_TRY(WakeupSocket socket, WakeupSocket::bind(path + ".watch", node));
        const int timer = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        const itimerspec every{{kLookEverySeconds, 0}, {kLookEverySeconds, 0}};
        if (timer < 0 || ::timerfd_settime(timer, 0, &every, nullptr) != 0) {
            return std::unexpected(system_error("timer of a watch"));
        }
        tail.reset(new LogTail(path, std::move(socket), timer));
        known = tail;
    }
    auto watch = std::make_unique<TailWatch>(std::move(tail), std::move(identity), std::move(kinds));
    if (!watch->usable()) {
        return std::unexpected(system_error("descriptors of a watch"));
    }
    return watch;
}

bool LogTail::skip_own(const std::string& path, const FileId& file, std::int64_t revision,
                       const std::set<model::Kind>& kinds) {
    Registry& shared = registry();
    const std::lock_guard lock(shared.mutex);
    bool all_skip = true;
    for (auto known = shared.tails.lower_bound({path, {}}); known != shared.tails.end() && known->first.first == path;
         ++known) {
        const std::shared_ptr<LogTail> tail = known->second.lock();
        if (!tail) {
            continue;
        }
        const std::lock_guard of_tail(tail->mutex_);
        const bool follows =
            std::ranges::any_of(kinds, [&](model::Kind kind) { return tail->followed_.contains(kind); });
        if (follows || tail->file_ != file) {
            all_skip = false;
        } else if (tail->head_ + 1 == revision) {
            tail->head_ = revision;  // one that is behind has been told why, and reads on from where it is
        }
    }
    return all_skip;
}

LogTail::LogTail(std::string path, WakeupSocket socket, int timer)
    : path_(std::move(path)), socket_(std::move(socket)), timer_(timer) {}

LogTail::~LogTail() { ::close(timer_); }

StoreResult<std::vector<Event>> LogTail::take(TailWatch& watch) {
    const std::lock_guard lock(mutex_);
    watch.wake_read();
    socket_.drain();
    std::uint64_t expirations = 0;
    static_cast<void>(::read(timer_, &expirations, sizeof(expirations)));
    MANUL_CHECK(ensure_open());
    std::vector<Event> events;
    const auto followed = [&]() -> StoreResult<void> {
        MANUL_TRY(const bool moved, advance());
        if (moved) {  // also for the others: this call took their wake-up
            for (const TailWatch* other : watches_) {
                if (other != &watch) {
                    other->wake();
                }
            }
        }
        WatchedKinds& kinds = watch.kinds();
        if (!watch.follows(identity_)) {
            kinds.end_if([](model::Kind, std::int64_t) { return true; }, events);
        } else if (kinds.position() < recent_from_ || kinds.position() > head_) {
            MANUL_CHECK(catch_up(watch, events));
        } else {
            kinds.end_outside(recent_from_, head_, events);
            const auto first = std::ranges::upper_bound(recent_, kinds.position(), {}, &Change::revision);
            for (auto change = first; change != recent_.end(); ++change) {
                deliver(*change, kinds, events);
            }
            kinds.advance(head_);
        }
        return {};
    }();
    if (!followed) {
        reader_.reset();
        return std::unexpected(followed.error());
    }
    return events;
}

void LogTail::follow(const WatchedKinds& kinds) {
    const std::size_t before = followed_.size();
    kinds.add_to(followed_);
    if (followed_.size() != before) {
        recent_.clear();
        recent_from_ = head_;
    }
}

StoreResult<void> LogTail::ensure_open() {
    if (reader_ && !reader_->database->is_current()) {
        reader_.reset();
    }
    if (reader_) {
        return {};
    }
    // The process has opened (and, on its first call, created and checked) the store before it watched it.
    MANUL_TRY(std::unique_ptr<Database> database, Database::open(path_, {.create = false, .check = false}));
    if (file_ && file_ != database->file()) {
        for (TailWatch* watch : watches_) {
            watch->lose();
            watch->wake();
        }
        identity_.clear();
    }
    file_ = database->file();
    reader_.emplace(std::move(database));
    return {};
}

StoreResult<bool> LogTail::advance() {
    MANUL_TRY(const Transaction transaction,
              Transaction::begin(reader_->database->connection(), Transaction::Mode::read));
    MANUL_TRY(Meta meta, reader_->database->meta());
    const bool same_store = meta.identity == identity_ && meta.revision >= head_;
    if (same_store && meta.revision == head_) {
        return false;
    }
    bool complete = false;
    if (same_store && head_ >= meta.compacted) {
        std::int64_t reached = head_;
        MANUL_TRY(std::vector<Change> changes,
                  read(
                      head_, meta.revision, kRecentChanges,
                      [this](model::Kind kind) { return followed_.contains(kind); }, reached));
        complete = reached == meta.revision;
        std::ranges::move(changes, std::back_inserter(recent_));
    }
    if (!complete) {  // too much to keep, or another store: who needs it reads for itself
        recent_.clear();
        recent_from_ = meta.revision;
    }
    while (recent_.size() > kRecentChanges) {
        recent_from_ = recent_.front().revision;
        while (!recent_.empty() && recent_.front().revision == recent_from_) {
            recent_.pop_front();
        }
    }
    identity_ = std::move(meta.identity);
    head_ = meta.revision;
    return true;
}

StoreResult<void> LogTail::catch_up(TailWatch& watch, std::vector<Event>& events) {
    MANUL_TRY(const Transaction transaction,
              Transaction::begin(reader_->database->connection(), Transaction::Mode::read));
    MANUL_TRY(const Meta meta, reader_->database->meta());
    WatchedKinds& kinds = watch.kinds();
    kinds.end_outside(meta.compacted, meta.revision, events);
    if (kinds.empty()) {
        return {};
    }
    std::int64_t reached = 0;
    MANUL_TRY(const std::vector<Change> changes,
              read(
                  kinds.position(), meta.revision, kBatch,
                  [&kinds](model::Kind kind) { return kinds.wants(kind, std::numeric_limits<std::int64_t>::max()); },
                  reached));
    for (const Change& change : changes) {
        deliver(change, kinds, events);
    }
    kinds.advance(reached);
    if (reached < meta.revision) {
        watch.wake();
    }
    return {};
}

void LogTail::deliver(const Change& change, WatchedKinds& kinds, std::vector<Event>& events) {
    if (!kinds.wants(change.key.kind, change.revision)) {
        return;
    }
    if (change.damaged) {
        kinds.end_if([&](model::Kind kind, std::int64_t) { return kind == change.key.kind; }, events);
        return;
    }
    events.push_back(Event{change.type, Object{change.key, std::to_string(change.revision), change.body}});
}

StoreResult<std::vector<LogTail::Change>> LogTail::read(std::int64_t from, std::int64_t to, std::size_t limit,
                                                        const Wanted& wanted, std::int64_t& reached) {
    std::vector<Change> changes;
    std::int64_t revision = from;
    Query query(reader_->database->connection(), reader_->select_changes);
    query.integer(change_id(from + 1)).integer(change_id(to + 1));
    for (;;) {
        MANUL_TRY(const bool found, query.next());
        if (!found) {
            reached = to;
            return changes;
        }
        if (query.integer_at(0) != revision) {
            if (changes.size() >= limit) {
                reached = revision;
                return changes;
            }
            revision = query.integer_at(0);
        }
        const auto kind = find_kind_text(query.bytes_at(2));
        if (!kind || !wanted(*kind)) {  // written by a newer version, or of no interest
            continue;
        }
        MANUL_TRY(auto change, read_change(query, *kind));
        if (change) {
            changes.push_back(*std::move(change));
        }
    }
}

StoreResult<std::optional<LogTail::Change>> LogTail::read_change(const Query& query, model::Kind kind) {
    const std::int64_t revision = query.integer_at(0);
    const std::string_view kind_name = query.bytes_at(2);
    const std::string_view ns = query.bytes_at(3);
    const std::string_view name = query.bytes_at(4);
    const std::string_view logged = query.bytes_at(6);
    Change change{revision, Event::Type::removed, model::Key{kind, std::string(ns), std::string(name)}, nullptr,
                  row_checksum(kind_name, ns, name, revision, logged) != query.integer_at(5)};
    const auto keep = [&change](std::string_view body) {
        change.body = change.damaged || body.empty() ? nullptr : std::make_shared<const std::string>(body);
    };
    if (query.integer_at(1) != kLoggedPut) {
        keep(logged);
        return change;
    }
    change.type = Event::Type::put;  // what was put is the object, unless it was changed again since
    Query object(reader_->database->connection(), reader_->select_object);
    MANUL_TRY(const bool there, object.text(kind_name).text(ns).text(name).next());
    if (!there || object.integer_at(0) != revision) {
        return std::nullopt;
    }
    const std::string_view body = object.bytes_at(2);
    change.damaged = change.damaged || row_checksum(kind_name, ns, name, revision, body) != object.integer_at(1);
    keep(body);
    return change;
}

}  // namespace manul::store::sqlite
