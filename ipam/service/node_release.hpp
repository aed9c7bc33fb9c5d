#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "config/store/store.hpp"
#include "ipam/core/draft.hpp"
#include "ipam/core/garbage.hpp"
#include "ipam/core/timestamp.hpp"

/// What a node that is gone for good leaves behind.
namespace manul::ipam {

/// Nodes that something in the store still names although they have no Node. A node that is only down keeps its Node;
/// one whose Node was deleted while it lives writes it back: so only a long absence means that it is gone.
class VanishedNodes {
public:
    static constexpr std::chrono::minutes kGrace{15};

    /// `existing`: all Nodes (the complete list); `mentioned`: names in affinities and reports. Returns those to free.
    [[nodiscard]] std::vector<std::string> observe(const std::set<std::string>& existing,
                                                   const std::set<std::string>& mentioned, SteadyTime now);

private:
    std::map<std::string, SteadyTime> absent_since_;
};

/// IPAMConfiguration `default`, or what holds without one.
[[nodiscard]] Outcome<IpamSettings> read_settings(store::Store& store);

struct NodeRelease {
    std::size_t endpoints = 0;
    std::size_t addresses = 0;
    std::size_t blocks = 0;
    std::size_t reports = 0;
};

/// Frees everything that a node holds: its endpoints, its addresses in its own and in others' blocks, its blocks (those
/// with addresses of other nodes lose their owner only), its reports. Safe to run twice, and to stop in between. Fails
/// when the Node exists. Blocks.
[[nodiscard]] Outcome<NodeRelease> release_node(store::Store& store, const std::string& node, WallTime now);

}  // namespace manul::ipam
