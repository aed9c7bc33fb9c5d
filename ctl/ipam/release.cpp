#include <chrono>
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "base/error.hpp"
#include "base/read_file.hpp"
#include "base/try.hpp"
#include "ctl/ipam/inventory.hpp"
#include "ctl/ipam/options.hpp"
#include "ipam/core/allocator.hpp"
#include "ipam/core/check_report.hpp"
#include "ipam/core/repair.hpp"
#include "ipam/service/transaction.hpp"
#include "net/ip.hpp"

namespace manul::ctl {

namespace {

using ipam::Inventory;
using ipam::Released;

/// The block that has the address, among those in the store.
std::optional<net::Prefix> block_of(const Inventory& inventory, const net::Ip& address) {
    for (const model::IpamBlockSpec& block : inventory.blocks) {
        if (block.cidr.contains(address)) {
            return block.cidr;
        }
    }
    return std::nullopt;
}

class Releaser {
public:
    Releaser(const Context& context, const Inventory& inventory)
        : inventory_(inventory), source_(*context.store, {}), committer_(*context.store, source_) {
        world_.pools = inventory.pools;
        world_.settings = inventory.settings;
        source_.begin(wall_now());
    }

    ipam::Outcome<Released> address(const net::Ip& address, std::optional<std::uint64_t> sequence) {
        const auto block = block_of(inventory_, address);
        if (!block) {
            return Released::not_allocated;
        }
        Released result = Released::not_allocated;
        MANUL_CHECK(run([&](ipam::Transaction& transaction) -> ipam::Outcome<void> {
            MANUL_TRY(result, release_address(transaction.ipam(), world_, address, *block, sequence, wall_now()));
            return {};
        }));
        return result;
    }

    /// False when the handle has addresses again, or was written since it was found empty: an allocation may be under
    /// way, which counts in the handle before it writes the block.
    ipam::Outcome<bool> empty_handle(const ipam::LeakedHandle& leaked) {
        const std::string& id = leaked.id;
        const auto revision = inventory_.handle_revisions.find(id);
        if (revision == inventory_.handle_revisions.end() ||
            (!leaked.revision.empty() && leaked.revision != revision->second)) {
            return false;
        }
        ipam::Finding finding{.problem = ipam::Problem::handle_without_address, .handle = id};
        for (const ipam::Handle& handle : inventory_.handles) {
            if (handle.id == id) {
                for (const auto& [cidr, count] : handle.blocks) {
                    finding.handle_blocks.push_back(cidr);
                }
            }
        }
        bool changed = false;
        MANUL_CHECK(run([&](ipam::Transaction& transaction) -> ipam::Outcome<void> {
            MANUL_TRY(changed, repair(transaction.ipam(), inventory_, finding, wall_now()));
            return {};
        }));
        return changed;
    }

private:
    ipam::Outcome<void> run(const ipam::Change& change) {
        MANUL_CHECK(committer_.run(std::span(&change, 1)).front());
        return {};
    }

    const Inventory& inventory_;
    ipam::StoreSource source_;
    ipam::Committer committer_;
    ipam::World world_;
};

ExitCode release_one(const Context& context, const Inventory& inventory, const std::string& text) {
    const auto address = net::Ip::parse(text);
    if (!address) {
        return context.fail("--ip=" + text + ": invalid IP address");
    }
    const auto released = Releaser(context, inventory).address(*address, std::nullopt);
    if (!released) {
        return context.fail(released.error().msg);
    }
    if (*released != Released::yes) {
        return context.fail("IP address " + text + " is not assigned");
    }
    for (auto [at, last] = inventory.users.equal_range(*address); at != last; ++at) {
        context.err(fmt::format("manulctl: warning: {} still uses {}\n", at->second.name, text));
    }
    context.print("Successfully released IP address " + text + "\n");
    return ExitCode::ok;
}

struct Reports {
    ipam::LeakReport common;
    std::set<std::string> revisions;  ///< of the cluster information that they saw
};

Result<Reports> read_reports(const std::vector<std::string>& paths) {
    std::vector<ipam::LeakReport> reports;
    Reports out;
    for (const std::string& path : paths) {
        MANUL_TRY(const std::string text, read_file(path));
        auto report = ipam::parse_report(text);
        if (!report) {
            return fail(path + ": " + report.error().message);
        }
        out.revisions.insert(report->header.cluster_revision);
        reports.push_back(*std::move(report));
    }
    MANUL_TRY(out.common, common_leaks(reports));
    return out;
}

/// Why these reports may not be used; empty: they may.
std::string objection(const ipam::ReportHeader& report, const ipam::ReportHeader& cluster, bool force) {
    if (report.cluster_guid != cluster.cluster_guid) {
        return fmt::format("the report is of cluster {}, this is {}", report.cluster_guid, cluster.cluster_guid);
    }
    if (force) {
        return {};
    }
    if (report.version != cluster.version) {
        return fmt::format("the report was made by version {}, this is {} (--force releases nevertheless)",
                           report.version, cluster.version);
    }
    if (!cluster.datastore_locked) {
        return "the datastore is not locked: lock it with `manulctl datastore migrate lock`, make a new report, and "
               "unlock it afterwards (--force releases nevertheless)";
    }
    return {};
}

ExitCode release_reported(const Context& context, const Inventory& inventory, const IpamReleaseOptions& options) {
    const auto reports = read_reports(options.reports);
    if (!reports) {
        return context.fail(reports.error().message);
    }
    const ipam::LeakReport* common = &reports->common;
    const auto cluster = read_report_header(*context.store);
    if (!cluster) {
        return context.fail(describe(cluster.error()));
    }
    if (const std::string why = objection(common->header, *cluster, options.force); !why.empty()) {
        return context.fail(why);
    }
    if (!reports->revisions.contains(cluster->cluster_revision)) {
        return context.fail(
            "no report was made since the datastore was last locked or unlocked: make a new one and give it as well");
    }
    Releaser releaser(context, inventory);
    std::size_t released = 0;
    std::size_t skipped = 0;
    std::size_t errors = 0;
    for (const ipam::LeakedAddress& leaked : common->addresses) {
        const std::string address = leaked.address.to_string();
        if (inventory.users.contains(leaked.address)) {
            ++skipped;
            context.print(address + " is in use now; skipped\n");
            continue;
        }
        const auto done = releaser.address(leaked.address, leaked.sequence);
        if (!done) {
            ++errors;
            context.err(fmt::format("manulctl: {}: {}\n", address, done.error().msg));
        } else if (*done == Released::yes) {
            ++released;
        } else {
            ++skipped;
            context.print(fmt::format(
                "{} {}; skipped\n", address,
                *done == Released::not_allocated ? "is not assigned any more" : "was assigned to another meanwhile"));
        }
    }
    if (released != 0) {
        context.print(fmt::format("Released {} IPs successfully\n", released));
    }
    context.print(fmt::format("Skipped {} IPs; {} errors.\n", skipped, errors));
    const std::size_t address_errors = errors;
    released = skipped = errors = 0;
    for (const ipam::LeakedHandle& handle : common->handles) {
        const auto done = releaser.empty_handle(handle);
        released += done && *done ? 1U : 0U;
        skipped += done && !*done ? 1U : 0U;
        errors += done ? 0U : 1U;
        context.print(!done ? "!" : *done ? "." : "x");
    }
    context.print(fmt::format("{}Released {} handles; {} skipped; {} errors.\n", common->handles.empty() ? "" : "\n",
                              released, skipped, errors));
    return address_errors + errors == 0 ? ExitCode::ok : ExitCode::failed;
}

}  // namespace

ExitCode ipam_release(const Context& context, const IpamReleaseOptions& options) {
    const auto inventory = read_inventory(*context.store);
    if (!inventory) {
        return context.fail(describe(inventory.error()));
    }
    return options.ip.empty() ? release_reported(context, *inventory, options)
                              : release_one(context, *inventory, options.ip);
}

}  // namespace manul::ctl
