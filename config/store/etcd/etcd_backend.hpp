#pragma once

#include <memory>
#include <span>
#include <string>

#include "config/store/backend.hpp"
#include "config/store/etcd.hpp"
#include "config/store/etcd/cluster.hpp"
#include "config/store/etcd/keys.hpp"
#include "config/store/store.hpp"

namespace manul::store::etcd {

/// One process's access to an etcd cluster.
///
/// Revisions are etcd's own: one counter for everything in the cluster. A transaction compares the last change of each
/// key (0: absent) and, for KindUnchanged, that of every key of the kind; so one round trip writes, and what was not
/// answered can be repeated without harm.
class EtcdBackend final : public Backend {
public:
    explicit EtcdBackend(EtcdOptions options);
    /// With members of one's own.
    EtcdBackend(EtcdOptions options, Cluster::MakeMember make_member);

    [[nodiscard]] StoreResult<Snapshot> read(std::span<const model::Key> keys) override;
    [[nodiscard]] StoreResult<Listing> scan(const ListQuery& query) override;
    [[nodiscard]] StoreResult<Revision> commit(std::span<const Mutation> mutations,
                                               std::span<const KindUnchanged> kinds) override;
    [[nodiscard]] bool transactional() const noexcept override { return true; }
    /// The cluster id, which a cluster that is made anew from a backup changes.
    [[nodiscard]] StoreResult<std::string> identity() override;
    [[nodiscard]] StoreResult<std::unique_ptr<Watch>> watch(std::span<const WatchStart> starts) override;

    /// Discards the history before the revision.
    [[nodiscard]] StoreResult<void> compact(std::int64_t revision) { return cluster_.compact(revision); }
    /// Of the store, now.
    [[nodiscard]] StoreResult<std::int64_t> revision();

private:
    [[nodiscard]] StoreResult<Listing> scan_once(const ListQuery& query);
    /// Whether a transaction that no longer matches is the one that was carried out already, and its revision.
    [[nodiscard]] StoreResult<Revision> find_own_write(std::span<const Mutation> mutations);

    EtcdOptions options_;
    Cluster::MakeMember make_member_;
    Keys keys_;
    Cluster cluster_;
};

}  // namespace manul::store::etcd
