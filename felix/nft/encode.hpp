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
/// Only the last message of a command asks for an acknowledgement: an answer to every message would overflow the
/// socket, and kernels before 6.10 do not acknowledge the end of a batch.
struct Batch {
    netlink::RequestBuffer buffer;
    std::vector<std::size_t> command_of;
    std::uint32_t acknowledged = 0;  ///< sequence number of the message that is acknowledged

    static constexpr std::size_t kNoCommand = static_cast<std::size_t>(-1);
};

/// With `generation` the kernel refuses the batch (ERESTART) when somebody committed since that generation was read.
[[nodiscard]] Batch encode(const Transaction& transaction, std::optional<std::uint32_t> generation);

}  // namespace manul::felix::nft
