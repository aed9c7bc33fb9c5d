#include "bgpd/fsm/peer.hpp"

#include <catch2/catch.hpp>
#include <deque>
#include <string>

#include "bgpd/wire/update_writer.hpp"
#include "test/bgpd/fsm/builders.hpp"
#include "test/bgpd/hex.hpp"

using namespace manul;
using namespace manul::test;
using fsm::Direction;
using fsm::Peer;
using fsm::State;
namespace event = fsm::event;

namespace {

Bytes keepalive() {
    Bytes bytes;
    wire::encode_keepalive(bytes);
    return bytes;
}

Bytes encoded(const wire::Open& open) {
    Bytes bytes;
    wire::encode_open(open, bytes);
    return bytes;
}

Bytes encoded(const wire::Notification& notification) {
    Bytes bytes;
    wire::encode_notification(notification, bytes);
    return bytes;
}

fsm::PeerSettings settings(std::uint32_t as, std::uint32_t identifier, std::uint32_t peer_as) {
    return {.open = make_open(as, identifier), .peer_as = net::Asn::make(peer_as)};
}

/// A peer whose other side the test plays by hand. We are AS 64512 with identifier 10.
struct Rig {
    Peer peer{settings(64512, 10, 64513), 7};
    fsm::TimePoint now = kStart;
    fsm::Actions actions;

    std::string feed(const fsm::Event& what) {
        actions.clear();
        peer.handle(what, now, actions);
        return describe(actions);
    }
    std::string receive(Direction direction, const Bytes& message) {
        wire::Framer framer(message);
        return feed(event::Received{direction, **framer.next()});
    }
    std::string tick(std::chrono::milliseconds later) {
        now += later;
        return feed(event::Tick{});
    }
    /// Lets time pass until the next deadline.
    std::string wait() {
        now = std::max(now, *peer.next_deadline());
        return feed(event::Tick{});
    }
    void establish(Direction direction, const wire::Open& open = make_open(64513, 20)) {
        if (direction == Direction::outgoing) {
            feed(event::Connected{});
        } else {
            feed(event::Accepted{});
        }
        receive(direction, encoded(open));
        receive(direction, keepalive());
        REQUIRE(peer.established() == direction);
    }
};

constexpr Direction kOut = Direction::outgoing;
constexpr Direction kIn = Direction::incoming;

}  // namespace

TEST_CASE("a peer connects, opens, and is up") {
    Rig rig;
    CHECK(rig.peer.state() == State::idle);
    CHECK(rig.feed(event::Start{}) == "connect");
    CHECK(rig.peer.state() == State::connect);
    CHECK(rig.feed(event::Connected{}) == "out open");
    CHECK(rig.receive(kOut, encoded(make_open(64513, 20))) == "out keepalive");
    rig.now += 1s;
    CHECK(rig.receive(kOut, keepalive()) == "up out");
    CHECK(rig.peer.state() == State::established);
    CHECK(rig.peer.since() == rig.now);
    CHECK(rig.peer.negotiated()->peer_as.number() == 64513);
    CHECK(rig.peer.peer_open()->identifier.value() == 20);
    CHECK(rig.feed(event::Start{}).empty());
}

TEST_CASE("a peer that connects to us is taken while we are connecting, and our attempt ends with its OPEN") {
    Rig rig;
    rig.feed(event::Start{});
    CHECK(rig.feed(event::Accepted{}) == "adopt, in open");
    CHECK(rig.receive(kIn, encoded(make_open(64513, 20))) == "out close, in keepalive");
    CHECK(rig.receive(kIn, keepalive()) == "up in");
}

TEST_CASE("a passive peer never connects") {
    Rig rig;
    auto passive = rig.peer.settings();
    passive.passive = true;
    rig.peer.set_settings(passive);
    CHECK(rig.feed(event::Start{}).empty());
    CHECK(rig.peer.state() == State::active);
    CHECK_FALSE(rig.peer.next_deadline());
    rig.establish(kIn);
    CHECK(rig.feed(event::Lost{kIn, "reset"}) == "down");
    while (rig.peer.next_deadline()) {
        CHECK(rig.wait().empty());
    }
    rig.establish(kIn);
}

TEST_CASE("of two connections the one opened by the larger identifier is kept (RFC 4271 section 6.8)") {
    // We have identifier 10.
    struct Row {
        const char* name;
        std::uint32_t peer_as;
        std::uint32_t peer_identifier;
        Direction first;  // reaches OpenConfirm first
        const char* on_second_open;
        Direction kept;
    };
    const auto row = GENERATE(values<Row>({
        {"peer larger, ours first", 64513, 20, kOut, "out notify 6/7, out close, in keepalive", kIn},
        {"peer larger, theirs first", 64513, 20, kIn, "out notify 6/7, out close", kIn},
        {"peer smaller, ours first", 64513, 5, kOut, "in notify 6/7, in close", kOut},
        {"peer smaller, theirs first", 64513, 5, kIn, "in notify 6/7, in close, out keepalive", kOut},
        {"equal, peer's AS larger", 64513, 10, kOut, "out notify 6/7, out close, in keepalive", kIn},
        {"equal, our AS larger", 64511, 10, kIn, "in notify 6/7, in close, out keepalive", kOut},
    }));
    CAPTURE(row.name);
    Rig rig;
    auto changed = rig.peer.settings();
    changed.peer_as = net::Asn::make(row.peer_as);
    rig.peer.set_settings(changed);
    rig.feed(event::Start{});
    CHECK(rig.feed(event::Connected{}) == "out open");
    CHECK(rig.feed(event::Accepted{}) == "adopt, in open");
    const Bytes open = encoded(make_open(row.peer_as, row.peer_identifier));
    rig.receive(row.first, open);
    CHECK(rig.receive(fsm::other(row.first), open) == row.on_second_open);
    CHECK(rig.receive(row.kept, keepalive()).find("up") == 0);
    CHECK(rig.peer.established() == row.kept);
    CHECK(rig.peer.state(fsm::other(row.kept)) == State::idle);
}

TEST_CASE("an established session is kept when a second connection opens") {
    Rig rig;
    rig.feed(event::Start{});
    rig.feed(event::Connected{});
    rig.feed(event::Accepted{});
    const Bytes open = encoded(make_open(64513, 20));
    rig.receive(kOut, open);
    CHECK(rig.receive(kOut, keepalive()) == "up out");
    CHECK(rig.receive(kIn, open) == "in notify 6/7, in close");
    CHECK(rig.feed(event::Accepted{}) == "refuse 6/7");
    CHECK(rig.peer.established() == kOut);
    // One that is opened again and again is not worth an answer.
    int answered = 1;
    for (int i = 0; i < 1000; ++i) {
        const std::string answer = rig.feed(event::Accepted{});
        CHECK((answer == "refuse 6/7" || answer == "refuse"));
        answered += answer == "refuse 6/7" ? 1 : 0;
    }
    CHECK(answered == 64);
    // However often that was, a moment later it is heard again.
    rig.now += 500ms;
    CHECK(rig.feed(event::Accepted{}) == "refuse 6/7");
}

TEST_CASE("an invalid OPEN on the second connection does not touch the first") {
    Rig rig;
    rig.feed(event::Start{});
    rig.feed(event::Connected{});
    rig.feed(event::Accepted{});
    rig.receive(kOut, encoded(make_open(64513, 5)));
    CHECK(rig.receive(kIn, encoded(make_open(64999, 20))) == "in notify 2/2, in close");
    CHECK(rig.receive(kOut, keepalive()) == "up out");
}

TEST_CASE("two speakers that connect at once agree on one connection, whatever the order of messages") {
    // Two connections: 0 opened by a, 1 opened by b. Random interleaving of everything in flight.
    for (std::uint32_t seed = 1; seed < 400; ++seed) {
        std::array<Peer, 2> peers{Peer(settings(64512, 10 + seed % 3, 64513), seed),
                                  Peer(settings(64513, 11, 64512), seed + 1000)};
        // in_flight[from][connection]: messages; an empty one is "closed"
        std::array<std::array<std::deque<Bytes>, 2>, 2> in_flight;
        std::array<std::array<bool, 2>, 2> open{};  // side, connection
        fsm::TimePoint now = kStart;
        std::uint32_t random = seed;
        const auto roll = [&](std::uint32_t sides) {
            random = random * 1664525 + 1013904223;
            return (random >> 8U) % sides;
        };
        const auto direction = [](std::size_t side, std::size_t connection) {
            return side == connection ? Direction::outgoing : Direction::incoming;
        };
        const auto give = [&](std::size_t side, const fsm::Event& what) {
            fsm::Actions actions;
            peers[side].handle(what, now, actions);
            for (const fsm::Action& action : actions) {
                const auto connection = [&](Direction d) { return d == Direction::outgoing ? side : 1 - side; };
                if (const auto* send = std::get_if<fsm::action::Send>(&action)) {
                    in_flight[side][connection(send->direction)].push_back(send->bytes);
                } else if (const auto* close = std::get_if<fsm::action::Close>(&action)) {
                    if (std::exchange(open[side][connection(close->direction)], false)) {
                        in_flight[side][connection(close->direction)].emplace_back();
                    }
                } else if (std::holds_alternative<fsm::action::Adopt>(action)) {
                    open[side][1 - side] = true;
                } else if (std::holds_alternative<fsm::action::Refuse>(action)) {
                    in_flight[side][1 - side].emplace_back();
                }
            }
        };
        give(0, event::Start{});
        give(1, event::Start{});
        // Both connections are made before any message is read: the worst case.
        for (std::size_t connection = 0; connection < 2; ++connection) {
            open[connection][connection] = true;
            give(connection, event::Connected{});
            give(1 - connection, event::Accepted{});
        }
        for (int step = 0; step < 200; ++step) {
            const std::size_t from = roll(2);
            const std::size_t connection = roll(2);
            auto& queue = in_flight[from][connection];
            const std::size_t to = 1 - from;
            if (queue.empty()) {
                continue;
            }
            const Bytes bytes = queue.front();
            queue.pop_front();
            if (!open[to][connection]) {
                continue;
            }
            if (bytes.empty()) {
                open[to][connection] = false;
                give(to, event::Lost{direction(to, connection), "closed"});
            } else {
                wire::Framer framer(bytes);
                give(to, event::Received{direction(to, connection), **framer.next()});
            }
        }
        CAPTURE(seed);
        const auto up0 = peers[0].established();
        const auto up1 = peers[1].established();
        // Either one connection, the same on both sides, or (rarely, RFC 4271 does not rule it out) none: then both
        // wait for a moment and try again.
        CHECK(up0.has_value() == up1.has_value());
        if (up0 && up1) {
            CHECK(*up0 == fsm::other(*up1));
        } else {
            CHECK((peers[0].next_deadline() || peers[1].next_deadline()));
        }
    }
}

TEST_CASE("after a lost session the peer may connect at once, we after a moment") {
    Rig rig;
    rig.feed(event::Start{});
    rig.establish(kOut);
    CHECK(rig.feed(event::Lost{kOut, "Connection reset by peer"}) == "down");
    CHECK(rig.peer.state() == State::active);
    CHECK(rig.peer.last_end()->to_string() == "connection lost: Connection reset by peer");
    SECTION("we connect") {
        CHECK(*rig.peer.next_deadline() <= rig.now + 1s);
        CHECK(rig.wait() == "connect");
    }
    SECTION("the peer connects, and then we do not") {
        CHECK(rig.feed(event::Accepted{}) == "adopt, in open");
        CHECK(rig.tick(2s).empty());
        CHECK(rig.receive(kIn, encoded(make_open(64513, 20))) == "in keepalive");
    }
}

TEST_CASE("after a disagreement we wait, longer each time, and the peer need not") {
    Rig rig;
    rig.feed(event::Start{});
    std::vector<long> waits;
    for (int i = 0; i < 9; ++i) {
        rig.feed(event::Connected{});
        CHECK(rig.receive(kOut, encoded(make_open(64999, 20))) == "out notify 2/2, out close");
        CHECK(rig.peer.state() == State::active);
        const auto since = rig.now;
        while (rig.peer.state() != State::connect) {
            rig.wait();
        }
        waits.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(rig.now - since).count());
    }
    CHECK(waits.front() <= 1000);
    CHECK(waits[3] > waits[0]);
    CHECK(waits.back() <= 60'000);
    CHECK(waits.back() >= 45'000);

    SECTION("a session that lasts forgives") {
        rig.establish(kOut);
        for (int i = 0; i < 6; ++i) {
            rig.tick(25s);
            rig.receive(kOut, keepalive());
        }
        rig.feed(event::Lost{kOut, ""});
        CHECK(*rig.peer.next_deadline() - rig.now <= 1s);
    }
    SECTION("a short one does not") {
        rig.establish(kOut);
        rig.feed(event::Lost{kOut, ""});
        CHECK(*rig.peer.next_deadline() - rig.now > 10s);
    }
}

TEST_CASE("a peer that sends one error after another is heard each time, and then four times a second") {
    Rig rig;
    rig.feed(event::Start{});
    const auto err = [&] {
        CHECK(rig.feed(event::Accepted{}) == "adopt, in open");
        CHECK(rig.receive(kIn, encoded(make_open(64999, 20))).starts_with("in notify 2/2, in close"));
    };
    for (int i = 0; i < 64; ++i) {
        err();
    }
    for (int i = 0; i < 9; ++i) {
        err();
        CHECK(rig.feed(event::Accepted{}) == "refuse");
        rig.tick(250ms);
    }
    rig.tick(60s);
    for (int i = 0; i < 64; ++i) {
        err();
    }
}

TEST_CASE("a Cease from the peer is no disagreement") {
    Rig rig;
    rig.feed(event::Start{});
    rig.establish(kOut);
    CHECK(rig.receive(kOut, encoded(wire::make_cease(wire::cease::kAdministrativeReset, "upgrade"))) ==
          "out close, down");
    CHECK(rig.peer.last_end()->to_string() == "received Cease/Administrative Reset: upgrade");
    CHECK(rig.feed(event::Accepted{}) == "adopt, in open");
}

TEST_CASE("an unreachable peer is tried again and again") {
    Rig rig;
    CHECK(rig.feed(event::Start{}) == "connect");
    for (int i = 0; i < 5; ++i) {
        CHECK(rig.feed(event::Lost{kOut, "No route to host"}).empty());
        CHECK(rig.peer.state() == State::active);
        CHECK(rig.wait() == "connect");
    }
    CHECK(rig.peer.last_end()->to_string() == "connection lost: No route to host");
}

TEST_CASE("stop ends everything, and nothing happens until start") {
    Rig rig;
    CHECK(rig.feed(event::Accepted{}) == "refuse 6/5");
    rig.feed(event::Start{});
    rig.establish(kIn);
    const auto why = wire::make_cease(wire::cease::kPeerDeconfigured);
    CHECK(rig.feed(event::Stop{why, false}) == "in notify 6/3, in close, down");
    CHECK(rig.peer.state() == State::idle);
    CHECK_FALSE(rig.peer.next_deadline());
    CHECK(rig.feed(event::Accepted{}) == "refuse 6/3");
    CHECK(rig.feed(event::Connected{}).empty());
    CHECK(rig.feed(event::Lost{kIn, ""}).empty());
    CHECK(rig.receive(kIn, keepalive()).empty());
    CHECK(rig.feed(event::Start{}) == "connect");
}

TEST_CASE("errors that the caller finds are sent with their code") {
    Rig rig;
    rig.feed(event::Start{});
    rig.establish(kOut);
    const wire::Notification why = GENERATE(values<wire::Notification>({{wire::ErrorCode::header, 3, {9}},
                                                                        {wire::ErrorCode::update, 10, {}},
                                                                        {wire::ErrorCode::route_refresh, 1, {}}}));
    const std::string code = std::to_string(static_cast<int>(why.code)) + "/" + std::to_string(why.subcode);
    CHECK(rig.feed(event::Malformed{kOut, why}) == "out notify " + code + ", out close, down");
}

TEST_CASE("messages of the session keep it up; the wrong ones end it") {
    Rig rig;
    rig.feed(event::Start{});
    Bytes update;
    wire::UpdateWriter(update, {}).end_of_rib(net::Family::v4);
    SECTION("UPDATE before the session is up") {
        rig.feed(event::Connected{});
        CHECK(rig.receive(kOut, update) == "out notify 5/1, out close");
    }
    SECTION("UPDATE in OpenConfirm") {
        rig.feed(event::Connected{});
        rig.receive(kOut, encoded(make_open(64513, 20)));
        CHECK(rig.receive(kOut, update) == "out notify 5/2, out close");
    }
    SECTION("OPEN in the session") {
        rig.establish(kOut);
        CHECK(rig.receive(kOut, encoded(make_open(64513, 20))) == "out notify 5/3, out close, down");
    }
    SECTION("UPDATE in the session restarts the hold timer") {
        rig.establish(kOut);
        for (int i = 0; i < 10; ++i) {
            rig.tick(60s);
            CHECK(rig.receive(kOut, update).empty());
        }
        CHECK(rig.tick(90s).find("out notify 4/0") == 0);
    }
}

TEST_CASE("a peer with graceful restart that connects anew replaces its session (RFC 4724 section 4.2)") {
    Rig rig;
    auto changed = rig.peer.settings();
    changed.open.capabilities.graceful_restart = wire::GracefulRestart{};
    rig.peer.set_settings(changed);
    wire::Open peers = make_open(64513, 20);
    peers.capabilities.graceful_restart = wire::GracefulRestart{};
    const Direction direction = GENERATE(kOut, kIn);
    rig.feed(event::Start{});
    rig.establish(direction, peers);
    if (direction == kOut) {
        CHECK(rig.feed(event::Accepted{}) == "refuse 6/7");  // so soon it is a collision
    }
    rig.tick(6s);
    const std::string close = direction == kOut ? "out close" : "in close";
    CHECK(rig.feed(event::Accepted{}) == close + ", down graceful, adopt, in open");
    CHECK(rig.receive(kIn, encoded(peers)) == "in keepalive");
    CHECK(rig.receive(kIn, keepalive()) == "up in");
}

TEST_CASE("a half-open connection is replaced by a new one from the peer") {
    Rig rig;
    rig.feed(event::Start{});
    rig.feed(event::Accepted{});
    CHECK(rig.feed(event::Accepted{}) == "in close, adopt, in open");
}

namespace {

/// What an OPEN announces, in hex.
std::string capabilities_of(const fsm::Actions& actions) {
    for (const fsm::Action& action : actions) {
        if (const auto* send = std::get_if<fsm::action::Send>(&action)) {
            wire::Framer framer(send->bytes);
            if (const auto open = wire::decode_open((**framer.next()).body())) {
                Bytes bytes;
                wire::encode_capabilities(open->capabilities, bytes);
                return to_hex(bytes);
            }
        }
    }
    return "no OPEN";
}

wire::Notification open_error(std::uint8_t subcode, const char* data = "") {
    return {wire::ErrorCode::open, subcode, hex(data)};
}

const std::string kV4 = "010400010001";
const std::string kV6 = "010400020001";
const std::string kRefresh = "0200";
const std::string kAs = "41040000fc00";

}  // namespace

TEST_CASE("what the peer refuses is left out of the next OPEN, and back in the one after it (RFC 5492 section 3)") {
    Rig rig;
    auto changed = rig.peer.settings();
    changed.open.capabilities.multiprotocol.push_back(wire::AfiSafi::of(net::Family::v6));
    changed.open.capabilities.route_refresh = true;
    rig.peer.set_settings(changed);
    const std::string all = kV4 + kV6 + kRefresh + kAs;
    const bool outgoing = GENERATE(true, false);
    const Direction direction = outgoing ? kOut : kIn;
    rig.feed(event::Start{});
    const auto announced = [&] {
        if (outgoing) {
            while (rig.peer.state(kOut) != State::connect) {
                rig.wait();
            }
            rig.feed(event::Connected{});
        } else {
            rig.feed(event::Accepted{});
        }
        return capabilities_of(rig.actions);
    };
    const auto refuse = [&](const wire::Notification& why) { rig.receive(direction, encoded(why)); };

    CHECK(announced() == all);
    refuse(open_error(4));
    CHECK(announced().empty());
    SECTION("a session without capabilities") {
        wire::Open peers = make_open(64513, 20);
        peers.capabilities = {};
        rig.receive(direction, encoded(peers));
        rig.receive(direction, keepalive());
        CHECK(rig.peer.established() == direction);
        CHECK(rig.peer.negotiated()->families == wire::FamilySet{net::Family::v4});
        CHECK_FALSE(rig.peer.negotiated()->four_octet_as);
        CHECK(rig.peer.sent_capabilities() == wire::Capabilities{});
        rig.feed(event::Lost{direction, "reset"});
        CHECK(announced() == all);
    }
    SECTION("refused all the same") {
        refuse(open_error(4));
        CHECK(announced() == all);
    }
    SECTION("another error") {
        refuse(open_error(2));
        CHECK(announced() == all);
    }
    SECTION("lost") {
        rig.feed(event::Lost{direction, "reset"});
        CHECK(announced() == all);
    }
    SECTION("one after the other") {
        refuse(open_error(2));
        CHECK(announced() == all);
        refuse(open_error(7, "0104 0002 0001 4504 00010103"));
        CHECK(announced() == kV4 + kRefresh + kAs);
        refuse(open_error(7, "0200"));
        CHECK(announced() == kV4 + kAs);
        refuse(open_error(7, "0104 0001 0001"));
        CHECK(announced() == kAs);  // which says IPv4 as well
        refuse(open_error(7, "0104 0001 0001"));
        CHECK(announced() == all);  // not ours to leave out
        refuse(open_error(7));
        CHECK(announced().empty());
    }
}

TEST_CASE("an OPEN that would lead to nothing is not tried") {
    Rig rig;
    auto changed = rig.peer.settings();
    SECTION("IPv6 alone is wanted") { changed.open.capabilities.multiprotocol = {wire::AfiSafi::of(net::Family::v6)}; }
    SECTION("the peer's AS number has four octets") { changed.peer_as = net::Asn::make(4200000000); }
    SECTION("the peer misses what we do not have") {}
    rig.peer.set_settings(changed);
    const bool misses = changed.open.capabilities.families().has(net::Family::v4) && changed.peer_as->number() == 64513;
    rig.feed(event::Start{});
    rig.feed(event::Accepted{});
    const std::string all = capabilities_of(rig.actions);
    rig.receive(kIn, encoded(misses ? open_error(7, "0104 0019 0046") : open_error(4)));
    rig.feed(event::Accepted{});
    CHECK(capabilities_of(rig.actions) == all);
}

TEST_CASE("large messages are taken from a peer that was told so") {
    Rig rig;
    CHECK(rig.peer.max_receive(kIn) == wire::kMaxMessage);
    auto changed = rig.peer.settings();
    changed.open.capabilities.extended_message = true;
    rig.peer.set_settings(changed);
    rig.feed(event::Start{});
    rig.feed(event::Accepted{});
    CHECK(rig.peer.max_receive(kIn) == wire::kMaxExtendedMessage);
    rig.receive(kIn, encoded(open_error(7, "0600")));
    rig.feed(event::Accepted{});
    CHECK(rig.peer.max_receive(kIn) == wire::kMaxMessage);
}
