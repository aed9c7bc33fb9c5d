#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/model/kind.hpp"
#include "config/model/resource.hpp"
#include "config/store/store.hpp"
#include "ipam/core/block.hpp"
#include "ipam/core/draft.hpp"
#include "ipam/service/store_source.hpp"

namespace manul::ipam {

class Transaction;

/// What a transaction writes, as documents with preconditions.
///
/// Where the store has transactions they are one. Where it has none (Kubernetes) they go one by one, each with its own
/// precondition, in an order in which each may be the last: an endpoint loses its addresses before they are freed, and
/// gets new ones after they are allocated; a claim is announced (affinity pending) before its block is written and
/// confirmed after it; a handle names a block before it has addresses there, and goes when they are free. What a stop
/// leaves is taken up by the next ADD or DEL of the container (handles, addresses), by the next allocation out of that
/// block (affinities), or by `ipam check --repair`.
class Writes {
public:
    Writes(const store::Store& store, StoreSource& source) noexcept
        : source_(source), one_by_one_(!store.transactional()) {}

    [[nodiscard]] Outcome<void> add(const Transaction& transaction);
    [[nodiscard]] bool empty() const noexcept { return steps_.empty(); }
    /// Writes everything and tells the cache; the last revision. After an error some may be written all the same where
    /// the store has no transactions.
    [[nodiscard]] store::StoreResult<store::Revision> commit(store::Store& store, StoreSource& source);

private:
    /// When a write comes, in a store without transactions.
    enum class Turn : std::uint8_t {
        endpoint_removed,
        affinity_begun,  ///< pending, or pendingDeletion
        handle,
        block,
        handle_shrunk,  ///< names fewer blocks than before
        affinity,
        profile,
        node,  ///< and Services
        endpoint,
        affinity_removed,
        handle_removed,
    };
    /// One object to be written or removed, with what the cache needs afterwards.
    struct Step {
        Turn turn;
        store::Op op;
        model::Key key;
        model::ResourcePtr view;  ///< null: removed
        std::shared_ptr<const Block> block = nullptr;
    };

    template <class T, class Fill>
    [[nodiscard]] Outcome<void> put(Turn turn, const model::Key& key, const std::string& base_revision, bool exists,
                                    Fill fill);
    /// The same with another printer for a document that need not be merged into the stored one.
    template <class T, class Fill, class Print>
    [[nodiscard]] Outcome<void> put(Turn turn, const model::Key& key, const std::string& base_revision, bool exists,
                                    Fill fill, Print print);
    [[nodiscard]] Outcome<void> put_block(const model::Key& key, const Draft::Blocks::Entry& entry, const Block& block);
    void remove(Turn turn, const model::Key& key, const std::string& base_revision);
    [[nodiscard]] Outcome<void> put_affinity(Turn turn, const Draft::Affinities::Entry& entry, const Affinity& value);
    [[nodiscard]] Outcome<void> add_blocks(const Draft& draft);
    [[nodiscard]] Outcome<void> add_affinities(const Draft& draft);
    [[nodiscard]] Outcome<void> put_handle(Turn turn, const Draft::Handles::Entry& entry, const Handle& value);
    [[nodiscard]] Outcome<void> add_handles(const Draft& draft);
    [[nodiscard]] store::StoreResult<store::Revision> commit_one_by_one(store::Store& store, StoreSource& source);
    [[nodiscard]] store::StoreResult<store::Revision> commit_step(store::Store& store, Step& step,
                                                                  const std::map<model::Key, store::Revision>& written);
    [[nodiscard]] bool is_same_attachment(store::Store& store, Step& step) const;
    static void tell(StoreSource& source, Step& step, const store::Revision& revision);

    StoreSource& source_;
    bool one_by_one_;
    std::vector<Step> steps_;
};

}  // namespace manul::ipam
