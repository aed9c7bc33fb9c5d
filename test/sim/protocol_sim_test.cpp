#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "bgpd/policy/export_rules.hpp"
#include "bgpd/wire/community.hpp"
#include "test/bgpd/hex.hpp"
#include "test/sim/scripted.hpp"
#include "test/sim/topologies.hpp"

// What peers say to a whole speaker, and what it says to them, feature by feature.

using namespace manul;
using namespace manul::sim;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;
using wire::Role;

namespace {

constexpr const char* kA = "192.0.2.2";  // external, AS 65001
constexpr const char* kB = "192.0.2.3";  // external, AS 65002
constexpr const char* kI = "192.0.2.4";  // internal

Configuration three_peers() {
    Configuration configuration = make_configuration("node", kAs, "192.0.2.1/24", {"0.0.0.0/0"});
    configuration.peers = {make_peer(kA, 65001, kAs), make_peer(kB, 65002, kAs), make_peer(kI, kAs, kAs)};
    return configuration;
}

/// The node relays between its external peers, as a reflector between Nodes.
Configuration relaying() {
    Configuration configuration = three_peers();
    configuration.self.cluster_id = 1;
    configuration.peers[0].is_node = configuration.peers[1].is_node = true;
    return configuration;
}

wire::PathAttributes with_otc(wire::PathAttributes attributes, std::uint32_t as) {
    attributes.others.push_back({0xc0,
                                 wire::attribute_type::kOnlyToCustomer,
                                 {static_cast<std::uint8_t>(as >> 24U), static_cast<std::uint8_t>(as >> 16U),
                                  static_cast<std::uint8_t>(as >> 8U), static_cast<std::uint8_t>(as)}});
    return attributes;
}

bool has(const Lines& lines, const std::string& line) { return std::ranges::find(lines, line) != lines.end(); }

}  // namespace

TEST_CASE("roles that do not match end the OPEN with 2/11; a peer without one is taken (RFC 9234)") {
    const auto outcome = [](Role ours, const std::vector<std::uint8_t>& theirs, bool strict = false) {
        Configuration configuration = three_peers();
        configuration.peers[0].role = ours;
        configuration.peers[0].role_strict = strict;
        Scripted node(configuration);
        wire::Open open = make_open(65001, kA);
        open.capabilities.roles = theirs;
        node.connect(kA, open);
        const Lines heard = node.heard(kA);
        return node.up(kA) ? "up" : heard.back();
    };
    CHECK(outcome(Role::provider, {3}) == "up");
    CHECK(outcome(Role::customer, {0}) == "up");
    CHECK(outcome(Role::peer, {4}) == "up");
    CHECK(outcome(Role::route_server, {2}) == "up");
    CHECK(outcome(Role::route_server_client, {1}) == "up");
    CHECK(outcome(Role::customer, {}) == "up");
    CHECK(outcome(Role::customer, {3}) == "notification 2/11");
    CHECK(outcome(Role::peer, {0}) == "notification 2/11");
    CHECK(outcome(Role::peer, {9}) == "notification 2/11");
    CHECK(outcome(Role::peer, {4, 0}) == "notification 2/11");
    CHECK(outcome(Role::customer, {0}, true) == "up");
    CHECK(outcome(Role::customer, {}, true) == "notification 2/11");
}

TEST_CASE("the mark for customers only: what is a leak, who gets it, who does not get the route (RFC 9234)") {
    const auto verdict = [](Role ours, std::optional<std::uint32_t> otc) {
        Configuration configuration = three_peers();
        configuration.peers[0].role = ours;
        Scripted node(configuration);
        node.connect(kA, make_open(65001, kA));
        const auto plain = attributes({65001});
        node.send(kA, announcement(otc ? with_otc(plain, *otc) : plain, kA, {"10.1.0.0/24"}));
        return node.paths("10.1.0.0/24").front();
    };
    CHECK(verdict(Role::provider, 65009) == std::string(kA) + " route leak (OTC)");
    CHECK(verdict(Role::route_server, 65001) == std::string(kA) + " route leak (OTC)");
    CHECK(verdict(Role::peer, 65009) == std::string(kA) + " route leak (OTC)");
    CHECK(verdict(Role::peer, 65001) == std::string(kA) + " best");
    CHECK(verdict(Role::customer, 65009) == std::string(kA) + " best");
    CHECK(verdict(Role::provider, std::nullopt) == std::string(kA) + " best");

    // From the provider or peer A to B, marked with A's AS on the way in.
    const auto relayed = [](Role to_a, Role to_b) {
        Configuration configuration = relaying();
        configuration.peers[0].role = to_a;
        configuration.peers[1].role = to_b;
        Scripted node(configuration);
        node.connect(kA, make_open(65001, kA));
        node.connect(kB, make_open(65002, kB));
        node.send(kA, announcement(attributes({65001}), kA, {"10.1.0.0/24"}));
        for (const std::string& line : node.heard(kB)) {
            if (line.starts_with("announce")) {
                return line;
            }
        }
        return std::string("not sent");
    };
    const std::string sent = "announce 10.1.0.0/24 via 192.0.2.2 path 64512 65001";
    CHECK(relayed(Role::customer, Role::provider) == sent + " otc 65001");
    CHECK(relayed(Role::customer, Role::peer) == "not sent");
    CHECK(relayed(Role::customer, Role::customer) == "not sent");
    CHECK(relayed(Role::provider, Role::customer) == sent);
    CHECK(relayed(Role::provider, Role::peer) == sent + " otc 64512");
    CHECK(relayed(Role::provider, Role::provider) == sent + " otc 64512");
}

TEST_CASE("the first AS is the peer's, except from a route server; sets are not accepted (RFC 4271 6.3, 7947, 9774)") {
    const auto verdict = [](std::optional<Role> ours, const Bytes& update) {
        Configuration configuration = three_peers();
        configuration.peers[0].role = ours;
        Scripted node(configuration);
        node.connect(kA, make_open(65001, kA));
        node.send(kA, update);
        return node.paths("10.1.0.0/24").front().substr(std::string(kA).size() + 1);
    };
    const Bytes foreign = announcement(attributes({65009}), kA, {"10.1.0.0/24"});
    CHECK(verdict(std::nullopt, foreign) == "path does not start with the peer's AS");
    CHECK(verdict(Role::route_server_client, foreign) == "best");
    wire::PathAttributes set = attributes({65001});
    const Bytes segment{1, 2, 0, 0, 0xfd, 0xe9, 0, 0, 0xfd, 0xea};
    set.as_path.insert(set.as_path.end(), segment.begin(), segment.end());
    CHECK(verdict(std::nullopt, announcement(set, kA, {"10.1.0.0/24"})) == "AS set in the path");
}

TEST_CASE("a peer that is about to be shut down is the last choice, here and inside the AS (RFC 8326)") {
    Scripted node(three_peers());
    for (const auto& [peer, as] : {std::pair{kA, 65001U}, std::pair{kB, 65002U}, std::pair{kI, kAs}}) {
        node.connect(peer, make_open(as, peer));
    }
    wire::PathAttributes leaving = attributes({65001});
    leaving.add(wire::kGracefulShutdown);
    node.send(kA, announcement(leaving, kA, {"10.1.0.0/24"}));
    CHECK(has(node.heard(kI), "announce 10.1.0.0/24 via 192.0.2.2 path 65001 pref 0 [graceful-shutdown]"));
    node.send(kB, announcement(attributes({65002, 65003, 65004}), kB, {"10.1.0.0/24"}));
    CHECK(node.kernel().at("10.1.0.0/24") == kB);
    // An internal peer has set the preference itself.
    wire::PathAttributes internal = attributes({65009});
    internal.local_pref = 200;
    internal.add(wire::kGracefulShutdown);
    node.send(kI, announcement(internal, kI, {"10.1.0.0/24"}));
    CHECK(node.kernel().at("10.1.0.0/24") == kI);
}

TEST_CASE("extended communities that are not transitive stay inside the AS, those of IPv6 too (RFC 4360, 5701)") {
    wire::PathAttributes given = attributes({65001});
    given.extended_communities = {{0x0002'fde8'0000'0001}, {0x4004'fde8'4b18'9680}};
    Bytes v6(40, 0);
    v6[20] = 0x40;
    given.others.push_back({0xc0, wire::attribute_type::kIpv6ExtendedCommunities, v6});
    Bytes canonical;
    wire::encode_attributes(given, canonical);
    bgp::policy::ExportTarget target;
    target.external = true;
    Bytes out;
    bgp::policy::export_attributes(target, {bgp::policy::SourceKind::internal}, 0, canonical, out);
    const wire::PathAttributes sent = wire::decode_attributes(out);
    CHECK(sent.extended_communities == std::vector<wire::ExtendedCommunity>{{0x0002'fde8'0000'0001}});
    REQUIRE(sent.others.size() == 1);
    CHECK(sent.others[0].value == Bytes(20, 0));
    target.external = false;
    out.clear();
    bgp::policy::export_attributes(target, {bgp::policy::SourceKind::external}, 0, canonical, out);
    CHECK(wire::decode_attributes(out).extended_communities.size() == 2);
}

TEST_CASE("equal paths share the traffic as their link bandwidths say, and evenly when one has none") {
    Scripted node(three_peers());
    node.connect(kA, make_open(65001, kA));
    node.connect(kB, make_open(65002, kB));
    const auto with_bandwidth = [](std::uint32_t as, std::uint64_t bits) {
        wire::PathAttributes path = attributes({as});
        if (bits != 0) {
            path.extended_communities = {{0x4004'fde9'0000'0000U | bits}};
        }
        return path;
    };
    constexpr std::uint64_t kTenGigabit = 0x4e95'02f9;  // 1.25e9 octets a second
    constexpr std::uint64_t kOneGigabit = 0x4cee'6b28;  // 1.25e8
    node.send(kA, announcement(with_bandwidth(65001, kTenGigabit), kA, {"10.1.0.0/24"}));
    node.send(kB, announcement(with_bandwidth(65002, kOneGigabit), kB, {"10.1.0.0/24"}));
    CHECK(node.kernel().at("10.1.0.0/24") == "192.0.2.2*100 192.0.2.3*10");
    node.send(kB, announcement(with_bandwidth(65002, kTenGigabit), kB, {"10.1.0.0/24"}));
    CHECK(node.kernel().at("10.1.0.0/24") == "192.0.2.2 192.0.2.3");
    node.send(kB, announcement(with_bandwidth(65002, 0), kB, {"10.1.0.0/24"}));
    CHECK(node.kernel().at("10.1.0.0/24") == "192.0.2.2 192.0.2.3");
    node.send(kB, announcement(with_bandwidth(65002, 0xff80'0000), kB, {"10.1.0.0/24"}));  // minus infinity
    CHECK(node.kernel().at("10.1.0.0/24") == "192.0.2.2 192.0.2.3");
}

TEST_CASE("where fewer next hops are wanted than are equal, packets go where others are told they go") {
    Configuration configuration = three_peers();
    configuration.multipath.max = 1;
    Scripted node(configuration);
    node.connect(kA, make_open(65001, "192.0.2.99"));  // of equal paths the lower identifier is selected
    node.connect(kB, make_open(65002, kB));
    node.send(kA, announcement(attributes({65001}), kA, {"10.1.0.0/24"}));
    node.send(kB, announcement(attributes({65002}), kB, {"10.1.0.0/24"}));
    CHECK(node.kernel().at("10.1.0.0/24") == "192.0.2.3");
    configuration.multipath.max = 2;
    node.configure(configuration);
    CHECK(node.kernel().at("10.1.0.0/24") == "192.0.2.2 192.0.2.3");
}

TEST_CASE("malformed UPDATEs have their verdict and are counted (RFC 7606)") {
    Scripted node(three_peers());
    node.connect(kA, make_open(65001, kA));
    Bytes good = announcement(attributes({65001}), kA, {"10.1.0.0/24"});
    node.send(kA, good);
    const auto with = [](wire::PathAttributes path, std::uint8_t flags, std::uint8_t type, Bytes value) {
        path.others.push_back({flags, type, std::move(value)});
        return announcement(path, kA, {"10.1.0.0/24"});
    };
    node.send(kA, with(attributes({65001}), 0xc0, wire::attribute_type::kAs4Path, {1, 2, 3}));
    CHECK(node.status(kA).malformed_in == 1);
    CHECK(node.kernel().size() == 1);
    node.send(kA, with(attributes({65001}), 0xc0, wire::attribute_type::kLargeCommunities, {1, 2, 3}));
    CHECK(node.status(kA).malformed_in == 2);
    CHECK(node.status(kA).last_malformed.find("LARGE_COMMUNITY") != std::string::npos);
    CHECK(node.kernel().empty());
    CHECK(node.up(kA));
    node.send(kA, with(attributes({65001}), 0x40, 99, {1}));
    CHECK_FALSE(node.up(kA));
}

TEST_CASE("next hops towards an external peer follow the addresses of this host") {
    Configuration configuration = relaying();
    configuration.self.v4 = net::InterfaceAddress::parse("192.0.2.1/32");
    Scripted node(configuration);
    node.connect(kA, make_open(65001, kA));
    node.connect(kB, make_open(65002, kB));
    node.send(kA, announcement(attributes({65001}), kA, {"10.1.0.0/24"}));
    CHECK(has(node.heard(kB), "announce 10.1.0.0/24 via 192.0.2.1 path 64512 65001"));
    node.addresses({"192.0.2.1/24"});  // one link for all three
    CHECK(has(node.heard(kB), "announce 10.1.0.0/24 via 192.0.2.2 path 64512 65001"));
    node.addresses({"192.0.2.1/32"});
    CHECK(has(node.heard(kB), "announce 10.1.0.0/24 via 192.0.2.1 path 64512 65001"));
}

TEST_CASE("a peer that asks for the table again and again gets one at a time") {
    Scripted node(three_peers());
    wire::Open open = make_open(65001, kA);
    open.capabilities.route_refresh = open.capabilities.enhanced_route_refresh = true;
    node.connect(kA, open);
    node.originate({"10.9.0.0/26"});
    static_cast<void>(node.heard(kA));
    Bytes flood;
    for (int i = 0; i < 1000; ++i) {
        const Bytes one = refresh(0);
        flood.insert(flood.end(), one.begin(), one.end());
    }
    node.send(kA, flood);
    CHECK(node.heard(kA).size() == 3);  // marks and one route
}

TEST_CASE("several paths of one prefix from one peer are kept apart by their identifiers (RFC 7911)") {
    Scripted node(three_peers());
    wire::Open open = make_open(kAs, kI);
    open.capabilities.add_path = {{wire::AfiSafi::of(net::Family::v4), false, true}};
    node.connect(kI, open);
    wire::PathAttributes path = attributes({65009});
    path.local_pref = 100;
    node.send(kI, path_announcement(path, "192.0.2.20", {{7, "10.1.0.0/24"}, {7, "10.2.0.0/24"}}));
    node.send(kI, path_announcement(path, "192.0.2.21", {{9, "10.1.0.0/24"}}));
    CHECK(node.kernel() == Routes{{"10.1.0.0/24", "192.0.2.20 192.0.2.21"}, {"10.2.0.0/24", "192.0.2.20"}});
    CHECK(node.status(kI).v4.received == 3);
    node.send(kI, path_announcement(path, "192.0.2.22", {{9, "10.1.0.0/24"}}));
    CHECK(node.kernel().at("10.1.0.0/24") == "192.0.2.20 192.0.2.22");
    node.send(kI, path_withdrawal({{8, "10.1.0.0/24"}}));
    CHECK(node.kernel().at("10.1.0.0/24") == "192.0.2.20 192.0.2.22");
    node.send(kI, path_withdrawal({{7, "10.1.0.0/24"}, {7, "10.2.0.0/24"}}));
    CHECK(node.kernel() == Routes{{"10.1.0.0/24", "192.0.2.22"}});
    node.close(kI);
    CHECK(node.kernel().empty());
    CHECK(node.status(kI).v4.received == 0);
}

TEST_CASE("a reflector sends all paths to its clients, each with an identifier that stays (RFC 7911)") {
    constexpr const char* kClient = "192.0.2.5";
    Configuration configuration = three_peers();
    configuration.self.cluster_id = 1;
    configuration.peers.push_back(make_peer(kClient, kAs, kAs));
    configuration.peers.push_back(make_peer("192.0.2.6", kAs, kAs));
    for (std::size_t i = 2; i < 5; ++i) {
        configuration.peers[i].reflector_client = true;
    }
    Scripted node(configuration);
    const auto client_open = [](const char* address) {
        wire::Open open = make_open(kAs, address);
        open.capabilities.add_path = {{wire::AfiSafi::of(net::Family::v4), true, false}};
        return open;
    };
    node.connect(kClient, client_open(kClient));
    node.connect(kI, client_open(kI));
    node.connect(kA, make_open(65001, kA));
    node.connect(kB, make_open(65002, kB));
    node.connect("192.0.2.6", make_open(kAs, "192.0.2.6"));  // wants one path
    for (const char* peer : {kClient, kI, "192.0.2.6"}) {
        static_cast<void>(node.heard(peer));
    }
    const std::string first = "10.1.0.0/24 #1 via 192.0.2.2 path 65001 pref 100";
    const std::string second = "10.1.0.0/24 #2 via 192.0.2.3 path 65002 65003 pref 100";
    node.send(kA, announcement(attributes({65001}), kA, {"10.1.0.0/24"}));
    CHECK(node.heard(kClient) == Lines{"announce " + first});
    node.send(kB, announcement(attributes({65002, 65003}), kB, {"10.1.0.0/24"}));
    CHECK(node.heard(kClient) == Lines{"announce " + second});
    CHECK(node.heard("192.0.2.6") == Lines{"announce 10.1.0.0/24 via 192.0.2.2 path 65001 pref 100"});

    SECTION("split horizon is for each path") {
        wire::PathAttributes own = attributes({65009});
        own.local_pref = 50;
        static_cast<void>(node.heard(kI));
        node.send(kI, announcement(own, kI, {"10.1.0.0/24"}));
        CHECK(node.heard(kI).empty());
        CHECK(node.heard(kClient) == Lines{"announce 10.1.0.0/24 #3 via 192.0.2.4 path 65009 pref 50"});
    }
    SECTION("a path that goes is withdrawn by its identifier, which is free again") {
        node.send(kA, withdrawal({"10.1.0.0/24"}));
        CHECK(node.heard(kClient) == Lines{"withdraw 10.1.0.0/24 #1"});
        node.send(kA, announcement(attributes({65001}), kA, {"10.1.0.0/24"}));
        CHECK(node.heard(kClient) == Lines{"announce " + first});
        node.send(kA, announcement(attributes({65001, 65001}), kA, {"10.1.0.0/24"}));
        CHECK(node.heard(kClient) == Lines{"announce 10.1.0.0/24 #1 via 192.0.2.2 path 65001 65001 pref 100"});
    }
    SECTION("a client that joins later gets both, and the end of it") {
        node.close(kI);
        node.advance(200s);
        node.connect(kI, client_open(kI));
        const Lines heard = node.heard(kI);
        CHECK(has(heard, "announce " + first));
        CHECK(has(heard, "announce " + second));
        CHECK(heard.back() == "end of rib v4");
    }
    SECTION("what its next filters refuse is withdrawn by the identifiers that were told under the ones before") {
        bgp::policy::FilterRule refuse;
        refuse.action = bgp::policy::FilterAction::reject;
        refuse.as_path_prefix = {65001};
        configuration.peers[3].filters = {"without-65001"};
        configuration.peers[3].rules.export_rules[0] =
            std::make_shared<const bgp::policy::FilterProgram>(std::vector{refuse});
        node.configure(configuration);
        Lines heard = node.heard(kClient);
        std::ranges::sort(heard);
        CHECK(heard ==
              Lines{"announce 10.1.0.0/24 #1 via 192.0.2.3 path 65002 65003 pref 100", "withdraw 10.1.0.0/24 #2"});
    }
    SECTION("all go with the sessions that brought them") {
        node.close(kA);
        node.close(kB);
        Lines heard = node.heard(kClient);
        std::ranges::sort(heard);
        CHECK(heard == Lines{"withdraw 10.1.0.0/24 #1", "withdraw 10.1.0.0/24 #2"});
        node.send(kB, announcement(attributes({65002}), kB, {"10.1.0.0/24"}));
        CHECK(node.heard(kClient).empty());
    }
}

TEST_CASE("whatever bytes peers send, the speaker settles, and good sessions afterwards have their routes") {
    std::mt19937 random(11);  // NOLINT(cert-msc51-cpp): a fixed seed, so that a failure repeats
    Scripted node(relaying());
    wire::PathAttributes rich = with_otc(attributes({65001, 65009}), 65009);
    rich.add(wire::kLlgrStale);
    rich.extended_communities = {{0x4004'fde9'4e95'02f9}};
    const std::vector<Bytes> messages{
        announcement(attributes({65001}), kA, {"10.1.0.0/24", "10.2.0.0/24"}),
        announcement(rich, kA, {"10.1.0.0/24"}),
        path_announcement(attributes({65001}), kA, {{7, "10.1.0.0/24"}, {8, "10.1.0.0/24"}}),
        withdrawal({"10.1.0.0/24"}),
        path_withdrawal({{7, "10.1.0.0/24"}}),
        end_of_rib(),
        end_of_rib(net::Family::v6),
        refresh(0),
        refresh(1),
        refresh(2),
    };
    const auto open_of = [&](const char* peer) {
        wire::Open open = make_open(peer == kA ? 65001 : 65002, peer);
        open.capabilities.enhanced_route_refresh = true;
        if (random() % 2 == 0) {
            open.capabilities.graceful_restart =
                wire::GracefulRestart{false, random() % 2 == 0, 60, {{wire::AfiSafi::of(net::Family::v4), true}}};
            open.capabilities.long_lived_restart =
                wire::LongLivedRestart{{{wire::AfiSafi::of(net::Family::v4), true, 100}}};
        }
        if (random() % 2 == 0) {
            open.capabilities.add_path = {{wire::AfiSafi::of(net::Family::v4), true, true}};
        }
        return open;
    };
    for (int round = 0; round < 2'000; ++round) {
        const char* const peer = random() % 2 == 0 ? kA : kB;
        if (!node.up(peer)) {
            node.advance(std::chrono::seconds(random() % 70));
            node.connect(peer, open_of(peer));
        } else if (random() % 50 == 0) {
            node.close(peer);
        }
        Bytes message = messages[random() % messages.size()];
        for (std::size_t flips = random() % 4; flips > 0; --flips) {
            const std::size_t at = wire::kMarkerSize + random() % (message.size() - wire::kMarkerSize);
            message[at] = static_cast<std::uint8_t>(message[at] ^ (1U << (random() % 8)));
        }
        node.send(peer, message);
        static_cast<void>(node.heard(peer));
    }
    for (const char* peer : {kA, kB}) {
        node.close(peer);
    }
    node.advance(500s);
    CHECK(node.kernel().empty());
    node.connect(kA, make_open(65001, kA));
    node.connect(kB, make_open(65002, kB));
    node.send(kA, messages[0]);
    CHECK(node.kernel() == Routes{{"10.1.0.0/24", kA}, {"10.2.0.0/24", kA}});
    CHECK(has(node.heard(kB), "announce 10.1.0.0/24 via 192.0.2.2 path 64512 65001"));
}

TEST_CASE("whatever is wrong with a message is counted and said, also where it ends the session") {
    struct Row {
        const char* what;
        std::string bytes;  ///< behind the marker
        std::string words;
        bool up;
    };
    const std::string marker(32, 'f');
    const std::vector<Row> rows = {
        {"ORIGIN 7", "002d 02 0000 0014 40010107 40020602010000fde9 400304c0000202 08 0a",
         "UPDATE Message Error/Invalid ORIGIN Attribute (ORIGIN): its routes count as withdrawn", true},
        {"ATOMIC_AGGREGATE of length 1", "0031 02 0000 0018 40010100 40020602010000fde9 400304c0000202 40060100 08 0a",
         "UPDATE Message Error/Attribute Length Error (ATOMIC_AGGREGATE): the attribute was left out", true},
        {"attributes overrun", "0017 02 0000 ffff",
         "UPDATE Message Error/Malformed Attribute List: the session was ended", false},
        {"type 9", "0013 09", "Message Header Error/Bad Message Type: the session was ended", false},
        {"KEEPALIVE with a body", "0014 04 00", "Message Header Error/Bad Message Length: the session was ended",
         false},
        {"ROUTE-REFRESH mark that is too long", "0018 05 0001 01 01 00",
         "ROUTE-REFRESH Message Error/Invalid Message Length: the session was ended", false},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        Configuration configuration = make_configuration("node", 64512, "192.0.2.1/24", {});
        configuration.peers = {make_peer("192.0.2.2", 65001, 64512)};
        Scripted node(configuration);
        node.connect("192.0.2.2", make_open(65001, "192.0.2.2"));
        REQUIRE(node.up("192.0.2.2"));
        node.send("192.0.2.2", test::hex(marker + row.bytes));
        CHECK(node.status("192.0.2.2").malformed_in == 1);
        CHECK(node.status("192.0.2.2").last_malformed == row.words);
        CHECK(node.up("192.0.2.2") == row.up);
    }
    SECTION("an OPEN, too") {
        Configuration configuration = make_configuration("node", 64512, "192.0.2.1/24", {});
        configuration.peers = {make_peer("192.0.2.2", 65001, 64512)};
        Scripted node(configuration);
        wire::Open open = make_open(65001, "192.0.2.2");
        open.hold_time = 2;
        node.connect("192.0.2.2", open);
        CHECK(node.status("192.0.2.2").malformed_in == 1);
        CHECK(node.status("192.0.2.2").last_malformed ==
              "OPEN Message Error/Unacceptable Hold Time: the session was ended");
    }
}

TEST_CASE("the station of RFC 7854 hears of sessions and of all four tables, and no more when it is gone") {
    Configuration configuration = make_configuration("node", 64512, "192.0.2.1/24", {"10.0.0.0/8"});
    configuration.peers = {make_peer("192.0.2.2", 65001, 64512), make_peer("192.0.2.3", 64512, 64512)};
    configuration.stations = {{*net::Ip::parse("192.0.2.9"), 1790}};
    Scripted node(configuration);
    node.connect("192.0.2.2", make_open(65001, "192.0.2.2"));
    node.connect("192.0.2.3", make_open(64512, "192.0.2.3"));
    node.send("192.0.2.2", announcement(attributes({65001}), "192.0.2.2", {"10.1.0.0/16", "127.0.0.0/8"}));
    std::vector<std::string> heard;
    const auto name = [](const speaker::MonitoredPeer& peer) {
        return peer.address ? peer.address->to_string() : "self";
    };
    const auto hear = [&] {
        std::vector<std::string> out;
        for (const speaker::MonitorEvent& event : node.monitored()) {
            if (const auto* up = std::get_if<speaker::MonitoredUp>(&event)) {
                out.push_back("up " + name(up->peer));
            } else if (const auto* down = std::get_if<speaker::MonitoredDown>(&event)) {
                out.push_back("down " + name(down->peer) + (down->deconfigured ? " deconfigured" : ""));
            } else {
                const auto& routes = std::get<speaker::MonitoredRoutes>(event);
                constexpr const char* kTables[] = {"received", "accepted", "selected", "sent"};
                wire::UpdateDecoder decoder;
                const wire::Update update = decoder.decode(ByteView(routes.updates).subspan(wire::kHeaderSize),
                                                           {{net::Family::v4}, true, true, {}});
                if (update.end_of_rib) {
                    out.push_back(std::string("all ") + kTables[static_cast<std::size_t>(routes.table)] + " " +
                                  name(routes.peer));
                }
                update.each_announced([&](const net::Prefix& prefix, const wire::NextHop&) {
                    out.push_back(std::string(kTables[static_cast<std::size_t>(routes.table)]) + " " +
                                  name(routes.peer) + " " + prefix.to_string());
                });
                update.each_withdrawn([&](const net::Prefix& prefix) {
                    out.push_back(std::string("not ") + kTables[static_cast<std::size_t>(routes.table)] + " " +
                                  name(routes.peer) + " " + prefix.to_string());
                });
            }
        }
        return out;
    };
    heard = hear();
    CHECK(heard == std::vector<std::string>{"up 192.0.2.2", "all sent 192.0.2.2", "up 192.0.2.3", "all sent 192.0.2.3",
                                            "received 192.0.2.2 10.1.0.0/16", "received 192.0.2.2 127.0.0.0/8",
                                            "accepted 192.0.2.2 10.1.0.0/16", "selected self 10.1.0.0/16",
                                            "sent 192.0.2.3 10.1.0.0/16"});
    Bytes last = announcement(attributes({65001}), "192.0.2.2", {"10.2.0.0/16"});
    const Bytes mark = end_of_rib();
    last.insert(last.end(), mark.begin(), mark.end());
    node.send("192.0.2.2", last);
    heard = hear();
    heard.resize(4);
    CHECK(heard == std::vector<std::string>{"received 192.0.2.2 10.2.0.0/16", "accepted 192.0.2.2 10.2.0.0/16",
                                            "all received 192.0.2.2", "all accepted 192.0.2.2"});
    node.send("192.0.2.2", withdrawal({"10.2.0.0/16"}));
    static_cast<void>(hear());
    node.close("192.0.2.2");
    CHECK(hear() == std::vector<std::string>{"down 192.0.2.2", "not selected self 10.1.0.0/16",
                                             "not sent 192.0.2.3 10.1.0.0/16"});
    configuration.peers.pop_back();
    node.configure(configuration);
    CHECK(hear() == std::vector<std::string>{"down 192.0.2.3 deconfigured"});
    configuration.stations.clear();
    node.configure(configuration);
    node.connect("192.0.2.2", make_open(65001, "192.0.2.2"));
    CHECK(hear().empty());
}

TEST_CASE("BFD that is up goes on when a link that goes down takes the node's address along, and tells of the loss") {
    Configuration configuration = three_peers();
    configuration.peers[0].bfd.emplace();
    Scripted node(configuration);
    CHECK(node.bfd_sessions() == Lines{"192.0.2.2 single hop"});
    node.addresses({});
    CHECK(node.bfd_sessions() == Lines{"192.0.2.2 multihop"});  // it was not up
    node.addresses({"192.0.2.1/24"});
    node.connect(kA, make_open(65001, kA));
    for (const bool on_purpose : {true, false}) {
        node.bfd(kA, true);
        node.addresses({});
        CHECK(node.bfd_sessions() == Lines{"192.0.2.2 single hop"});
        node.bfd(kA, false, on_purpose);
        CHECK(node.up(kA) == on_purpose);
        CHECK(node.bfd_sessions() == Lines{"192.0.2.2 multihop"});
        node.addresses({"192.0.2.1/24"});
        CHECK(node.bfd_sessions() == Lines{"192.0.2.2 single hop"});
    }
}

TEST_CASE("BFD that is not wanted any more ends when the neighbour takes it down, whatever it says of the path") {
    Configuration configuration = three_peers();
    configuration.peers[0].bfd.emplace();
    for (const bool on_purpose : {false, true}) {
        Scripted node(configuration);
        node.connect(kA, make_open(65001, kA));
        node.bfd(kA, true);
        node.configure(three_peers());
        CHECK(node.bfd_sessions() == Lines{"192.0.2.2 single hop"});
        node.bfd(kA, false, on_purpose);
        CHECK(node.bfd_sessions().empty());
        CHECK(node.up(kA));
    }
}

TEST_CASE("peers of a range have BFD for as long as they are known") {
    Configuration configuration = three_peers();
    PeerConfig range = make_peer("0.0.0.0", 65001, kAs);
    range.range = *net::Prefix::parse("192.0.2.0/28");
    range.passive = true;
    range.bfd.emplace();
    configuration.peers.clear();
    configuration.ranges = {range};
    Scripted node(configuration);
    CHECK(node.bfd_sessions().empty());
    node.connect(kA, make_open(65001, kA));
    node.connect(kB, make_open(65001, kB));
    CHECK(node.bfd_sessions() == Lines{"192.0.2.2 single hop", "192.0.2.3 single hop"});
    node.bfd(kA, true);
    node.bfd(kA, false);
    CHECK(node.heard(kA).back() == "notification 6/10");
    CHECK(node.bfd_sessions() == Lines{"192.0.2.3 single hop"});
    node.close(kB);
    CHECK(node.bfd_sessions().empty());
}
