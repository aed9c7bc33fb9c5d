#include <catch2/catch.hpp>

#include "net/router_discovery.hpp"
#include "net/scoped.hpp"

namespace manul::net {
namespace {

Ip ip(const char* text) { return *Ip::parse(text); }

TEST_CASE("a link-local address keeps the interface that it is on, others have none") {
    const Ip there = with_scope(ip("fe80::1"), 0x01020304);
    CHECK(scope_of(there) == 0x01020304);
    CHECK(there != with_scope(ip("fe80::1"), 5));
    CHECK(there.is_link_local());
    CHECK(without_scope(there) == ip("fe80::1"));
    CHECK(with_scope(there, 5) == with_scope(ip("fe80::1"), 5));
    for (const char* text : {"2001:db8::1", "169.254.1.1", "::"}) {
        CHECK(with_scope(ip(text), 7) == ip(text));
        CHECK(scope_of(ip(text)) == 0);
    }
    // What somebody else put where the scope stands does not count.
    CHECK(without_scope(ip("fe80:0:0:9::1")) == ip("fe80::1"));
}

TEST_CASE("router messages are taken from this link alone, and only when they are whole") {
    const Ip6 router = *Ip6::parse("fe80::1");
    const Ip6 elsewhere = *Ip6::parse("2001:db8::1");
    const Bytes advertisement = encode_router_message(RouterMessage::advertisement);
    const Bytes solicitation = encode_router_message(RouterMessage::solicitation);
    CHECK(advertisement.size() == 16);
    CHECK(parse_router_message(advertisement, 255, router) == RouterMessage::advertisement);
    CHECK(parse_router_message(solicitation, 255, router) == RouterMessage::solicitation);
    CHECK(parse_router_message(solicitation, 255, Ip6()) == RouterMessage::solicitation);
    CHECK_FALSE(parse_router_message(advertisement, 254, router));
    CHECK_FALSE(parse_router_message(advertisement, 255, elsewhere));
    CHECK_FALSE(parse_router_message(ByteView(advertisement).first(15), 255, router));
    CHECK_FALSE(parse_router_message({}, 255, router));

    const auto with_option = [&](Bytes option) {
        Bytes message = advertisement;
        message.insert(message.end(), option.begin(), option.end());
        return parse_router_message(message, 255, router).has_value();
    };
    CHECK(with_option({1, 1, 2, 0, 0, 0, 0, 1}));
    CHECK_FALSE(with_option({1, 0, 2, 0, 0, 0, 0, 1}));
    CHECK_FALSE(with_option({1, 2, 2, 0, 0, 0, 0, 1}));
    CHECK_FALSE(with_option({1}));
    for (const std::size_t at : {0U, 1U}) {  // another type, a code
        Bytes other = advertisement;
        ++other[at];
        CHECK_FALSE(parse_router_message(other, 255, router));
    }
}

}  // namespace
}  // namespace manul::net
