#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "felix/nft/transaction.hpp"
#include "net/netlink/message.hpp"

namespace manul::felix::nft {

/// A transaction as one nf_tables netlink batch, to be sent by one system call. Each message has its index as sequence
/// number; `command_of[index]` is the command that it came from (batch begin and end: no command).
///
/// Only the last message asks for an acknowledgement: an answer to every message would overflow the
/// socket, and kernels before 6.10 do not acknowledge the end of a batch.
struct Batch {
    netlink::RequestBuffer buffer;
    std::vector<std::size_t> command_of;
    std::uint32_t acknowledged = 0;  ///< sequence number of the message that is acknowledged

    /// A message that makes a rule.
    struct NewRule {
        std::size_t command = 0;
        std::size_t rule = 0;          ///< index in the chain
        std::uint32_t message = 0;     ///< sequence number
        std::uint32_t made_until = 0;  ///< objects that the batch has made in the table by then, with this one
    };
    /// In their order.
    std::map<TableKey, std::vector<NewRule>> new_rules;

    static constexpr std::size_t kNoCommand = static_cast<std::size_t>(-1);
};

/// Tables are made with these flags where the kernel knows them: nobody but the socket that made a table can change it,
/// and it stays when the socket goes, for the next felix to take over (NFT_TABLE_F_OWNER, NFT_TABLE_F_PERSIST of Linux
/// 6.9, which older headers do not name).
inline constexpr std::uint32_t kOwnedTable = 0x2 | 0x4;
/// The table of pod egress is open to others: whoever learns addresses from DNS fills its sets.
[[nodiscard]] bool is_owned(render::TableId table) noexcept;

/// With `generation` the kernel refuses the batch (ERESTART) when somebody committed since that generation was read.
/// It answers with the first and the last rule that the batch makes in each table.
[[nodiscard]] Batch encode(const Transaction& transaction, std::optional<std::uint32_t> generation,
                           bool own_tables = false);
/// The handles of all new rules, from those in the kernel's answers, by sequence number. An answer costs more than
/// making the rule, and the kernel numbers the chains, rules and sets of a table one after another: where the answered
/// handles of a table are as far apart as they should be, those between are known.
[[nodiscard]] std::vector<RuleHandle> number_rules(const Batch& batch,
                                                   const std::unordered_map<std::uint32_t, std::uint64_t>& answered);
/// Makes and removes an owned table: refused by kernels that do not know the flags.
[[nodiscard]] Batch encode_owner_probe();

}  // namespace manul::felix::nft
