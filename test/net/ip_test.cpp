#include "net/ip.hpp"

#include <catch2/catch.hpp>

using manul::net::Ip;
using manul::net::Ip4;
using manul::net::Ip6;

TEST_CASE("IPv4 addresses parse strictly and print back") {
    struct Row {
        const char* text;
        bool valid;
    };
    const auto row = GENERATE(values<Row>({{"10.0.0.1", true},
                                           {"0.0.0.0", true},
                                           {"255.255.255.255", true},
                                           {"256.0.0.1", false},
                                           {"10.0.0", false},
                                           {"10.0.0.1.2", false},
                                           {"10.0.0.01", false},
                                           {"10.0.0.", false},
                                           {" 10.0.0.1", false},
                                           {"0x0a.0.0.1", false},
                                           {"", false}}));
    CAPTURE(row.text);
    const auto parsed = Ip4::parse(row.text);
    REQUIRE(parsed.has_value() == row.valid);
    if (parsed) {
        CHECK(parsed->to_string() == row.text);
    }
}

TEST_CASE("IPv6 addresses print in canonical form") {
    CHECK(Ip6::parse("2001:DB8:0:0::1")->to_string() == "2001:db8::1");
    CHECK(Ip6::parse("::ffff:10.0.0.1")->to_string() == "::ffff:10.0.0.1");
    CHECK_FALSE(Ip6::parse("fe80::1%eth0"));
    CHECK_FALSE(Ip6::parse("1:2:3:4:5:6:7:8:9"));
}

TEST_CASE("an address knows its family, order and neighbours") {
    CHECK(*Ip::parse("10.0.0.1") < *Ip::parse("10.0.0.2"));
    CHECK(*Ip::parse("255.0.0.0") < *Ip::parse("::1"));
    CHECK(Ip::parse("10.0.0.255")->plus(1)->to_string() == "10.0.1.0");
    CHECK(Ip::parse("2001:db8::ffff")->plus(1)->to_string() == "2001:db8::1:0");
    CHECK_FALSE(Ip::parse("255.255.255.255")->plus(1));
    CHECK(Ip::parse("127.1.2.3")->is_loopback());
    CHECK(Ip::parse("::1")->is_loopback());
    CHECK(Ip::parse("fe80::1")->is_link_local());
    CHECK(Ip::parse("ff02::1")->is_multicast());
    CHECK(Ip::from_bytes(Ip::parse("2001:db8::1")->bytes()) == Ip::parse("2001:db8::1"));
}
