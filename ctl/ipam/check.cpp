#include <algorithm>
#include <chrono>
#include <cstddef>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/model/ipam_block.hpp"
#include "ctl/ipam/inventory.hpp"
#include "ctl/ipam/options.hpp"
#include "ipam/core/check.hpp"
#include "ipam/core/check_report.hpp"
#include "ipam/core/repair.hpp"
#include "ipam/service/transaction.hpp"

namespace manul::ctl {

namespace {

using ipam::CheckResult;
using ipam::Inventory;
using ipam::Problem;

constexpr std::size_t kTopNodes = 20;

struct Look {
    Inventory inventory;
    CheckResult result;
};

store::StoreResult<Look> look(store::Store& store) {
    MANUL_TRY(Inventory inventory, read_inventory(store));
    CheckResult result = ipam::check(inventory, wall_now());
    return Look{std::move(inventory), std::move(result)};
}

/// What is still wrong after a moment: the lists of one look are not of one moment.
store::StoreResult<Look> look_twice(store::Store& store, std::chrono::milliseconds pause) {
    MANUL_TRY(Look first, look(store));
    if (first.result.findings.empty()) {
        return first;
    }
    std::this_thread::sleep_for(pause);
    MANUL_TRY(Look second, look(store));
    second.result = in_both(first.result, std::move(second.result));
    return second;
}

class Printer {
public:
    Printer(const Context& context, const Look& look, const IpamCheckOptions& options)
        : context_(context), inventory_(look.inventory), result_(look.result), options_(options) {}

    void print() const {
        line("Checking IPAM for inconsistencies...\n");
        print_objects();
        print_nodes();
        line("Scanning for IPs that are allocated but not actually in use...");
        section(Problem::leaked_address, "IPs that are allocated in IPAM but not actually in use");
        line("Scanning for IPs that are in use by a workload or node but not allocated in IPAM...");
        section(Problem::unallocated_elsewhere, "in-use IPs that are not in active IP pools");
        section(Problem::unallocated_in_pool,
                "in-use IPs that are in active IP pools but have no corresponding IPAM allocation");
        section(Problem::several_users, "IPs with several users");
        section(Problem::allocated_twice, "IPs that are allocated in two blocks");
        section(Problem::wrong_handle, "IPs that are allocated to another than their user");
        line("\nScanning for IPAM handles with no matching IPs...");
        section(Problem::handle_without_address,
                fmt::format("handles with no matching IPs (and {} handles with matches)",
                            inventory_.handles.size() - result_.leaked_handles.size()));
        line("Scanning for IPs with missing handle...");
        section(Problem::handle_missing, "handles mentioned in blocks with no matching handle resource");
        section(Problem::handle_count, "handles whose numbers differ from their blocks'");
        line("\nScanning for inconsistent blocks and affinities...");
        section(Problem::malformed_block, "malformed blocks");
        section(Problem::overlapping_blocks, "blocks inside other blocks");
        section(Problem::block_outside_pools, "blocks outside of all IP pools");
        section(Problem::block_size, "blocks of another size than their IP pool's");
        section(Problem::unknown_node, "blocks of nodes that do not exist");
        section(Problem::block_without_affinity, "blocks whose node has no affinity for them");
        section(Problem::affinity_without_block, "affinities without block");
        section(Problem::owners_differ, "affinities whose block belongs to somebody else");
        section(Problem::pending_affinity, "affinities that were never confirmed");
        line("\nScanning for IPs and nodes that do not follow the configuration...");
        section(Problem::too_many_blocks, "nodes with more blocks than maxBlocksPerHost");
        section(Problem::reserved_in_use, "reserved IPs in use");
        section(Problem::borrowed_under_strict_affinity, "borrowed IPs although strictAffinity is on");
        section(Problem::unreadable_object, "objects that cannot be read");
        line(fmt::format("\nCheck complete; found {} problems.", result_.findings.size()));
    }

private:
    void line(const std::string& text) const { context_.print(text + "\n"); }

    void print_objects() const {
        line("Loading all IPAM blocks...");
        line(fmt::format("Found {} IPAM blocks.", inventory_.blocks.size()));
        for (const model::IpamBlockSpec& block : inventory_.blocks) {
            line(fmt::format(" IPAM block {} affinity={}:", block.cidr.to_string(), block.affinity.value_or("<none>")));
        }
        line(fmt::format("IPAM blocks record {} allocations.\n", result_.allocations.size()));
        line("Loading all IPAM pools...");
        std::size_t active = 0;
        for (const ipam::Pool& pool : inventory_.pools) {
            if (!pool.disabled) {
                ++active;
                line("  " + pool.cidr.to_string());
            }
        }
        line(fmt::format("Found {} active IP pools.\n", active));
        const auto users = [&](ipam::User::Kind kind) {
            return std::ranges::count_if(inventory_.users, [&](const auto& one) { return one.second.kind == kind; });
        };
        line("Loading all nodes.");
        line(fmt::format("Found {} node tunnel IPs.\n", users(ipam::User::Kind::tunnel)));
        line("Loading all service load balancers.");
        line(fmt::format("Found {} service load balancer IPs.\n", users(ipam::User::Kind::load_balancer)));
        line("Loading all workload endpoints.");
        line(fmt::format("Found {} workload IPs.", users(ipam::User::Kind::workload)));
        line(fmt::format("Workloads and nodes are using {} IPs.\n", inventory_.users.size()));
        if (options_.show_all) {
            for (const auto& [address, user] : inventory_.users) {
                line(fmt::format("  {} is used by {}", address.to_string(), user.name));
            }
            for (const ipam::Allocation& allocation : result_.allocations) {
                line(fmt::format("  {} is allocated to handle {} in block {}", allocation.address.to_string(),
                                 allocation.handle, allocation.block.to_string()));
            }
        }
        line("Loading all handles");
    }

    void print_nodes() const {
        std::vector<std::pair<std::string, std::size_t>> nodes(result_.allocations_by_node.begin(),
                                                               result_.allocations_by_node.end());
        std::ranges::stable_sort(nodes, [](const auto& a, const auto& b) { return a.second > b.second; });
        line(fmt::format("Looking for top (up to {}) nodes by allocations...", kTopNodes));
        for (std::size_t i = 0; i < nodes.size() && i < kTopNodes; ++i) {
            line(fmt::format("  {} has {} allocations", nodes[i].first, nodes[i].second));
        }
        if (!nodes.empty()) {
            line(fmt::format("Node with most allocations has {}; median is {}", nodes.front().second,
                             nodes[nodes.size() / 2].second));
        }
        line("");
    }

    void section(Problem problem, const std::string& what) const {
        line(fmt::format("Found {} {}.", result_.count(problem), what));
        if (!options_.show_problems) {
            return;
        }
        for (const ipam::Finding& finding : result_.findings) {
            if (finding.problem == problem) {
                line("  " + finding.text);
            }
        }
    }

    const Context& context_;
    const Inventory& inventory_;
    const CheckResult& result_;
    const IpamCheckOptions& options_;
};

/// A block that cannot be used as it is has to be rewritten as a document.
store::StoreResult<bool> rebuild(store::Store& store, const net::Prefix& cidr) {
    MANUL_TRY(const store::Object object, store.get(ipam::block_key(cidr)));
    const auto decoded = codec::decode(object.key.kind, *object.document, codec::Mode::lenient);
    const auto before = model::as<model::IpamBlock>(decoded.resource);
    if (!before) {
        return false;
    }
    model::IpamBlock after = *before;
    after.spec = ipam::salvage(before->spec, wall_now());
    const auto document = codec::merge(*object.document, *before, after);
    if (!document) {
        return std::unexpected(store::StoreError{store::StoreError::Code::corrupt, document.error().message, {}});
    }
    MANUL_CHECK(store.update(object.key, *document, object.revision));
    return true;
}

struct Repaired {
    std::size_t done = 0;
    std::size_t failed = 0;
};

Repaired repair_all(const Context& context, const Look& look) {
    Repaired out;
    ipam::StoreSource source(*context.store, {});
    ipam::Committer committer(*context.store, source);
    source.begin(wall_now());
    std::string last_block;
    for (const ipam::Finding& finding : look.result.findings) {
        if (finding.repair.empty()) {
            continue;
        }
        bool changed = false;
        std::string problem;
        if (finding.problem == Problem::malformed_block) {
            if (std::exchange(last_block, finding.subject) == finding.subject) {
                continue;  // one rewrite mends all that is wrong with it
            }
            const auto done = rebuild(*context.store, *finding.block);
            changed = done && *done;
            problem = done ? "" : describe(done.error());
        } else {
            const ipam::Change change = [&](ipam::Transaction& transaction) -> ipam::Outcome<void> {
                MANUL_TRY(changed, repair(transaction.ipam(), look.inventory, finding, wall_now()));
                return {};
            };
            const auto done = committer.run(std::span(&change, 1)).front();
            problem = done ? "" : done.error().msg;
        }
        if (!problem.empty()) {
            ++out.failed;
            context.err(fmt::format("manulctl: not repaired: {}: {}\n", finding.text, problem));
        } else if (changed) {
            ++out.done;
            context.print(fmt::format("Repaired: {}; {}.\n", finding.text, finding.repair));
        }
    }
    return out;
}

std::string write_file(const std::string& path, const std::string& text) {
    std::ofstream file(path, std::ios::trunc);
    file << text;
    file.close();
    return file ? "" : path + ": cannot be written";
}

}  // namespace

ExitCode ipam_check(const Context& context, const IpamCheckOptions& options) {
    const bool json_only = options.output == "json" || options.output == "-";
    const auto header = read_report_header(*context.store);
    if (!header) {
        return context.fail(describe(header.error()));
    }
    auto found = look_twice(*context.store, options.between_looks);
    if (!found) {
        return context.fail(describe(found.error()));
    }
    if (!json_only) {
        Printer(context, *found, options).print();
    }
    bool failed = false;
    if (options.repair) {
        Context quiet = context;
        if (json_only) {
            quiet.out = context.err;  // standard output carries the report alone
        }
        Repaired repaired;
        // Repairs uncover further ones: a rebuilt block shows whose addresses it holds.
        for (int round = 0; round < 3; ++round) {
            const Repaired now = repair_all(quiet, *found);
            repaired = {repaired.done + now.done, now.failed};
            if (now.done == 0) {
                break;
            }
            found = look_twice(*context.store, options.between_looks);
            if (!found) {
                return context.fail(describe(found.error()));
            }
        }
        quiet.print(fmt::format("Repaired {} problems; {} are left.\n", repaired.done, found->result.findings.size()));
        if (!options.show_problems) {
            for (const ipam::Finding& finding : found->result.findings) {
                quiet.print("  " + finding.text + "\n");
            }
        }
        failed = repaired.failed > 0;
    }
    if (json_only) {
        context.print(print_report(*header, found->result));
    } else if (!options.output.empty()) {
        if (const std::string problem = write_file(options.output, print_report(*header, found->result));
            !problem.empty()) {
            return context.fail(problem);
        }
    }
    return failed || (options.fail_on_problems && !found->result.findings.empty()) ? ExitCode::failed : ExitCode::ok;
}

}  // namespace manul::ctl
