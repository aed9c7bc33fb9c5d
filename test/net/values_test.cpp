#include <catch2/catch.hpp>

#include "net/asn.hpp"
#include "net/mac.hpp"
#include "net/port_range.hpp"

using namespace manul::net;

TEST_CASE("AS numbers parse as plain and dotted, and are never zero") {
    CHECK(Asn::parse("64512")->number() == 64512);
    CHECK(Asn::parse("1.10")->number() == 65546);
    CHECK(Asn::parse("4294967295")->number() == 4294967295U);
    CHECK_FALSE(Asn::parse("0"));
    CHECK_FALSE(Asn::parse("0.0"));
    CHECK_FALSE(Asn::parse("65536.1"));
    CHECK_FALSE(Asn::parse("4294967296"));
    CHECK_FALSE(Asn::parse("-1"));
}

TEST_CASE("ports and ranges") {
    CHECK(PortRange::parse("80")->to_string() == "80");
    CHECK(PortRange::parse("80:90")->to_string() == "80:90");
    CHECK_FALSE(PortRange::parse("0"));
    CHECK_FALSE(PortRange::parse("90:80"));
    CHECK_FALSE(PortRange::parse("65536"));
    CHECK_FALSE(PortRange::parse("080"));
    CHECK_FALSE(PortRange::parse("80:"));
}

TEST_CASE("protocols by exact name or number") {
    CHECK(Protocol::parse("TCP") == kTcp);
    CHECK(Protocol::parse("6") == kTcp);
    CHECK_FALSE(Protocol::parse("tcp"));
    CHECK_FALSE(Protocol::parse("0"));
    CHECK_FALSE(Protocol::parse("256"));
    CHECK_FALSE(kUdpLite.has_ports());
    CHECK(Protocol::parse("47")->to_string() == "47");
}

TEST_CASE("hardware addresses") {
    CHECK(Mac::parse("EE:ee:ee:ee:ee:ee")->to_string() == "ee:ee:ee:ee:ee:ee");
    CHECK(Mac::parse("01-02-03-04-05-06"));
    CHECK_FALSE(Mac::parse("01-02:03-04-05-06"));
    CHECK_FALSE(Mac::parse("01:02:03:04:05"));
    CHECK_FALSE(Mac::parse("01:02:03:04:05:0g"));
}
