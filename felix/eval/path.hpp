#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "felix/eval/evaluate.hpp"
#include "felix/eval/packet.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/snapshot.hpp"
#include "net/ip.hpp"

/// The whole way of one packet through a node: which endpoints judge it, in which order, and what comes of it.
namespace manul::felix {

/// The first packet of a connection and where it comes in and goes out.
struct Journey {
    std::string in_interface;           ///< empty: the node itself sends it
    std::string out_interface;          ///< empty: the node itself receives it
    Packet packet;                      ///< after destination NAT
    std::optional<Packet> before_dnat;  ///< where that is another one
};

/// One judgement on the way.
struct JourneyStep {
    enum class Where : std::uint8_t {
        host,              ///< a host endpoint at `stage`
        workload,          ///< a workload's policy
        unknown_workload,  ///< an interface of a workload that no endpoint of this node has: closed
        encapsulation,     ///< a workload may not make tunnels of its own
        tunnel,            ///< tunnels of the cluster end here for its nodes alone
        service_loop,      ///< no service translated the address, which is one of services'
        endpoint_to_host,  ///< the node's configuration says what becomes of a workload's traffic to it
    };
    Where where = Where::host;
    HostStage stage = HostStage::normal;
    Direction direction = Direction::ingress;
    EndpointKey endpoint;
    Evaluation evaluation;
};

struct JourneyVerdict {
    Verdict verdict = Verdict::allow;  ///< allow or deny
    DenyAction deny_action = DenyAction::drop;
    std::vector<JourneyStep> steps;  ///< up to the one that denied
};

/// Whether a workload at either end, found by its address, would now deny the connection whose first packet this was.
/// `own` are the node's addresses: what comes from there is not judged, as long as the node's configuration says so.
class ConnectionJudge {
public:
    /// Both outlive this.
    ConnectionJudge(const Snapshot& snapshot, const std::set<net::Ip>& own);
    [[nodiscard]] bool denies(const Packet& packet) const;

private:
    const Snapshot& snapshot_;
    const std::set<net::Ip>& own_;
    std::unordered_map<net::Ip, const Endpoint*> workloads_;
};

/// Whether routing takes the packet this way, and answers and known connections, are not looked at.
[[nodiscard]] JourneyVerdict evaluate(const Snapshot& snapshot, const Journey& journey);

}  // namespace manul::felix
