#include "ctl/policy/trace.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/ascii.hpp"
#include "base/try.hpp"
#include "config/model/node.hpp"
#include "ctl/output/document.hpp"
#include "ctl/policy/this_node.hpp"
#include "felix/calc/address_names.hpp"
#include "felix/eval/path.hpp"
#include "felix/model/config.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/overlay.hpp"
#include "felix/model/route.hpp"
#include "net/port_range.hpp"

namespace manul::ctl {

namespace {

using felix::Direction;
using felix::Verdict;

/// Client ports are taken from here when none is asked for (RFC 6335 8.1.2: dynamic ports).
constexpr std::uint16_t kSomeClientPort = 49152;

Result<net::Protocol> parse_protocol(const std::string& text, net::Family family) {
    std::string name = ascii::uppered(text);
    if (name == "ICMP" && family == net::Family::v6) {
        name = "ICMPv6";
    }
    for (const char* known : {"ICMPv6", "UDPLite"}) {
        name = name == ascii::uppered(known) ? known : name;
    }
    const auto protocol = net::Protocol::parse(name);
    if (!protocol) {
        return fail("'" + text + "' is no protocol; there are TCP, UDP, SCTP, ICMP, ICMPv6, UDPLite and 1 to 255");
    }
    return *protocol;
}

Result<felix::Packet> make_packet(const Addresses& addresses, const TraceOptions& options) {
    MANUL_TRY(const net::Protocol protocol, parse_protocol(options.protocol, addresses.source.family()));
    felix::Packet packet{.source = addresses.source, .destination = addresses.destination, .protocol = protocol};
    if (protocol.has_ports()) {
        if (!options.port) {
            return fail(protocol.to_string() + " needs a port: SOURCE DESTINATION PROTOCOL PORT");
        }
        packet.destination_port = options.port;
        packet.source_port = options.source_port.value_or(kSomeClientPort);
    } else if (options.port) {
        return fail(protocol.to_string() + " has no ports");
    }
    if (protocol == net::kIcmp || protocol == net::kIcmpv6) {
        constexpr std::uint8_t kEcho = 8;      // RFC 792
        constexpr std::uint8_t kEchoV6 = 128;  // RFC 4443 4.1
        packet.icmp_type = options.icmp_type.value_or(protocol == net::kIcmp ? kEcho : kEchoV6);
        packet.icmp_code = options.icmp_code.value_or(0);
    }
    return packet;
}

/// Whether the workload may be judged at all; else a note says why not.
bool is_programmed(ClusterView& view, Trace& trace, const End& end) {
    if (end.kind != End::Kind::workload || view.node(end.node).endpoints.contains(end.endpoint)) {
        return true;
    }
    std::string reason = "is not programmed on node " + end.node;
    for (const felix::Report& report : view.reports(end.node)) {
        if (report.key.name == end.endpoint.name && report.key.ns == end.endpoint.ns) {
            reason += ": " + report.reason;
        }
    }
    trace.notes.push_back(end.label + " " + reason + "; an interface that is not programmed is closed");
    trace.verdict = Verdict::deny;
    return false;
}

/// What a workload's egress policy let through to its own node is up to the configuration.
std::string own_node_text(felix::EndpointToHost action) {
    switch (action) {
        case felix::EndpointToHost::drop:
            return "defaultEndpointToHostAction: Drop denies what workloads send to their own node";
        case felix::EndpointToHost::host_rules:
            return "defaultEndpointToHostAction: Return leaves it to the node's own rules";
        case felix::EndpointToHost::accept:
            return "defaultEndpointToHostAction: Accept lets workloads reach their own node";
    }
    std::unreachable();
}

/// The part of a packet's way that lies on one node.
class NodeLeg {
public:
    /// The packet comes from `source` here.
    NodeLeg(ClusterView& view, Trace& trace, std::string node, const net::Ip& source)
        : view_(view), trace_(trace), node_(std::move(node)), source_(source) {}

    /// Whether the packet goes on. `dialed`: destination translation happens here, or has not happened yet.
    bool judge(const std::string& in, const std::string& out, bool dialed) {
        felix::Journey journey{in, out, trace_.packet, std::nullopt};
        journey.packet.source = source_;
        if (dialed && trace_.before_dnat) {
            journey.before_dnat = trace_.before_dnat;
            journey.before_dnat->source = source_;
        }
        const felix::JourneyVerdict verdict = evaluate(view_.node(node_), journey);
        for (const felix::JourneyStep& step : verdict.steps) {
            note(step, journey);
        }
        trace_.verdict = verdict.verdict;
        return trace_.verdict != Verdict::deny;
    }

private:
    using Where = felix::JourneyStep::Where;

    void note(const felix::JourneyStep& step, const felix::Journey& journey) {
        switch (step.where) {
            case Where::host:
            case Where::workload:
                break;
            case Where::unknown_workload:
                trace_.notes.emplace_back("an interface of a workload that no endpoint has is closed");
                return;
            case Where::encapsulation:
                trace_.notes.emplace_back(
                    "workloads may not make VXLAN or IPIP tunnels of their own (allowVXLANPacketsFromWorkloads, "
                    "allowIPIPPacketsFromWorkloads)");
                return;
            case Where::tunnel:
                trace_.notes.emplace_back(
                    "tunnels of the cluster (VXLAN, IPIP, WireGuard) end at a node for other "
                    "nodes and externalNodesList alone");
                return;
            case Where::service_loop:
                trace_.notes.emplace_back(
                    "the address is one of services (BGPConfiguration), and no service translated it "
                    "(serviceLoopPrevention)");
                return;
            case Where::endpoint_to_host:
                trace_.notes.push_back(own_node_text(felix::EndpointToHost::drop));
                return;
        }
        const bool host = step.where == Where::host;
        const bool early = step.stage == felix::HostStage::pre_dnat ||
                           (step.stage == felix::HostStage::untracked && step.direction == Direction::ingress);
        Judgement& judgement = trace_.judgements.emplace_back();
        judgement.node = node_;
        judgement.direction = step.direction;
        judgement.interface = step.direction == Direction::ingress && host   ? journey.in_interface
                              : step.direction == Direction::egress && !host ? journey.in_interface
                                                                             : journey.out_interface;
        judgement.packet = host && early ? journey.before_dnat.value_or(journey.packet) : journey.packet;
        if (host) {
            judgement.stage = step.stage;
            judgement.endpoint = {End::Kind::host_endpoint,
                                  step.endpoint,
                                  node_,
                                  judgement.interface,
                                  "host endpoint " + step.endpoint.name,
                                  {}};
        } else {
            judgement.endpoint = step.direction == Direction::egress ? trace_.source : trace_.destination;
        }
        judgement.evaluation = step.evaluation;
    }

    ClusterView& view_;
    Trace& trace_;
    std::string node_;
    net::Ip source_;
};

/// Whether a name is what natOutgoingInterfaceFilter says; one that ends in + or * stands for all that begin so.
bool is_filtered(std::string_view interface, std::string_view filter) {
    const bool prefix = filter.ends_with('+') || filter.ends_with('*');
    return prefix ? interface.starts_with(filter.substr(0, filter.size() - 1)) : interface == filter;
}

/// What a packet comes from when it has left a node, and why.
struct NewSource {
    net::Ip address;
    const char* reason;
};

/// Masquerading on the way from a node to another one. `own`: the node itself sent it. `by_service`: a service proxy
/// there gave the packet its destination, and masquerades what it sends on.
std::optional<NewSource> masquerade(ClusterView& view, const std::string& node, const felix::Packet& packet,
                                    const std::string& out, bool own, bool by_service) {
    const felix::Snapshot& state = view.node(node);
    const felix::Config& config = *state.config;
    const auto pooled = [&](const net::Ip& address, bool translated_alone) {
        return std::ranges::any_of(state.pools, [&](const felix::IpPoolInfo& pool) {
            return (pool.nat_outgoing || !translated_alone) && pool.cidr.contains(address);
        });
    };
    const bool filtered = config.nat_interface_filter.empty() || out == kUnknownInterface ||
                          is_filtered(out, config.nat_interface_filter);
    const bool leaves_pools = filtered && pooled(packet.source, true) && !pooled(packet.destination, false);
    const felix::ClusterRoute* route = nullptr;
    for (const auto& [prefix, one] : state.cluster_routes) {
        if (prefix.contains(packet.destination) && (route == nullptr || prefix.length() > route->prefix.length())) {
            route = &one;
        }
    }
    const auto device =
        route != nullptr && route->tunnel ? state.tunnel_devices.find(*route->tunnel) : state.tunnel_devices.end();
    const bool tunnelled = device != state.tunnel_devices.end();
    if (!leaves_pools && !by_service && !(tunnelled && own)) {
        return std::nullopt;
    }
    const char* const reason = leaves_pools ? "natOutgoing"
                               : by_service ? "a service's proxy masquerades what it sends to another node"
                                            : "what a node sends into a tunnel has the tunnel's address";
    if (leaves_pools && config.nat_outgoing_address && config.nat_outgoing_address->family() == packet.family()) {
        return NewSource{*config.nat_outgoing_address, reason};
    }
    if (tunnelled) {
        return NewSource{device->second.own.address, reason};
    }
    for (const auto& object : view.all<model::Node>()) {
        for (const net::Ip& address : felix::addresses_of(*object)) {
            if (object->metadata.name == node && address.family() == packet.family()) {
                return NewSource{address, reason};
            }
        }
    }
    return std::nullopt;
}

bool is_workload(const End& end) { return end.kind == End::Kind::workload; }

/// Where the packet goes in or out at the side of the network: as asked for, at the host endpoint that was named, or
/// found out.
std::string network_side(const ClusterView& view, const Trace& trace, const std::string& node, const End& end,
                         const net::Ip& own, const net::Ip& other) {
    if (!trace.interface.empty()) {
        return trace.interface;
    }
    return end.kind == End::Kind::host_endpoint && end.node == node && !end.interface.empty() ? end.interface : view.interface_towards(node, other, own);
}

/// The node between the ends: the one that was asked for, or that has the address that the client dialed.
std::string node_between(const ClusterView& view, const Trace& trace) {
    if (!trace.through.empty() || !trace.before_dnat) {
        return trace.through;
    }
    const auto* holder = view.names().find(trace.before_dnat->destination);
    return holder == nullptr ? std::string{} : holder->node;
}

Result<felix::Packet> before_translation(const felix::Packet& packet, const std::string& dialed) {
    const std::size_t colon = dialed.rfind(':');
    std::string address = dialed.substr(0, colon);
    if (address.starts_with('[') && address.ends_with(']')) {
        address = address.substr(1, address.size() - 2);
    }
    const auto ip = net::Ip::parse(address);
    const auto port = colon == std::string::npos ? std::nullopt : net::PortRange::parse(dialed.substr(colon + 1));
    if (!ip || !port || port->first() != port->last() || ip->family() != packet.family() || !packet.destination_port) {
        return fail("'" + dialed + "' is not what a client dials: ADDRESS:PORT of the family of both ends");
    }
    felix::Packet out = packet;
    out.destination = *ip;
    out.destination_port = port->first();
    return out;
}

}  // namespace

Result<Trace> make_trace(const ClusterView& view, const TraceOptions& options) {
    Trace trace;
    MANUL_TRY(trace.source, find_end(view, options.source));
    MANUL_TRY(trace.destination, find_end(view, options.destination));
    const auto family = options.v4   ? std::optional(net::Family::v4)
                        : options.v6 ? std::optional(net::Family::v6)
                                     : std::nullopt;
    MANUL_TRY(const Addresses addresses, common_family(trace.source, trace.destination, family));
    MANUL_TRY(trace.packet, make_packet(addresses, options));
    trace.interface = options.interface;
    trace.through = options.through;
    if (!options.dialed.empty()) {
        MANUL_TRY(trace.before_dnat, before_translation(trace.packet, options.dialed));
    }
    return trace;
}

Trace make_trace(End source, End destination, const felix::Packet& packet) {
    Trace trace;
    trace.source = std::move(source);
    trace.destination = std::move(destination);
    trace.packet = packet;
    return trace;
}

void judge(ClusterView& view, Trace& trace) {
    const End& from = trace.source;
    const End& to = trace.destination;
    const bool same_node = !from.node.empty() && from.node == to.node;
    if (is_workload(from) && is_workload(to) && from.endpoint == to.endpoint && !trace.before_dnat) {
        trace.notes.emplace_back("both ends are the same workload: such traffic does not leave it and meets no policy");
        return;
    }
    if (same_node && !is_workload(from) && !is_workload(to)) {
        trace.notes.emplace_back("both ends are the same node: what it sends to itself meets no policy");
        return;
    }
    if (!is_programmed(view, trace, from) || !is_programmed(view, trace, to)) {
        return;
    }
    net::Ip source = trace.packet.source;
    const net::Ip& destination = trace.packet.destination;
    const std::string through = node_between(view, trace);
    // What the next node sees of a packet that leaves this one.
    const auto leave = [&](const std::string& node, const std::string& out, bool translated) {
        felix::Packet packet = translated ? trace.packet : trace.before_dnat.value_or(trace.packet);
        packet.source = source;
        // Workloads that dial a service's own address are not masqueraded.
        const bool by_service = translated && trace.before_dnat && (!is_workload(from) || !through.empty());
        const bool own = node == from.node && !is_workload(from);
        const auto beyond = masquerade(view, node, packet, out, own, by_service);
        if (beyond && beyond->address != source) {
            source = beyond->address;
            trace.notes.push_back("beyond node " + node + " it comes from " + source.to_string() + ": " +
                                  beyond->reason);
        }
    };
    if (!from.node.empty()) {
        const bool translated_here = through.empty() || through == from.node;
        const std::string out = same_node && translated_here
                                    ? (is_workload(to) ? to.interface : std::string{})
                                    : network_side(view, trace, from.node, from, source, destination);
        if (!NodeLeg(view, trace, from.node, source)
                 .judge(is_workload(from) ? from.interface : "", out, translated_here)) {
            return;
        }
        if (same_node && translated_here && is_workload(from) && !is_workload(to)) {
            trace.notes.push_back(own_node_text(view.node(from.node).config->endpoint_to_host));
        }
        if (same_node && translated_here) {
            if (!is_workload(from) && trace.judgements.empty()) {
                trace.notes.emplace_back(
                    "what a node sends to its own workloads (probes, for example) meets no policy");
            }
            return;
        }
        if (!to.node.empty() || through != from.node) {
            leave(from.node, out, translated_here);
        }
    }
    if (through.empty() && from.node.empty() && to.node.empty()) {
        trace.notes.emplace_back(
            "neither end is on a node of the cluster: --through NODE asks the policy of a node that routes between "
            "them");
        return;
    }
    // A node between the ends: a client dialed its node port, or it is a router.
    if (!through.empty() && through != from.node && through != to.node) {
        const net::Ip own = trace.before_dnat.value_or(trace.packet).destination;
        const std::string in = network_side(view, trace, through, {}, own, source);
        const std::string out = network_side(view, trace, through, {}, own, destination);
        if (!NodeLeg(view, trace, through, source).judge(in, out, true)) {
            return;
        }
        if (!to.node.empty()) {
            leave(through, out, true);
        }
    }
    if (!to.node.empty()) {
        const bool translated_here = through == to.node || (through.empty() && from.node.empty());
        const std::string in = network_side(view, trace, to.node, to, is_workload(to) ? source : destination, source);
        (void)NodeLeg(view, trace, to.node, source).judge(in, is_workload(to) ? to.interface : "", translated_here);
    }
}

ExitCode policy_trace(const Context& context, const TraceOptions& options) {
    auto view = ClusterView::read(*context.store);
    if (!view) {
        return context.fail(describe(view.error()));
    }
    tell_this_node(*view, context.settings.node_name);
    auto trace = make_trace(*view, options);
    if (!trace) {
        return context.fail(trace.error().message);
    }
    judge(*view, *trace);
    if (options.format.empty()) {
        context.print(trace_text(*view, *trace, options.short_));
        return ExitCode::ok;
    }
    return print_document(context, trace_json(*view, *trace), options.format);
}

}  // namespace manul::ctl
