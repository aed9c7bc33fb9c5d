#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "base/read_file.hpp"
#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/node.hpp"
#include "ctl/ipam/inventory.hpp"
#include "ctl/ipam/options.hpp"
#include "ipam/core/allocator.hpp"
#include "ipam/core/block.hpp"
#include "ipam/core/endpoint.hpp"
#include "ipam/core/history.hpp"
#include "ipam/core/show.hpp"
#include "ipam/service/store_source.hpp"
#include "net/ip.hpp"

namespace manul::ctl {

namespace {

void print_pool(const Context& context, const ipam::Inventory& inventory, const net::Ip& address) {
    const ipam::Pool* found = nullptr;
    for (const ipam::Pool& pool : inventory.pools) {
        found = pool.cidr.contains(address) ? &pool : found;
    }
    context.print(found == nullptr ? "Pool: none\n"
                                   : fmt::format("Pool: {} ({}){}\n", found->name, found->cidr.to_string(),
                                                 found->disabled ? ", disabled" : ""));
    if (ipam::Reservations(inventory.reservations).contains(address)) {
        context.print("Reserved: yes, by an IPReservation; only those who ask for it by name get it\n");
    }
}

void print_allocation(const Context& context, const ipam::AddressReport& report, const ipam::IpamSettings& settings) {
    if (!report.block) {
        context.print("Block: none; the address was never in use\n");
        return;
    }
    context.print(fmt::format("Block: {}, owned by {}\n", report.block->to_string(),
                              report.block_owner.empty() ? "nobody" : report.block_owner));
    switch (report.state) {
        case ipam::AddressReport::State::free:
            context.print("State: free\n");
            return;
        case ipam::AddressReport::State::cooling:
            context.print(fmt::format("State: resting since {} (cool-down of {} s), not given to anybody until {}\n",
                                      ipam::print_timestamp(*report.owner->released_at), settings.cooldown.count(),
                                      ipam::print_timestamp(*report.owner->released_at + settings.cooldown)));
            break;
        case ipam::AddressReport::State::in_use: {
            const auto since = report.owner->attributes.find("timestamp");
            context.print("State: in use" + (since == report.owner->attributes.end() ? "" : " since " + since->second) +
                          "\n");
            context.print("Handle: " + report.owner->handle + "\n");
            break;
        }
    }
    if (report.sequence) {
        context.print(fmt::format("Allocation number: {}\n", *report.sequence));
    }
    for (const auto& [key, value] : report.owner->attributes) {
        context.print(fmt::format("  {}: {}\n", key, value));
    }
    if (!report.owner->node().empty() && report.owner->node() != report.block_owner) {
        context.print(
            fmt::format("Borrowed: by {}, which announces a route of its own for it\n", report.owner->node()));
    }
}

void print_history(const Context& context, const net::Ip& address) {
    const std::string path = context.settings.state_dir + "/ipam-history.log";
    const auto entries = ipam::history_of(read_file(path + ".1").value_or("") + read_file(path).value_or(""), address);
    context.print(fmt::format("History on node {}:{}\n", context.settings.node_name,
                              entries.empty() ? " nothing recorded (other nodes keep their own)" : ""));
    for (const ipam::HistoryEntry& entry : entries) {
        const bool assigned = entry.event == ipam::HistoryEntry::Event::assigned;
        context.print(fmt::format("  {} {} {} (handle {}): {}\n", ipam::print_timestamp(entry.time),
                                  assigned ? "given to" : "released by", entry.owner, entry.handle, entry.why));
    }
}

/// The stored object as a T, null when there is none.
template <class T>
store::StoreResult<std::shared_ptr<const T>> read(store::Store& store, const std::string& name) {
    const auto object = store.get({T::kKind, {}, name});
    if (!object && object.error().code == store::StoreError::Code::not_found) {
        return nullptr;
    }
    MANUL_CHECK(object);
    return model::as<T>(codec::decode(T::kKind, *object->document, codec::Mode::lenient).resource);
}

}  // namespace

ExitCode ipam_why(const Context& context, const std::string& text) {
    const auto address = net::Ip::parse(text);
    if (!address) {
        return context.fail(text + ": invalid IP address");
    }
    const auto inventory = read_inventory(*context.store);
    if (!inventory) {
        return context.fail(describe(inventory.error()));
    }
    std::vector<ipam::Block> blocks;
    for (const model::IpamBlockSpec& spec : inventory->blocks) {
        if (auto block = ipam::Block::from_model(spec)) {
            blocks.push_back(*std::move(block));
        } else if (spec.cidr.contains(*address)) {
            context.err("manulctl: " + block.error() + "; see `manulctl ipam check`\n");
        }
    }
    context.print("Address: " + address->to_string() + "\n");
    print_pool(context, *inventory, *address);
    print_allocation(context, report_address(inventory->pools, blocks, *address), inventory->settings);
    bool used = false;
    for (auto [at, last] = inventory->users.equal_range(*address); at != last; ++at) {
        used = true;
        context.print(fmt::format("Used by: {}{}\n", at->second.name,
                                  at->second.node.empty() ? "" : " on node " + at->second.node));
    }
    if (!used) {
        context.print("Used by: nobody\n");
    }
    print_history(context, *address);
    return ExitCode::ok;
}

ExitCode ipam_explain(const Context& context, const IpamExplainOptions& options) {
    const auto inventory = read_inventory(*context.store);
    if (!inventory) {
        return context.fail(describe(inventory.error()));
    }
    ipam::World world;
    world.node = options.node.empty() ? context.settings.node_name : options.node;
    world.pools = inventory->pools;
    world.reservations = ipam::Reservations(inventory->reservations);
    world.settings = inventory->settings;
    const auto node = read<model::Node>(*context.store, world.node);
    const auto ns = read<model::Namespace>(*context.store, options.ns);
    if (!node || !ns) {
        return context.fail(describe(node ? ns.error() : node.error()));
    }
    if (*node) {
        world.node_labels = (*node)->metadata.labels;
    }
    std::vector<std::string> reasons;
    ipam::Demand demand;
    demand.handle = "explain";
    demand.attributes = {{"node", world.node}};
    demand.ipv4 = !options.ipv6;
    demand.ipv6 = options.ipv6;
    (options.ipv6 ? demand.ipv6_pools : demand.ipv4_pools) = options.pools;
    demand.namespace_labels = ipam::namespace_labels(options.ns, ns->get());
    demand.reasons = &reasons;
    if (!options.ip.empty()) {
        const auto address = net::Ip::parse(options.ip);
        if (!address) {
            return context.fail("--ip=" + options.ip + ": invalid IP address");
        }
        demand.addresses = {*address};
        demand.ipv4 = demand.ipv6 = false;
    }
    ipam::StoreSource source(*context.store, world.node);
    source.begin(wall_now());
    ipam::Draft draft(source);  // never committed
    const auto assigned = assign(draft, world, demand, wall_now());
    for (const std::string& reason : reasons) {
        context.print(reason + "\n");
    }
    if (!assigned) {
        return context.fail(assigned.error().msg);
    }
    for (const ipam::Assigned& one : *assigned) {
        context.print(fmt::format("{} on node {} would get {} of block {} (pool {})\n",
                                  options.ip.empty() ? "a pod" : "a pod that asks for it", world.node,
                                  one.address.to_string(), one.block.to_string(), one.pool));
    }
    return ExitCode::ok;
}

}  // namespace manul::ctl
