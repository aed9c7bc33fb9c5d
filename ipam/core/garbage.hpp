#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ipam/core/affinity.hpp"
#include "ipam/core/block.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

/// What a node may release: empty blocks, and addresses whose attachment is gone. Pure: observations in, candidates
/// out. Nothing is freed because of a single observation, and the caller reads again before it writes.
namespace manul::ipam {

using SteadyTime = std::chrono::steady_clock::time_point;
using BlockPtr = std::shared_ptr<const Block>;

/// Blocks that stayed empty for a while are given up, so that small pools do not strand on nodes. A node keeps one
/// block of each pool. A block whose pool is gone, disabled or no longer selects this node goes as soon as it is empty.
class EmptyBlocks {
public:
    static constexpr std::chrono::minutes kGrace{5};

    /// `keep`: of each pool that many blocks stay, empty or not.
    explicit EmptyBlocks(std::size_t keep = 1) : keep_(keep) {}

    /// `own`: all blocks with this node's affinity. Returns those to give up now.
    [[nodiscard]] std::vector<net::Prefix> observe(const std::vector<BlockPtr>& own, const World& world, SteadyTime now,
                                                   WallTime wall);

private:
    std::size_t keep_;
    std::map<net::Prefix, SteadyTime> empty_since_;
};

/// Handles of this node that no endpoint refers to. Addresses of tunnels and of other kinds of owners are left alone.
class Leaks {
public:
    static constexpr std::chrono::minutes kGrace{15};
    /// The grace period for handles whose container has no link on this node.
    static constexpr std::chrono::minutes kGraceWithoutLink{1};

    /// `blocks`: those in which this node has addresses; `alive`: handles of all its endpoints and of requests under
    /// way; `containers`: ids of containers whose links exist, nothing when that is not known. Returns the handles to
    /// release now, each as a whole.
    [[nodiscard]] std::vector<std::string> observe(const std::vector<BlockPtr>& blocks, const std::string& node,
                                                   const std::set<std::string>& alive,
                                                   const std::optional<std::set<std::string>>& containers,
                                                   SteadyTime now);
    /// Handles that are suspected, released or not yet.
    [[nodiscard]] std::size_t suspected() const noexcept { return suspected_since_.size(); }

private:
    std::map<std::string, SteadyTime> suspected_since_;
};

/// Those of `handles` without an address in `used`: an address that any endpoint uses, whoever wrote it, is no leak.
[[nodiscard]] std::vector<std::string> without_users(const std::vector<std::string>& handles,
                                                     const std::vector<BlockPtr>& blocks,
                                                     const std::set<net::Ip>& used);

}  // namespace manul::ipam
