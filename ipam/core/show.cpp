#include "ipam/core/show.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace manul::ipam {

namespace {

double size_of(const net::Prefix& range) { return std::ldexp(1.0, net::address_bits(range.family()) - range.length()); }

/// The ranges without those that lie inside another, so that nothing counts twice.
std::vector<net::Prefix> outermost(std::vector<net::Prefix> ranges) {
    std::ranges::sort(ranges);  // an enclosing range sorts before what it encloses
    std::vector<net::Prefix> out;
    for (const net::Prefix& range : ranges) {
        if (out.empty() || !out.back().contains(range)) {
            out.push_back(range);
        }
    }
    return out;
}

double reserved_in(const net::Prefix& range, const std::vector<net::Prefix>& reservations) {
    double count = 0;
    for (const net::Prefix& reservation : reservations) {
        if (range.overlaps(reservation)) {
            count += size_of(range.contains(reservation) ? reservation : range);
        }
    }
    return count;
}

bool is_reserved(const net::Ip& address, const std::vector<net::Prefix>& reservations) {
    return std::ranges::any_of(reservations, [&](const net::Prefix& range) { return range.contains(address); });
}

struct Counts {
    double in_use = 0;
    double in_use_and_reserved = 0;
};

Counts count(const Block& block, const std::vector<net::Prefix>& reservations) {
    Counts counts;
    for (std::size_t i = 0; i < block.size(); ++i) {
        const auto ordinal = static_cast<Block::Ordinal>(i);
        if (block.owner(ordinal)) {
            counts.in_use += 1;
            counts.in_use_and_reserved += is_reserved(block.address(ordinal), reservations) ? 1 : 0;
        }
    }
    return counts;
}

UsageRow make_row(UsageRow::Grouping grouping, const net::Prefix& cidr, const Counts& counts,
                  const std::vector<net::Prefix>& reservations) {
    UsageRow row{.grouping = grouping, .cidr = cidr, .total = size_of(cidr), .in_use = counts.in_use};
    row.reserved = reserved_in(cidr, reservations);
    row.free = row.total - row.in_use - row.reserved + counts.in_use_and_reserved;
    return row;
}

std::string attribute(const Owner& owner, const char* key) {
    const auto at = owner.attributes.find(key);
    return at == owner.attributes.end() ? std::string{} : at->second;
}

}  // namespace

std::vector<UsageRow> usage_rows(const std::vector<Pool>& pools, const std::vector<Block>& blocks,
                                 const std::vector<net::Prefix>& reservations, bool with_blocks) {
    const auto reserved = outermost(reservations);
    std::vector<const Block*> sorted;
    for (const Block& block : blocks) {
        sorted.push_back(&block);
    }
    std::ranges::sort(sorted, {}, [](const Block* block) -> const net::Prefix& { return block->cidr(); });
    std::vector<const Pool*> ordered;
    for (const Pool& pool : pools) {
        ordered.push_back(&pool);
    }
    std::ranges::sort(ordered, {}, [](const Pool* pool) -> const net::Prefix& { return pool->cidr; });

    std::vector<UsageRow> rows;
    const auto add_blocks = [&](const auto& belongs, Counts& sum) {
        for (const Block* block : sorted) {
            if (belongs(*block)) {
                const Counts counts = count(*block, reserved);
                sum.in_use += counts.in_use;
                sum.in_use_and_reserved += counts.in_use_and_reserved;
                if (with_blocks) {
                    rows.push_back(make_row(UsageRow::Grouping::block, block->cidr(), counts, reserved));
                }
            }
        }
    };
    for (const Pool* pool : ordered) {
        const std::size_t at = rows.size();
        Counts sum;
        add_blocks([&](const Block& block) { return pool->cidr.contains(block.cidr()); }, sum);
        rows.insert(rows.begin() + static_cast<std::ptrdiff_t>(at),
                    make_row(UsageRow::Grouping::pool, pool->cidr, sum, reserved));
    }
    Counts outside;
    add_blocks(
        [&](const Block& block) {
            return std::ranges::none_of(ordered, [&](const Pool* pool) { return pool->cidr.contains(block.cidr()); });
        },
        outside);
    return rows;
}

Borrowed borrowed_rows(const std::vector<Block>& blocks) {
    Borrowed out;
    for (const Block& block : blocks) {
        const std::string block_owner(affinity_node(block.affinity()).value_or(""));
        for (std::size_t i = 0; i < block.size(); ++i) {
            const auto ordinal = static_cast<Block::Ordinal>(i);
            const OwnerPtr& owner = block.owner(ordinal);
            if (!owner || owner->is_cooling()) {
                continue;
            }
            if (owner->node().empty()) {
                ++out.without_node;
                continue;
            }
            if (owner->node() == block_owner) {
                continue;
            }
            BorrowedRow row{.address = block.address(ordinal),
                            .borrower = std::string(owner->node()),
                            .block = block.cidr(),
                            .block_owner = block_owner,
                            .type = attribute(*owner, "type"),
                            .allocated_to = owner->handle};
            const std::string pod = attribute(*owner, "pod");
            if (!pod.empty()) {
                row.type = row.type.empty() ? "pod" : row.type;
                row.allocated_to = attribute(*owner, "namespace") + "/" + pod;
            }
            out.rows.push_back(std::move(row));
        }
    }
    std::ranges::sort(out.rows, {}, &BorrowedRow::address);
    return out;
}

AddressReport report_address(const std::vector<Pool>& pools, const std::vector<Block>& blocks, const net::Ip& address) {
    AddressReport report;
    for (const Pool& pool : pools) {
        if (pool.cidr.contains(address)) {
            report.pool = pool.name;
        }
    }
    for (const Block& block : blocks) {
        const auto ordinal = block.ordinal(address);
        if (!ordinal) {
            continue;
        }
        report.block = block.cidr();
        report.block_owner = affinity_node(block.affinity()).value_or("");
        report.owner = block.owner(*ordinal);
        report.sequence = block.sequence_of(*ordinal);
        if (report.owner) {
            report.state = report.owner->is_cooling() ? AddressReport::State::cooling : AddressReport::State::in_use;
        }
        break;
    }
    return report;
}

}  // namespace manul::ipam
