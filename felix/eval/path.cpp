#include "felix/eval/path.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "felix/eval/evaluate.hpp"
#include "felix/eval/packet.hpp"
#include "felix/model/config.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/host_endpoint.hpp"
#include "felix/model/link_messages.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/rule_id.hpp"
#include "felix/model/snapshot.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

namespace manul::felix {

namespace {

constexpr std::uint8_t kIpInIp = 4;

bool is_icmpv6(const Packet& packet) {
    return packet.protocol == net::kIcmpv6 && packet.family() == net::Family::v6 && packet.icmp_type;
}

bool is_link_message(const Packet& packet, Direction direction) {
    return is_icmpv6(packet) && (std::ranges::find(kLinkMessages, *packet.icmp_type) != kLinkMessages.end() ||
                                 (direction == Direction::egress && packet.icmp_type == kMldReport2));
}

bool is_workload_message(const Packet& packet) {
    return is_icmpv6(packet) && std::ranges::find(kWorkloadMessages, *packet.icmp_type) != kWorkloadMessages.end();
}

class Traveller {
public:
    Traveller(const Snapshot& snapshot, const Journey& journey) : snapshot_(snapshot), journey_(journey) {}

    JourneyVerdict run() {
        (void)(journey_.in_interface.empty() ? leaves_node() : enters_node());
        return std::move(out_);
    }

private:
    using Where = JourneyStep::Where;

    [[nodiscard]] const Packet& first_packet() const {
        return journey_.before_dnat ? *journey_.before_dnat : journey_.packet;
    }

    /// All of these return whether the packet goes on.
    bool enters_node() {
        const bool from_workload = snapshot_.is_workload_interface(journey_.in_interface);
        if (!is_link_message(first_packet(), Direction::ingress)) {
            if (!at_host(HostStage::untracked, Direction::ingress, journey_.in_interface, first_packet()) ||
                !(untracked_ ||
                  at_host(HostStage::pre_dnat, Direction::ingress, journey_.in_interface, first_packet()))) {
                return false;
            }
        }
        if (from_workload && !leaves_workload()) {
            return false;
        }
        if (journey_.out_interface.empty()) {
            return from_workload ? reaches_own_node() : reaches_node();
        }
        // What allowed it earlier spoke for the endpoint that it came in by, not for the one that it leaves by.
        const bool judged = untracked_ || accepted_;
        if ((!judged && !at_host(HostStage::forward, Direction::ingress, journey_.in_interface, journey_.packet)) ||
            !at_host(HostStage::forward, Direction::egress, journey_.out_interface, journey_.packet)) {
            return false;
        }
        return (!snapshot_.is_workload_interface(journey_.out_interface) || enters_workload()) && leads_somewhere();
    }

    bool leads_somewhere() {
        const Config& config = *snapshot_.config;
        const auto holds = [&](const net::Prefix& range) { return range.contains(journey_.packet.destination); };
        if (config.service_loop == ServiceLoop::forward || std::ranges::none_of(config.service_ranges, holds)) {
            return true;
        }
        deny(Where::service_loop, config.service_loop == ServiceLoop::drop ? DenyAction::drop : DenyAction::reject);
        return false;
    }

    /// What the node needs to reach a workload's link at all, whatever the workload's policy says.
    [[nodiscard]] bool finds_neighbour() const {
        constexpr std::uint8_t kSolicitation = 135;
        constexpr std::uint8_t kAdvertisement = 136;
        const Packet& packet = journey_.packet;
        return is_icmpv6(packet) && (packet.icmp_type == kSolicitation || packet.icmp_type == kAdvertisement);
    }

    bool leaves_node() {
        if (snapshot_.is_workload_interface(journey_.out_interface)) {
            return !snapshot_.config->host_to_workload_policy || finds_neighbour() || enters_workload();
        }
        if (is_link_message(journey_.packet, Direction::egress)) {
            return true;
        }
        if (is_tunnel() && is_peer(journey_.packet.destination)) {
            return journey_.before_dnat ||
                   at_host(HostStage::untracked, Direction::egress, journey_.out_interface, journey_.packet);
        }
        if (!journey_.before_dnat &&
            !at_host(HostStage::untracked, Direction::egress, journey_.out_interface, journey_.packet)) {
            return false;
        }
        return untracked_ || at_host(HostStage::normal, Direction::egress, journey_.out_interface, journey_.packet);
    }

    /// Whether the packet is one of the cluster's tunnels, by what its outside says.
    [[nodiscard]] bool is_tunnel() const {
        const Packet& packet = journey_.packet;
        const Tunnels& tunnels = snapshot_.tunnels;
        const bool v4 = packet.family() == net::Family::v4;
        return (packet.protocol == net::kUdp &&
                ((tunnels.vxlan(packet.family()) && packet.destination_port == snapshot_.config->vxlan_port) ||
                 (tunnels.wireguard(packet.family()) &&
                  packet.destination_port == tunnels.wireguard(packet.family())))) ||
               (v4 && tunnels.ip_in_ip && packet.protocol.number() == kIpInIp);
    }
    [[nodiscard]] bool is_peer(const net::Ip& address) const {
        return std::ranges::any_of(snapshot_.tunnels.peers,
                                   [&address](const net::Prefix& peer) { return peer.contains(address); });
    }
    /// Of a tunnel that ends at this node: whether a node of the cluster sent it.
    bool ends_tunnel() {
        if (!is_peer(journey_.packet.source)) {
            deny(Where::tunnel, DenyAction::drop);
            return false;
        }
        return true;
    }

    bool reaches_node() {
        if (is_tunnel()) {
            return ends_tunnel();
        }
        return is_link_message(journey_.packet, Direction::ingress) || untracked_ || accepted_ ||
               at_host(HostStage::normal, Direction::ingress, journey_.in_interface, journey_.packet);
    }

    bool reaches_own_node() {
        if (is_tunnel()) {
            return ends_tunnel();
        }
        if (is_workload_message(journey_.packet) || snapshot_.config->endpoint_to_host != EndpointToHost::drop) {
            return true;
        }
        deny(Where::endpoint_to_host, DenyAction::drop);
        return false;
    }

    bool leaves_workload() {
        const Packet& packet = journey_.packet;
        const bool local = journey_.out_interface.empty();
        if (local && is_workload_message(packet)) {
            return true;
        }
        const Endpoint* endpoint = snapshot_.workload_at(journey_.in_interface);
        if (endpoint == nullptr) {
            deny(Where::unknown_workload, DenyAction::drop);
            return false;
        }
        const Config& config = *snapshot_.config;
        const bool vxlan = packet.protocol == net::kUdp && packet.destination_port == config.vxlan_port &&
                           !config.allow_vxlan_from_workloads;
        const bool ip_in_ip = packet.protocol.number() == kIpInIp && !config.allow_ipip_from_workloads;
        if (vxlan || ip_in_ip) {
            deny(Where::encapsulation, DenyAction::drop);
            return false;
        }
        return at_workload(*endpoint, Direction::egress);
    }

    bool enters_workload() {
        const Endpoint* endpoint = snapshot_.workload_at(journey_.out_interface);
        if (endpoint == nullptr) {
            deny(Where::unknown_workload, DenyAction::drop);
            return false;
        }
        return at_workload(*endpoint, Direction::ingress);
    }

    bool at_workload(const Endpoint& endpoint, Direction direction) {
        JourneyStep& step = out_.steps.emplace_back();
        step.where = Where::workload;
        step.direction = direction;
        step.endpoint = endpoint.key;
        step.evaluation = evaluate(snapshot_, endpoint, direction, journey_.packet);
        if (direction == Direction::ingress && snapshot_.config->host_to_workload_policy) {
            step.evaluation.deny_action = DenyAction::drop;  // the same rules stand where nothing can be rejected
        }
        return conclude(step.evaluation);
    }

    bool at_host(HostStage stage, Direction direction, const std::string& interface, const Packet& packet) {
        const HostEndpoint* endpoint = snapshot_.host_endpoint_at(interface, stage);
        if (endpoint == nullptr || (stage != HostStage::normal && endpoint->lists(stage, direction)->empty())) {
            return true;
        }
        JourneyStep& step = out_.steps.emplace_back();
        step.stage = stage;
        step.direction = direction;
        step.endpoint = endpoint->key;
        step.evaluation = evaluate(snapshot_, *endpoint, stage, direction, packet);
        const bool allowed = step.evaluation.verdict == Verdict::allow;
        untracked_ = untracked_ || (allowed && stage == HostStage::untracked);
        accepted_ = accepted_ || (allowed && stage == HostStage::pre_dnat);
        return conclude(step.evaluation);
    }

    bool conclude(const Evaluation& evaluation) {
        if (evaluation.verdict != Verdict::deny) {
            return true;
        }
        out_.verdict = Verdict::deny;
        out_.deny_action = evaluation.deny_action.value_or(snapshot_.config->deny_action);
        return false;
    }

    void deny(Where where, DenyAction action) {
        JourneyStep& step = out_.steps.emplace_back();
        step.where = where;
        step.evaluation.verdict = Verdict::deny;
        step.evaluation.decided_by = DecidedBy::nothing;
        if (where == Where::unknown_workload) {
            step.evaluation.rule = unknown_interface_id();
        } else if (where == Where::service_loop) {
            step.evaluation.rule = service_loop_id();
        } else if (where == Where::tunnel) {
            step.evaluation.rule = foreign_tunnel_id();
        }
        out_.verdict = Verdict::deny;
        out_.deny_action = action;
    }

    const Snapshot& snapshot_;
    const Journey& journey_;
    JourneyVerdict out_;
    bool untracked_ = false;  ///< an untracked policy allowed it
    bool accepted_ = false;   ///< a preDNAT policy allowed it
};

}  // namespace

ConnectionJudge::ConnectionJudge(const Snapshot& snapshot, const std::set<net::Ip>& own)
    : snapshot_(snapshot), own_(own) {
    for (const auto& [key, endpoint] : snapshot.endpoints) {
        for (const net::Ip& address : endpoint->addresses) {
            workloads_.emplace(address, &*endpoint);
        }
    }
}

bool ConnectionJudge::denies(const Packet& packet) const {
    const auto at = [&](const net::Ip& address, Direction direction) {
        const auto workload = workloads_.find(address);
        return workload != workloads_.end() &&
               evaluate(snapshot_, *workload->second, direction, packet).verdict == Verdict::deny;
    };
    if (at(packet.source, Direction::egress)) {
        return true;
    }
    const bool from_node = own_.contains(packet.source) && !snapshot_.config->host_to_workload_policy;
    return !from_node && at(packet.destination, Direction::ingress);
}

JourneyVerdict evaluate(const Snapshot& snapshot, const Journey& journey) { return Traveller(snapshot, journey).run(); }

}  // namespace manul::felix
