#include "bgpd/mrt/table_dump.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "bgpd/wire/update.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"
#include "test/bgpd/hex.hpp"

using namespace manul;
using namespace manul::bgp;
using manul::test::hex;
using manul::test::to_hex;

namespace {

std::string without_spaces(std::string_view text) { return to_hex(hex(text)); }

// ORIGIN IGP, AS_PATH 65000, COMMUNITIES 65000:7
const Bytes kAttributes =
    hex("40010100"
        "40020602010000fde8"
        "c00804fde80007");

}  // namespace

TEST_CASE("the peer index names the collector, the view and the peers of both families") {
    const std::vector<mrt::Peer> peers{{0x0a000001, *net::Ip::parse("192.0.2.2"), 65000},
                                       {0x0a000002, *net::Ip::parse("2001:db8::2"), 4200000001}};
    Bytes out;
    mrt::encode_peer_index(out, 1700000000, 0x0a0a0a0a, "v", peers);
    CHECK(to_hex(out) == without_spaces("6553f100 000d 0001 0000002f"
                                        "0a0a0a0a"
                                        "0001 76"
                                        "0002"
                                        "02 0a000001 c0000202 0000fde8"
                                        "03 0a000002 20010db8000000000000000000000002 fa56ea01"));
}

TEST_CASE("a prefix with its paths; the next hop stands where its type belongs") {
    const mrt::Route first{.peer = 1,
                           .originated = 1700000000,
                           .path_id = {},
                           .attributes = kAttributes,
                           .next_hop = wire::NextHop{*net::Ip::parse("192.0.2.2"), {}}};
    const mrt::Route local{
        .peer = 0, .originated = 5, .path_id = {}, .attributes = kAttributes, .next_hop = {net::Ip4(), {}}};
    Bytes out;
    mrt::encode_rib(out, 1700000000, 7, *net::Prefix::parse("198.51.100.0/23"), std::vector{first, local});
    CHECK(to_hex(out) == without_spaces("6553f100 000d 0002 00000050"
                                        "00000007 17 c63364 0002"
                                        "0001 6553f100 001b"
                                        "40010100 40020602010000fde8 400304c0000202 c00804fde80007"
                                        "0000 00000005 001b"
                                        "40010100 40020602010000fde8 40030400000000 c00804fde80007"));
}

TEST_CASE("an IPv6 next hop is an MP_REACH_NLRI of the next hop alone, after the communities") {
    const mrt::Route route{.peer = 2,
                           .originated = 1,
                           .path_id = {},
                           .attributes = kAttributes,
                           .next_hop = wire::NextHop{*net::Ip::parse("2001:db8::2"), {}}};
    Bytes out;
    mrt::encode_rib(out, 1, 0, *net::Prefix::parse("2001:db8:aaaa::/48"), std::vector{route});
    CHECK(to_hex(out) == without_spaces("00000001 000d 0004 0000003d"
                                        "00000000 30 20010db8aaaa 0001"
                                        "0002 00000001 0028"
                                        "40010100 40020602010000fde8 c00804fde80007"
                                        "800e11 10 20010db8000000000000000000000002"));
}

TEST_CASE("paths with identifiers use the ADDPATH record (RFC 8050)") {
    const mrt::Route route{
        .peer = 0, .originated = 1, .path_id = 9, .attributes = kAttributes, .next_hop = {net::Ip4(), {}}};
    Bytes out;
    mrt::encode_rib(out, 1, 0, *net::Prefix::parse("0.0.0.0/0"), std::vector{route});
    CHECK(to_hex(out) == without_spaces("00000001 000d 0008 0000002e"
                                        "00000000 00 0001"
                                        "0000 00000001 00000009 001b"
                                        "40010100 40020602010000fde8 40030400000000 c00804fde80007"));
}
