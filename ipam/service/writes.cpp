#include "ipam/service/writes.hpp"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>
#include <variant>

#include <fmt/core.h>

#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/model/block_affinity.hpp"
#include "config/model/ipam_block.hpp"
#include "config/model/ipam_handle.hpp"
#include "ipam/service/transaction.hpp"

namespace manul::ipam {

using store::StoreError;

namespace {

/// Others write a Pod too (its status changes while its sandbox is made): attempts to record addresses in it.
constexpr int kEndpointAttempts = 10;

store::Precondition precondition(const std::string& revision, bool exists) {
    return exists ? store::Precondition{false, revision} : store::Precondition{true, {}};
}

}  // namespace

template <class T, class Fill>
Outcome<void> Writes::put(Turn turn, const model::Key& key, const std::string& base_revision, bool exists, Fill fill) {
    return put<T>(turn, key, base_revision, exists, fill, [](const T& resource) { return codec::encode(resource); });
}

template <class T, class Fill, class Print>
Outcome<void> Writes::put(Turn turn, const model::Key& key, const std::string& base_revision, bool exists, Fill fill,
                          Print print) {
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
        document = print(*after);
    }
    steps_.push_back({turn, store::Put{key, std::move(document), precondition(base_revision, exists)}, key,
                      std::move(after), nullptr});
    return {};
}

void Writes::remove(Turn turn, const model::Key& key, const std::string& base_revision) {
    steps_.push_back({turn, store::Remove{key, precondition(base_revision, true)}, key, nullptr, nullptr});
}

Outcome<void> Writes::put_block(const model::Key& key, const Draft::Blocks::Entry& entry, const Block& block) {
    const StoreSource::Stored* stored = source_.stored(key);
    if (stored != nullptr && stored->has_unknown_fields) {  // merging needs the whole view
        return put<model::IpamBlock>(Turn::block, key, entry.base.revision, entry.base.exists(),
                                     [&](model::IpamBlock& out) { out.spec = block.to_model(); });
    }
    std::vector<OwnerPtr> owners;
    return put<model::IpamBlock>(
        Turn::block, key, entry.base.revision, entry.base.exists(),
        [&](model::IpamBlock& out) { out.spec = block.to_model(owners); },
        [&](const model::IpamBlock& out) { return source_.block_text().print(out, owners); });
}

Outcome<void> Writes::add_blocks(const Draft& draft) {
    for (const auto& [cidr, entry] : draft.blocks().entries()) {
        if (!entry.is_changed()) {
            continue;
        }
        const model::Key key = block_key(cidr);
        if (!entry.now) {
            remove(Turn::block, key, entry.base.revision);
            continue;
        }
        auto written = std::make_shared<Block>(*entry.now);
        written->count_write();
        MANUL_CHECK(put_block(key, entry, *written));
        steps_.back().block = std::move(written);
    }
    return {};
}

Outcome<void> Writes::put_affinity(Turn turn, const Draft::Affinities::Entry& entry, const Affinity& value) {
    return put<model::BlockAffinity>(
        turn, affinity_key(value.node, value.cidr), entry.base.revision, entry.base.exists(),
        [&](model::BlockAffinity& out) {
            const bool is_virtual = value.node.starts_with(kVirtual);
            out.spec = {value.state, is_virtual ? value.node.substr(kVirtual.size()) : value.node,
                        is_virtual ? model::AffinityType::virtual_ : value.type, value.cidr, false};
        });
}

Outcome<void> Writes::add_affinities(const Draft& draft) {
    for (const auto& [id, entry] : draft.affinities().entries()) {
        if (!entry.is_changed()) {
            continue;
        }
        if (one_by_one_ && (!entry.now || !entry.base.value)) {
            Affinity begun = entry.now ? *entry.now : *entry.base.value;
            begun.state = entry.now ? model::AffinityState::pending : model::AffinityState::pending_deletion;
            MANUL_CHECK(put_affinity(Turn::affinity_begun, entry, begun));
        }
        if (entry.now) {
            MANUL_CHECK(put_affinity(Turn::affinity, entry, *entry.now));
        } else {
            remove(Turn::affinity_removed, affinity_key(id.first, id.second), entry.base.revision);
        }
    }
    return {};
}

Outcome<void> Writes::put_handle(Turn turn, const Draft::Handles::Entry& entry, const Handle& value) {
    return put<model::IpamHandle>(turn, handle_key(value.id), entry.base.revision, entry.base.exists(),
                                  [&](model::IpamHandle& out) { out.spec = {value.id, value.blocks, false}; });
}

Outcome<void> Writes::add_handles(const Draft& draft) {
    for (const auto& [id, entry] : draft.handles().entries()) {
        if (!entry.is_changed()) {
            continue;
        }
        if (!entry.now) {
            remove(Turn::handle_removed, handle_key(id), entry.base.revision);
            continue;
        }
        const bool shrinks = entry.base.value && std::ranges::any_of(entry.base.value->blocks, [&](const auto& block) {
                                 return !entry.now->blocks.contains(block.first);
                             });
        if (!one_by_one_ || !shrinks) {
            MANUL_CHECK(put_handle(Turn::handle, entry, *entry.now));
            continue;
        }
        Handle both = *entry.now;
        both.blocks.insert(entry.base.value->blocks.begin(), entry.base.value->blocks.end());
        MANUL_CHECK(put_handle(Turn::handle, entry, both));
        MANUL_CHECK(put_handle(Turn::handle_shrunk, entry, *entry.now));
    }
    return {};
}

Outcome<void> Writes::add(const Transaction& transaction) {
    MANUL_CHECK(add_blocks(transaction.ipam()));
    MANUL_CHECK(add_affinities(transaction.ipam()));
    MANUL_CHECK(add_handles(transaction.ipam()));
    for (const auto& [key, entry] : transaction.profiles().entries()) {
        if (entry.is_changed() && entry.now) {
            MANUL_CHECK(put<model::Profile>(Turn::profile, key, entry.base.revision, entry.base.exists(),
                                            [&](model::Profile& out) { out.spec = entry.now->spec; }));
        }
    }
    for (const auto& [key, entry] : transaction.nodes().entries()) {
        if (entry.is_changed() && entry.now) {
            MANUL_CHECK(
                put<model::Node>(Turn::node, key, entry.base.revision, entry.base.exists(), [&](model::Node& out) {
                    out.spec = entry.now->spec;
                    out.status = entry.now->status;
                }));
        }
    }
    for (const auto& [key, entry] : transaction.services().entries()) {
        if (entry.is_changed() && entry.now) {
            MANUL_CHECK(put<model::Service>(Turn::node, key, entry.base.revision, entry.base.exists(),
                                            [&](model::Service& out) {
                                                out.spec = entry.now->spec;
                                                out.status = entry.now->status;
                                            }));
        }
    }
    for (const auto& [key, entry] : transaction.endpoints().entries()) {
        if (entry.is_changed() && !entry.now) {
            remove(Turn::endpoint_removed, key, entry.base.revision);
        } else if (entry.is_changed()) {
            MANUL_CHECK(put<model::WorkloadEndpoint>(Turn::endpoint, key, entry.base.revision, entry.base.exists(),
                                                     [&](model::WorkloadEndpoint& out) {
                                                         out.metadata.labels = entry.now->metadata.labels;
                                                         out.metadata.annotations = entry.now->metadata.annotations;
                                                         out.spec = entry.now->spec;
                                                     }));
        }
    }
    return {};
}

store::StoreResult<store::Revision> Writes::commit(store::Store& store, StoreSource& source) {
    if (one_by_one_) {
        return commit_one_by_one(store, source);
    }
    std::vector<store::Op> ops;
    ops.reserve(steps_.size());
    for (const Step& step : steps_) {
        ops.push_back(step.op);
    }
    MANUL_TRY(store::Revision revision, store.transact(ops, store::Checks::own_fields_only));
    for (Step& step : steps_) {
        tell(source, step, revision);
    }
    return revision;
}

store::StoreResult<store::Revision> Writes::commit_one_by_one(store::Store& store, StoreSource& source) {
    std::vector<Step*> order;
    for (Step& step : steps_) {
        order.push_back(&step);
    }
    // Within a turn as they were added.
    std::ranges::sort(order, {}, [](const Step* step) { return std::pair(step->turn, step); });
    std::map<model::Key, store::Revision> written;
    store::Revision last;
    for (Step* step : order) {
        MANUL_TRY(last, commit_step(store, *step, written));
        written[step->key] = last;
        tell(source, *step, last);
    }
    return last;
}

store::StoreResult<store::Revision> Writes::commit_step(store::Store& store, Step& step,
                                                        const std::map<model::Key, store::Revision>& written) {
    const auto expect = [&step](const store::Revision& revision) {
        std::visit([&](auto& op) { op.precondition = store::Precondition{false, revision}; }, step.op);
    };
    if (const auto before = written.find(step.key); before != written.end()) {
        expect(before->second);
    }
    for (int attempt = 1;; ++attempt) {
        auto done = store.transact(std::span(&step.op, 1), store::Checks::own_fields_only);
        if (done || done.error().code != StoreError::Code::conflict || step.turn != Turn::endpoint ||
            attempt == kEndpointAttempts || !is_same_attachment(store, step)) {
            return done;
        }
    }
}

/// Whether an endpoint that another writer changed is, for what concerns addresses, still as it was read: then `step`
/// is made to expect it as it is now.
bool Writes::is_same_attachment(store::Store& store, Step& step) const {
    const StoreSource::Stored* base = source_.stored(step.key);
    const auto now = store.get(step.key);
    if (base == nullptr || !base->view || !now) {
        return false;
    }
    const auto decoded = codec::decode(step.key.kind, *now->document, codec::Mode::lenient);
    const auto* found = decoded.resource ? model::as<model::WorkloadEndpoint>(*decoded.resource) : nullptr;
    const auto* known = model::as<model::WorkloadEndpoint>(*base->view);
    if (found == nullptr || known == nullptr || found->metadata.uid != known->metadata.uid ||
        found->spec.container_id != known->spec.container_id || found->spec.ip_networks != known->spec.ip_networks) {
        return false;
    }
    std::get<store::Put>(step.op).precondition = store::Precondition{false, now->revision};
    return true;
}

void Writes::tell(StoreSource& source, Step& step, const store::Revision& revision) {
    if (!step.view) {
        source.removed(step.key);
        return;
    }
    const auto* block = model::as<model::IpamBlock>(*step.view);
    const std::optional<net::Prefix> cidr = block ? std::optional(block->spec.cidr) : std::nullopt;
    source.wrote(step.key, revision, std::move(std::get<store::Put>(step.op).document), std::move(step.view));
    if (cidr) {
        source.wrote_block(*cidr, revision, std::move(step.block));
    }
}

}  // namespace manul::ipam
