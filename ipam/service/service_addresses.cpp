#include "ipam/service/service_addresses.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <set>
#include <utility>

#include <fmt/core.h>

#include "base/try.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/ip_reservation.hpp"
#include "config/store/namespaces.hpp"
#include "ipam/core/allocator.hpp"
#include "ipam/service/node_release.hpp"
#include "ipam/service/read_all.hpp"

namespace manul::ipam {

namespace {

constexpr std::chrono::seconds kPeriod{60};

std::string name_of(const model::Service& service) { return service.metadata.ns + "/" + service.metadata.name; }

/// What `status` is to say; other entries than addresses (host names) are another controller's and go.
model::ServiceStatus status_with(const std::vector<net::Ip>& addresses) {
    model::ServiceStatus status;
    for (const net::Ip& address : addresses) {
        status.load_balancer.ingress.push_back({address});
    }
    return status;
}

bool has_usable_pool(const World& world) {
    return std::ranges::any_of(
        world.pools, [](const Pool& pool) { return pool.allows(model::AllowedUse::load_balancer) && !pool.disabled; });
}

std::string list_of(const std::vector<net::Ip>& addresses) {
    std::string out;
    for (const net::Ip& address : addresses) {
        out += (out.empty() ? "" : ", ") + address.to_string();
    }
    return out;
}

/// Addresses in the order in which they are told: as the Service names its families.
void sort_by_family(std::vector<net::Ip>& addresses, const model::Service& service) {
    const bool v6_first =
        !service.spec.ip_families.empty() && service.spec.ip_families.front() == model::AddressFamily::ipv6;
    const net::Family first = v6_first ? net::Family::v6 : net::Family::v4;
    std::vector<net::Ip> sorted;
    for (const bool wanted : {true, false}) {
        std::ranges::copy_if(addresses, std::back_inserter(sorted),
                             [&](const net::Ip& ip) { return (ip.family() == first) == wanted; });
    }
    addresses = std::move(sorted);
}

}  // namespace

std::vector<model::Kind> ServiceAddresses::kinds() {
    return {model::Kind::service, model::Kind::ip_pool, model::Kind::ip_reservation, model::Kind::ipam_configuration,
            model::Kind::kube_controllers_configuration};
}

Outcome<World> ServiceAddresses::read_world() {
    World world;
    world.node = kLoadBalancers;
    MANUL_TRY(world.settings, read_settings(*store_));
    // These pools are for nobody else, so neither limits of nodes nor others' blocks matter.
    world.settings.strict_affinity = true;
    world.settings.auto_allocate_blocks = true;
    world.settings.max_blocks_per_host = 0;
    MANUL_TRY(const auto pools, read_all<model::IpPool>(*store_));
    for (const auto& [object, view] : pools) {
        if (auto pool = Pool::from_model(*view)) {
            if (store::is_ending(*object.document)) {
                pool->set_being_deleted();
            }
            world.pools.push_back(*std::move(pool));
        }
    }
    MANUL_TRY(const auto reservations, read_all<model::IpReservation>(*store_));
    std::vector<net::Prefix> reserved;
    for (const auto& [object, reservation] : reservations) {
        const auto& cidrs = reservation->spec.reserved_cidrs;
        reserved.insert(reserved.end(), cidrs.begin(), cidrs.end());
    }
    world.reservations = Reservations(std::move(reserved));
    return world;
}

Outcome<ServiceAddresses::GivenByService> ServiceAddresses::read_given(StoreSource& source, const World& world) const {
    MANUL_TRY(const auto own, source.blocks_of(world.node));
    std::set<net::Prefix> cidrs(own.begin(), own.end());
    for (const Pool& pool : world.pools) {
        if (pool.allows(model::AllowedUse::load_balancer)) {
            MANUL_TRY(const auto in_pool, source.blocks_in(pool.cidr));
            cidrs.insert(in_pool.begin(), in_pool.end());
        }
    }
    std::map<std::string, std::vector<Given>> out;
    for (const net::Prefix& cidr : cidrs) {
        MANUL_TRY(const auto block, source.block(cidr));
        for (std::size_t i = 0; block.value && i < block.value->size(); ++i) {
            const auto ordinal = static_cast<Block::Ordinal>(i);
            const OwnerPtr& owner = block.value->owner(ordinal);
            const auto service = owner && !owner->is_cooling() ? service_of(owner->attributes) : std::nullopt;
            if (service) {
                out[*service].push_back({block.value->address(ordinal), cidr, owner->handle});
            }
        }
    }
    return out;
}

Outcome<std::vector<net::Ip>> ServiceAddresses::serve(Transaction& transaction, const World& world,
                                                      const model::Service& service, const std::vector<Given>& given,
                                                      WallTime now) const {
    Draft& draft = transaction.ipam();
    MANUL_TRY(const ServiceDemand demand, demand_of(service, world.pools));
    std::vector<net::Ip> addresses;
    for (const Given& one : given) {
        const bool needed = std::ranges::find(addresses, one.address.family(), &net::Ip::family) == addresses.end();
        if (needed && fits(demand, one.address, world.pools)) {
            addresses.push_back(one.address);
        } else {
            MANUL_TRY([[maybe_unused]] const Released done,
                      release_address(draft, world, one.address, one.block, std::nullopt, now));
        }
    }
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        if (!demand.wants(family) || std::ranges::find(addresses, family, &net::Ip::family) != addresses.end()) {
            continue;
        }
        Demand one;
        one.handle = service_handle(service.metadata.ns, service.metadata.name);
        one.attributes = service_attributes(service.metadata.ns, service.metadata.name, now);
        one.use = model::AllowedUse::load_balancer;
        one.ipv4 = family == net::Family::v4;
        one.ipv6 = !one.ipv4;
        one.ipv4_pools = demand.ipv4_pools;
        one.ipv6_pools = demand.ipv6_pools;
        std::ranges::copy_if(demand.addresses, std::back_inserter(one.addresses),
                             [family](const net::Ip& ip) { return ip.family() == family; });
        if (one.addresses.empty()) {
            // What the status says and nobody else has: an address that was lost from the allocations.
            for (const model::LoadBalancerIngress& told : service.status.load_balancer.ingress) {
                if (told.ip && told.ip->family() == family && fits(demand, *told.ip, world.pools)) {
                    one.addresses = {*told.ip};
                }
            }
            if (!one.addresses.empty()) {
                if (const auto same = assign(draft, world, one, now)) {
                    addresses.push_back(same->front().address);
                    continue;
                }
                one.addresses.clear();
            }
        }
        MANUL_TRY(const auto assigned, assign(draft, world, one, now));
        addresses.push_back(assigned.front().address);
    }
    sort_by_family(addresses, service);
    MANUL_CHECK(transaction.put_service_status(service.key(), status_with(addresses)));
    return addresses;
}

/// The status first: an address is free only when nobody tells of it any more.
Outcome<void> ServiceAddresses::take_back(Committer& committer, const World& world, const model::Service* service,
                                          const std::vector<Given>& given, WallTime now) const {
    std::vector<Change> changes;
    if (service != nullptr) {
        changes.emplace_back([&, key = service->key()](Transaction& transaction) -> Outcome<void> {
            MANUL_TRY(const auto stored, transaction.service(key));
            if (!stored) {
                return {};
            }
            model::ServiceStatus status = stored->status;
            std::erase_if(status.load_balancer.ingress, [&](const model::LoadBalancerIngress& told) {
                return told.ip && std::ranges::find(given, *told.ip, &Given::address) != given.end();
            });
            return transaction.put_service_status(key, status);
        });
        MANUL_CHECK(committer.run(changes).front());
        changes.clear();
    }
    for (const Given& one : given) {
        changes.emplace_back([&, one](Transaction& transaction) -> Outcome<void> {
            MANUL_TRY([[maybe_unused]] const Released done,
                      release_address(transaction.ipam(), world, one.address, one.block, std::nullopt, now));
            return {};
        });
    }
    for (const auto& result : committer.run(changes)) {
        MANUL_CHECK(result);
    }
    return {};
}

/// Nobody waits for a block to be at hand here, so none is kept; pools of the same range can be made anew at once.
Outcome<std::size_t> ServiceAddresses::give_up_empty(StoreSource& source, Committer& committer, const World& world,
                                                     SteadyTime steady, WallTime now) {
    MANUL_TRY(const auto cidrs, source.blocks_of(world.node));
    std::vector<BlockPtr> own;
    for (const net::Prefix& cidr : cidrs) {
        MANUL_TRY(const auto block, source.block(cidr));
        if (block.value && block.value->affinity() == host_affinity(world.node)) {
            own.push_back(block.value);
        }
    }
    std::size_t count = 0;
    for (const net::Prefix& cidr : empty_blocks_.observe(own, world, steady, now)) {
        bool done = false;
        const std::vector<Change> change{[&](Transaction& transaction) -> Outcome<void> {
            MANUL_TRY(done, give_up(transaction.ipam(), world, cidr, true, now));
            return {};
        }};
        MANUL_CHECK(committer.run(change).front());
        count += done ? 1U : 0U;
    }
    return count;
}

void ServiceAddresses::serve_all(const Round& round, model::AssignIps assign_ips, GivenByService& given) const {
    const bool has_pool = has_usable_pool(round.world);
    for (const auto& [name, service] : round.services) {
        const auto held = given.find(name);
        const bool has_some = held != given.end();
        if (!is_served(*service, assign_ips) || (!has_pool && !has_some)) {
            continue;
        }
        const std::vector<Given> now_held = has_some ? held->second : std::vector<Given>();
        std::vector<net::Ip> addresses;
        const std::vector<Change> change{[&](Transaction& transaction) -> Outcome<void> {
            MANUL_TRY(addresses, serve(transaction, round.world, *service, now_held, round.now));
            return {};
        }};
        const auto result = round.committer.run(change).front();
        if (!result) {
            round.done.problems.push_back(fmt::format("Service {}: {}", name, result.error().msg));
        } else if (!result->empty()) {
            round.done.given.push_back(fmt::format("{}: {}", name, list_of(addresses)));
        }
        given.erase(name);
    }
}

void ServiceAddresses::free_unwanted(const Round& round, const GivenByService& given) const {
    for (const auto& [name, held] : given) {
        const auto service = round.services.find(name);
        const bool exists = service != round.services.end();
        std::vector<Given> ours = held;
        if (!exists && store_->transactional()) {
            std::erase_if(ours, [&](const Given& one) {
                const std::size_t slash = name.find('/');
                return one.handle != service_handle(name.substr(0, slash), name.substr(slash + 1));
            });
        }
        if (ours.empty()) {
            continue;
        }
        const auto freed =
            take_back(round.committer, round.world, exists ? service->second.get() : nullptr, ours, round.now);
        if (!freed) {
            round.done.problems.push_back(fmt::format("Service {}: {}", name, freed.error().msg));
            continue;
        }
        std::vector<net::Ip> addresses;
        std::ranges::transform(ours, std::back_inserter(addresses), &Given::address);
        round.done.freed.push_back(fmt::format("{}: {}", name, list_of(addresses)));
    }
}

Outcome<ServiceAddresses::Done> ServiceAddresses::run(bool changed, SteadyTime steady, WallTime wall) {
    Done done;
    if (!changed && last_ && steady - *last_ < kPeriod) {
        return done;
    }
    MANUL_TRY(const World world, read_world());
    StoreSource source(*store_, world.node);
    source.begin(wall);
    // Allocations before Services: one that is made in between makes a Service without address, not one that is gone.
    MANUL_TRY(auto given, read_given(source, world));
    Committer committer(*store_, source);
    if (!has_usable_pool(world) && given.empty()) {
        MANUL_TRY(done.blocks_given_up, give_up_empty(source, committer, world, steady, wall));
        last_ = steady;
        return done;
    }
    MANUL_TRY(const auto configurations, read_all<model::KubeControllersConfiguration>(*store_));
    const auto configured =
        std::ranges::find_if(configurations, [](const auto& pair) { return pair.first.key.name == "default"; });
    const auto assign_ips = assign_ips_of(configured == configurations.end() ? nullptr : configured->second.get());
    MANUL_TRY(const auto listed, read_all<model::Service>(*store_));
    Services services;
    for (const auto& [object, service] : listed) {
        services.emplace(name_of(*service), service);
    }
    const Round round{committer, world, services, wall, done};
    if (assign_ips) {
        serve_all(round, *assign_ips, given);
    }
    free_unwanted(round, given);
    MANUL_TRY(done.blocks_given_up, give_up_empty(source, committer, world, steady, wall));
    last_ = steady;
    return done;
}

}  // namespace manul::ipam
