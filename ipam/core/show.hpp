#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ipam/core/block.hpp"
#include "ipam/core/pool.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

/// The figures behind `manulctl ipam show`, as data: blocks and pools in, rows out. Pure.
namespace manul::ipam {

/// One row of the main table. Counts are doubles because IPv6 pools exceed every integer.
struct UsageRow {
    enum class Grouping : std::uint8_t { pool, block };

    Grouping grouping = Grouping::pool;
    net::Prefix cidr;
    double total = 0;
    double in_use = 0;    ///< allocated, cool-down included
    double reserved = 0;  ///< by IPReservations; an address may be both in use and reserved
    double free = 0;      ///< neither

    bool operator==(const UsageRow&) const = default;
};

/// An address in use by another node than its block's owner.
struct BorrowedRow {
    net::Ip address;
    std::string borrower;
    net::Prefix block;
    std::string block_owner;   ///< node, or empty when the block has no owner
    std::string type;          ///< of the address: "pod", or what the owner's attributes say
    std::string allocated_to;  ///< "namespace/pod", or the handle

    bool operator==(const BorrowedRow&) const = default;
};

/// What is known of one address.
struct AddressReport {
    enum class State : std::uint8_t { free, in_use, cooling };

    State state = State::free;
    std::optional<net::Prefix> block;
    std::string pool;
    std::string block_owner;
    OwnerPtr owner;  ///< null when free
    std::optional<std::uint64_t> sequence;
};

/// Pools in order of their range; with `with_blocks` each followed by its blocks, blocks of no pool at the end.
[[nodiscard]] std::vector<UsageRow> usage_rows(const std::vector<Pool>& pools, const std::vector<Block>& blocks,
                                               const std::vector<net::Prefix>& reservations, bool with_blocks);

struct Borrowed {
    std::vector<BorrowedRow> rows;
    std::size_t without_node = 0;  ///< allocations that do not name their node: they may be borrowed or not
};
[[nodiscard]] Borrowed borrowed_rows(const std::vector<Block>& blocks);

[[nodiscard]] AddressReport report_address(const std::vector<Pool>& pools, const std::vector<Block>& blocks,
                                           const net::Ip& address);

}  // namespace manul::ipam
