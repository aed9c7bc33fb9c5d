#pragma once

#include <chrono>
#include <string>
#include <utility>

#include "config/store/store.hpp"

namespace manul::store::sqlite {

/// The queue of writers: a blocking flock on a file beside the database, taken before each write transaction. SQLite's
/// own busy handler sleeps and retries, which under load makes single writers wait for seconds.
class FileLock {
public:
    explicit FileLock(std::string path) : path_(std::move(path)) {}
    ~FileLock();
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;

    /// Waits its turn, at most `timeout`; `unavailable` after that.
    [[nodiscard]] StoreResult<void> acquire(std::chrono::milliseconds timeout);
    void release() noexcept;

private:
    std::string path_;
    int fd_ = -1;
};

/// Releases on leaving the scope.
class HeldLock {
public:
    explicit HeldLock(FileLock& lock) noexcept : lock_(lock) {}
    ~HeldLock() { lock_.release(); }
    HeldLock(const HeldLock&) = delete;
    HeldLock& operator=(const HeldLock&) = delete;

private:
    FileLock& lock_;
};

}  // namespace manul::store::sqlite
