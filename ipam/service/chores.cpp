#include "ipam/service/chores.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
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

}  // namespace

Chores::Chores(store::Store& store, std::string node, std::function<Result<void>()> compact)
    : store_(store),
      node_(std::move(node)),
      compact_(std::move(compact)),
      lease_(node_),
      host_endpoints_(store),
      services_(store) {}

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

Outcome<void> Chores::begin_watch() {
    std::set<model::Kind> kinds;
    for (const auto& some : {ServiceAddresses::kinds(), HostEndpoints::kinds()}) {
        kinds.insert(some.begin(), some.end());
    }
    std::vector<store::WatchStart> starts;
    for (const model::Kind kind : kinds) {
        const auto listing = store_.list({.kind = kind, .ns = std::nullopt, .name_prefix = {}});
        if (!listing) {
            return std::unexpected(store_failure(listing.error()));
        }
        starts.push_back({kind, listing->revision});
    }
    auto watch = store_.watch(starts);
    if (!watch) {
        return std::unexpected(store_failure(watch.error()));
    }
    watch_ = *std::move(watch);
    return {};
}

Outcome<Chores::Changes> Chores::take_changes(Done& done) {
    Changes changes;
    const auto events = watch_ ? watch_->take() : std::vector<store::Event>();
    if (!events) {
        return std::unexpected(store_failure(events.error()));
    }
    const std::vector<model::Kind> of_services = ServiceAddresses::kinds();
    for (const store::Event& event : *events) {
        if (event.type == store::Event::Type::resync) {
            watch_.reset();
            break;
        }
        changes.services =
            changes.services || std::ranges::find(of_services, event.object.key.kind) != of_services.end();
        changes.host_endpoints = changes.host_endpoints || host_endpoints_.concerns(event);
    }
    if (!watch_) {
        MANUL_CHECK(begin_watch());
        done.watch_began = true;
        changes = {.services = true, .host_endpoints = true};  // who knows what happened in between
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
        host_endpoints_ = HostEndpoints(store_);
        services_ = ServiceAddresses(store_);
        watch_.reset();
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
    const auto changes = take_changes(done);
    note("watching for changes", changes);
    // A minute more or less does not matter to nodes that have to be absent for a quarter of an hour.
    if (is_due(last_run_, kPeriod)) {
        note("freeing what vanished nodes held", free_vanished(steady, wall, done));
    }
    const auto endpoints = host_endpoints_.run(changes && changes->host_endpoints, steady);
    note("making host endpoints", endpoints);
    done.host_endpoints = endpoints.value_or(0);
    auto services = services_.run(changes && changes->services, steady, wall);
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
