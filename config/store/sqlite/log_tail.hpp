#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/model/kind.hpp"
#include "config/store/sqlite/connection.hpp"
#include "config/store/sqlite/database.hpp"
#include "config/store/sqlite/wakeup.hpp"
#include "config/store/store.hpp"
#include "config/store/watched_kinds.hpp"

namespace manul::store::sqlite {

/// The end of the change log as one process follows it, for all its watches: one wake-up socket, one connection, one
/// timer for the look every two seconds that makes a lost wake-up harmless.
///
/// There is no thread: the descriptor of each watch becomes readable with the socket or the timer, and whichever watch
/// is taken first reads the log and wakes the others. What was read stays for a while, so that the log is read once;
/// a watch further behind reads for itself. Safe to use from several threads.
class LogTail : public std::enable_shared_from_this<LogTail> {
public:
    /// A watch of `kinds` in the store whose identity was `identity`. Watches of one path and node share a tail.
    [[nodiscard]] static StoreResult<std::unique_ptr<Watch>> watch(const std::string& path, const std::string& node,
                                                                   std::string identity, WatchedKinds kinds);

    /// This process has just written `revision` into `file`, and it concerns `kinds` alone: tails that follow none of
    /// them need not read the log for it. True when that holds for each of them.
    static bool skip_own(const std::string& path, const FileId& file, std::int64_t revision,
                         const std::set<model::Kind>& kinds);

    ~LogTail();
    LogTail(const LogTail&) = delete;
    LogTail& operator=(const LogTail&) = delete;

private:
    class TailWatch;

    /// One change as it is read from the log.
    struct Change {
        std::int64_t revision;
        Event::Type type;
        model::Key key;
        std::shared_ptr<const std::string> body;
        bool damaged;  ///< the row fails its checksum: only listing again helps
    };

    /// The connection and what was prepared on it.
    struct Reader {
        std::unique_ptr<Database> database;
        Statement select_changes{
            "SELECT id >> 7, op, kind, ns, name, crc, body FROM change WHERE id >= ? AND id < ? ORDER BY id"};
        Statement select_object{"SELECT rev, crc, body FROM object WHERE kind = ? AND ns = ? AND name = ?"};
    };

    LogTail(std::string path, WakeupSocket socket, int timer);

    [[nodiscard]] StoreResult<std::vector<Event>> take(TailWatch& watch);
    /// The changes in memory hold nothing of kinds that nobody followed: a watch of a new one reads for itself.
    void follow(const WatchedKinds& kinds);
    [[nodiscard]] StoreResult<void> ensure_open();
    /// Moves the head to the newest revision; true when it moved.
    [[nodiscard]] StoreResult<bool> advance();
    /// What a watch behind `recent_` has not seen, a batch at a time.
    [[nodiscard]] StoreResult<void> catch_up(TailWatch& watch, std::vector<Event>& events);
    /// Changes above `from` and up to `to`, whole transactions only; stops soon after `limit` rows. `reached` is the
    /// revision up to which everything was read. The caller holds a transaction in which the log reached below `from`.
    /// Kinds that nobody asks for are passed over: most changes are addresses, which few processes follow.
    using Wanted = std::function<bool(model::Kind)>;
    [[nodiscard]] StoreResult<std::vector<Change>> read(std::int64_t from, std::int64_t to, std::size_t limit,
                                                        const Wanted& wanted, std::int64_t& reached);
    /// Nothing when a later change of the object has superseded this one.
    [[nodiscard]] StoreResult<std::optional<Change>> read_change(const Query& query, model::Kind kind);
    static void deliver(const Change& change, WatchedKinds& kinds, std::vector<Event>& events);

    std::string path_;
    WakeupSocket socket_;
    int timer_;

    std::mutex mutex_;  // guards what follows
    std::set<TailWatch*> watches_;
    std::set<model::Kind> followed_;  ///< by any watch so far
    std::optional<Reader> reader_;
    std::optional<FileId> file_;  ///< the file that was read last
    std::string identity_;
    std::int64_t head_ = 0;      ///< everything up to here was read at least once
    std::deque<Change> recent_;  ///< the changes above recent_from_ of followed_ kinds
    std::int64_t recent_from_ = 0;
};

}  // namespace manul::store::sqlite
