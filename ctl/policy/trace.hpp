#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "base/error.hpp"
#include "ctl/context.hpp"
#include "ctl/policy/cluster_view.hpp"
#include "ctl/policy/ends.hpp"
#include "felix/eval/evaluate.hpp"
#include "felix/eval/packet.hpp"
#include "felix/model/host_endpoint.hpp"

namespace manul::ctl {

struct TraceOptions {
    std::string source;
    std::string destination;
    std::string protocol = "TCP";
    std::optional<std::uint16_t> port;
    std::optional<std::uint16_t> source_port;
    std::optional<std::uint8_t> icmp_type;
    std::optional<std::uint8_t> icmp_code;
    std::string dialed;     ///< ADDRESS:PORT before destination translation; empty: `destination` and `port`
    std::string interface;  ///< of the nodes, towards the network; empty: determined or guessed
    std::string through;    ///< node that routes between two ends that have none
    bool v4 = false;
    bool v6 = false;
    bool short_ = false;  ///< the verdicts alone
    std::string format;   ///< "", json, yaml
};

/// One judgement that a packet meets on its way.
struct Judgement {
    std::string node;
    felix::Direction direction = felix::Direction::egress;
    End endpoint;
    std::string interface;                  ///< of the node, at which it is judged
    std::optional<felix::HostStage> stage;  ///< of a host endpoint's policy
    felix::Packet packet;  ///< as it is judged here: before destination translation where that is later
    felix::Evaluation evaluation;
};

/// What policy does to a connection from one end to the other.
struct Trace {
    End source;
    End destination;
    felix::Packet packet;
    std::optional<felix::Packet> before_dnat;  ///< if different
    std::string interface;                     ///< as asked for
    std::string through;                       ///< node that routes between two ends that have none
    felix::Verdict verdict = felix::Verdict::allow;
    std::vector<Judgement> judgements;  ///< up to the one that denied
    std::vector<std::string> notes;     ///< remarks on what may be unexpected
};

/// Both ends and the packet that the options name.
[[nodiscard]] Result<Trace> make_trace(const ClusterView& view, const TraceOptions& options);
/// Between two ends; judges nothing yet.
[[nodiscard]] Trace make_trace(End source, End destination, const felix::Packet& packet);
/// Judges `trace.packet` on its way from end to end.
void judge(ClusterView& view, Trace& trace);

[[nodiscard]] std::string trace_text(ClusterView& view, const Trace& trace, bool brief);
[[nodiscard]] boost::json::object trace_json(ClusterView& view, const Trace& trace);

/// "rule 0 of NetworkPolicy default/web in tier default" and the like: what made the decision.
[[nodiscard]] std::string decision_text(const felix::Evaluation& evaluation);

/// `policy trace`: 0 also when the answer is "denied".
[[nodiscard]] ExitCode policy_trace(const Context& context, const TraceOptions& options);

}  // namespace manul::ctl
