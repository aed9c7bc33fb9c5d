#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "config/model/ipam_block.hpp"
#include "ipam/core/block.hpp"

/// Blocks as documents, without printing again what did not change.
///
/// A block is written with every pod, and its document consists mostly of the owners of its addresses: a few hundred
/// bytes each, the same from write to write. So these texts are kept, and a write joins them.
namespace manul::ipam {

class BlockText {
public:
    /// What codec::encode() makes of `block` with the attributes of these owners, which itself has none.
    [[nodiscard]] std::string print(const model::IpamBlock& block, const std::vector<OwnerPtr>& owners);

private:
    static constexpr std::size_t kMaxKept = 2 * kMaxBlockAddresses;

    std::unordered_map<OwnerPtr, std::string> texts_;  ///< by identity: an owner never changes
};

}  // namespace manul::ipam
