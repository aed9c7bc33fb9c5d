#include "net/prefix.hpp"

#include <catch2/catch.hpp>

using manul::net::InterfaceAddress;
using manul::net::Ip;
using manul::net::Prefix;

TEST_CASE("a prefix cannot hold host bits or a length beyond its family") {
    CHECK(Prefix::parse("10.0.0.0/8")->to_string() == "10.0.0.0/8");
    CHECK_FALSE(Prefix::parse("10.0.0.1/8"));
    CHECK_FALSE(Prefix::parse("10.0.0.0/33"));
    CHECK_FALSE(Prefix::parse("10.0.0.0"));
    CHECK_FALSE(Prefix::parse("10.0.0.0/08"));
    CHECK_FALSE(Prefix::parse("2001:db8::/129"));
    CHECK(Prefix::parse_loose("10.1.2.3/8")->to_string() == "10.0.0.0/8");
    CHECK(Prefix::parse_loose("2001:db8::1")->to_string() == "2001:db8::1/128");
    CHECK(Prefix::parse("0.0.0.0/0")->length() == 0);
}

TEST_CASE("containment is by family, length and bits") {
    const Prefix ten = *Prefix::parse("10.0.0.0/9");
    CHECK(ten.contains(*Ip::parse("10.127.255.255")));
    CHECK_FALSE(ten.contains(*Ip::parse("10.128.0.0")));
    CHECK_FALSE(ten.contains(*Ip::parse("::")));
    CHECK(ten.contains(*Prefix::parse("10.64.0.0/10")));
    CHECK_FALSE(ten.contains(*Prefix::parse("10.0.0.0/8")));
    CHECK(ten.overlaps(*Prefix::parse("10.0.0.0/8")));
    CHECK(ten.last().to_string() == "10.127.255.255");
    CHECK(Prefix::parse("2001:db8::/33")->last().to_string() == "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff");
}

TEST_CASE("an interface address keeps its host bits") {
    const auto address = InterfaceAddress::parse("10.0.0.5/24");
    REQUIRE(address);
    CHECK(address->to_string() == "10.0.0.5/24");
    CHECK(address->network().to_string() == "10.0.0.0/24");
    CHECK(InterfaceAddress::parse("10.0.0.5")->length == 32);
}
