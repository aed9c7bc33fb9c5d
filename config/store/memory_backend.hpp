#pragma once

#include <memory>
#include <span>
#include <string>

#include "config/store/backend.hpp"
#include "config/store/memory.hpp"

namespace manul::store {

/// One process's view of a shared MemoryDatabase.
class MemoryBackend final : public Backend {
public:
    explicit MemoryBackend(std::shared_ptr<MemoryDatabase> database);

    [[nodiscard]] StoreResult<Snapshot> read(std::span<const model::Key> keys) override;
    [[nodiscard]] StoreResult<Listing> scan(const ListQuery& query) override;
    [[nodiscard]] StoreResult<Revision> commit(std::span<const Mutation> mutations,
                                               std::span<const KindUnchanged> kinds) override;
    [[nodiscard]] bool transactional() const noexcept override { return true; }
    [[nodiscard]] StoreResult<std::string> identity() override;
    [[nodiscard]] StoreResult<std::unique_ptr<Watch>> watch(std::span<const WatchStart> starts) override;

private:
    std::shared_ptr<MemoryDatabase> database_;
};

}  // namespace manul::store
