#include "bgpd/speaker/peers.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <tuple>
#include <vector>

#include "bgpd/speaker/bfd_session.hpp"
#include "bgpd/speaker/originate.hpp"
#include "bgpd/speaker/workloads.hpp"

namespace {

using namespace manul;
using namespace manul::bgp::speaker;
using model::BgpPeer;

struct Cluster {
    PeerResources resources;

    explicit Cluster(const std::string& self) { resources.node_name = self; }

    model::Node& node(const std::string& name, const std::string& v4, const std::string& v6 = "") {
        auto node = std::make_shared<model::Node>();
        node->metadata.name = name;
        node->metadata.labels["name"] = name;
        node->spec.bgp.emplace();
        node->spec.bgp->ipv4_address = net::InterfaceAddress::parse(v4);
        if (!v6.empty()) {
            node->spec.bgp->ipv6_address = net::InterfaceAddress::parse(v6);
        }
        resources.nodes.push_back(node);
        return *node;
    }
    model::BgpPeerSpec& peer(const std::string& name) {
        auto peer = std::make_shared<BgpPeer>();
        peer->metadata.name = name;
        resources.peers.push_back(peer);
        return peer->spec;
    }
    model::BgpConfigurationSpec& configuration(const std::string& name = "default") {
        auto configuration = std::make_shared<model::BgpConfiguration>();
        configuration->metadata.name = name;
        resources.configurations.push_back(configuration);
        return configuration->spec;
    }
    model::IpPoolSpec& pool(const std::string& cidr) {
        auto pool = std::make_shared<model::IpPool>();
        pool->metadata.name = "pool-" + std::to_string(resources.pools.size());
        pool->spec.cidr = *net::Prefix::parse(cidr);
        resources.pools.push_back(pool);
        return pool->spec;
    }
    void set_reflector(model::Node& node, const char* cluster) const {
        node.spec.bgp->route_reflector_cluster_id = net::Ip4::parse(cluster);
    }
    [[nodiscard]] Configuration make() const { return make_configuration(resources); }
};

/// "10.0.0.2/64512 10.0.0.3/64512"
std::string list(const Configuration& configuration) {
    std::string out;
    for (const PeerConfig& peer : configuration.peers) {
        out += (out.empty() ? "" : " ") + peer.address.to_string() + "/" + peer.remote_as.to_string();
    }
    return out;
}

net::Asn as(std::uint32_t number) { return *net::Asn::make(number); }

}  // namespace

TEST_CASE("without anything configured, nodes mesh, once a family that both have") {
    Cluster cluster("a");
    cluster.node("c", "10.0.0.3/24", "2001:db8::3/64");
    cluster.node("a", "10.0.0.1/24", "2001:db8::1/64");
    cluster.node("b", "10.0.0.2/24");
    const Configuration configuration = cluster.make();
    CHECK(list(configuration) == "10.0.0.2/64512 10.0.0.3/64512 2001:db8::3/64512");
    const PeerConfig& v6 = configuration.peers[2];
    CHECK((v6.v6 && !v6.v4));
    CHECK(v6.local_address == net::Ip::parse("2001:db8::1"));
    CHECK(v6.origin == PeerOrigin::node_mesh);
    CHECK(v6.is_node);
    CHECK_FALSE(v6.reflector_client);
    CHECK(configuration.self.router_id.to_string() == "10.0.0.1");
    CHECK(configuration.findings.empty());
}

TEST_CASE("the mesh has the AS numbers, ports and password that resources give") {
    Cluster cluster("a");
    cluster.node("a", "10.0.0.1/24");
    cluster.node("b", "10.0.0.2/24").spec.bgp->as_number = as(65002);
    cluster.configuration().as_number = as(65000);
    cluster.configuration("node.b").listen_port = 1790;
    auto& global = cluster.resources.configurations[0];
    auto changed = std::make_shared<model::BgpConfiguration>(*global);
    changed->spec.node_mesh_password = model::BgpPassword{model::SecretKeyRef{"bgp", "mesh"}};
    global = changed;
    const Configuration configuration = cluster.make();
    CHECK(list(configuration) == "10.0.0.2/65002");
    CHECK(configuration.self.as == as(65000));
    CHECK(configuration.peers[0].port == 1790);
    CHECK(configuration.peers[0].external());
    CHECK(configuration.peers[0].password == Password{"bgp", "mesh", std::nullopt});
    CHECK(configuration.listen_port == 179);
}

TEST_CASE("there is no mesh when it is switched off, and no peer at all without an own Node that speaks BGP") {
    Cluster cluster("a");
    cluster.node("b", "10.0.0.2/24");
    CHECK(cluster.make().peers.empty());
    CHECK(cluster.make().findings.size() == 1);
    cluster.node("a", "10.0.0.1/24");
    CHECK(list(cluster.make()) == "10.0.0.2/64512");
    cluster.configuration().node_to_node_mesh_enabled = false;
    CHECK(cluster.make().peers.empty());
}

TEST_CASE("a peer given by address concerns every node, one node, or nodes by label") {
    for (const auto& [node, selector, wanted] : {std::tuple{"", "", true},
                                                 {"a", "", true},
                                                 {"b", "", false},
                                                 {"", "name == 'a'", true},
                                                 {"", "name == 'b'", false}}) {
        CAPTURE(node, selector);
        Cluster cluster("a");
        cluster.node("a", "10.0.0.1/24");
        auto& peer = cluster.peer("router");
        peer.node = node;
        peer.node_selector = selector;
        peer.peer_ip = model::PeerAddress{*net::Ip::parse("10.0.0.254"), std::nullopt};
        peer.as_number = as(65100);
        CHECK(list(cluster.make()) == (wanted ? "10.0.0.254/65100" : ""));
    }
}

TEST_CASE("fields of a BGPPeer reach the session") {
    Cluster cluster("a");
    cluster.node("a", "10.0.0.1/24");
    auto& peer = cluster.peer("router");
    peer.peer_ip = model::PeerAddress{*net::Ip::parse("10.0.0.254"), 1179};
    peer.as_number = as(65100);
    peer.local_as_number = as(65001);
    peer.keep_original_next_hop = true;
    peer.keepalive_time = model::Duration::parse("10s");
    peer.max_restart_time = model::Duration::parse("300s");
    peer.num_allowed_local_as_numbers = 2;
    peer.ttl_security = 1;
    peer.source_address = model::SourceAddressMode::none;
    peer.password = model::BgpPassword{model::SecretKeyRef{"s", "k"}};
    peer.max_prefixes = model::MaxPrefixes{100, 80};
    peer.families = {model::AddressFamily::ipv4, model::AddressFamily::ipv6};
    const PeerConfig config = cluster.make().peers.at(0);
    CHECK(config.name == "BGPPeer(router)");
    CHECK(config.origin == PeerOrigin::global);
    CHECK(config.port == 1179);
    CHECK(config.local_as == as(65001));
    CHECK(config.next_hop_mode == NextHopMode::keep);
    CHECK(config.hold_time == std::chrono::seconds(30));
    CHECK(config.keepalive_time == std::chrono::seconds(10));
    CHECK(config.restart_seconds == 300);
    CHECK(config.allowed_own_as == 2);
    CHECK(config.ttl_security == std::uint8_t{1});
    CHECK_FALSE(config.local_address);
    CHECK(config.password->key == "k");
    CHECK(config.max_prefixes == 100U);
    CHECK((config.v4 && config.v6));
    CHECK_FALSE(config.is_node);
}

TEST_CASE("the first definition of an address stays: mesh, then all nodes, then chosen nodes, each by name") {
    Cluster cluster("a");
    cluster.node("a", "10.0.0.1/24");
    cluster.node("b", "10.0.0.2/24");
    const auto define = [&](const char* name, const char* address, std::uint32_t number, const char* node) {
        auto& peer = cluster.peer(name);
        peer.node = node;
        peer.peer_ip = model::PeerAddress{*net::Ip::parse(address), std::nullopt};
        peer.as_number = as(number);
    };
    define("1-chosen", "10.0.0.254", 65001, "a");
    define("3-all", "10.0.0.254", 65003, "");
    define("2-all", "10.0.0.254", 65002, "");
    define("4-mesh", "10.0.0.2", 65004, "");
    const Configuration configuration = cluster.make();
    CHECK(list(configuration) == "10.0.0.2/64512 10.0.0.254/65002");
    CHECK(configuration.findings == std::vector<std::string>{
                                        "BGPPeer(3-all): 10.0.0.254 is defined by BGPPeer(2-all) already",
                                        "BGPPeer(4-mesh): 10.0.0.2 is defined by Node(b) already",
                                        "BGPPeer(1-chosen): 10.0.0.254 is defined by BGPPeer(2-all) already",
                                    });
}

TEST_CASE("a route reflector is in no mesh; clients and reflector both get the session of one peerSelector") {
    const auto make = [](const char* self) {
        Cluster cluster(self);
        cluster.node("a", "10.0.0.1/24");
        cluster.node("b", "10.0.0.2/24");
        for (const char* name : {"r1", "r2"}) {
            auto& node = cluster.node(name, name[1] == '1' ? "10.0.0.11/24" : "10.0.0.12/24");
            node.metadata.labels["reflector"] = "yes";
            cluster.set_reflector(node, "10.9.9.9");
        }
        cluster.peer("reflectors").node_selector = "!has(reflector)";
        auto changed = std::make_shared<BgpPeer>(*cluster.resources.peers[0]);
        changed->spec.peer_selector = "has(reflector)";
        cluster.resources.peers[0] = changed;
        auto& mesh = cluster.peer("reflector-mesh");
        mesh.node_selector = "has(reflector)";
        mesh.peer_selector = "has(reflector)";
        return cluster.make();
    };
    CHECK(list(make("a")) == "10.0.0.2/64512 10.0.0.11/64512 10.0.0.12/64512");
    CHECK_FALSE(make("a").peers[1].reflector_client);
    const Configuration reflector = make("r1");
    CHECK(list(reflector) == "10.0.0.12/64512 10.0.0.1/64512 10.0.0.2/64512");
    CHECK(reflector.self.cluster_id == net::Ip4::parse("10.9.9.9")->value());
    CHECK_FALSE(reflector.peers[0].reflector_client);  // the same cluster
    CHECK(reflector.peers[1].reflector_client);
    CHECK(reflector.peers[2].reflector_client);
}

TEST_CASE("a reflector of another cluster and a router inside the AS are clients") {
    Cluster cluster("r1");
    cluster.set_reflector(cluster.node("r1", "10.0.0.11/24"), "10.9.9.9");
    cluster.set_reflector(cluster.node("r2", "10.0.0.12/24"), "10.8.8.8");
    cluster.peer("other").peer_selector = "name == 'r2'";
    auto& router = cluster.peer("router");
    router.peer_ip = model::PeerAddress{*net::Ip::parse("10.0.0.254"), std::nullopt};
    router.as_number = as(64512);
    auto& outside = cluster.peer("outside");
    outside.peer_ip = model::PeerAddress{*net::Ip::parse("10.0.0.253"), std::nullopt};
    outside.as_number = as(65000);
    const Configuration configuration = cluster.make();
    REQUIRE(configuration.peers.size() == 3);
    for (const PeerConfig& peer : configuration.peers) {
        CAPTURE(peer.name);
        CHECK(peer.reflector_client == (peer.name != "BGPPeer(outside)"));
    }
}

TEST_CASE("a Node that a peer's address leads to gets the session in return unless it is manual") {
    for (const bool manual : {false, true}) {
        CAPTURE(manual);
        Cluster cluster("b");
        cluster.node("a", "10.0.0.1/24", "2001:db8::1/64");  // only the address's family is asked for
        cluster.node("b", "10.0.0.2/24", "2001:db8::2/64");
        cluster.configuration().node_to_node_mesh_enabled = false;
        auto& peer = cluster.peer("to-b");
        peer.node = "a";
        peer.peer_ip = model::PeerAddress{*net::Ip::parse("10.0.0.2"), std::nullopt};
        peer.as_number = as(64512);
        peer.reverse_peering = manual ? model::ReversePeering::manual : model::ReversePeering::auto_;
        CHECK(list(cluster.make()) == (manual ? "" : "10.0.0.1/64512"));
    }
}

TEST_CASE("the gateway to a peer is also the way back where it is on this node's link, too") {
    for (const auto& [b, text, both] :
         {std::tuple("10.0.0.2/24", "10.0.0.254", true), std::tuple("10.0.0.2/24", "10.9.0.254", false),
          std::tuple("10.0.0.2/24", "10.0.0.2", false), std::tuple("10.0.0.2/32", "10.0.0.254", true)}) {
        const net::Ip gateway = *net::Ip::parse(text);
        for (const char* self : {"a", "b"}) {
            Cluster cluster(self);
            cluster.node("a", "10.9.0.1/24");
            cluster.node("b", b);
            cluster.configuration().node_to_node_mesh_enabled = false;
            auto& peer = cluster.peer("to-b");
            peer.node = "a";
            peer.peer_ip = model::PeerAddress{*net::Ip::parse("10.0.0.2"), std::nullopt};
            peer.reachable_by = gateway;
            const Configuration configuration = cluster.make();
            REQUIRE(configuration.peers.size() == 1);
            const bool holds = *self == 'a' || both;
            CHECK(configuration.peers[0].reachable_by == (holds ? std::optional(gateway) : std::nullopt));
        }
    }
}

TEST_CASE("what a definition says of one end is turned round for the Node at the other end") {
    using bgp::wire::Role;
    struct {
        model::BgpRole role;
        Role here, there;
    } const roles[] = {{model::BgpRole::provider, Role::provider, Role::customer},
                       {model::BgpRole::customer, Role::customer, Role::provider},
                       {model::BgpRole::peer, Role::peer, Role::peer},
                       {model::BgpRole::rs, Role::route_server, Role::route_server_client},
                       {model::BgpRole::rs_client, Role::route_server_client, Role::route_server}};
    for (const auto& row : roles) {
        for (const bool by_address : {false, true}) {
            for (const char* const at : {"a", "b"}) {
                CAPTURE(by_address, at);
                Cluster cluster(at);
                cluster.node("a", "10.0.0.1/24");
                cluster.node("b", "10.0.0.2/24");
                cluster.configuration().node_to_node_mesh_enabled = false;
                auto& peer = cluster.peer("to-b");
                peer.node = "a";
                if (by_address) {
                    peer.peer_ip = model::PeerAddress{*net::Ip::parse("10.0.0.2"), std::nullopt};
                } else {
                    peer.peer_selector = "name == 'b'";
                }
                peer.passive = true;
                peer.role = row.role;
                peer.add_path = model::AddPathMode::send;
                peer.tcp_ao = model::TcpAo{.send_id = 3, .receive_id = 4, .algorithm = {}};
                const Configuration configuration = cluster.make();
                REQUIRE(configuration.peers.size() == 1);
                const PeerConfig& found = configuration.peers[0];
                const bool here = *at == 'a';
                CHECK(found.passive == here);
                CHECK(found.role == (here ? row.here : row.there));
                CHECK(found.sends_add_path() == here);
                CHECK(found.add_path_receive == !here);
                CHECK(found.tcp_ao->send_id == (here ? 3 : 4));
                CHECK(found.tcp_ao->receive_id == (here ? 4 : 3));
            }
        }
    }
}

TEST_CASE("what is not supported is named and has no effect") {
    Cluster cluster("a");
    cluster.node("a", "10.0.0.1/24");
    cluster.peer("workloads").local_workload_selector = "all()";
    cluster.peer("range").listen_range = net::Prefix::parse("10.0.0.0/8");
    cluster.peer("broken").peer_selector = "a ==";
    cluster.peer("v6").peer_ip = model::PeerAddress{*net::Ip::parse("2001:db8::9"), std::nullopt};
    cluster.peer("nothing");
    const Configuration configuration = cluster.make();
    CHECK(configuration.peers.empty());
    CHECK(configuration.findings.size() == 5);
}

TEST_CASE("pools and service ranges say what is relayed and what stays out of the kernel") {
    Cluster cluster("a");
    cluster.node("a", "10.0.0.1/24");
    cluster.pool("10.244.0.0/16");
    cluster.pool("10.245.0.0/16").disable_bgp_export = true;
    cluster.pool("10.246.0.0/16").vxlan_mode = model::EncapMode::always;
    auto& global = cluster.configuration();
    global.service_cluster_ips = {{*net::Prefix::parse("10.96.0.0/12")}};
    global.service_load_balancer_ips = {{*net::Prefix::parse("192.0.2.0/24")}};
    const auto texts = [](const std::vector<net::Prefix>& prefixes) {
        std::string out;
        for (const net::Prefix& prefix : prefixes) {
            out += prefix.to_string() + " ";
        }
        return out;
    };
    CHECK(texts(cluster.make().relayable) == "10.244.0.0/16 10.246.0.0/16 192.0.2.0/24 10.96.0.0/12 ");
    CHECK(texts(cluster.make().kept_from_kernel) == "10.246.0.0/16 192.0.2.0/24 10.96.0.0/12 ");
    global.program_cluster_routes = model::ProgramClusterRoutes::enabled;
    CHECK(texts(cluster.make().kept_from_kernel) == "192.0.2.0/24 10.96.0.0/12 ");
}

TEST_CASE("a priority set anywhere turns LOCAL_PREF into Calico's form") {
    Cluster cluster("a");
    cluster.node("a", "10.0.0.1/24");
    CHECK(cluster.make().local_preference_v4 == 100);
    cluster.configuration().ipv6_normal_route_priority = 2000;
    CHECK(cluster.make().local_preference_v4 == 2147482623);
    CHECK(cluster.make().local_preference_v6 == 2147481647);
}

TEST_CASE("a node without an IPv4 address takes its router id from its name") {
    model::NodeBgp bgp;
    CHECK(router_id("node-1", bgp) == router_id("node-1", bgp));
    CHECK(router_id("node-1", bgp) != router_id("node-2", bgp));
    bgp.ipv4_address = net::InterfaceAddress::parse("192.0.2.7/24");
    CHECK(router_id("node-1", bgp).to_string() == "192.0.2.7");
}

TEST_CASE("BFD of a peer: its settings, and one hop exactly when the peer is on a link of this host") {
    Cluster cluster("a");
    cluster.node("a", "10.0.0.1/24");
    auto& near = cluster.peer("near");
    near.peer_ip = model::PeerAddress{.ip = *net::Ip::parse("10.0.0.9"), .port = {}};
    near.as_number = net::Asn::make(65000);
    near.bfd = model::Bfd{.interval_ms = 150, .multiplier = 5, .graceful = true};
    const Configuration configuration = make_configuration(cluster.resources);
    const auto found = std::ranges::find(configuration.peers, *net::Ip::parse("10.0.0.9"), &PeerConfig::address);
    REQUIRE(found != configuration.peers.end());
    REQUIRE(found->bfd);
    CHECK(found->bfd->graceful);

    const std::vector<net::InterfaceAddress> on_link{*net::InterfaceAddress::parse("10.0.0.1/24")};
    const std::vector<net::InterfaceAddress> elsewhere{*net::InterfaceAddress::parse("10.0.1.1/24")};
    const auto session = bfd_session(*found, found->bfd, on_link, {});
    REQUIRE(session);
    CHECK(session->single_hop);
    CHECK(session->settings.desired_min_tx == std::chrono::milliseconds(150));
    CHECK(session->settings.required_min_rx == std::chrono::milliseconds(150));
    CHECK(session->settings.detect_multiplier == 5);
    CHECK_FALSE(bfd_session(*found, found->bfd, elsewhere, {})->single_hop);

    PeerConfig forced = *found;
    forced.bfd->hops = BfdSettings::Hops::multiple;
    CHECK_FALSE(bfd_session(forced, forced.bfd, on_link, session)->single_hop);
    forced.bfd.reset();
    CHECK_FALSE(bfd_session(forced, forced.bfd, on_link, session));
}

namespace {

model::BgpFilterSpec& filter(Cluster& cluster, const std::string& name) {
    auto object = std::make_shared<model::BgpFilter>();
    object->metadata.name = name;
    cluster.resources.filters.push_back(object);
    return object->spec;
}

model::BgpFilterRule reject_in(const char* cidr) {
    model::BgpFilterRule rule;
    rule.action = model::FilterAction::reject;
    rule.match_operator = model::MatchOperator::in;
    rule.cidr = net::Prefix::parse(cidr);
    return rule;
}

model::PeerAddress at(const char* address) { return {*net::Ip::parse(address), std::nullopt}; }

}  // namespace

TEST_CASE("a peer gets the rules of its filters, one filter behind the other, by direction and family") {
    Cluster cluster("a");
    cluster.node("a", "10.0.0.1/24");
    filter(cluster, "first").import_v4 = {reject_in("10.1.0.0/16")};
    auto& second = filter(cluster, "second");
    second.import_v4 = {reject_in("10.2.0.0/16")};
    second.export_v6 = {reject_in("2001:db8::/32")};
    auto& spec = cluster.peer("router");
    spec.peer_ip = at("10.0.0.9");
    spec.filters = {"second", "first"};
    const Configuration configuration = cluster.make();
    const PeerConfig& peer = configuration.peers.at(0);
    CHECK(peer.filters == std::vector<std::string>{"second", "first"});
    REQUIRE(peer.rules.import_rules[0]);
    CHECK(peer.rules.import_rules[0]->rules()[0].label == "second importV4[0]");
    CHECK(peer.rules.import_rules[0]->rules()[1].label == "first importV4[0]");
    CHECK(peer.rules.import_rules[1] == nullptr);
    CHECK(peer.rules.export_rules[0] == nullptr);
    CHECK(peer.rules.export_rules[1]->rules().size() == 1);
    CHECK(peer.problem.empty());
}

TEST_CASE("every match and operation of a BGPFilter reaches the rule") {
    Cluster cluster("a");
    cluster.node("a", "10.0.0.1/24");
    model::BgpFilterRule rule;
    rule.action = model::FilterAction::accept;
    rule.match_operator = model::MatchOperator::not_in;
    rule.cidr = net::Prefix::parse("10.0.0.0/8");
    rule.prefix_length = model::PrefixLengthRange{16, 24};
    rule.source = model::FilterSource::remote_peers;
    rule.interface = "eth*";
    rule.peer_type = model::FilterPeerType::ibgp;
    rule.communities = model::CommunityMatch{{"65000:1:2"}};
    rule.as_path_prefix = {as(65001)};
    rule.priority = 512;
    rule.operations.resize(3);
    rule.operations[0].add_community = model::AddCommunity{"65000:7"};
    rule.operations[1].prepend_as_path = model::PrependAsPath{{as(65002), as(65003)}};
    rule.operations[2].set_priority = model::SetPriority{100};
    model::BgpFilterRule narrower = rule;
    narrower.has_unknown_fields = true;  // nobody knows what it is meant to accept
    filter(cluster, "f").export_v4 = {narrower, rule};
    auto& spec = cluster.peer("router");
    spec.peer_ip = at("10.0.0.9");
    spec.filters = {"f"};
    const Configuration configuration = cluster.make();
    const auto& rules = configuration.peers.at(0).rules.export_rules[0]->rules();
    bgp::policy::FilterRule expected;
    expected.action = bgp::policy::FilterAction::accept;
    expected.cidr_match = bgp::policy::CidrMatch::not_in;
    expected.cidr = *net::Prefix::parse("10.0.0.0/8");
    expected.min_length = 16;
    expected.max_length = 24;
    expected.remote_peers_only = true;
    expected.interface = "eth*";
    expected.peer_type = bgp::policy::PeerType::internal;
    expected.community = *bgp::wire::LargeCommunity::parse("65000:1:2");
    expected.as_path_prefix = {65001};
    expected.priority = 512;
    expected.operations = {bgp::policy::AddCommunity{*bgp::wire::Community::parse("65000:7")},
                           bgp::policy::PrependAsPath{{as(65002), as(65003)}}, bgp::policy::SetPriority{100}};
    expected.label = "f exportV4[1]";
    REQUIRE(rules.size() == 1);
    CHECK(rules[0] == expected);
}

TEST_CASE("a peer with a filter that does not exist stays down and says so; the others are unaffected") {
    Cluster cluster("a");
    cluster.node("a", "10.0.0.1/24");
    auto& bad = cluster.peer("bad");
    bad.peer_ip = at("10.0.0.8");
    bad.filters = {"nowhere"};
    cluster.peer("good").peer_ip = at("10.0.0.9");
    const Configuration configuration = cluster.make();
    REQUIRE(configuration.peers.size() == 2);
    CHECK(configuration.peers[0].problem == "BGPFilter(nowhere) does not exist");
    CHECK(configuration.peers[1].problem.empty());
}

TEST_CASE("workloads of this node that a selector chooses are passive peers without a source address") {
    Cluster cluster("a");
    cluster.node("a", "10.0.0.1/24");
    const auto workload = [&](const char* node, const char* address, const char* role) {
        auto endpoint = std::make_shared<model::WorkloadEndpoint>();
        endpoint->metadata.ns = "routers";
        endpoint->metadata.labels["role"] = role;
        endpoint->spec.node = node;
        endpoint->spec.pod = "speaker";
        endpoint->spec.ip_networks = {*net::Prefix::parse(address)};
        endpoint->spec.interface_name = std::string("cali-") + node + "-" + role;
        cluster.resources.endpoints.push_back(endpoint);
    };
    workload("a", "10.244.0.5/32", "bgp");
    workload("a", "10.244.0.6/32", "web");
    workload("b", "10.244.1.5/32", "bgp");
    auto& spec = cluster.peer("workloads");
    spec.local_workload_selector = "role == 'bgp' && projectcalico.org/namespace == 'routers'";
    spec.as_number = as(65100);
    const Configuration configuration = cluster.make();
    REQUIRE(list(configuration) == "10.244.0.5/65100");
    CHECK(configuration.peers[0].passive);
    CHECK(configuration.peers[0].local_workload);
    CHECK_FALSE(configuration.peers[0].local_address);
    CHECK(configuration.peers[0].name == "BGPPeer(workloads) routers/speaker");

    CHECK(workload_addresses(cluster.resources).empty());
    auto& global = cluster.configuration();
    global.local_workload_peering_ip_v4 = net::Ip4::parse("169.254.0.179");
    global.local_workload_peering_ip_v6 = net::Ip6::parse("fe80::179");  // these workloads have IPv4 alone
    const std::vector<WorkloadAddress> expected{{"cali-a-bgp", *net::Ip::parse("169.254.0.179")}};
    CHECK(workload_addresses(cluster.resources) == expected);
    spec.node = "b";
    CHECK(workload_addresses(cluster.resources).empty());
}

TEST_CASE("a listen range is a template for passive peers, and needs filters") {
    Cluster cluster("a");
    cluster.node("a", "10.0.0.1/24");
    filter(cluster, "f").import_v4 = {reject_in("10.1.0.0/16")};
    for (const char* name : {"range", "same"}) {
        auto& spec = cluster.peer(name);
        spec.listen_range = net::Prefix::parse("192.0.2.0/24");
        spec.as_number = as(65100);
        spec.filters = {"f"};
    }
    cluster.peer("bare").listen_range = net::Prefix::parse("198.51.100.0/24");
    const Configuration configuration = cluster.make();
    CHECK(configuration.peers.empty());
    REQUIRE(configuration.ranges.size() == 1);
    CHECK(configuration.ranges[0].range == net::Prefix::parse("192.0.2.0/24"));
    CHECK(configuration.ranges[0].passive);
    CHECK(configuration.ranges[0].v4);
    REQUIRE(configuration.findings.size() == 2);
    CHECK(configuration.findings[0].starts_with("BGPPeer(bare): a peer with listenRange needs filters"));
    CHECK(configuration.findings[1] == "BGPPeer(same): 192.0.2.0/24 is defined by BGPPeer(range) already");
}

TEST_CASE("prefix advertisements name communities by value or by name") {
    Cluster cluster("a");
    cluster.node("a", "10.0.0.1/24");
    auto& global = cluster.configuration();
    global.communities = {{"big", "64512:1:2"}, {"small", "64512:3"}};
    global.prefix_advertisements = {{*net::Prefix::parse("10.244.0.0/16"), {"big", "small", "64512:4", "unknown"}}};
    const Configuration configuration = cluster.make();
    REQUIRE(configuration.tagging.size() == 1);
    CHECK(configuration.tagging[0].communities ==
          std::vector{*bgp::wire::Community::parse("64512:3"), *bgp::wire::Community::parse("64512:4")});
    CHECK(configuration.tagging[0].large_communities == std::vector{*bgp::wire::LargeCommunity::parse("64512:1:2")});
    REQUIRE(configuration.findings.size() == 1);
    CHECK(configuration.findings[0].find("'unknown'") != std::string::npos);
}

TEST_CASE("a peer behind a gateway gets a host route of this kernel alone") {
    Cluster cluster("a");
    cluster.node("a", "10.0.0.1/24");
    auto& spec = cluster.peer("far");
    spec.peer_ip = at("203.0.113.9");
    spec.reachable_by = *net::Ip::parse("10.0.0.254");
    const Configuration configuration = cluster.make();
    std::vector<LocalRoute> routes{{*net::Prefix::parse("10.244.0.0/26"), true, true, {}}};
    add_ways_to_peers(configuration, routes);
    REQUIRE(routes.size() == 2);
    CHECK(routes[1].prefix == *net::Prefix::parse("203.0.113.9/32"));
    CHECK(routes[1].gateway == *net::Ip::parse("10.0.0.254"));
    CHECK_FALSE(routes[1].advertise);
    std::vector<LocalRoute> own{{*net::Prefix::parse("203.0.113.9/32"), false, true, {}}};
    add_ways_to_peers(configuration, own);
    CHECK(own.size() == 1);
}
