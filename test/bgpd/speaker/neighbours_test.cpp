#include "bgpd/speaker/neighbours.hpp"

#include <catch2/catch.hpp>
#include <chrono>

#include "net/scoped.hpp"

namespace manul::bgp::speaker {
namespace {

using std::chrono::seconds;

net::Ip ip(const char* text) { return *net::Ip::parse(text); }

PeerConfig on_interface(const char* interface, const char* address = nullptr) {
    PeerConfig peer;
    peer.interface = interface;
    peer.any_neighbour = address == nullptr;
    peer.address = address == nullptr ? net::Ip(net::Ip6()) : ip(address);
    peer.placed = false;
    return peer;
}

TEST_CASE("a link's neighbour stays until it is silent, and as long as it has a session") {
    Neighbours neighbours;
    const Time start{};
    CHECK(neighbours.heard(3, ip("fe80::1"), start, false));
    CHECK_FALSE(neighbours.heard(3, ip("fe80::1"), start + seconds(10), false));
    CHECK_FALSE(neighbours.heard(3, ip("fe80::2"), start + seconds(20), false));
    CHECK(neighbours.on(3) == net::with_scope(ip("fe80::1"), 3));
    CHECK_FALSE(neighbours.heard(3, ip("fe80::2"), start + seconds(60), true));
    CHECK(neighbours.heard(3, ip("fe80::2"), start + seconds(60), false));
    CHECK(neighbours.on(3) == net::with_scope(ip("fe80::2"), 3));
    CHECK(neighbours.heard(4, ip("fe80::2"), start, false));
    CHECK(neighbours.on(4) != neighbours.on(3));
    CHECK_FALSE(neighbours.on(5));
}

TEST_CASE("peers on links have an address as soon as link and neighbour are there, else a reason") {
    Configuration configuration;
    configuration.peers = {on_interface("eth0"), on_interface("eth1"), on_interface("eth2"),
                           on_interface("eth1", "fe80::9"), PeerConfig{}};
    PeerConfig by_source;
    by_source.address = ip("fe80::7");
    by_source.local_address = ip("2001:db8::1");
    by_source.placed = false;
    PeerConfig refused = on_interface("eth0");
    refused.problem = "filter x does not exist";
    configuration.peers.push_back(by_source);
    configuration.peers.push_back(refused);
    Neighbours neighbours;
    neighbours.heard(1, ip("fe80::1"), {}, false);
    place_on_links(configuration, {{"eth0", {1, {}}}, {"eth1", {2, {ip("2001:db8::1")}}}}, neighbours);

    const auto& peers = configuration.peers;
    CHECK(peers[0].address == net::with_scope(ip("fe80::1"), 1));
    CHECK((peers[0].placed && peers[0].problem.empty()));
    CHECK(peers[1].problem == "no router has been heard on eth1");
    CHECK(peers[2].problem == "there is no interface eth2");
    CHECK_FALSE((peers[1].placed || peers[2].placed));
    CHECK(peers[3].address == net::with_scope(ip("fe80::9"), 2));
    CHECK(peers[4] == PeerConfig{});
    CHECK(peers[5].address == net::with_scope(ip("fe80::7"), 2));
    CHECK((peers[6].placed && peers[6].problem == "filter x does not exist"));

    CHECK(peers[0].id() == "eth0");
    CHECK(peers[3].id() == "fe80::9%eth1");
    CHECK(peers[5].id() == "fe80::7");
    CHECK(peers[0].same_peer(on_interface("eth0")));
    CHECK(peers[3].same_peer(on_interface("eth1", "fe80::9")));
    CHECK_FALSE(peers[3].same_peer(peers[1]));
}

}  // namespace
}  // namespace manul::bgp::speaker
