#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "config/model/kind.hpp"
#include "config/store/backend.hpp"
#include "config/store/sqlite.hpp"
#include "config/store/sqlite/session.hpp"
#include "config/store/sqlite/wakeup.hpp"
#include "config/store/store.hpp"

namespace manul::store::sqlite {

/// One process's access to a SQLite store. The file is opened by the first call, again after every failure that may
/// come from the connection, and again when the path names another file than before.
class SqliteBackend final : public Backend {
public:
    SqliteBackend(std::string path, SqliteOptions options);

    [[nodiscard]] StoreResult<Snapshot> read(std::span<const model::Key> keys) override;
    [[nodiscard]] StoreResult<std::optional<Row>> find(const model::Key& key) override;
    [[nodiscard]] StoreResult<Listing> scan(const ListQuery& query) override;
    [[nodiscard]] StoreResult<Revision> commit(std::span<const Mutation> mutations,
                                               std::span<const KindUnchanged> kinds) override;
    [[nodiscard]] bool transactional() const noexcept override { return true; }
    [[nodiscard]] StoreResult<std::string> identity() override;
    [[nodiscard]] StoreResult<std::unique_ptr<Watch>> watch(std::span<const WatchStart> starts) override;

private:
    enum class Use : std::uint8_t { read, write };
    [[nodiscard]] StoreResult<Session*> session(Use use);
    template <class Work>
    [[nodiscard]] auto with_session(Use use, Work work) -> decltype(work(std::declval<Session&>()));

    std::string path_;
    SqliteOptions options_;
    WakeupSender wakeup_;
    bool opened_before_ = false;
    std::unique_ptr<Session> session_;
    std::chrono::steady_clock::time_point looked_{};  ///< whether the path names the same file still
};

}  // namespace manul::store::sqlite
