#include "ipam/transaction.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include <fmt/core.h>

#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/model/block_affinity.hpp"
#include "config/model/ipam_block.hpp"
#include "config/model/ipam_handle.hpp"
#include "ipam/names.hpp"

namespace manul::ipam {

namespace {

using store::StoreError;

/// One object to be written or removed, with what the cache needs afterwards.
struct Write {
    model::Key key;
    model::ResourcePtr view;  ///< null: removed
    std::shared_ptr<const Block> block;
};

/// The writes of one transaction as the store takes them.
class Writer {
public:
    explicit Writer(const StoreSource& source) : source_(source) {}

    template <class T, class Fill>
    Outcome<void> put(const model::Key& key, const std::string& base_revision, bool exists, Fill fill) {
        auto after = std::make_shared<T>();
        const StoreSource::Stored* stored = exists ? source_.stored(key) : nullptr;
        if (stored != nullptr && stored->view) {
            after->metadata = stored->view->metadata;
        }
        after->metadata.name = key.name;
        after->metadata.ns = key.ns;
        fill(*after);
        std::string document;
        if (stored != nullptr && stored->view && stored->has_unknown_fields) {
            auto merged = codec::merge(*stored->document, *stored->view, *after);
            if (!merged) {
                return refuse(ErrorCode::internal, fmt::format("{}: {}", key.to_string(), merged.error().message));
            }
            document = *std::move(merged);
        } else {
            document = codec::encode(*after);
        }
        ops_.emplace_back(store::Put{key, std::move(document), precondition(base_revision, exists)});
        writes_.push_back({key, std::move(after), nullptr});
        return {};
    }
    void remove(const model::Key& key, const std::string& base_revision) {
        ops_.emplace_back(store::Remove{key, precondition(base_revision, true)});
        writes_.push_back({key, nullptr, nullptr});
    }

    Outcome<void> add(const Draft& draft) {
        for (const auto& [cidr, entry] : draft.blocks().entries()) {
            if (!entry.is_changed()) {
                continue;
            }
            const model::Key key = block_key(cidr);
            if (!entry.now) {
                remove(key, entry.base.revision);
                continue;
            }
            auto written = std::make_shared<Block>(*entry.now);
            written->count_write();
            MANUL_CHECK(put<model::IpamBlock>(key, entry.base.revision, entry.base.exists(),
                                              [&](model::IpamBlock& out) { out.spec = written->to_model(); }));
            writes_.back().block = std::move(written);
        }
        for (const auto& [id, entry] : draft.affinities().entries()) {
            const model::Key key = affinity_key(id.first, id.second);
            if (entry.is_changed() && !entry.now) {
                remove(key, entry.base.revision);
            } else if (entry.is_changed()) {
                MANUL_CHECK(put<model::BlockAffinity>(
                    key, entry.base.revision, entry.base.exists(), [&](model::BlockAffinity& out) {
                        out.spec = {entry.now->state, entry.now->node, entry.now->type, entry.now->cidr, false};
                    }));
            }
        }
        for (const auto& [id, entry] : draft.handles().entries()) {
            const model::Key key = handle_key(id);
            if (entry.is_changed() && !entry.now) {
                remove(key, entry.base.revision);
            } else if (entry.is_changed()) {
                MANUL_CHECK(put<model::IpamHandle>(
                    key, entry.base.revision, entry.base.exists(),
                    [&](model::IpamHandle& out) { out.spec = {entry.now->id, entry.now->blocks, false}; }));
            }
        }
        return {};
    }
    Outcome<void> add(const Transaction& transaction) {
        MANUL_CHECK(add(transaction.ipam()));
        for (const auto& [key, entry] : transaction.profiles().entries()) {
            if (entry.is_changed() && entry.now) {
                MANUL_CHECK(put<model::Profile>(key, entry.base.revision, entry.base.exists(),
                                                [&](model::Profile& out) { out.spec = entry.now->spec; }));
            }
        }
        for (const auto& [key, entry] : transaction.nodes().entries()) {
            if (entry.is_changed() && entry.now) {
                MANUL_CHECK(put<model::Node>(key, entry.base.revision, entry.base.exists(), [&](model::Node& out) {
                    out.spec = entry.now->spec;
                    out.status = entry.now->status;
                }));
            }
        }
        for (const auto& [key, entry] : transaction.endpoints().entries()) {
            if (entry.is_changed() && !entry.now) {
                remove(key, entry.base.revision);
            } else if (entry.is_changed()) {
                MANUL_CHECK(put<model::WorkloadEndpoint>(key, entry.base.revision, entry.base.exists(),
                                                         [&](model::WorkloadEndpoint& out) {
                                                             out.metadata.labels = entry.now->metadata.labels;
                                                             out.metadata.annotations = entry.now->metadata.annotations;
                                                             out.spec = entry.now->spec;
                                                         }));
            }
        }
        return {};
    }

    [[nodiscard]] const std::vector<store::Op>& ops() const noexcept { return ops_; }

    /// Tells the cache what the commit wrote.
    void tell(StoreSource& source, const store::Revision& revision) {
        for (std::size_t i = 0; i < writes_.size(); ++i) {
            Write& write = writes_[i];
            if (!write.view) {
                source.removed(write.key);
                continue;
            }
            const auto* block = model::as<model::IpamBlock>(*write.view);
            const std::optional<net::Prefix> cidr = block ? std::optional(block->spec.cidr) : std::nullopt;
            source.wrote(write.key, revision, std::move(std::get<store::Put>(ops_[i]).document), std::move(write.view));
            if (cidr) {
                source.wrote_block(*cidr, revision, std::move(write.block));
            }
        }
    }

private:
    static store::Precondition precondition(const std::string& revision, bool exists) {
        return exists ? store::Precondition{false, revision} : store::Precondition{true, {}};
    }

    const StoreSource& source_;
    std::vector<store::Op> ops_;
    std::vector<Write> writes_;
};

/// Everything that a transaction read: any of it may be what another writer changed.
void forget_reads(StoreSource& source, const Transaction& transaction) {
    for (const auto& [cidr, entry] : transaction.ipam().blocks().entries()) {
        source.forget(block_key(cidr));
    }
    for (const auto& [id, entry] : transaction.ipam().affinities().entries()) {
        source.forget(affinity_key(id.first, id.second));
    }
    for (const auto& [id, entry] : transaction.ipam().handles().entries()) {
        source.forget(handle_key(id));
    }
    for (const auto& [key, entry] : transaction.endpoints().entries()) {
        source.forget(key);
    }
    for (const auto& [key, entry] : transaction.profiles().entries()) {
        source.forget(key);
    }
    for (const auto& [key, entry] : transaction.nodes().entries()) {
        source.forget(key);
    }
}

bool lost_a_race(StoreError::Code code) noexcept {
    return code == StoreError::Code::conflict || code == StoreError::Code::already_exists ||
           code == StoreError::Code::not_found;
}

}  // namespace

Outcome<std::shared_ptr<const model::WorkloadEndpoint>> Transaction::endpoint(const model::Key& key) {
    if (const auto* entry = endpoints_.find(key)) {
        return entry->now;
    }
    MANUL_TRY(auto base, source_.endpoint(key));
    return endpoints_.load(key, std::move(base)).now;
}

Outcome<std::shared_ptr<const model::WorkloadEndpoint>> Transaction::find(const Attachment& attachment) {
    for (const auto& [key, entry] : endpoints_.entries()) {
        if (entry.now && entry.now->spec.container_id == attachment.container_id &&
            entry.now->spec.endpoint == attachment.ifname) {
            return entry.now;
        }
    }
    MANUL_TRY(const auto known, source_.find(attachment.container_id, attachment.ifname));
    if (!known) {
        return nullptr;
    }
    MANUL_TRY(const auto now, endpoint(known->key()));
    const bool same = now && now->spec.container_id == attachment.container_id;
    return same ? now : nullptr;
}

Outcome<void> Transaction::put_endpoint(const model::Key& key,
                                        std::shared_ptr<const model::WorkloadEndpoint> endpoint_now) {
    MANUL_TRY([[maybe_unused]] const auto loaded, endpoint(key));
    endpoints_.set(key, std::move(endpoint_now));
    return {};
}

Outcome<void> Transaction::create_profile(const model::Profile& profile) {
    const model::Key key = profile.key();
    if (profiles_.find(key) == nullptr) {
        MANUL_TRY(auto base, source_.profile(key));
        profiles_.load(key, std::move(base));
    }
    const auto* entry = profiles_.find(key);
    if (!entry->now && !entry->base.exists()) {
        profiles_.set(key, std::make_shared<const model::Profile>(profile));
    }
    return {};
}

Outcome<std::shared_ptr<const model::Node>> Transaction::node(const std::string& name) {
    const model::Key key{model::Kind::node, {}, name};
    if (const auto* entry = nodes_.find(key)) {
        return entry->now;
    }
    MANUL_TRY(auto base, source_.node(key));
    return nodes_.load(key, std::move(base)).now;
}

Outcome<void> Transaction::put_node(const std::string& name, const model::NodeSpec& spec) {
    MANUL_TRY(const auto before, node(name));
    if (before) {
        auto after = std::make_shared<model::Node>(*before);
        after->spec = spec;
        nodes_.set({model::Kind::node, {}, name}, std::move(after));
    }
    return {};
}

Transaction::Savepoint Transaction::savepoint() const noexcept {
    return {ipam_.savepoint(), endpoints_.savepoint(), profiles_.savepoint(), nodes_.savepoint()};
}

void Transaction::roll_back(const Savepoint& to) {
    ipam_.roll_back(to.ipam);
    endpoints_.roll_back(to.endpoints);
    profiles_.roll_back(to.profiles);
    nodes_.roll_back(to.nodes);
}

std::size_t Transaction::changed_count() const noexcept {
    const auto count = [](const auto& overlay) {
        return static_cast<std::size_t>(
            std::ranges::count_if(overlay.entries(), [](const auto& pair) { return pair.second.is_changed(); }));
    };
    return ipam_.changed_count() + count(endpoints_) + count(profiles_) + count(nodes_);
}

std::size_t Committer::gather(std::span<const Change> changes, Transaction& transaction, Results& results) {
    std::size_t done = 0;
    for (const Change& change : changes) {
        const auto before = transaction.savepoint();
        auto result = change(transaction);
        if (result && done > 0 && transaction.changed_count() > limits_.keys) {
            transaction.roll_back(before);
            break;
        }
        if (!result) {
            transaction.roll_back(before);
            results.emplace_back(std::unexpected(std::move(result).error()));
        } else {
            results.emplace_back(store::Revision{});
        }
        ++done;
    }
    return done;
}

std::size_t Committer::commit_some(std::span<const Change> changes, std::size_t most, Results& results) {
    const auto fail_all = [&](Results& gathered, const Failure& why) {
        for (auto& result : gathered) {
            if (result) {
                result = std::unexpected(why);
            }
        }
    };
    for (std::size_t attempt = 1;; ++attempt) {
        Transaction transaction(source_);
        Results gathered;
        const std::size_t done = gather(changes.first(std::min(most, changes.size())), transaction, gathered);
        Writer writer(source_);
        if (const auto encoded = writer.add(transaction); !encoded) {
            fail_all(gathered, encoded.error());
        } else if (!writer.ops().empty()) {
            const auto committed = store_.transact(writer.ops(), store::Checks::own_fields_only);
            if (committed) {
                ++commits_;
                writer.tell(source_, *committed);
                for (auto& result : gathered) {
                    if (result) {
                        result = *committed;
                    }
                }
            } else {
                forget_reads(source_, transaction);
                const StoreError::Code code = committed.error().code;
                const bool repeat = lost_a_race(code) || code == StoreError::Code::unknown_result;
                conflicts_ += repeat ? 1U : 0U;
                if (repeat && attempt < limits_.attempts) {
                    continue;
                }
                if ((code == StoreError::Code::too_large || code == StoreError::Code::invalid) && done > 1) {
                    // One of them does not fit or is refused: find it, and do not let it spoil the others.
                    source_.end();
                    return commit_some(changes, done / 2, results);
                }
                fail_all(gathered, store_failure(committed.error()));
                if (code == StoreError::Code::unavailable || code == StoreError::Code::newer_schema) {
                    // The others would only wait for the same.
                    gathered.resize(changes.size(), std::unexpected(store_failure(committed.error())));
                }
            }
        }
        source_.end();
        const std::size_t settled = gathered.size();
        std::ranges::move(gathered, std::back_inserter(results));
        return settled;
    }
}

std::vector<Outcome<store::Revision>> Committer::run(std::span<const Change> changes) {
    Results results;
    results.reserve(changes.size());
    while (!changes.empty()) {
        changes = changes.subspan(commit_some(changes, changes.size(), results));
    }
    return results;
}

}  // namespace manul::ipam
