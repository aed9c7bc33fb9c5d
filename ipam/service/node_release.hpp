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

/// Nodes that the store still refers to although they have no Node. A node that is merely down keeps its Node; one
/// whose Node is deleted while it is alive writes it back or, where it cannot (on Kubernetes), updates its report every
/// few minutes. So only a long absence without any sign of life means that a node is gone.
class VanishedNodes {
public:
    static constexpr std::chrono::minutes kGrace{15};

    /// `existing`: all Nodes (the complete list); `mentioned`: names in affinities and reports, with a text that
    /// changes whenever one of the node's daemons writes its report. Returns those to free.
    [[nodiscard]] std::vector<std::string> observe(const std::set<std::string>& existing,
                                                   const std::map<std::string, std::string>& mentioned, SteadyTime now);

private:
    struct Absence {
        SteadyTime since;
        std::string signs;  ///< of life, as seen then
    };
    std::map<std::string, Absence> absences_;
};

/// IPAMConfiguration `default`, or the defaults if there is none.
[[nodiscard]] Outcome<IpamSettings> read_settings(store::Store& store);

struct NodeRelease {
    std::size_t endpoints = 0;
    std::size_t addresses = 0;
    std::size_t blocks = 0;
    std::size_t reports = 0;
};

/// Frees everything that a node holds: its endpoints, its addresses in its own and in others' blocks, its blocks (those
/// with addresses of other nodes only lose their owner), its reports. Safe to repeat and to interrupt. Fails if the
/// Node exists. Blocks.
[[nodiscard]] Outcome<NodeRelease> release_node(store::Store& store, const std::string& node, WallTime now);

}  // namespace manul::ipam
