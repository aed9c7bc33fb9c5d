#include "ipam/core/check.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "ipam/core/block.hpp"
#include "ipam/core/load_balancer.hpp"

namespace manul::ipam {

namespace {

/// Addresses that Calico keeps for Windows nodes: nobody uses them, and they are no leak.
constexpr std::string_view kWindowsHandle = "windows-reserved-ipam-handle";

std::string attribute(const model::StringMap& attributes, std::string_view key) {
    const auto at = attributes.find(key);
    return at == attributes.end() ? std::string{} : at->second;
}

/// "pod default/web on n1", "vxlanTunnelAddress of n1", or the handle.
std::string whose(const Allocation& allocation) {
    const std::string node = attribute(allocation.attributes, "node");
    const std::string pod = attribute(allocation.attributes, "pod");
    const std::string type = attribute(allocation.attributes, "type");
    std::string text = "handle " + (allocation.handle.empty() ? "(none)" : allocation.handle);
    if (!pod.empty()) {
        text += fmt::format(", pod {}/{}", attribute(allocation.attributes, "namespace"), pod);
    } else if (!type.empty()) {
        text += ", " + type;
    }
    return node.empty() ? text : text + " on node " + node;
}

class Checker {
public:
    Checker(const Inventory& inventory, WallTime now) : in_(inventory), now_(now) {}

    CheckResult run() {
        for (const std::string& object : in_.unreadable) {
            add({.problem = Problem::unreadable_object, .subject = object, .text = object + " cannot be read"});
        }
        read_blocks();
        check_allocations();
        check_users();
        check_handles();
        check_affinities();
        check_blocks();
        return std::move(out_);
    }

private:
    void add(Finding finding) { out_.findings.push_back(std::move(finding)); }

    [[nodiscard]] const Pool* pool_of_block(const net::Prefix& cidr) const {
        const auto at = std::ranges::find_if(in_.pools, [&](const Pool& pool) { return pool.cidr.contains(cidr); });
        return at == in_.pools.end() ? nullptr : &*at;
    }

    void read_blocks() {
        std::map<net::Ip, net::Prefix> seen;
        for (const model::IpamBlockSpec& spec : in_.blocks) {
            for (std::string& text : check_block(spec, now_)) {
                add({.problem = Problem::malformed_block,
                     .subject = spec.cidr.to_string(),
                     .text = std::move(text),
                     .repair = "the block is rebuilt from what it says of each address",
                     .block = spec.cidr});
            }
            auto block = Block::from_model(spec);
            if (!block) {
                sound_ = false;
                continue;
            }
            out_.cooling += block->cooling_count();
            for (std::size_t i = 0; i < block->size(); ++i) {
                const auto ordinal = static_cast<Block::Ordinal>(i);
                const OwnerPtr& owner = block->owner(ordinal);
                if (!owner || owner->is_cooling()) {
                    continue;
                }
                note_allocation(*block, ordinal, *owner, seen);
            }
            blocks_.push_back(*std::move(block));
        }
    }

    void note_allocation(const Block& block, Block::Ordinal ordinal, const Owner& owner,
                         std::map<net::Ip, net::Prefix>& seen) {
        const net::Ip address = block.address(ordinal);
        const auto block_owner = affinity_node(block.affinity());
        Allocation allocation{.address = address,
                              .block = block.cidr(),
                              .handle = owner.handle,
                              .sequence = block.sequence_of(ordinal),
                              .attributes = owner.attributes};
        allocation.borrowed = !owner.node().empty() && block_owner && owner.node() != *block_owner;
        for (auto [at, last] = in_.users.equal_range(address); at != last; ++at) {
            allocation.users.push_back(at->second.name);
        }
        if (const auto service = service_of(owner.attributes); service && allocation.users.empty()) {
            // Its status may not say so yet; and Calico's controller gives to Services that this store may not have.
            const std::size_t slash = service->find('/');
            const bool ours = owner.handle == service_handle(service->substr(0, slash), service->substr(slash + 1));
            if (!ours || in_.services.contains(*service)) {
                allocation.users.push_back("Service(" + *service + ")");
            }
        }
        const auto [first, is_new] = seen.emplace(address, block.cidr());
        if (!is_new) {
            add({.problem = Problem::allocated_twice,
                 .subject = address.to_string(),
                 .text = fmt::format("{} is allocated in block {} and in block {}", address.to_string(),
                                     first->second.to_string(), block.cidr().to_string()),
                 .address = address});
        }
        if (!owner.handle.empty()) {
            ++counted_[owner.handle][block.cidr()];
        }
        if (!owner.node().empty()) {
            ++out_.allocations_by_node[std::string(owner.node())];
        }
        out_.allocations.push_back(std::move(allocation));
    }

    void check_allocations() {
        std::set<std::string, std::less<>> handles_in_use;
        for (const Allocation& allocation : out_.allocations) {
            if (allocation.in_use()) {
                handles_in_use.insert(allocation.handle);
            }
        }
        const Reservations reserved(in_.reservations);
        for (const Allocation& allocation : out_.allocations) {
            const std::string address = allocation.address.to_string();
            if (!allocation.in_use() && allocation.handle != kWindowsHandle) {
                std::string repair;
                if (sound() && !handles_in_use.contains(allocation.handle)) {
                    repair = "the address is released";
                }
                add({.problem = Problem::leaked_address,
                     .subject = address,
                     .text = fmt::format("{} is allocated ({}), but nobody uses it", address, whose(allocation)),
                     .repair = std::move(repair),
                     .address = allocation.address,
                     .block = allocation.block,
                     .sequence = allocation.sequence,
                     .handle = allocation.handle});
            }
            if (reserved.contains(allocation.address) && allocation.handle != kWindowsHandle) {
                add({.problem = Problem::reserved_in_use,
                     .subject = address,
                     .text = fmt::format("{} is in use ({}) although an IPReservation covers it", address,
                                         whose(allocation)),
                     .address = allocation.address});
            }
            if (allocation.borrowed && in_.settings.strict_affinity) {
                add({.problem = Problem::borrowed_under_strict_affinity,
                     .subject = address,
                     .text =
                         fmt::format("{} is borrowed ({}) although strictAffinity is on", address, whose(allocation)),
                     .address = allocation.address});
            }
        }
    }

    /// Only when everything could be read is something that nobody seems to use really unused.
    [[nodiscard]] bool sound() const noexcept { return in_.unreadable.empty() && sound_; }

    void check_users() {
        std::map<net::Ip, const Allocation*> allocated;
        for (const Allocation& allocation : out_.allocations) {
            allocated.emplace(allocation.address, &allocation);
        }
        for (auto at = in_.users.begin(); at != in_.users.end();) {
            const auto next = in_.users.upper_bound(at->first);
            const std::string address = at->first.to_string();
            if (std::next(at) != next) {
                std::vector<std::string> names;
                for (auto user = at; user != next; ++user) {
                    names.push_back(user->second.name);
                }
                add({.problem = Problem::several_users,
                     .subject = address,
                     .text = fmt::format("{} is used by {}", address, fmt::join(names, " and by ")),
                     .address = at->first});
            }
            const auto found = allocated.find(at->first);
            if (found == allocated.end()) {
                check_unallocated(at->first, at->second);
            } else {
                check_handle_of(*found->second, at, next);
            }
            at = next;
        }
    }

    void check_unallocated(const net::Ip& address, const User& user) {
        if (!user.managed) {
            return;
        }
        const Pool* pool = pool_of(in_.pools, address);
        Finding finding{.problem = pool != nullptr ? Problem::unallocated_in_pool : Problem::unallocated_elsewhere,
                        .subject = address.to_string(),
                        .address = address,
                        .node = user.node,
                        .user = user};
        if (pool == nullptr) {
            finding.text = fmt::format("{} is used by {}, but lies in no enabled IPPool", finding.subject, user.name);
        } else {
            finding.text = fmt::format("{} of IPPool {} is used by {}, but not allocated: it may be given to another",
                                       finding.subject, pool->name, user.name);
            finding.repair = user.handles.empty() ? "" : "the address is allocated to its user";
        }
        add(std::move(finding));
    }

    void check_handle_of(const Allocation& allocation, std::multimap<net::Ip, User>::const_iterator first,
                         std::multimap<net::Ip, User>::const_iterator last) {
        const bool fits = std::any_of(first, last, [&](const auto& pair) {
            const std::vector<std::string>& handles = pair.second.handles;
            return handles.empty() || std::ranges::find(handles, allocation.handle) != handles.end();
        });
        if (!fits) {
            add({.problem = Problem::wrong_handle,
                 .subject = allocation.address.to_string(),
                 .text = fmt::format("{} is allocated to another ({}) than its user {}", allocation.address.to_string(),
                                     whose(allocation), first->second.name),
                 .address = allocation.address});
        }
    }

    void check_handles() {
        std::set<std::string, std::less<>> existing;
        for (const Handle& handle : in_.handles) {
            existing.insert(handle.id);
            const auto counted = counted_.find(handle.id);
            std::vector<net::Prefix> blocks;
            for (const auto& [cidr, count] : handle.blocks) {
                blocks.push_back(cidr);
            }
            if (counted == counted_.end()) {
                const auto revision = in_.handle_revisions.find(handle.id);
                out_.leaked_handles.push_back(
                    {handle.id, revision == in_.handle_revisions.end() ? std::string() : revision->second});
                add({.problem = Problem::handle_without_address,
                     .subject = handle.id,
                     .text = fmt::format("handle {} has no address", handle.id),
                     .repair = sound_ ? "the handle is removed" : "",
                     .handle = handle.id,
                     .handle_blocks = std::move(blocks)});
            } else if (counted->second != handle.blocks) {
                add_handle_finding(
                    Problem::handle_count,
                    fmt::format("handle {} counts other numbers of addresses than its blocks hold", handle.id),
                    "its numbers are counted anew", handle.id, std::move(blocks));
            }
        }
        for (const auto& [id, blocks] : counted_) {
            if (!existing.contains(id)) {
                add_handle_finding(Problem::handle_missing,
                                   fmt::format("handle {} has addresses, but does not exist", id),
                                   "the handle is written", id, {});
            }
        }
    }

    void add_handle_finding(Problem problem, std::string text, std::string repair, const std::string& id,
                            std::vector<net::Prefix> blocks) {
        for (const auto& [cidr, count] : counted_[id]) {
            if (std::ranges::find(blocks, cidr) == blocks.end()) {
                blocks.push_back(cidr);
            }
        }
        add({.problem = problem,
             .subject = id,
             .text = std::move(text),
             .repair = sound_ ? std::move(repair) : std::string{},
             .handle = id,
             .handle_blocks = std::move(blocks)});
    }

    void check_affinities() {
        std::map<net::Prefix, const model::IpamBlockSpec*> by_cidr;
        for (const model::IpamBlockSpec& spec : in_.blocks) {
            by_cidr.emplace(spec.cidr, &spec);
        }
        for (const StoredAffinity& stored : in_.affinities) {
            const Affinity& affinity = stored.affinity;
            if (affinity.type != model::AffinityType::host) {
                continue;
            }
            affinities_.emplace(affinity.node, affinity.cidr);
            if (const Pool* pool = pool_of_block(affinity.cidr)) {
                ++blocks_by_node_[{affinity.node, pool->name}];
            }
            const std::string cidr = affinity.cidr.to_string();
            Finding finding{.subject = cidr, .block = affinity.cidr, .node = affinity.node};
            const auto block = by_cidr.find(affinity.cidr);
            if (block == by_cidr.end()) {
                if (!affinity.is_confirmed() && !is_old(stored)) {
                    continue;
                }
                finding.problem = Problem::affinity_without_block;
                finding.text =
                    fmt::format("node {} has an affinity for block {}, which does not exist", affinity.node, cidr);
                finding.repair = in_.unreadable.empty() ? "the affinity is removed" : "";
            } else if (block->second->affinity.value_or("") != host_affinity(affinity.node)) {
                finding.problem = Problem::owners_differ;
                finding.text = fmt::format("node {} has an affinity for block {}, which says that it belongs to {}",
                                           affinity.node, cidr, block->second->affinity.value_or("nobody"));
                finding.repair = "the affinity is removed";
            } else if (!affinity.is_confirmed() && is_old(stored)) {
                finding.problem = Problem::pending_affinity;
                finding.text = fmt::format(
                    "the affinity of node {} for block {} was never confirmed: its routes are "
                    "not announced",
                    affinity.node, cidr);
                finding.repair = "the affinity is confirmed";
            } else {
                continue;
            }
            add(std::move(finding));
        }
        for (const auto& [owner, count] : blocks_by_node_) {
            const auto& [node, pool] = owner;
            if (in_.settings.max_blocks_per_host != 0 && count > in_.settings.max_blocks_per_host) {
                add({.problem = Problem::too_many_blocks,
                     .subject = node,
                     .text = fmt::format("node {} owns {} blocks of pool {}, more than maxBlocksPerHost {}", node,
                                         count, pool, in_.settings.max_blocks_per_host),
                     .node = node});
            }
        }
    }

    [[nodiscard]] bool is_old(const StoredAffinity& stored) const {
        return !stored.created || now_ - *stored.created >= kPendingAge;
    }

    void check_blocks() {
        std::vector<const Block*> sorted;
        for (const Block& block : blocks_) {
            sorted.push_back(&block);
        }
        std::ranges::sort(sorted, {}, [](const Block* block) -> const net::Prefix& { return block->cidr(); });
        const Block* widest = nullptr;  // of those before, the one that reaches furthest
        for (const Block* block : sorted) {
            if (widest != nullptr && widest->cidr().overlaps(block->cidr())) {
                add_block_finding(Problem::overlapping_blocks, *block,
                                  fmt::format("block {} lies inside block {}", block->cidr().to_string(),
                                              widest->cidr().to_string()));
            } else {
                widest = block;
            }
            check_place(*block);
            check_owner(*block);
        }
    }

    void check_place(const Block& block) {
        const Pool* pool = pool_of_block(block.cidr());
        const std::string cidr = block.cidr().to_string();
        if (pool == nullptr) {
            add_block_finding(
                Problem::block_outside_pools, block,
                fmt::format("block {} lies in no IPPool ({} addresses in use)", cidr, block.in_use_count()));
        } else if (pool->block_size != block.cidr().length()) {
            add_block_finding(
                Problem::block_size, block,
                fmt::format("block {} is not of the size of its IPPool {} (/{})", cidr, pool->name, pool->block_size));
        }
    }

    void check_owner(const Block& block) {
        const auto node = affinity_node(block.affinity());
        if (!node) {
            return;
        }
        const std::string name(*node);
        const std::string cidr = block.cidr().to_string();
        if (!in_.nodes.contains(name)) {
            add({.problem = Problem::unknown_node,
                 .subject = cidr,
                 .text = fmt::format("block {} belongs to node {}, which does not exist; if it is gone for good, free "
                                     "what it holds with `manulctl delete node {} --release-addresses`",
                                     cidr, name, name),
                 .block = block.cidr(),
                 .node = name});
        } else if (!affinities_.contains({name, block.cidr()})) {
            add({.problem = Problem::block_without_affinity,
                 .subject = cidr,
                 .text = fmt::format("block {} belongs to node {}, which has no affinity for it: its routes are not "
                                     "announced",
                                     cidr, name),
                 .repair = in_.unreadable.empty() ? "the affinity is written" : "",
                 .block = block.cidr(),
                 .node = name});
        }
    }

    /// A block that should not be there: an empty one can go.
    void add_block_finding(Problem problem, const Block& block, std::string text) {
        add({.problem = problem,
             .subject = block.cidr().to_string(),
             .text = std::move(text),
             .repair = block.is_empty() ? "the empty block is removed" : "",
             .block = block.cidr(),
             .node = std::string(affinity_node(block.affinity()).value_or(""))});
    }

    const Inventory& in_;
    WallTime now_;
    bool sound_ = true;
    std::vector<Block> blocks_;
    std::map<std::string, std::map<net::Prefix, std::uint32_t>> counted_;
    std::set<std::pair<std::string, net::Prefix>> affinities_;
    std::map<std::pair<std::string, std::string>, std::size_t> blocks_by_node_;  ///< and pool
    CheckResult out_;
};

}  // namespace

std::string_view name_of(Problem problem) noexcept {
    constexpr std::array<std::string_view, 22> kNames{"leakedAddress",
                                                      "unallocatedInPool",
                                                      "unallocatedOutsidePools",
                                                      "severalUsers",
                                                      "wrongHandle",
                                                      "allocatedTwice",
                                                      "handleWithoutAddress",
                                                      "handleMissing",
                                                      "handleCount",
                                                      "malformedBlock",
                                                      "affinityWithoutBlock",
                                                      "blockWithoutAffinity",
                                                      "ownersDiffer",
                                                      "pendingAffinity",
                                                      "blockOutsidePools",
                                                      "blockSize",
                                                      "overlappingBlocks",
                                                      "unknownNode",
                                                      "tooManyBlocks",
                                                      "reservedInUse",
                                                      "borrowedUnderStrictAffinity",
                                                      "unreadableObject"};
    static_assert(kNames.size() == static_cast<std::size_t>(Problem::unreadable_object) + 1);
    return kNames[static_cast<std::size_t>(problem)];
}

std::size_t CheckResult::count(Problem problem) const noexcept {
    return static_cast<std::size_t>(std::ranges::count(findings, problem, &Finding::problem));
}

CheckResult check(const Inventory& inventory, WallTime now) { return Checker(inventory, now).run(); }

CheckResult in_both(const CheckResult& first, CheckResult second) {
    using Identity = std::tuple<Problem, std::string, std::optional<std::uint64_t>, std::string>;
    const auto identity = [](const Finding& finding) {
        return Identity(finding.problem, finding.subject, finding.sequence, finding.handle);
    };
    std::set<Identity> before;
    for (const Finding& finding : first.findings) {
        before.insert(identity(finding));
    }
    std::erase_if(second.findings, [&](const Finding& finding) { return !before.contains(identity(finding)); });
    const std::set<LeakedHandle> handles(first.leaked_handles.begin(), first.leaked_handles.end());
    std::erase_if(second.leaked_handles, [&](const LeakedHandle& handle) { return !handles.contains(handle); });
    return second;
}

}  // namespace manul::ipam
