#include "ipam/service/chores.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include <fmt/core.h>

#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/model/block_affinity.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/ip_reservation.hpp"
#include "config/model/lease.hpp"
#include "config/model/node.hpp"
#include "config/model/node_report.hpp"
#include "config/store/obey_lock.hpp"
#include "ipam/core/auto_host_endpoints.hpp"
#include "ipam/service/read_all.hpp"
#include "ipam/service/store_source.hpp"

namespace manul::ipam {

namespace {

using store::StoreError;

const model::Key kLeaseKey{model::Kind::lease, "manul-system", "manul-cluster-chores"};

/// As a Lease has it: RFC 3339 with microseconds.
std::string micro_time(WallTime time) {
    std::string text = print_timestamp(time);
    text.pop_back();
    return text + ".000000Z";
}

bool lost_a_race(const StoreError& error) noexcept {
    return error.code == StoreError::Code::conflict || error.code == StoreError::Code::already_exists ||
           error.code == StoreError::Code::not_found;
}

}  // namespace

Chores::Chores(store::Store& store, std::string node, std::function<Result<void>()> compact)
    : store_(store), node_(std::move(node)), compact_(std::move(compact)), lease_(node_), services_(store) {}

Outcome<bool> Chores::hold(SteadyTime steady, WallTime wall) {
    const auto object = store_.get(kLeaseKey);
    if (!object && object.error().code != StoreError::Code::not_found) {
        return std::unexpected(store_failure(object.error()));
    }
    std::shared_ptr<const model::Lease> before;
    if (object) {
        before =
            model::as<model::Lease>(codec::decode(kLeaseKey.kind, *object->document, codec::Mode::lenient).resource);
        if (!before) {
            return refuse(ErrorCode::try_again, kLeaseKey.to_string() + " cannot be read");
        }
    }
    const model::LeaseSpec* spec = before ? &before->spec : nullptr;
    if (lease_.observe(spec, object ? object->revision : std::string(), steady) != LeaseKeeper::Step::wait) {
        model::Lease after = before ? *before : model::Lease{};
        after.metadata.name = kLeaseKey.name;
        after.metadata.ns = kLeaseKey.ns;
        after.spec = lease_.next(spec, micro_time(wall));
        store::StoreResult<store::Object> written = std::unexpected(StoreError{});
        if (before) {
            const auto document = codec::merge(*object->document, *before, after);
            if (!document) {
                return refuse(ErrorCode::internal, document.error().message);
            }
            written = store_.update(kLeaseKey, *document, object->revision);
        } else {
            written = store_.create(kLeaseKey, codec::encode(after));
        }
        if (written) {
            lease_.written(written->revision, steady);
        } else if (!lost_a_race(written.error())) {
            return std::unexpected(store_failure(written.error()));
        }
    }
    return lease_.may_act(steady);
}

Outcome<void> Chores::free_vanished(SteadyTime steady, WallTime wall, Done& done) {
    MANUL_TRY(const auto nodes, read_all<model::Node>(store_));
    std::set<std::string> existing;
    for (const auto& [object, node] : nodes) {
        existing.insert(object.key.name);
    }
    std::map<std::string, std::string> mentioned;
    MANUL_TRY(const auto affinities, read_all<model::BlockAffinity>(store_));
    for (const auto& [object, affinity] : affinities) {
        if (affinity->spec.type == model::AffinityType::host) {
            mentioned.try_emplace(affinity->spec.node);
        }
    }
    MANUL_TRY(const auto reports, read_all<model::NodeReport>(store_));
    for (const auto& [object, report] : reports) {
        mentioned[report->spec.node] += object.revision + " ";
    }
    for (const std::string& node : vanished_.observe(existing, mentioned, steady)) {
        const auto freed = release_node(store_, node, wall);
        if (!freed) {  // it is tried again, and keeps no other node's waiting
            done.problems.push_back(fmt::format("freeing what node {} held: {}", node, freed.error().msg));
            continue;
        }
        done.freed_nodes.push_back(fmt::format("{}: {} endpoints, {} addresses, {} blocks", node, freed->endpoints,
                                               freed->addresses, freed->blocks));
    }
    return {};
}

Outcome<std::map<std::string, model::HostEndpoint>> Chores::wanted_host_endpoints() {
    MANUL_TRY(const auto configurations, read_all<model::KubeControllersConfiguration>(store_));
    model::AutoHostEndpoint wanted;
    for (const auto& [object, configuration] : configurations) {
        const auto& node = configuration->spec.controllers.node;
        if (object.key.name == "default" && node && node->host_endpoint) {
            wanted = *node->host_endpoint;
        }
    }
    std::vector<std::shared_ptr<const model::Node>> nodes;
    if (wanted.auto_create == model::OnOff::enabled) {
        MANUL_TRY(const auto all, read_all<model::Node>(store_));
        for (const auto& [object, node] : all) {
            nodes.push_back(node);
        }
    }
    return auto_host_endpoints(nodes, wanted);
}

Outcome<std::size_t> Chores::make_host_endpoints() {
    MANUL_TRY(auto endpoints, wanted_host_endpoints());
    MANUL_TRY(const auto existing, read_all<model::HostEndpoint>(store_));
    std::size_t changes = 0;
    std::optional<Failure> refused;
    const auto count = [&](const auto& result) -> Outcome<void> {
        if (!result && result.error().code == StoreError::Code::invalid) {
            refused = store_failure(result.error());  // the others do not wait for it
        } else if (!result && !lost_a_race(result.error())) {
            return std::unexpected(store_failure(result.error()));
        }
        changes += result ? 1U : 0U;
        return {};
    };
    for (const auto& [object, endpoint] : existing) {
        const auto made = endpoint->metadata.labels.find(kCreatedByLabel);
        const bool ours = made != endpoint->metadata.labels.end() && made->second == kCreatedByValue;
        const auto at = endpoints.find(object.key.name);
        if (at == endpoints.end()) {
            if (ours) {
                MANUL_CHECK(count(store_.remove(object.key, object.revision)));
            }
            continue;
        }
        model::HostEndpoint after = *endpoint;
        after.spec = at->second.spec;
        after.metadata.labels = at->second.metadata.labels;
        after.metadata.annotations = at->second.metadata.annotations;
        endpoints.erase(at);
        if (!ours || (after.spec == endpoint->spec && after.metadata == endpoint->metadata)) {
            continue;  // a person's own of that name stays
        }
        const auto document = codec::merge(*object.document, *endpoint, after);
        if (!document) {
            return refuse(ErrorCode::internal, document.error().message);
        }
        MANUL_CHECK(count(store_.update(object.key, *document, object.revision)));
    }
    for (const auto& [name, endpoint] : endpoints) {
        MANUL_CHECK(count(store_.create(endpoint.key(), codec::encode(endpoint))));
    }
    if (refused) {
        return std::unexpected(*std::move(refused));
    }
    return changes;
}

Outcome<std::vector<Chores::PoolState>> Chores::look_at_pools(WallTime wall) {
    World world;
    world.node = node_;
    MANUL_TRY(world.settings, read_settings(store_));
    MANUL_TRY(const auto pools, read_all<model::IpPool>(store_));
    MANUL_TRY(const auto reservations, read_all<model::IpReservation>(store_));
    std::vector<net::Prefix> reserved;
    for (const auto& [object, reservation] : reservations) {
        reserved.insert(reserved.end(), reservation->spec.reserved_cidrs.begin(),
                        reservation->spec.reserved_cidrs.end());
    }
    world.reservations = Reservations(std::move(reserved));
    StoreSource source(store_, node_);
    source.begin(wall);
    Draft draft(source);  // only read
    std::vector<PoolState> out;
    for (const auto& [object, view] : pools) {
        const auto pool = Pool::from_model(*view);
        if (!pool || pool->disabled) {
            continue;
        }
        MANUL_TRY(const PoolUsage usage, usage_of(draft, world, *pool, wall));
        const double taken = static_cast<double>(usage.in_use + usage.cooling) + usage.reserved_free;
        out.push_back({pool->name, usage, describe(*pool, usage), taken >= kNearlyFull * usage.total});
    }
    return out;
}

Outcome<Chores::Done> Chores::run(SteadyTime steady, WallTime wall) {
    Done done;
    const auto locked = store::is_locked(store_);
    if (!locked) {
        return std::unexpected(store_failure(locked.error()));
    }
    // Nothing is written to a locked datastore, not even who does its chores.
    if (!*locked) {
        MANUL_TRY(done.holds, hold(steady, wall));
    }
    const bool held_before = std::exchange(held_, done.holds);
    done.taken_over = done.holds && !held_before;
    if (!done.holds) {
        // Whoever takes over counts absences anew: what it did not see it does not know.
        vanished_ = {};
        services_ = ServiceAddresses(store_);
        last_run_.reset();
        return done;
    }
    const auto is_due = [steady](std::optional<SteadyTime>& last, auto period) {
        if (last && steady - *last < period) {
            return false;
        }
        last = steady;
        return true;
    };
    const auto note = [&done](const char* what, const auto& result) {
        if (!result) {
            done.problems.push_back(fmt::format("{}: {}", what, result.error().msg));
        }
    };
    if (is_due(last_run_, kPeriod)) {
        note("freeing what vanished nodes held", free_vanished(steady, wall, done));
        const auto endpoints = make_host_endpoints();
        note("making host endpoints", endpoints);
        done.host_endpoints = endpoints.value_or(0);
    }
    auto services = services_.run(steady, wall);
    note("giving Services their addresses", services);
    if (services) {
        std::ranges::move(services->problems, std::back_inserter(done.problems));
        done.services_given = std::move(services->given);
        done.services_freed = std::move(services->freed);
        done.blocks_given_up = services->blocks_given_up;
    }
    if (is_due(last_pools_, kLookAtPoolsEach)) {
        auto pools = look_at_pools(wall);
        note("looking at pools", pools);
        if (pools) {
            done.pools = *std::move(pools);
        }
    }
    if (compact_ && is_due(last_compaction_, kCompactEach)) {
        if (const auto compacted = compact_(); !compacted) {
            done.problems.push_back("discarding the datastore's history: " + compacted.error().message);
        }
    }
    return done;
}

}  // namespace manul::ipam
