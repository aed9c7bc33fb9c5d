#include "config/store/etcd/etcd_backend.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/try.hpp"
#include "config/store/document.hpp"
#include "config/store/etcd/watch.hpp"
#include "config/store/module.hpp"
#include "config/store/object_store.hpp"
#include "config/store/watched_kinds.hpp"

namespace manul::store::etcd {

using Code = StoreError::Code;

namespace {

/// Objects in the first answer of a list (blocks of addresses are the largest common ones, about 10 kB), and bytes in
/// each later one, about: an answer must neither make the member stop for others, nor be one of a thousand.
constexpr std::int64_t kFirstPage = 500;
constexpr std::int64_t kLongestPage = 5000;
constexpr std::size_t kPageBytes = std::size_t{2} << 20U;

std::int64_t next_limit(std::size_t count, std::size_t bytes) {
    const std::size_t fits = bytes == 0 ? 0 : kPageBytes * count / bytes;
    return std::clamp(static_cast<std::int64_t>(fits), kFirstPage / 10, kLongestPage);
}

Cluster::MakeMember members_of_module() {
    return [](const MemberAddress& address, const TlsMaterial& tls) -> Result<std::unique_ptr<Member>> {
        MANUL_TRY(const GrpcModule* const module, load_grpc_module());
        if (address.tls) {
            MANUL_CHECK(module->check_tls(tls));
        }
        return module->make_member(address, tls);
    };
}

std::shared_ptr<const std::string> body_of(Entry& entry) {
    return std::make_shared<const std::string>(std::move(entry.value));
}

Row row_of(model::Key key, Entry entry) { return {std::move(key), std::to_string(entry.revision), body_of(entry)}; }

StoreError conflict(std::string what) { return error(Code::conflict, "update conflict: " + std::move(what)); }

}  // namespace

Result<const GrpcModule*> load_grpc_module() {
    MANUL_TRY(void* const symbol, load_symbol("manul-store-etcd.so", "manul_grpc_module", "manul-etcd"));
    // A pointer to a function is an object of dlsym by POSIX alone.
    return reinterpret_cast<const GrpcModule* (*)()>(symbol)();
}

EtcdBackend::EtcdBackend(EtcdOptions options) : EtcdBackend(std::move(options), members_of_module()) {}

EtcdBackend::EtcdBackend(EtcdOptions options, Cluster::MakeMember make_member)
    : options_(std::move(options)),
      make_member_(std::move(make_member)),
      keys_(options_.prefix),
      cluster_(options_, make_member_) {}

StoreResult<Snapshot> EtcdBackend::read(std::span<const model::Key> keys) {
    Snapshot out;
    if (keys.size() == 1) {
        MANUL_TRY(RangeAnswer answer, cluster_.range({.range = {keys_.of(keys.front()), {}}}));
        out.revision = std::to_string(answer.revision);
        out.rows.push_back(answer.entries.empty()
                               ? std::nullopt
                               : std::optional(row_of(keys.front(), std::move(answer.entries.front()))));
        return out;
    }
    Txn txn;
    for (const model::Key& key : keys) {
        txn.operations.push_back({Operation::Type::get, keys_.of(key), {}});
    }
    MANUL_TRY(Cluster::Committed committed, cluster_.commit(txn));
    out.revision = std::to_string(committed.answer.revision);
    for (std::size_t i = 0; i < keys.size() && i < committed.answer.read.size(); ++i) {
        std::optional<Entry>& entry = committed.answer.read[i];
        out.rows.push_back(entry ? std::optional(row_of(keys[i], *std::move(entry))) : std::nullopt);
    }
    if (out.rows.size() != keys.size()) {
        return std::unexpected(error(Code::unavailable, "etcd: answered other keys than were asked for"));
    }
    return out;
}

StoreResult<Listing> EtcdBackend::scan_once(const ListQuery& query) {
    Listing out;
    const std::string start = keys_.beginning(query.kind);
    RangeQuery page{.range = keys_.of(query), .limit = kFirstPage};
    while (true) {
        MANUL_TRY(RangeAnswer answer, cluster_.range(page));
        if (page.revision == 0) {
            page.revision = answer.revision;  // all pages are of one moment
            out.revision = std::to_string(answer.revision);
        }
        if (answer.more && !answer.entries.empty()) {
            page.range.key = answer.entries.back().key + '\0';
        }
        std::size_t bytes = 0;
        for (const Entry& entry : answer.entries) {
            bytes += entry.key.size() + entry.value.size();
            auto key = Keys::parse(query.kind, start, entry.key);
            if (key && key->name.starts_with(query.name_prefix) && (!query.ns || key->ns == *query.ns)) {
                add_row(out, *std::move(key), std::to_string(entry.revision), entry.value);
            }
        }
        if (!answer.more || answer.entries.empty()) {
            break;
        }
        page.limit = next_limit(answer.entries.size(), bytes);
    }
    // etcd orders by whole keys, where "a-b/x" comes before "a/x".
    const auto by_key = [](const Object& object) -> const model::Key& { return object.key; };
    if (!std::ranges::is_sorted(out.items, {}, by_key)) {
        std::ranges::sort(out.items, {}, by_key);
    }
    return out;
}

StoreResult<Listing> EtcdBackend::scan(const ListQuery& query) {
    auto listing = scan_once(query);
    if (!listing && listing.error().code == Code::compacted) {
        listing = scan_once(query);  // the moment of the first pages is gone
    }
    if (!listing && listing.error().code == Code::compacted) {
        listing.error().code = Code::unavailable;
    }
    return listing;
}

StoreResult<Revision> EtcdBackend::commit(std::span<const Mutation> mutations, std::span<const KindUnchanged> kinds) {
    Txn txn;
    for (const Mutation& mutation : mutations) {
        const std::string key = keys_.of(mutation.key);
        const auto revision = mutation.precondition.absent ? std::optional<std::int64_t>(0)
                                                           : parse_revision(mutation.precondition.revision);
        if (!revision) {
            return std::unexpected(conflict(mutation.key.to_string()));
        }
        txn.comparisons.push_back({Comparison::Type::at, {key, {}}, *revision});
        if (mutation.type != Mutation::Type::check) {
            const bool put = mutation.type == Mutation::Type::put;
            txn.operations.push_back({put ? Operation::Type::put : Operation::Type::remove, key, mutation.body});
        }
    }
    for (const KindUnchanged& unchanged : kinds) {
        const auto since = parse_revision(unchanged.since);
        if (!since) {
            return std::unexpected(conflict("other objects of the kind changed"));
        }
        txn.comparisons.push_back({Comparison::Type::before, keys_.of(unchanged.kind), *since + 1});
    }
    if (txn.comparisons.size() > kMaxOperations) {
        return std::unexpected(error(
            Code::too_large, fmt::format("this change depends on {} objects; etcd compares at most {} in a transaction",
                                         txn.comparisons.size(), kMaxOperations)));
    }
    MANUL_TRY(const Cluster::Committed committed, cluster_.commit(txn));
    if (committed.answer.succeeded) {
        return std::to_string(committed.answer.revision);
    }
    if (committed.unclear) {
        return find_own_write(mutations);
    }
    return std::unexpected(conflict("another writer was faster"));
}

StoreResult<Revision> EtcdBackend::find_own_write(std::span<const Mutation> mutations) {
    std::vector<model::Key> keys;
    for (const Mutation& mutation : mutations) {
        keys.push_back(mutation.key);
    }
    MANUL_TRY(const Snapshot now, read(keys));
    Revision revision;
    for (std::size_t i = 0; i < mutations.size(); ++i) {
        const Mutation& mutation = mutations[i];
        const std::optional<Row>& row = now.rows[i];
        const bool fits = mutation.type == Mutation::Type::check ||
                          (mutation.type == Mutation::Type::remove ? !row : row && *row->body == mutation.body);
        if (!fits || (mutation.type == Mutation::Type::put && !revision.empty() && row->revision != revision)) {
            return std::unexpected(conflict("another writer was faster"));
        }
        if (mutation.type == Mutation::Type::put) {
            revision = row->revision;
        }
    }
    return revision.empty() ? now.revision : revision;
}

StoreResult<std::int64_t> EtcdBackend::revision() {
    MANUL_TRY(const RangeAnswer answer, cluster_.range({.range = {options_.prefix + "/", {}}}));
    return answer.revision;
}

StoreResult<std::string> EtcdBackend::identity() {
    MANUL_TRY(const RangeAnswer answer, cluster_.range({.range = {options_.prefix + "/", {}}}));
    return std::to_string(answer.cluster);
}

StoreResult<std::unique_ptr<Watch>> EtcdBackend::watch(std::span<const WatchStart> starts) {
    MANUL_TRY(const std::string at, identity());
    // A cluster of its own, and so connections' state and token: the stream lives on a thread of its own.
    return open_watch(Cluster(options_, make_member_), keys_, at, starts, options_.progress_every);
}

}  // namespace manul::store::etcd

namespace manul::store {

std::unique_ptr<Store> open_etcd(EtcdOptions options) {
    std::string manager = options.manager;
    return std::make_unique<ObjectStore>(std::make_unique<etcd::EtcdBackend>(std::move(options)), std::move(manager));
}

std::function<StoreResult<void>()> make_etcd_compactor(EtcdOptions options) {
    auto backend = std::make_shared<etcd::EtcdBackend>(std::move(options));
    return [backend, before = std::int64_t{0}]() mutable -> StoreResult<void> {
        MANUL_TRY(const std::int64_t now, backend->revision());
        const std::int64_t until = std::exchange(before, now);
        if (until == 0 || until == now) {
            return {};
        }
        auto done = backend->compact(until);
        if (!done && done.error().code == StoreError::Code::compacted) {
            return {};  // somebody else's compaction went further
        }
        return done;
    };
}

}  // namespace manul::store
