#include "ctl/ipam/show.hpp"

#include <cmath>
#include <expected>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/ip_reservation.hpp"
#include "config/model/ipam_block.hpp"
#include "config/model/ipam_configuration.hpp"
#include "ctl/output/table.hpp"
#include "ipam/core/block.hpp"
#include "ipam/core/pool.hpp"
#include "ipam/core/show.hpp"
#include "net/ip.hpp"

namespace manul::ctl {

namespace {

using model::Kind;

/// Everything that IPAM keeps, as far as this version can read it; what it cannot is named in `unreadable`.
struct Snapshot {
    std::vector<ipam::Pool> pools;
    std::vector<ipam::Block> blocks;
    std::vector<net::Prefix> reservations;
    std::vector<std::string> unreadable;
};

template <class T, class Use>
std::expected<void, store::StoreError> for_each(const Context& context, Snapshot& snapshot, Use use) {
    MANUL_TRY(const store::Listing listing,
              context.store->list({.kind = T::kKind, .ns = std::nullopt, .name_prefix = {}}));
    for (const store::Object& object : listing.items) {
        const auto decoded = codec::decode(T::kKind, *object.document, codec::Mode::lenient);
        const auto view = model::as<T>(decoded.resource);
        if (!view || !use(*view)) {
            snapshot.unreadable.push_back(object.key.to_string());
        }
    }
    return {};
}

std::expected<Snapshot, store::StoreError> read(const Context& context) {
    Snapshot snapshot;
    MANUL_CHECK(for_each<model::IpPool>(context, snapshot, [&](const model::IpPool& pool) {
        auto compiled = ipam::Pool::from_model(pool);
        if (compiled) {
            snapshot.pools.push_back(*std::move(compiled));
        }
        return compiled.has_value();
    }));
    MANUL_CHECK(for_each<model::IpamBlock>(context, snapshot, [&](const model::IpamBlock& block) {
        auto value = ipam::Block::from_model(block.spec);
        if (value) {
            snapshot.blocks.push_back(*std::move(value));
        }
        return value.has_value();
    }));
    MANUL_CHECK(for_each<model::IpReservation>(context, snapshot, [&](const model::IpReservation& reservation) {
        snapshot.reservations.insert(snapshot.reservations.end(), reservation.spec.reserved_cidrs.begin(),
                                     reservation.spec.reserved_cidrs.end());
        return true;
    }));
    return snapshot;
}

/// calicoctl's form: "6 (0%)", with five significant digits.
std::string share(double count, double total) {
    return fmt::format("{:.5g} ({:.0f}%)", count, total > 0 ? std::round(count * 100 / total) : 0.0);
}

void print_usage(const Context& context, const Snapshot& snapshot, bool with_blocks) {
    Table table({"GROUPING", "CIDR", "IPS TOTAL", "IPS IN USE", "IPS RESERVED", "IPS FREE"});
    table.right_align_from(2);
    for (const ipam::UsageRow& row :
         ipam::usage_rows(snapshot.pools, snapshot.blocks, snapshot.reservations, with_blocks)) {
        table.add({row.grouping == ipam::UsageRow::Grouping::pool ? "IP Pool" : "Block", row.cidr.to_string(),
                   fmt::format("{:.5g}", row.total), share(row.in_use, row.total), share(row.reserved, row.total),
                   share(row.free, row.total)});
    }
    context.print(table.boxed());
}

void print_borrowed(const Context& context, const Snapshot& snapshot) {
    const ipam::Borrowed borrowed = ipam::borrowed_rows(snapshot.blocks);
    Table table({"IP", "BORROWING-NODE", "BLOCK", "BLOCK OWNER", "TYPE", "ALLOCATED-TO"});
    for (const ipam::BorrowedRow& row : borrowed.rows) {
        table.add({row.address.to_string(), row.borrower, row.block.to_string(), row.block_owner, row.type,
                   row.allocated_to});
    }
    context.print(table.boxed());
    if (borrowed.without_node > 0) {
        context.print(fmt::format("{} more addresses do not name their node; they may be borrowed or not.\n",
                                  borrowed.without_node));
    }
}

ExitCode print_address(const Context& context, const Snapshot& snapshot, const std::string& text) {
    const auto address = net::Ip::parse(text);
    if (!address) {
        return context.fail("--ip=" + text + ": invalid IP address");
    }
    const ipam::AddressReport report = ipam::report_address(snapshot.pools, snapshot.blocks, *address);
    if (report.state == ipam::AddressReport::State::free || !report.owner) {
        context.print("IP " + text + " is not assigned\n");
        return ExitCode::ok;
    }
    context.print("IP " + text +
                  (report.state == ipam::AddressReport::State::cooling ? " is in cool-down\n" : " is in use\n"));
    context.print("Handle ID: " + report.owner->handle + "\n");
    if (report.block) {
        context.print("Block: " + report.block->to_string() +
                      (report.pool.empty() ? std::string(" of no pool") : " of pool " + report.pool) + ", owned by " +
                      (report.block_owner.empty() ? "nobody" : report.block_owner) + "\n");
    }
    context.print("Attributes:\n");
    for (const auto& [key, value] : report.owner->attributes) {
        context.print("  " + key + ": " + value + "\n");
    }
    return ExitCode::ok;
}

ExitCode print_configuration(const Context& context) {
    const auto object = context.store->get({Kind::ipam_configuration, "", "default"});
    if (!object) {
        return context.fail(describe(object.error()));
    }
    const auto decoded = codec::decode(Kind::ipam_configuration, *object->document, codec::Mode::lenient);
    const auto view = model::as<model::IpamConfiguration>(decoded.resource);
    if (!view) {
        return context.fail("IPAMConfiguration(default) cannot be read");
    }
    Table table({"PROPERTY", "VALUE"});
    table.add({"StrictAffinity", view->spec.strict_affinity ? "true" : "false"});
    table.add({"AutoAllocateBlocks", view->spec.auto_allocate_blocks ? "true" : "false"});
    table.add({"MaxBlocksPerHost", std::to_string(view->spec.max_blocks_per_host)});
    table.add({"IPCooldownSeconds", std::to_string(view->spec.ip_cooldown_seconds)});
    context.print(table.boxed());
    return ExitCode::ok;
}

}  // namespace

ExitCode ipam_show(const Context& context, const IpamShowOptions& options) {
    if (options.configuration) {
        return print_configuration(context);
    }
    const auto snapshot = read(context);
    if (!snapshot) {
        return context.fail(describe(snapshot.error()));
    }
    for (const std::string& name : snapshot->unreadable) {
        context.err("manulctl: " + name + " cannot be read and is left out\n");
    }
    if (!options.ip.empty()) {
        return print_address(context, *snapshot, options.ip);
    }
    if (options.borrowed) {
        print_borrowed(context, *snapshot);
    } else {
        print_usage(context, *snapshot, options.blocks);
    }
    return snapshot->unreadable.empty() ? ExitCode::ok : ExitCode::failed;
}

}  // namespace manul::ctl
