#include "bgpd/speaker/peers.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "base/sha1.hpp"
#include "bgpd/speaker/filters.hpp"
#include "bgpd/speaker/routing.hpp"
#include "bgpd/speaker/workloads.hpp"
#include "config/model/selector.hpp"

namespace manul::bgp::speaker {

namespace {

using model::BgpConfigurationSpec;
using model::BgpPeer;
using model::Node;

std::optional<net::Ip> address_of(const model::NodeBgp& bgp, net::Family family) {
    const auto& address = family == net::Family::v4 ? bgp.ipv4_address : bgp.ipv6_address;
    return address ? std::optional<net::Ip>(address->address) : std::nullopt;
}

std::optional<BfdSettings> bfd_settings(const std::optional<model::Bfd>& spec) {
    if (!spec) {
        return std::nullopt;
    }
    auto hops = BfdSettings::Hops::automatic;
    if (spec->mode != model::BfdMode::auto_) {
        hops = spec->mode == model::BfdMode::single_hop ? BfdSettings::Hops::single : BfdSettings::Hops::multiple;
    }
    return BfdSettings{.interval = std::chrono::milliseconds(spec->interval_ms),
                       .multiplier = spec->multiplier,
                       .hops = hops,
                       .graceful = spec->graceful};
}

std::optional<Password> password_of(const std::optional<model::BgpPassword>& password) {
    if (!password || !password->secret_key_ref) {
        return std::nullopt;
    }
    return Password{password->secret_key_ref->name, password->secret_key_ref->key, std::nullopt};
}

std::uint16_t restart_seconds(const std::optional<model::Duration>& duration) {
    constexpr std::int64_t kLongest = 4095;  // 12 bits, RFC 4724 section 3
    return duration ? static_cast<std::uint16_t>(std::clamp<std::int64_t>(duration->seconds().count(), 0, kLongest))
                    : std::uint16_t{120};
}

/// The hold time that goes on the wire: 0 or at least 3 s (RFC 4271 section 4.2).
std::chrono::seconds hold_time(const model::BgpPeerSpec& spec) {
    std::chrono::seconds hold{90};
    if (spec.hold_time) {
        hold = spec.hold_time->seconds();
    } else if (spec.keepalive_time) {
        hold = 3 * spec.keepalive_time->seconds();
    }
    if (hold.count() == 0) {
        return hold;
    }
    return std::clamp(hold, std::chrono::seconds(3), std::chrono::seconds(UINT16_MAX));
}

NextHopMode next_hop_mode(const model::BgpPeerSpec& spec) {
    if (spec.keep_original_next_hop || spec.next_hop_mode == model::NextHopMode::keep) {
        return NextHopMode::keep;
    }
    return spec.next_hop_mode == model::NextHopMode::self ? NextHopMode::self : NextHopMode::automatic;
}

/// In the model's order.
constexpr std::array kRoles{wire::Role::provider, wire::Role::customer, wire::Role::peer, wire::Role::route_server,
                            wire::Role::route_server_client};

wire::Role role_of(model::BgpRole role) { return kRoles[static_cast<std::size_t>(role)]; }

/// What a definition says of one end, as it is at the other end: of two that never open a connection, have the same
/// role, or both only send several paths, no session or nothing would come.
void turn_round(PeerConfig& config) {
    config.passive = false;
    if (config.role) {
        const auto theirs = static_cast<std::uint8_t>(*config.role);
        config.role = *std::ranges::find_if(kRoles, [&](wire::Role ours) { return wire::roles_match(ours, theirs); });
    }
    if (config.tcp_ao) {
        std::swap(config.tcp_ao->send_id, config.tcp_ao->receive_id);
    }
    if (!config.add_path_receive && config.add_path_send == true) {
        config.add_path_receive = true;
        config.add_path_send = false;
    }
}

/// Builds the list of peers; one use.
class Builder {
public:
    Builder(const PeerResources& resources, const Node& own, Configuration& out)
        : out_(out),
          nodes_(by_name(resources.nodes)),
          peers_(by_name(resources.peers)),
          configurations_(by_name(resources.configurations)),
          filters_(by_name(resources.filters)),
          resources_(resources),
          own_(own) {}

    void add_mesh();
    void add_peers();

private:
    /// One end of a definition: where the session leads and what is special about it.
    struct Remote {
        net::Ip address;
        std::uint16_t port;
        net::Asn as;
        const Node* node;  ///< null: not a Node
    };

    [[nodiscard]] const BgpConfigurationSpec& global() const;
    [[nodiscard]] net::Asn as_of(const Node& node) const;
    [[nodiscard]] std::uint16_t port_of(const Node& node) const;
    [[nodiscard]] const Node* node_with(const net::Ip& address) const;
    [[nodiscard]] std::optional<model::Selector> parse(const BgpPeer& peer, const std::string& text);
    [[nodiscard]] bool has_effect(const BgpPeer& peer);
    void add_peer(const BgpPeer& peer);
    void add_given_address(const BgpPeer& peer, bool here);
    void add_workloads(const BgpPeer& peer);
    void add_range(const BgpPeer& peer);
    void add_on_interface(const BgpPeer& peer);
    void add_selected(const BgpPeer& peer, const model::Selector& local, const model::Selector& remote);
    void add_node(const BgpPeer& peer, const Node& node, bool reversed);
    void add_node(const BgpPeer& peer, const Node& node, bool reversed, net::Family family);
    void add(const BgpPeer& peer, const Remote& remote, net::Asn local_as, bool reversed = false);
    [[nodiscard]] PeerConfig make(const BgpPeer& peer, const Remote& remote, net::Asn local_as) const;
    void add(PeerConfig config, const Node* remote_node);
    [[nodiscard]] bool matches(const BgpPeer& peer, const model::Selector& selector, const Node& node) const;
    void find(const std::string& name, const std::string& what) { out_.findings.push_back(name + ": " + what); }

    Configuration& out_;
    Named<Node> nodes_;
    Named<BgpPeer> peers_;
    Named<model::BgpConfiguration> configurations_;
    FiltersByName filters_;
    const PeerResources& resources_;
    const Node& own_;
    std::map<std::string, std::string> defined_;  ///< by which resource, by PeerConfig::id
};

std::string name_of(const BgpPeer& peer) { return "BGPPeer(" + peer.metadata.name + ")"; }

const BgpConfigurationSpec& Builder::global() const {
    static const BgpConfigurationSpec unconfigured;
    const auto found = configurations_.find("default");
    return found == configurations_.end() ? unconfigured : found->second->spec;
}

net::Asn Builder::as_of(const Node& node) const {
    if (node.spec.bgp && node.spec.bgp->as_number) {
        return *node.spec.bgp->as_number;
    }
    return global().as_number.value_or(*net::Asn::make(model::kDefaultAsNumber));
}

std::uint16_t Builder::port_of(const Node& node) const {
    const auto special = configurations_.find("node." + node.metadata.name);
    if (special != configurations_.end() && special->second->spec.listen_port) {
        return *special->second->spec.listen_port;
    }
    return global().listen_port.value_or(model::kDefaultBgpPort);
}

const Node* Builder::node_with(const net::Ip& address) const {
    for (const auto& [name, node] : nodes_) {
        if (node->spec.bgp && address_of(*node->spec.bgp, address.family()) == address) {
            return node;
        }
    }
    return nullptr;
}

void Builder::add_mesh() {
    if (!global().node_to_node_mesh_enabled.value_or(true) || out_.self.cluster_id) {
        return;
    }
    for (const auto& [name, node] : nodes_) {
        if (node == &own_ || !node->spec.bgp || node->spec.bgp->route_reflector_cluster_id) {
            continue;
        }
        for (const net::Family family : {net::Family::v4, net::Family::v6}) {
            const auto local = address_of(*own_.spec.bgp, family);
            const auto remote = address_of(*node->spec.bgp, family);
            if (!local || !remote) {
                continue;
            }
            PeerConfig config;
            config.name = "Node(" + name + ")";
            config.origin = PeerOrigin::node_mesh;
            config.address = *remote;
            config.port = port_of(*node);
            config.remote_as = as_of(*node);
            config.local_as = out_.self.as;
            config.local_address = local;
            config.restart_seconds = restart_seconds(global().node_mesh_max_restart_time);
            config.password = password_of(global().node_mesh_password);
            add(std::move(config), node);
        }
    }
}

void Builder::add_peers() {
    for (const bool global : {true, false}) {
        for (const auto& [name, peer] : peers_) {
            if ((peer->spec.node.empty() && peer->spec.node_selector.empty()) == global) {
                add_peer(*peer);
            }
        }
    }
}

std::optional<model::Selector> Builder::parse(const BgpPeer& peer, const std::string& text) {
    auto selector = model::Selector::parse(text);
    if (!selector) {
        find(name_of(peer), "selector '" + text + "': " + selector.error().message);
        return std::nullopt;
    }
    return *std::move(selector);
}

/// Names what this speaker does not do.
bool Builder::has_effect(const BgpPeer& peer) {
    const auto& spec = peer.spec;
    if (spec.listen_range && spec.filters.empty()) {
        find(name_of(peer),
             "a peer with listenRange needs filters: without them it might neither hear nor say anything "
             "(RFC 8212)");
        return false;
    }
    return true;
}

bool Builder::matches(const BgpPeer& peer, const model::Selector& selector, const Node& node) const {
    if (!peer.spec.node.empty()) {
        return node.metadata.name == peer.spec.node;
    }
    return selector.matches(node.metadata.labels);
}

void Builder::add_peer(const BgpPeer& peer) {
    if (!has_effect(peer)) {
        return;
    }
    const auto local = parse(peer, peer.spec.node_selector);
    if (!local) {
        return;
    }
    if (peer.spec.listen_range || !peer.spec.local_workload_selector.empty()) {
        if (matches(peer, *local, own_)) {
            peer.spec.listen_range ? add_range(peer) : add_workloads(peer);
        }
        return;
    }
    if (!peer.spec.interface.empty()) {
        if (matches(peer, *local, own_)) {
            add_on_interface(peer);
        }
        return;
    }
    if (peer.spec.peer_ip) {
        add_given_address(peer, matches(peer, *local, own_));
        if (peer.spec.peer_ip && address_of(*own_.spec.bgp, peer.spec.peer_ip->ip.family()) == peer.spec.peer_ip->ip &&
            (!peer.spec.as_number || *peer.spec.as_number == out_.self.as) &&
            peer.spec.reverse_peering == model::ReversePeering::auto_) {
            for (const auto& [name, node] : nodes_) {
                if (matches(peer, *local, *node)) {
                    add_node(peer, *node, true, peer.spec.peer_ip->ip.family());
                }
            }
        }
        return;
    }
    if (peer.spec.peer_selector.empty()) {
        find(name_of(peer), "none of peerIP, peerSelector, localWorkloadSelector, listenRange and interface");
        return;
    }
    if (const auto remote = parse(peer, peer.spec.peer_selector)) {
        add_selected(peer, *local, *remote);
    }
}

void Builder::add_given_address(const BgpPeer& peer, bool here) {
    const net::Ip& address = peer.spec.peer_ip->ip;
    if (!here || address_of(*own_.spec.bgp, address.family()) == address) {
        return;  // a definition for every node also reaches the one that it leads to
    }
    const Node* const node = node_with(address);
    const std::uint16_t port =
        peer.spec.peer_ip->port.value_or(node != nullptr ? port_of(*node) : model::kDefaultBgpPort);
    const net::Asn as = peer.spec.as_number.value_or(node != nullptr ? as_of(*node) : out_.self.as);
    add(peer, {address, port, as, node}, peer.spec.local_as_number.value_or(out_.self.as));
}

/// Workloads of this node that speak BGP. They connect: the node does not know when they are ready.
void Builder::add_workloads(const BgpPeer& peer) {
    const auto selector = parse(peer, peer.spec.local_workload_selector);
    if (!selector) {
        return;
    }
    if (!peer.spec.as_number) {
        find(name_of(peer), "localWorkloadSelector needs asNumber");
        return;
    }
    for (const model::WorkloadEndpoint* endpoint : chosen_workloads(*selector, resources_)) {
        for (const net::Prefix& address : endpoint->spec.ip_networks) {
            PeerConfig config = make(peer, {address.address(), model::kDefaultBgpPort, *peer.spec.as_number, nullptr},
                                     peer.spec.local_as_number.value_or(out_.self.as));
            const model::WorkloadEndpointSpec& spec = endpoint->spec;
            config.name += " " + endpoint->metadata.ns + "/" + (spec.pod.empty() ? spec.container_id : spec.pod);
            config.passive = true;
            config.local_workload = true;
            config.local_address.reset();
            add(std::move(config), nullptr);
        }
    }
}

/// Peers that are not known before they connect.
void Builder::add_range(const BgpPeer& peer) {
    const net::Prefix& range = *peer.spec.listen_range;
    PeerConfig config =
        make(peer, {range.address(), model::kDefaultBgpPort, peer.spec.as_number.value_or(out_.self.as), nullptr},
             peer.spec.local_as_number.value_or(out_.self.as));
    config.range = range;
    config.passive = true;
    config.local_address.reset();
    if (!config.v4 && !config.v6) {
        (range.family() == net::Family::v4 ? config.v4 : config.v6) = true;
    }
    config.reflector_client = out_.self.cluster_id && !config.external();
    const auto same = [&](const PeerConfig& other) { return other.range == range; };
    if (const auto other = std::ranges::find_if(out_.ranges, same); other != out_.ranges.end()) {
        find(config.name, range.to_string() + " is defined by " + other->name + " already");
        return;
    }
    out_.ranges.push_back(std::move(config));
}

/// The router on a link, by its link-local address. Both families unless it says otherwise: neither needs an address of
/// its own on the link (RFC 8950).
void Builder::add_on_interface(const BgpPeer& peer) {
    const auto given = peer.spec.peer_ip.value_or(model::PeerAddress{net::Ip6(), std::nullopt});
    PeerConfig config = make(
        peer,
        {given.ip, given.port.value_or(model::kDefaultBgpPort), peer.spec.as_number.value_or(out_.self.as), nullptr},
        peer.spec.local_as_number.value_or(out_.self.as));
    config.interface = peer.spec.interface;
    config.any_neighbour = !peer.spec.peer_ip;
    config.placed = false;
    config.local_address.reset();
    if (!config.v4 && !config.v6) {
        config.v4 = config.v6 = true;
    }
    add(std::move(config), nullptr);
}

void Builder::add_selected(const BgpPeer& peer, const model::Selector& local, const model::Selector& remote) {
    const bool here = matches(peer, local, own_);
    const bool there =
        peer.spec.reverse_peering == model::ReversePeering::auto_ && remote.matches(own_.metadata.labels);
    for (const auto& [name, node] : nodes_) {
        if (here && remote.matches(node->metadata.labels)) {
            add_node(peer, *node, false);
        } else if (there && matches(peer, local, *node)) {
            add_node(peer, *node, true);
        }
    }
}

/// A session with a Node, one for each family that both have.
void Builder::add_node(const BgpPeer& peer, const Node& node, bool reversed) {
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        add_node(peer, node, reversed, family);
    }
}

/// `reversed`: the definition speaks of us as the remote end, so its local AS number and the like are the other
/// side's.
void Builder::add_node(const BgpPeer& peer, const Node& node, bool reversed, net::Family family) {
    if (&node == &own_ || !node.spec.bgp) {
        return;
    }
    const auto& special_as = peer.spec.local_as_number;
    const net::Asn remote_as = reversed && special_as ? *special_as : as_of(node);
    const net::Asn local_as = !reversed && special_as ? *special_as : out_.self.as;
    const auto remote = address_of(*node.spec.bgp, family);
    if (remote && address_of(*own_.spec.bgp, family)) {
        add(peer, {*remote, port_of(node), remote_as, &node}, local_as, reversed);
    }
}

void Builder::add(const BgpPeer& peer, const Remote& remote, net::Asn local_as, bool reversed) {
    PeerConfig config = make(peer, remote, local_as);
    if (reversed) {
        turn_round(config);
        // A gateway of the other end's link serves nobody here: one that both have on their links is meant for both. Of
        // a single address the link is not known.
        const auto& own = remote.address.is_v4() ? own_.spec.bgp->ipv4_address : own_.spec.bgp->ipv6_address;
        const auto& gateway = config.reachable_by;
        if (gateway &&
            (!own || *gateway == own->address || !(own->network().is_host() || own->network().contains(*gateway)))) {
            config.reachable_by.reset();
        }
    }
    if (peer.spec.source_address == model::SourceAddressMode::use_node_ip && !config.local_address) {
        find(config.name, "this node has no address in the family of " + remote.address.to_string());
        return;
    }
    add(std::move(config), remote.node);
}

/// What a definition says about a session.
PeerConfig Builder::make(const BgpPeer& peer, const Remote& remote, net::Asn local_as) const {
    const auto& spec = peer.spec;
    PeerConfig config;
    config.name = name_of(peer);
    config.origin = spec.node.empty() && spec.node_selector.empty() ? PeerOrigin::global : PeerOrigin::node_specific;
    config.address = remote.address;
    config.placed = !remote.address.is_link_local();
    config.port = remote.port;
    config.remote_as = remote.as;
    config.local_as = local_as;
    if (spec.source_address == model::SourceAddressMode::use_node_ip) {
        config.local_address = address_of(*own_.spec.bgp, remote.address.family());
    }
    for (const model::AddressFamily family : spec.families) {
        (family == model::AddressFamily::ipv4 ? config.v4 : config.v6) = true;
    }
    config.passive = spec.passive;
    config.next_hop_mode = next_hop_mode(spec);
    config.hold_time = hold_time(spec);
    if (spec.keepalive_time) {
        config.keepalive_time = spec.keepalive_time->seconds();
    }
    config.restart_seconds = restart_seconds(spec.max_restart_time);
    config.allowed_own_as = spec.num_allowed_local_as_numbers;
    config.ttl_security = spec.ttl_security;
    config.password = password_of(spec.password);
    config.bfd = bfd_settings(spec.bfd);
    if (spec.role) {
        config.role = role_of(*spec.role);
        config.role_strict = spec.role_strict;
    }
    if (spec.tcp_ao) {
        // Both enumerations have the algorithms of RFC 5926 in one order.
        config.tcp_ao =
            TcpAo{spec.tcp_ao->send_id, spec.tcp_ao->receive_id, static_cast<TcpAo::Algorithm>(spec.tcp_ao->algorithm)};
    }
    if (spec.add_path) {
        config.add_path_receive =
            *spec.add_path == model::AddPathMode::receive || *spec.add_path == model::AddPathMode::both;
        config.add_path_send = *spec.add_path == model::AddPathMode::send || *spec.add_path == model::AddPathMode::both;
    }
    if (spec.max_prefixes) {
        config.max_prefixes = spec.max_prefixes->count;
        config.max_prefixes_warning = spec.max_prefixes->warn_percent;
    }
    config.reachable_by = spec.reachable_by;
    config.filters = spec.filters;
    if (auto rules = compile_filters(spec.filters, filters_)) {
        config.rules = *std::move(rules);
    } else {
        config.problem = rules.error();
    }
    return config;
}

void Builder::add(PeerConfig config, const Node* remote_node) {
    const auto [known, added] = defined_.emplace(config.id(), config.name);
    if (!added) {
        if (known->second != config.name) {
            find(config.name, known->first + " is defined by " + known->second + " already");
        }
        return;
    }
    if (!config.v4 && !config.v6) {
        (config.address.is_v4() ? config.v4 : config.v6) = true;
    }
    config.is_node = remote_node != nullptr;
    if (out_.self.cluster_id && !config.external()) {
        const auto cluster = remote_node != nullptr && remote_node->spec.bgp
                                 ? remote_node->spec.bgp->route_reflector_cluster_id
                                 : std::nullopt;
        config.reflector_client = !cluster || cluster->value() != *out_.self.cluster_id;
    }
    out_.peers.push_back(std::move(config));
}

}  // namespace

net::RouterId router_id(const std::string& node_name, const model::NodeBgp& bgp) {
    if (bgp.ipv4_address) {
        if (const auto id = net::RouterId::make(bgp.ipv4_address->address.v4().value())) {
            return *id;
        }
    }
    const auto hash = sha1(node_name);
    const std::uint32_t value = std::uint32_t{hash[0]} << 24U | std::uint32_t{hash[1]} << 16U |
                                std::uint32_t{hash[2]} << 8U | std::uint32_t{hash[3]};
    return net::RouterId::make(value).value_or(*net::RouterId::make(1));
}

Configuration make_configuration(const PeerResources& resources) {
    Configuration out;
    out.self.node_name = resources.node_name;
    const auto configurations = by_name(resources.configurations);
    static const BgpConfigurationSpec unconfigured;
    const auto defaults = configurations.find("default");
    const BgpConfigurationSpec& global = defaults == configurations.end() ? unconfigured : defaults->second->spec;
    const auto special = configurations.find("node." + resources.node_name);
    const BgpConfigurationSpec& own_configuration = special == configurations.end() ? global : special->second->spec;

    out.listen_port = own_configuration.listen_port.value_or(global.listen_port.value_or(model::kDefaultBgpPort));
    out.listen_on_node_address =
        own_configuration.bind_mode == model::BindMode::node_ip || global.bind_mode == model::BindMode::node_ip;
    const model::Multipath multipath = global.multipath.value_or(model::Multipath{});
    out.multipath = {static_cast<std::uint16_t>(std::clamp<std::uint32_t>(multipath.max, 1, UINT16_MAX)),
                     multipath.relax};
    out.self.as = global.as_number.value_or(*net::Asn::make(model::kDefaultAsNumber));
    set_routing(resources, global, own_configuration.prefix_advertisements.empty() ? global : own_configuration, out);
    out.ignored_interfaces =
        own_configuration.ignored_interfaces.empty() ? global.ignored_interfaces : own_configuration.ignored_interfaces;

    const auto nodes = by_name(resources.nodes);
    const auto own = nodes.find(resources.node_name);
    if (own == nodes.end() || !own->second->spec.bgp) {
        out.self.router_id = router_id(resources.node_name, {});
        out.findings.push_back("Node(" + resources.node_name + "): absent or without spec.bgp, so there are no peers");
        return out;
    }
    const model::NodeBgp& bgp = *own->second->spec.bgp;
    out.self.as = bgp.as_number.value_or(out.self.as);
    out.self.router_id = router_id(resources.node_name, bgp);
    out.self.v4 = bgp.ipv4_address;
    out.self.v6 = bgp.ipv6_address;
    if (bgp.route_reflector_cluster_id) {
        out.self.cluster_id = bgp.route_reflector_cluster_id->value();
    }
    Builder builder(resources, *own->second, out);
    builder.add_mesh();
    builder.add_peers();
    return out;
}

}  // namespace manul::bgp::speaker
