#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "ctl/context.hpp"
#include "ctl/policy/cluster_view.hpp"
#include "ctl/verbs/input.hpp"
#include "felix/eval/packet.hpp"
#include "felix/io/conntrack.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/model/host_endpoint.hpp"
#include "felix/model/policy_id.hpp"

namespace manul::ctl {

struct ImpactOptions {
    InputOptions input;   ///< objects as they would be applied
    bool remove = false;  ///< as if they were deleted
    bool staged = false;  ///< the staged policies of the store, as if they were enforced
    bool flows = false;   ///< also the connections that this node's kernel knows now
    std::string format;   ///< "", json, yaml
};

/// An endpoint whose policies, or their rules, change. Includes host endpoints that are added or removed, since having
/// one closes an interface.
struct ChangedEndpoint {
    std::string node;
    felix::EndpointKey key;
    std::string label;
    enum class Life : std::uint8_t { stays, comes, goes };
    Life life = Life::stays;
    struct Side {
        felix::Direction direction;
        std::optional<felix::HostStage> stage;  ///< of a host endpoint
        std::vector<std::string> added;         ///< policies that apply from then on
        std::vector<std::string> removed;
        std::vector<std::string> edited;  ///< apply as before, with other rules
        bool reordered = false;           ///< or a tier ends differently
    };
    std::vector<Side> sides;
};

/// A node whose changed settings judge connections differently.
struct ChangedNode {
    std::string node;
    std::vector<std::string> settings;  ///< fields of FelixConfiguration
};

/// A connection that is allowed on one side of the change and denied on the other.
struct Flip {
    std::string source;
    std::string destination;
    felix::Packet packet;
    bool allowed_after = false;
    std::string because;    ///< what decides after the change
    bool recorded = false;  ///< known to the kernel now
};

struct Impact {
    std::vector<ChangedEndpoint> endpoints;
    std::vector<ChangedNode> nodes;
    std::vector<Flip> flips;
    std::size_t judged = 0;  ///< connections that were judged
    bool cut_short = false;  ///< there were more to judge
};

/// What differs between two states of the cluster. Connections are tried between the changed endpoints and all others,
/// addresses that rules name, members of the sets that they select, and an address that none names, on every port that
/// a rule names and one that none does; where settings of a node differ, also those of the node itself and those of its
/// workloads to the outside, on the ports that the settings name. `recorded` are connections to judge besides.
[[nodiscard]] Impact compare(ClusterView& before, ClusterView& after, const std::vector<felix::io::Flow>& recorded);

/// Staged policies turned into what they stand for: put (Set), removed (Delete), nothing (Learn, Ignore).
[[nodiscard]] std::vector<felix::Event> enforced(const std::vector<felix::Event>& staged);

/// `policy impact`: 0 whatever the impact is.
[[nodiscard]] ExitCode policy_impact(const Context& context, const ImpactOptions& options);

[[nodiscard]] std::string impact_text(const Impact& impact);
[[nodiscard]] boost::json::object impact_json(const Impact& impact);

}  // namespace manul::ctl
