#include "test/felix/verdict/random_policies.hpp"

#include <array>
#include <memory>
#include <set>
#include <tuple>
#include <utility>

#include <catch2/catch.hpp>

#include "config/model/host_endpoint.hpp"
#include "config/model/validate.hpp"
#include "test/felix/builders.hpp"

namespace manul::felix::test {

namespace {

const std::vector<std::uint16_t> kPorts{80, 81, 8080, 8888, 9100, 53, 5353, 5060, 1000};
const std::vector<std::uint16_t> kVxlanPorts{4789, 4790};
const std::vector<std::uint16_t> kTunnelPorts{4789, 4789, 4790, 51820, 51821};
const std::vector<std::string> kPods{"rw", "rd", "gw", "ga", "bd", "bx", "rr"};
const std::vector<std::string> kNamespaces{"red", "green", "blue"};
const std::vector<std::string> kTiers{"default", "default", "early", "late", "kube-admin", "kube-baseline"};

model::DenyAction other_deny_action(std::size_t choice) {
    return choice == 0 ? model::DenyAction::drop : model::DenyAction::reject;
}

}  // namespace

// --- words ----------------------------------------------------------------------------------------------------------

model::StringMap RandomPolicies::labels() {
    model::StringMap out;
    if (!one_in(4)) {
        out["app"] = pick<std::string>({"web", "db", "api"});
    }
    if (one_in(3)) {
        out["zone"] = pick<std::string>({"a", "b"});
    }
    if (one_in(6)) {
        out["kind"] = "partner";
    }
    return out;
}

std::string RandomPolicies::selector() {
    return pick<std::string>({"", "all()", "app == 'web'", "app == 'db'", "app != 'web'", "has(app)", "!has(app)",
                              "has(zone)", "zone == 'a' || app == 'api'", "app in {'web', 'api'}", "app not in {'db'}",
                              "kind == 'partner'", "has(kind)", "has(app) && !has(zone)"});
}

std::string RandomPolicies::namespace_selector() {
    return pick<std::string>({"all()", "env == 'prod'", "team == 'red'", "team != 'green'", "has(env)",
                              "projectcalico.org/name == 'blue'", "env in {'test', 'prod'}"});
}

std::string RandomPolicies::account_selector() {
    return pick<std::string>(
        {"all()", "has(role)", "role == 'front'", "role != 'back'", "projectcalico.org/name == 'front'"});
}

std::uint16_t RandomPolicies::any_port() { return pick(kPorts); }

std::vector<net::Prefix> RandomPolicies::nets(net::Family family) {
    static const std::vector<std::string> v4{"10.65.0.0/24", "10.65.0.0/30",  "10.65.0.2/32",  "10.65.0.4/31",
                                             "192.0.2.0/24", "192.0.2.0/25",  "192.0.2.10/32", "198.51.0.0/16",
                                             "10.65.0.6/32", "203.0.113.5/32"};
    static const std::vector<std::string> v6{"fd65::/64",       "fd65::/126",         "fd65::2/128",
                                             "fd65::4/127",     "2001:db8::/32",      "2001:db8:1::/64",
                                             "2001:db8:2::/60", "2001:db8:1::10/128", "2001:db8:3::7/128"};
    std::vector<net::Prefix> out;
    for (std::size_t n = 1 + below(3); n > 0; --n) {
        out.push_back(cidr(pick(family == net::Family::v4 ? v4 : v6)));
    }
    return out;
}

std::vector<model::Port> RandomPolicies::ports(bool numbers) {
    std::vector<model::Port> out;
    for (std::size_t n = 1 + below(3); n > 0; --n) {
        if (!numbers || one_in(2)) {
            out.emplace_back(pick<std::string>({"http", "metrics", "dns", "signal", "unknown"}));
        } else {
            const std::uint16_t first = pick(kPorts);
            const std::uint16_t last = one_in(3) ? static_cast<std::uint16_t>(first + below(9000)) : first;
            out.emplace_back(*net::PortRange::make(first, last));
        }
    }
    return out;
}

// --- rules and policies ---------------------------------------------------------------------------------------------

model::EntityRule RandomPolicies::entity(net::Family family, bool nets_here, bool ports_here, bool numbers) {
    model::EntityRule out;
    if (nets_here) {
        if (!one_in(3)) {
            out.nets = nets(family);
        }
        if (one_in(2)) {
            out.not_nets = nets(family);
        }
    }
    if (ports_here) {
        if (!one_in(3)) {
            out.ports = ports(numbers);
        }
        if (one_in(3)) {
            out.not_ports = ports(numbers);
        }
    }
    if (one_in(3)) {
        out.selector = selector();
    }
    if (one_in(6)) {
        out.not_selector = selector();
    }
    if (one_in(5)) {
        out.namespace_selector = one_in(4) ? "global()" : namespace_selector();
    }
    if (one_in(8)) {
        out.service_accounts.emplace();
        if (one_in(2)) {
            out.service_accounts->names = {pick<std::string>({"front", "back", "default"})};
        } else if (!one_in(4)) {
            out.service_accounts->selector = account_selector();
        }
    }
    return out;
}

model::Rule RandomPolicies::rule(model::PolicyType direction) {
    model::Rule out;
    out.action = pick<model::Action>({model::Action::allow, model::Action::allow, model::Action::allow,
                                      model::Action::deny, model::Action::pass, model::Action::log});
    const net::Family family = one_in(2) ? net::Family::v4 : net::Family::v6;
    const bool with_nets = one_in(3);
    if (one_in(6)) {
        out.ip_version = family;
    }
    if (!one_in(3)) {
        out.protocol =
            pick<net::Protocol>({net::kTcp, net::kTcp, net::kUdp, net::kUdp, net::kSctp,
                                 family == net::Family::v4 ? net::kIcmp : net::kIcmpv6, *net::Protocol::make(99)});
    }
    if (one_in(8)) {
        out.not_protocol = pick<net::Protocol>({net::kTcp, net::kUdp, net::kSctp, *net::Protocol::make(253)});
    }
    const bool icmp = out.protocol == net::kIcmp || out.protocol == net::kIcmpv6;
    const auto icmp_match = [&] {
        model::IcmpMatch match;
        match.type = pick<std::uint8_t>({0, 3, 8, 13, 1, 128, 135});
        if (one_in(2)) {
            match.code = static_cast<std::uint8_t>(below(3));
        }
        return match;
    };
    if (icmp && one_in(2)) {
        out.icmp = icmp_match();
    }
    if (one_in(icmp ? 2 : 12)) {
        out.not_icmp = icmp_match();
    }
    const bool has_ports = !out.protocol || out.protocol->has_ports();
    const bool numbers = out.protocol.has_value();
    const bool ingress = direction == model::PolicyType::ingress;
    out.source = entity(family, with_nets && (ingress || one_in(3)), has_ports && one_in(5), numbers);
    out.destination =
        entity(family, with_nets && (!ingress || one_in(3)), has_ports && one_in(numbers ? 2 : 5), numbers);
    if (!ingress) {
        std::swap(out.source.selector, out.destination.selector);  // more of them where they mean the peer
    }
    if (one_in(10)) {
        model::EntityRule& peer = ingress ? out.source : out.destination;
        peer = {};
        peer.services = model::ServiceMatch{pick<std::string>({"api", "store", "none"}), "red"};
    }
    if (out.action == model::Action::deny && one_in(4)) {
        out.deny_action = other_deny_action(below(2));
    }
    if (ingress && out.action == model::Action::allow && one_in(12)) {  // nobody enforces it, so it allows nothing
        out.http.emplace();
        if (one_in(2)) {
            out.http->methods = {"GET"};
        } else {
            out.http->paths = {{"/api", std::nullopt}};
        }
    }
    return out;
}

std::vector<model::Rule> RandomPolicies::rules(model::PolicyType direction) {
    std::vector<model::Rule> out;
    for (std::size_t n = below(5); n > 0; --n) {
        out.push_back(rule(direction));
    }
    return out;
}

void RandomPolicies::fill(model::PolicySpec& spec) {
    spec.tier = pick(kTiers);
    if (!one_in(3)) {
        spec.order = static_cast<double>(below(4)) - 1;
    }
    spec.selector = one_in(2) ? selector() : pick<std::string>({"app == 'web'", "has(zone)", "app == 'db'"});
    spec.types = pick<std::vector<model::PolicyType>>({{}, {kIngress}, {kEgress}, {kIngress, kEgress}});
    spec.ingress = rules(kIngress);
    spec.egress = rules(kEgress);
    if (one_in(6)) {
        spec.service_account_selector = account_selector();
    }
    if (one_in(10)) {
        spec.deny_action = other_deny_action(below(2));
    }
}

model::ResourcePtr RandomPolicies::namespaced_policy() {
    auto out = std::make_shared<model::NetworkPolicy>();
    out->metadata.ns = pick(kNamespaces);
    out->metadata.name = pick<std::string>({"a", "b"});
    fill(out->spec);
    return out;
}

model::ResourcePtr RandomPolicies::global_policy() {
    auto out = std::make_shared<model::GlobalNetworkPolicy>();
    out->metadata.name = pick<std::string>({"a", "b", "c", "d"});
    fill(out->spec);
    if (one_in(2)) {
        out->spec.namespace_selector = namespace_selector();
    } else if (one_in(2)) {
        classify(out->spec);
    }
    return out;
}

/// For host endpoints, in one of their classes.
void RandomPolicies::classify(model::GlobalNetworkPolicySpec& spec) {
    spec.selector = pick<std::string>({"", "has(role)", "role == 'gate'", "role != 'gate'", "app == 'web'"});
    spec.apply_on_forward = !one_in(3);
    if (spec.apply_on_forward && one_in(2)) {
        spec.do_not_track = one_in(2);
        spec.pre_dnat = !spec.do_not_track;
    }
    if (spec.pre_dnat) {
        spec.types = {kIngress};
        spec.egress.clear();
    }
}

model::ResourcePtr RandomPolicies::host_endpoint() {
    auto out = std::make_shared<model::HostEndpoint>();
    out->metadata.name = pick<std::string>({"ha", "hb", "hc"});
    out->metadata.labels = labels();
    out->metadata.labels["role"] = pick<std::string>({"gate", "edge"});
    out->spec.node = kNode;
    out->spec.interface_name = pick<std::string>({"uplink", "side0", "*", ""});
    if (out->spec.interface_name.empty() || one_in(2)) {
        out->spec.expected_ips = {Lab::node_address(net::Family::v4), Lab::node_address(net::Family::v6)};
    }
    out->spec.profiles = pick<std::vector<std::string>>({{}, {"projectcalico-default-allow"}, {"extra"}, {"missing"}});
    if (one_in(2)) {
        out->spec.ports = {{pick<std::string>({"http", "dns"}), net::kTcp, pick(kPorts)}};
    }
    return out;
}

model::ResourcePtr RandomPolicies::felix_configuration(bool invalid_passes) {
    auto out = std::make_shared<model::FelixConfiguration>();
    out->metadata.name = "default";
    out->spec.disable_conntrack_invalid_check = invalid_passes;
    if (one_in(2)) {
        out->spec.nftables_filter_deny_action = model::DenyAction::reject;
    }
    out->spec.default_endpoint_to_host_action =
        pick<model::EndpointToHostAction>({model::EndpointToHostAction::drop, model::EndpointToHostAction::accept});
    out->spec.host_to_workload_policy = one_in(2) ? model::OnOff::enabled : model::OnOff::disabled;
    out->spec.allow_vxlan_packets_from_workloads = one_in(2);
    out->spec.allow_ipip_packets_from_workloads = one_in(2);
    const auto perhaps = [this]() { return one_in(2) ? std::optional(one_in(2)) : std::nullopt; };
    out->spec.vxlan_enabled = perhaps();
    out->spec.ipip_enabled = perhaps();
    out->spec.wireguard_enabled = perhaps();
    out->spec.wireguard_enabled_v6 = perhaps();
    if (one_in(2)) {
        out->spec.vxlan_port = kVxlanPorts[below(kVxlanPorts.size())];
    }
    if (one_in(2)) {
        out->spec.external_nodes_list = {cidr("192.0.2.200/32"), cidr("203.0.113.0/24")};
    }
    const auto failsafe = [this]() -> std::optional<std::vector<model::ProtoPort>> {
        switch (below(3)) {
            case 0:
                return std::nullopt;
            case 1:
                return std::vector<model::ProtoPort>{};
            default:
                return std::vector<model::ProtoPort>{{model::PortProtocol::tcp, pick(kPorts), std::nullopt},
                                                     {model::PortProtocol::udp, pick(kPorts), cidr("192.0.2.0/25")},
                                                     {model::PortProtocol::sctp, pick(kPorts), cidr("2001:db8::/32")}};
        }
    };
    out->spec.failsafe_inbound_host_ports = failsafe();
    out->spec.failsafe_outbound_host_ports = failsafe();
    return out;
}

model::LabelSelector RandomPolicies::label_selector() {
    model::LabelSelector out;
    if (one_in(2)) {
        out.match_labels["app"] = pick<std::string>({"web", "db", "api"});
    }
    if (one_in(4)) {
        out.match_expressions.push_back(
            {"zone",
             pick<model::LabelOperator>({model::LabelOperator::exists, model::LabelOperator::does_not_exist}),
             {}});
    }
    if (one_in(4)) {
        out.match_expressions.push_back(
            {"app",
             pick<model::LabelOperator>({model::LabelOperator::in, model::LabelOperator::not_in}),
             {"web", "db"}});
    }
    return out;
}

model::KubernetesPeer RandomPolicies::peer() {
    model::KubernetesPeer out;
    if (one_in(3)) {
        const bool v4 = one_in(2);
        model::IpBlock block{cidr(v4 ? pick<std::string>({"192.0.2.0/24", "10.65.0.0/16", "0.0.0.0/0"})
                                     : pick<std::string>({"2001:db8::/32", "fd65::/64", "::/0"})),
                             {}};
        for (const net::Prefix& hole : nets(v4 ? net::Family::v4 : net::Family::v6)) {
            if (block.cidr.contains(hole) && hole != block.cidr) {
                block.except.push_back(hole);
            }
        }
        out.ip_block = std::move(block);
        return out;
    }
    if (!one_in(3)) {
        out.pod_selector = label_selector();
    }
    if (!out.pod_selector || one_in(3)) {
        out.namespace_selector.emplace();
        if (!one_in(4)) {
            out.namespace_selector->match_labels["env"] = pick<std::string>({"prod", "test"});
        }
    }
    return out;
}

std::vector<model::KubernetesPeer> RandomPolicies::peers() {
    std::vector<model::KubernetesPeer> out;
    for (std::size_t n = below(4); n > 0; --n) {
        out.push_back(peer());
    }
    return out;
}

std::vector<model::KubernetesPort> RandomPolicies::kubernetes_ports() {
    std::vector<model::KubernetesPort> out;
    for (std::size_t n = below(3); n > 0; --n) {
        model::KubernetesPort port;
        if (!one_in(3)) {
            port.protocol = pick<net::Protocol>({net::kTcp, net::kUdp, net::kSctp});
        }
        if (one_in(3)) {
            port.port = pick<std::string>({"http", "dns", "signal"});
        } else if (!one_in(5)) {
            port.port = pick(kPorts);
            if (one_in(3)) {
                port.end_port = static_cast<std::uint16_t>(std::get<std::uint16_t>(*port.port) + below(1000));
            }
        }
        out.push_back(std::move(port));
    }
    return out;
}

model::ResourcePtr RandomPolicies::kubernetes_policy() {
    auto out = std::make_shared<model::KubernetesNetworkPolicy>();
    out->metadata.ns = pick(kNamespaces);
    out->metadata.name = pick<std::string>({"a", "k"});
    out->spec.pod_selector = label_selector();
    out->spec.policy_types = pick<std::vector<model::PolicyType>>({{}, {kIngress}, {kEgress}, {kIngress, kEgress}});
    for (std::size_t n = below(3); n > 0; --n) {
        out->spec.ingress.push_back({peers(), kubernetes_ports(), false});
    }
    for (std::size_t n = below(3); n > 0; --n) {
        out->spec.egress.push_back({peers(), kubernetes_ports(), false});
    }
    return out;
}

// --- other objects --------------------------------------------------------------------------------------------------

model::ResourcePtr RandomPolicies::random_tier(const std::string& name) {
    auto out = std::make_shared<model::Tier>();
    out->metadata.name = name;
    out->spec.order = pick<double>({-1, 5, 5, 1'000'000, 2'000'000, 20'000'000});
    out->spec.default_action = one_in(2) ? model::TierDefaultAction::deny : model::TierDefaultAction::pass;
    if (one_in(4)) {
        out->spec.deny_action = other_deny_action(below(2));
    }
    return out;
}

model::ResourcePtr RandomPolicies::random_profile() {
    model::StringMap inherited;
    if (one_in(2)) {
        inherited["zone"] = pick<std::string>({"a", "b"});
    }
    return profile("extra", rules(kIngress), rules(kEgress), inherited);
}

std::vector<model::ResourcePtr> RandomPolicies::first() {
    return {random_tier("early"), random_tier("late"), random_profile()};
}

model::ResourcePtr RandomPolicies::pod_change(const Site& site) {
    auto out = std::make_shared<model::WorkloadEndpoint>(site.endpoint(pick(kPods)));
    switch (below(4)) {
        case 0:
            out->spec.ports = {
                port(pick<std::string>({"http", "metrics"}), pick(kPorts), pick<net::Protocol>({net::kTcp, net::kUdp})),
                port(pick<std::string>({"dns", "signal"}), pick(kPorts), pick<net::Protocol>({net::kTcp, net::kSctp}))};
            break;
        case 1:
            out->spec.profiles = pick<std::vector<std::string>>(
                {{"kns." + out->metadata.ns},
                 {"extra", "kns." + out->metadata.ns},
                 {"kns." + out->metadata.ns, "ksa." + out->metadata.ns + "." + out->spec.service_account_name},
                 {"extra"},
                 {"missing", "kns." + out->metadata.ns}});
            break;
        default: {
            model::StringMap changed = labels();
            changed["projectcalico.org/orchestrator"] = "k8s";
            out->metadata.labels = std::move(changed);
        }
    }
    return out;
}

model::ResourcePtr RandomPolicies::network_set_change() {
    std::vector<std::string> texts;
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        for (const net::Prefix& net : nets(family)) {
            texts.push_back(net.to_string());
        }
    }
    if (one_in(12)) {
        texts.push_back(one_in(2) ? "0.0.0.0/0" : "::/0");
    }
    return one_in(2) ? network_set("", pick<std::string>({"partners", "more"}), texts, labels())
                     : network_set(pick(kNamespaces), pick<std::string>({"suppliers", "more"}), texts, labels());
}

model::ResourcePtr RandomPolicies::any_change(const Site& site) {
    switch (below(30)) {
        case 0:
        case 1:
        case 2:
        case 3:
        case 4:
            return global_policy();
        case 5:
        case 6:
        case 7:
        case 8:
            return namespaced_policy();
        case 9:
        case 10:
        case 11:
            return kubernetes_policy();
        case 12:
        case 13:
            return network_set_change();
        case 14:
            return random_tier(pick<std::string>({"early", "late"}));
        case 15:
            return random_profile();
        case 20:
        case 21:
            return host_endpoint();
        case 22:
        case 23:
            return admin_policy();
        case 24:
            return slice();
        case 25:
            return other_node();
        case 26:
            return tunnelled_pool();
        case 16:
            return namespace_(pick(kNamespaces), {{"env", pick<std::string>({"prod", "test"})},
                                                  {"team", pick<std::string>({"red", "green", "blue"})}});
        case 17:
            return account(pick(kNamespaces), pick<std::string>({"front", "back", "default"}),
                           {{"role", pick<std::string>({"front", "back", "api"})}});
        default:
            return pod_change(site);
    }
}

model::ResourcePtr RandomPolicies::change(const Site& site) {
    for (;;) {
        model::ResourcePtr resource = any_change(site);
        if (!model::has_errors(model::validate(*resource))) {
            return resource;
        }
    }
}

// --- packets --------------------------------------------------------------------------------------------------------

Packet RandomPolicies::packet(net::Family family, bool invalid_passes) {
    Packet out;
    const bool v4 = family == net::Family::v4;
    out.protocol = pick<net::Protocol>({net::kTcp, net::kTcp, net::kTcp, net::kUdp, net::kUdp, net::kUdp, net::kSctp,
                                        v4 ? net::kIcmp : net::kIcmpv6, v4 ? net::kIcmp : net::kIcmpv6,
                                        *net::Protocol::make(one_in(2) ? 99 : 253)});
    if (v4 && one_in(24)) {
        out.protocol = *net::Protocol::make(4);
    }
    if (out.protocol.has_ports()) {
        out.destination_port = pick(out.protocol == net::kUdp && one_in(4) ? kTunnelPorts : kPorts);
        out.source_port = one_in(4) ? pick(kPorts) : static_cast<std::uint16_t>(20000 + below(20000));
        return out;
    }
    if (out.protocol == net::kIcmp || out.protocol == net::kIcmpv6) {
        std::vector<std::uint8_t> types =
            v4 ? std::vector<std::uint8_t>{8, 8, 13} : std::vector<std::uint8_t>{128, 128, 135};
        if (invalid_passes) {
            types.insert(types.end(),
                         v4 ? std::initializer_list<std::uint8_t>{0, 3} : std::initializer_list<std::uint8_t>{1, 3});
        }
        out.icmp_type = pick(types);
        out.icmp_code = static_cast<std::uint8_t>(below(3));
    }
    return out;
}

std::vector<RandomPolicies::Probe> RandomPolicies::probes(const Site& site, std::size_t count, bool invalid_passes) {
    static const std::vector<std::string> kLocal{"rw", "rd", "gw", "ga", "bd", "bx", "node", "node", "s1"};
    static const std::vector<std::string> kPeers{"rw", "rd", "gw", "ga", "bd", "bx",  "rr",
                                                 "o1", "o2", "o3", "oh", "s1", "node"};
    static const std::vector<Form> kForms{Form::options, Form::fragments, Form::shuffled};
    std::vector<Probe> out;
    std::set<std::tuple<std::uint8_t, std::pair<net::Ip, std::uint16_t>, std::pair<net::Ip, std::uint16_t>>> known;
    while (out.size() < count) {
        const Party* from = &site.party(pick(kLocal));
        const Party* to = &site.party(pick(kPeers));
        if (one_in(2)) {
            std::swap(from, to);
        }
        if (from == to) {
            continue;
        }
        const net::Family family = one_in(2) ? net::Family::v4 : net::Family::v6;
        Packet packet = this->packet(family, invalid_passes);
        if (packet.icmp_type == 13 && to->name == Lab::kNode) {
            continue;  // the node would answer
        }
        packet.source = from->address(family);
        packet.destination = to->address(family);
        std::pair a{packet.source, packet.source_port.value_or(0)};
        std::pair b{packet.destination, packet.destination_port.value_or(0)};
        if (b < a) {
            std::swap(a, b);
        }
        // Messages of ICMP are told apart by their identification, which is always a new one.
        if (packet.icmp_type || known.emplace(packet.protocol.number(), a, b).second) {
            const bool plain = !packet.destination_port || from->name == Lab::kNode || !one_in(6);
            out.push_back({from, to,
                           Shot{from->place, to->place, packet, one_in(3) ? 0U : 8U, plain ? Form::whole : pick(kForms),
                                false, false}});
        }
    }
    return out;
}

}  // namespace manul::felix::test
