#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
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
    std::vector<std::size_t> rule_of;  ///< the same: index of the rule in its chain, where the message makes one
    std::uint32_t acknowledged = 0;    ///< sequence number of the message that is acknowledged

    static constexpr std::size_t kNoCommand = static_cast<std::size_t>(-1);
};

/// Tables are made with these flags where the kernel knows them: nobody but the socket that made a table can change it,
/// and it stays when the socket goes, for the next felix to take over (NFT_TABLE_F_OWNER, NFT_TABLE_F_PERSIST of Linux
/// 6.9, which older headers do not name).
inline constexpr std::uint32_t kOwnedTable = 0x2 | 0x4;
/// The table of pod egress is open to others: whoever learns addresses from DNS fills its sets.
[[nodiscard]] bool is_owned(render::TableId table) noexcept;

/// With `generation` the kernel refuses the batch (ERESTART) when somebody committed since that generation was read;
/// with `tell_handles` it answers with each rule that it made.
[[nodiscard]] Batch encode(const Transaction& transaction, std::optional<std::uint32_t> generation,
                           bool own_tables = false, bool tell_handles = false);
/// Makes and removes an owned table: refused by kernels that do not know the flags.
[[nodiscard]] Batch encode_owner_probe();

}  // namespace manul::felix::nft
