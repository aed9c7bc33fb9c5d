#include "ipam/service/transaction.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "base/try.hpp"
#include "ipam/core/endpoint.hpp"
#include "ipam/core/names.hpp"
#include "ipam/service/writes.hpp"

namespace manul::ipam {

namespace {

using store::StoreError;

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
    for (const auto& [key, entry] : transaction.services().entries()) {
        source.forget(key);
    }
}

}  // namespace

Outcome<std::shared_ptr<const model::WorkloadEndpoint>> Transaction::endpoint(const model::Key& key) {
    if (const auto* entry = endpoints_.find(key)) {
        return entry->now;
    }
    MANUL_TRY(auto base, source_.endpoint(key));
    return endpoints_.load(key, std::move(base)).now;
}

Outcome<std::shared_ptr<const model::WorkloadEndpoint>> Transaction::find(const Attachment& attachment,
                                                                          std::string_view network) {
    for (const auto& [key, entry] : endpoints_.entries()) {
        if (entry.now && entry.now->spec.container_id == attachment.container_id &&
            entry.now->spec.endpoint == attachment.ifname && is_of_network(*entry.now, network)) {
            return entry.now;
        }
    }
    MANUL_TRY(const auto known, source_.find(attachment.container_id, attachment.ifname));
    if (!known) {
        return nullptr;
    }
    MANUL_TRY(const auto now, endpoint(known->key()));
    const bool same = now && now->spec.container_id == attachment.container_id && is_of_network(*now, network);
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

Outcome<std::shared_ptr<const model::Service>> Transaction::service(const model::Key& key) {
    if (const auto* entry = services_.find(key)) {
        return entry->now;
    }
    MANUL_TRY(auto base, source_.service(key));
    return services_.load(key, std::move(base)).now;
}

Outcome<void> Transaction::put_service_status(const model::Key& key, const model::ServiceStatus& status) {
    MANUL_TRY(const auto before, service(key));
    if (before && before->status != status) {
        auto after = std::make_shared<model::Service>(*before);
        after->status = status;
        services_.set(key, std::move(after));
    }
    return {};
}

Transaction::Savepoint Transaction::savepoint() const noexcept {
    return {ipam_.savepoint(), endpoints_.savepoint(), profiles_.savepoint(), nodes_.savepoint(),
            services_.savepoint()};
}

void Transaction::roll_back(const Savepoint& to) {
    ipam_.roll_back(to.ipam);
    endpoints_.roll_back(to.endpoints);
    profiles_.roll_back(to.profiles);
    nodes_.roll_back(to.nodes);
    services_.roll_back(to.services);
}

std::size_t Transaction::changed_count() const noexcept {
    const auto count = [](const auto& overlay) {
        return static_cast<std::size_t>(
            std::ranges::count_if(overlay.entries(), [](const auto& pair) { return pair.second.is_changed(); }));
    };
    return ipam_.changed_count() + count(endpoints_) + count(profiles_) + count(nodes_) + count(services_);
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
        Writes writes(store_, source_);
        if (const auto encoded = writes.add(transaction); !encoded) {
            fail_all(gathered, encoded.error());
        } else if (!writes.empty()) {
            const auto committed = writes.commit(store_, source_);
            if (committed) {
                ++commits_;
                problem_.reset();
                for (auto& result : gathered) {
                    if (result) {
                        result = *committed;
                    }
                }
            } else {
                forget_reads(source_, transaction);
                const StoreError::Code code = committed.error().code;
                const bool repeat = lost_a_race(committed.error()) || code == StoreError::Code::unknown_result;
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
                    problem_ = store_failure(committed.error());
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
