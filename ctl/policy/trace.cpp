#include "ctl/policy/trace.hpp"

#include <algorithm>
#include <utility>

#include "base/try.hpp"
#include "ctl/output/document.hpp"
#include "felix/model/config.hpp"
#include "felix/model/endpoint.hpp"
#include "net/port_range.hpp"

namespace manul::ctl {

namespace {

using felix::Direction;
using felix::Verdict;

/// Client ports are taken from here when none is asked for (RFC 6335 8.1.2: dynamic ports).
constexpr std::uint16_t kSomeClientPort = 49152;

std::string upper(std::string text) {
    std::ranges::transform(text, text.begin(),
                           [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
    return text;
}

Result<net::Protocol> parse_protocol(const std::string& text, net::Family family) {
    std::string name = upper(text);
    if (name == "ICMP" && family == net::Family::v6) {
        name = "ICMPv6";
    }
    for (const char* known : {"ICMPv6", "UDPLite"}) {
        name = name == upper(known) ? known : name;
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

const felix::Endpoint* local_workload(ClusterView& view, const End& end) {
    if (end.kind != End::Kind::workload) {
        return nullptr;
    }
    const auto& endpoints = view.node(end.node).endpoints;
    const auto found = endpoints.find(end.endpoint);
    return found == endpoints.end() ? nullptr : &*found->second;
}

/// Whether the workload may be judged at all; else a note says why not.
bool is_programmed(ClusterView& view, Trace& trace, const End& end) {
    if (end.kind != End::Kind::workload || local_workload(view, end) != nullptr) {
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

/// False: denied.
bool judge_workload(ClusterView& view, Trace& trace, const End& end, Direction direction) {
    const felix::Endpoint* endpoint = local_workload(view, end);
    if (endpoint == nullptr) {
        return true;
    }
    Judgement& judgement = trace.judgements.emplace_back(Judgement{end.node, direction, end, {}});
    judgement.evaluation = evaluate(view.node(end.node), *endpoint, direction, trace.packet);
    trace.verdict = judgement.evaluation.verdict;
    return trace.verdict != Verdict::deny;
}

/// What a workload's egress policy let through to its own node is up to the configuration.
void judge_own_node(ClusterView& view, Trace& trace) {
    switch (view.node(trace.source.node).config->endpoint_to_host) {
        case felix::EndpointToHost::drop:
            trace.verdict = Verdict::deny;
            trace.notes.push_back("defaultEndpointToHostAction: Drop denies what workloads send to their own node");
            break;
        case felix::EndpointToHost::host_rules:
            trace.notes.push_back("defaultEndpointToHostAction: Return leaves it to the node's own rules");
            break;
        case felix::EndpointToHost::accept:
            trace.notes.push_back("defaultEndpointToHostAction: Accept lets workloads reach their own node");
            break;
    }
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
    return trace;
}

void judge(ClusterView& view, Trace& trace) {
    const End& from = trace.source;
    const End& to = trace.destination;
    if (from.kind == End::Kind::workload && from.endpoint == to.endpoint && to.kind == End::Kind::workload) {
        trace.notes.push_back("both ends are the same workload: such traffic does not leave it and meets no policy");
        return;
    }
    if (!is_programmed(view, trace, from) || !is_programmed(view, trace, to)) {
        return;
    }
    if (!judge_workload(view, trace, from, Direction::egress)) {
        return;
    }
    const bool same_node = !from.node.empty() && from.node == to.node;
    if (from.kind == End::Kind::workload && to.kind == End::Kind::node && same_node) {
        judge_own_node(view, trace);
        return;
    }
    if (to.kind == End::Kind::workload && from.kind == End::Kind::node && same_node) {
        trace.notes.push_back("what a node sends to its own workloads (probes, for example) meets no policy");
        return;
    }
    (void)judge_workload(view, trace, to, Direction::ingress);
}

ExitCode policy_trace(const Context& context, const TraceOptions& options) {
    auto view = ClusterView::read(*context.store);
    if (!view) {
        return context.fail(describe(view.error()));
    }
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
