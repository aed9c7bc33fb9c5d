#pragma once

#include <cstdint>
#include <memory>

#include "config/store/store.hpp"

/// The reference implementation of the store: everything in this process's memory. For tests, and for an API server
/// that keeps nothing.
namespace manul::store {

/// What several Store objects of one process share; safe to use from several threads.
class MemoryDatabase;

struct MemoryOptions {
    std::int64_t change_log_limit = 100000;
};

[[nodiscard]] std::shared_ptr<MemoryDatabase> make_memory_database(MemoryOptions options = {});

/// A Store of its own.
[[nodiscard]] std::unique_ptr<Store> make_memory();
/// One more Store over a shared database.
[[nodiscard]] std::unique_ptr<Store> make_memory(std::shared_ptr<MemoryDatabase> database);

}  // namespace manul::store
