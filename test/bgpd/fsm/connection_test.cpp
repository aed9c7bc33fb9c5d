#include "bgpd/fsm/connection.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "test/bgpd/fsm/builders.hpp"

using namespace manul;
using namespace manul::test;
using fsm::Connection;
using fsm::Direction;
using fsm::State;
namespace event = fsm::connection_event;

namespace {

const wire::Notification kUpdateError{wire::ErrorCode::update, 1, {}};
const wire::Notification kVersionError{wire::ErrorCode::open, 1, {}};
const wire::Notification kCease{wire::ErrorCode::cease, 4, {}};

struct Rig {
    fsm::PeerSettings settings{.open = make_open(64512, 1), .peer_as = net::Asn::make(64513)};
    fsm::Jitter jitter{1};
    Connection connection{Direction::outgoing};
    fsm::Actions actions;
    fsm::TimePoint now = kStart;

    /// Feeds the event; returns "<actions> -> <state>".
    std::string feed(const fsm::ConnectionEvent& what) {
        actions.clear();
        connection.handle(what, settings, jitter, now, actions);
        return result();
    }
    std::string tick(std::chrono::milliseconds later) {
        actions.clear();
        now += later;
        connection.tick(settings, jitter, now, actions);
        return result();
    }
    std::string result() {
        const std::string done = describe(actions);
        return (done.empty() ? "" : done + " ") + "-> " + fsm::to_string(connection.state());
    }
    void to(State state) {
        const std::vector<fsm::ConnectionEvent> path = {event::StartActive{}, event::TcpEstablished{},
                                                        event::OpenReceived{make_open(64513, 2)},
                                                        event::KeepaliveReceived{}};
        if (state == State::active) {
            feed(event::StartActive{});
            feed(event::TcpFailed{});
        }
        for (std::size_t i = 0; connection.state() != state; ++i) {
            feed(path.at(i));
        }
        actions.clear();
    }
};

struct Input {
    const char* name;
    fsm::ConnectionEvent event;
};

/// Every event of the machine, with its number in RFC 4271 section 8.1.
const std::vector<Input>& inputs() {
    static const std::vector<Input> all = {
        {"1 start", event::StartActive{}},
        {"4 start passively", event::StartPassive{}},
        {"2 stop", event::Stop{kCease, false}},
        {"9 connect retry timer", event::ConnectRetryExpired{}},
        {"10 hold timer", event::HoldExpired{}},
        {"11 keepalive timer", event::KeepaliveExpired{}},
        {"16/17 TCP established", event::TcpEstablished{}},
        {"18 TCP failed", event::TcpFailed{}},
        {"19 OPEN", event::OpenReceived{make_open(64513, 2)}},
        {"21 header error", event::HeaderError{{wire::ErrorCode::header, 2, {}}}},
        {"22 OPEN error", event::OpenError{{wire::ErrorCode::open, 4, {}}}},
        {"23 collision dump", event::CollisionDump{}},
        {"24 NOTIFICATION version error", event::NotificationReceived{kVersionError}},
        {"25 NOTIFICATION", event::NotificationReceived{kCease}},
        {"26 KEEPALIVE", event::KeepaliveReceived{}},
        {"27 UPDATE", event::UpdateReceived{}},
        {"28 UPDATE error", event::UpdateError{kUpdateError}},
        {"29 send hold timer", event::SendHoldExpired{}},
    };
    return all;
}

struct Row {
    const char* input;
    std::array<const char*, 6> outcomes;  // in the order of State; nullptr: nothing happens
};

// Idle, Connect, Active, OpenSent, OpenConfirm, Established
const std::vector<Row> kTable = {
    {"1 start", {"connect -> Connect", nullptr, nullptr, nullptr, nullptr, nullptr}},
    {"4 start passively", {"-> Active", nullptr, nullptr, nullptr, nullptr, nullptr}},
    {"2 stop",
     {nullptr, "out close -> Idle", "-> Idle", "out notify 6/4, out close -> Idle", "out notify 6/4, out close -> Idle",
      "out notify 6/4, out close, down -> Idle"}},
    {"9 connect retry timer",
     {nullptr, "out close, connect -> Connect", "connect -> Connect", "out notify 5/1, out close -> Idle",
      "out notify 5/2, out close -> Idle", "out notify 5/3, out close, down -> Idle"}},
    {"10 hold timer",
     {nullptr, "out close -> Idle", "-> Idle", "out notify 4/0, out close -> Idle", "out notify 4/0, out close -> Idle",
      "out notify 4/0, out close, down -> Idle"}},
    {"11 keepalive timer",
     {nullptr, "out close -> Idle", "-> Idle", "out notify 5/1, out close -> Idle", "out keepalive -> OpenConfirm",
      "out keepalive -> Established"}},
    {"16/17 TCP established", {nullptr, "out open -> OpenSent", "out open -> OpenSent", nullptr, nullptr, nullptr}},
    {"18 TCP failed", {nullptr, "-> Active", "-> Idle", "-> Active", "-> Idle", "down -> Idle"}},
    {"19 OPEN",
     {nullptr, "out close -> Idle", "-> Idle", "out keepalive -> OpenConfirm", "out notify 5/2, out close -> Idle",
      "out notify 5/3, out close, down -> Idle"}},
    {"21 header error",
     {nullptr, "out close -> Idle", "-> Idle", "out notify 1/2, out close -> Idle", "out notify 1/2, out close -> Idle",
      "out notify 1/2, out close, down -> Idle"}},
    {"22 OPEN error",
     {nullptr, "out close -> Idle", "-> Idle", "out notify 2/4, out close -> Idle", "out notify 2/4, out close -> Idle",
      "out notify 5/3, out close, down -> Idle"}},
    {"23 collision dump",
     {nullptr, "out close -> Idle", "-> Idle", "out notify 6/7, out close -> Idle", "out notify 6/7, out close -> Idle",
      "out notify 6/7, out close, down -> Idle"}},
    {"24 NOTIFICATION version error",
     {nullptr, "out close -> Idle", "-> Idle", "out close -> Idle", "out close -> Idle", "out close, down -> Idle"}},
    {"25 NOTIFICATION",
     {nullptr, "out close -> Idle", "-> Idle", "out close -> Idle", "out close -> Idle", "out close, down -> Idle"}},
    {"26 KEEPALIVE",
     {nullptr, "out close -> Idle", "-> Idle", "out notify 5/1, out close -> Idle", "up out -> Established",
      "-> Established"}},
    {"27 UPDATE",
     {nullptr, "out close -> Idle", "-> Idle", "out notify 5/1, out close -> Idle", "out notify 5/2, out close -> Idle",
      "-> Established"}},
    {"28 UPDATE error",
     {nullptr, "out close -> Idle", "-> Idle", "out notify 5/1, out close -> Idle", "out notify 5/2, out close -> Idle",
      "out notify 3/1, out close, down -> Idle"}},
    {"29 send hold timer",
     {nullptr, "out close -> Idle", "-> Idle", "out notify 5/1, out close -> Idle", "out notify 5/2, out close -> Idle",
      "out notify 8/0, out close, down -> Idle"}},
};

}  // namespace

TEST_CASE("the table of states and events has no missing row") {
    REQUIRE(kTable.size() == inputs().size());
    CHECK(inputs().size() >= std::variant_size_v<fsm::ConnectionEvent>);
    for (std::size_t i = 0; i < kTable.size(); ++i) {
        CHECK(std::string(kTable[i].input) == inputs()[i].name);
    }
}

TEST_CASE("every event in every state does what RFC 4271 section 8.2.2 says") {
    for (std::size_t row = 0; row < kTable.size(); ++row) {
        for (std::size_t column = 0; column < 6; ++column) {
            const auto state = static_cast<State>(column);
            Rig rig;
            rig.to(state);
            const char* wanted = kTable[row].outcomes[column];
            const std::string expected = wanted != nullptr ? wanted : std::string("-> ") + fsm::to_string(state);
            CAPTURE(kTable[row].input, fsm::to_string(state));
            CHECK(rig.feed(inputs()[row].event) == expected);
            if (rig.connection.state() == State::idle) {
                CHECK_FALSE(rig.connection.next_deadline());
            }
        }
    }
}

TEST_CASE("an OPEN that does not fit the configuration is answered with its NOTIFICATION") {
    struct Case {
        const char* name;
        wire::Open open;
        const char* outcome;
    };
    const auto row = GENERATE(values<Case>({
        {"another AS", make_open(64514, 2), "out notify 2/2, out close -> Idle"},
        {"our identifier from an external peer", make_open(64513, 1), "out keepalive -> OpenConfirm"},
    }));
    CAPTURE(row.name);
    Rig rig;
    rig.to(State::open_sent);
    CHECK(rig.feed(event::OpenReceived{row.open}) == row.outcome);
}

TEST_CASE("the identifier of an internal peer must differ from ours") {
    Rig rig;
    rig.settings.peer_as = net::Asn::make(64512);
    rig.to(State::open_sent);
    CHECK(rig.feed(event::OpenReceived{make_open(64512, 1)}) == "out notify 2/3, out close -> Idle");
}

TEST_CASE("a silent stop sends nothing") {
    Rig rig;
    rig.to(State::established);
    CHECK(rig.feed(event::Stop{kCease, true}) == "out close, down -> Idle");
    CHECK(rig.connection.last_end()->to_string() == "stopped");
}

TEST_CASE("the hold timer waits long for the OPEN and for the negotiated time afterwards") {
    Rig rig;
    rig.to(State::open_sent);
    CHECK(rig.tick(239s) == "-> OpenSent");
    CHECK(rig.tick(1s) == "out notify 4/0, out close -> Idle");

    Rig up;
    up.settings.open.hold_time = 30;
    up.to(State::established);
    for (int i = 0; i < 20; ++i) {  // an UPDATE or KEEPALIVE now and then keeps it up
        up.tick(15s);
        up.feed(i % 2 == 0 ? fsm::ConnectionEvent(event::UpdateReceived{}) : event::KeepaliveReceived{});
    }
    CHECK(up.connection.state() == State::established);
    CHECK(up.tick(30s) == "out notify 4/0, out close, down -> Idle");
    CHECK(up.connection.last_end()->cause == fsm::SessionEnd::Cause::hold_timer_expired);
}

TEST_CASE("keepalives go out each third of the hold time, jittered, or as often as configured") {
    const auto [configured, least, most] =
        GENERATE(table<std::uint16_t, int, int>({{0, 22'500, 30'000}, {5, 3'750, 5'000}}));
    Rig rig;
    if (configured != 0) {
        rig.settings.keepalive_seconds = configured;
    }
    rig.to(State::established);
    std::vector<std::chrono::milliseconds> intervals;
    for (int i = 0; i < 50; ++i) {
        rig.feed(event::KeepaliveReceived{});
        const auto deadline = *rig.connection.next_deadline();
        intervals.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(deadline - rig.now));
        CHECK(rig.tick(intervals.back()) == "out keepalive -> Established");
    }
    CHECK(*std::ranges::min_element(intervals) >= std::chrono::milliseconds(least));
    CHECK(*std::ranges::max_element(intervals) <= std::chrono::milliseconds(most));
    CHECK(*std::ranges::min_element(intervals) < *std::ranges::max_element(intervals));
}

TEST_CASE("keepalives are a second apart at least (RFC 4271 section 4.4)") {
    Rig rig;
    rig.settings.open.hold_time = 3;
    rig.to(State::established);
    for (int i = 0; i < 50; ++i) {
        rig.feed(event::KeepaliveReceived{});
        CHECK(*rig.connection.next_deadline() - rig.now == 1s);
        rig.tick(1s);
    }
}

TEST_CASE("an unexpected message is named in the FSM error (RFC 6608 section 4)") {
    struct Case {
        State state;
        fsm::ConnectionEvent event;
        wire::Notification sent;
    };
    const auto row = GENERATE(values<Case>({
        {State::open_sent, event::KeepaliveReceived{}, {wire::ErrorCode::fsm, 1, {4}}},
        {State::open_sent, event::UpdateReceived{}, {wire::ErrorCode::fsm, 1, {2}}},
        {State::open_sent, event::UpdateReceived{wire::MessageType::route_refresh}, {wire::ErrorCode::fsm, 1, {5}}},
        {State::open_confirm, event::OpenReceived{make_open(64513, 2)}, {wire::ErrorCode::fsm, 2, {1}}},
        {State::open_confirm, event::UpdateReceived{}, {wire::ErrorCode::fsm, 2, {2}}},
        {State::established, event::OpenReceived{make_open(64513, 2)}, {wire::ErrorCode::fsm, 3, {1}}},
        {State::established, event::OpenError{{wire::ErrorCode::open, 4, {}}}, {wire::ErrorCode::fsm, 3, {1}}},
        {State::established, event::ConnectRetryExpired{}, {wire::ErrorCode::fsm, 3, {}}},
    }));
    Rig rig;
    rig.to(row.state);
    rig.feed(row.event);
    CHECK(rig.connection.last_end()->notification == row.sent);
}

TEST_CASE("hold time 0 means no keepalives and no hold timer") {
    Rig rig;
    rig.settings.open.hold_time = 0;
    rig.to(State::established);
    CHECK_FALSE(rig.connection.next_deadline());
}

TEST_CASE("the retry timer backs off from 10 s to 120 s") {
    Rig rig;
    rig.feed(event::StartActive{});
    std::vector<long> waits;
    for (int i = 0; i < 8; ++i) {
        CHECK(rig.feed(event::TcpFailed{"Connection refused"}) == "-> Active");
        const auto wait =
            std::chrono::duration_cast<std::chrono::milliseconds>(*rig.connection.next_deadline() - rig.now);
        waits.push_back(wait.count());
        CHECK(rig.tick(wait) == "connect -> Connect");
    }
    CHECK(waits.front() <= 10'000);
    CHECK(waits.front() >= 7'500);
    CHECK(waits[1] >= 15'000);
    CHECK(waits.back() >= 90'000);
    CHECK(waits.back() <= 120'000);
    CHECK(rig.connection.last_end()->to_string() == "connection lost: Connection refused");
}

TEST_CASE("a connection attempt that hangs is begun anew") {
    Rig rig;
    rig.feed(event::StartActive{});
    CHECK(rig.tick(10s) == "out close, connect -> Connect");
}

TEST_CASE("a passive machine runs no retry timer") {
    Rig rig;
    rig.feed(event::StartPassive{});
    CHECK_FALSE(rig.connection.next_deadline());
    rig.feed(event::TcpEstablished{});
    CHECK(rig.feed(event::TcpFailed{}) == "-> Active");
    CHECK_FALSE(rig.connection.next_deadline());
}

TEST_CASE("a peer that reads nothing is given up (RFC 9687)") {
    Rig rig;
    rig.settings.open.hold_time = 0;
    rig.to(State::established);
    rig.connection.backlog(true, rig.settings, rig.now);
    rig.tick(479s);
    rig.connection.backlog(true, rig.settings, rig.now);  // some bytes went out
    CHECK(rig.tick(479s) == "-> Established");
    rig.connection.backlog(false, rig.settings, rig.now);
    CHECK_FALSE(rig.connection.next_deadline());
    rig.connection.backlog(true, rig.settings, rig.now);
    CHECK(rig.tick(480s) == "out notify 8/0, out close, down -> Idle");
}

TEST_CASE("routes may be kept exactly when graceful restart says so") {
    struct Case {
        const char* name;
        bool both_announce;
        bool notification_bit;
        fsm::ConnectionEvent end;
        bool graceful;
    };
    const wire::Notification hard_reset = wire::make_hard_reset(kCease);
    const auto row = GENERATE_COPY(values<Case>({
        {"TCP lost without graceful restart", false, false, event::TcpFailed{}, false},
        {"TCP lost", true, false, event::TcpFailed{}, true},
        {"NOTIFICATION", true, false, event::NotificationReceived{kCease}, false},
        {"NOTIFICATION with the N bit", true, true, event::NotificationReceived{kCease}, true},
        {"Hard Reset with the N bit", true, true, event::NotificationReceived{hard_reset}, false},
        {"hold timer", true, false, event::HoldExpired{}, false},
        {"hold timer with the N bit", true, true, event::HoldExpired{}, true},
        {"our UPDATE error with the N bit", true, true, event::UpdateError{kUpdateError}, true},
        {"stopped", true, false, event::Stop{kCease, false}, false},
        {"stopped with the N bit", true, true, event::Stop{kCease, false}, true},
        {"stopped with a hard reset", true, true, event::Stop{hard_reset, false}, false},
        {"stopped without a word", true, true, event::Stop{kCease, true}, false},
    }));
    CAPTURE(row.name);
    Rig rig;
    wire::Open peers = make_open(64513, 2);
    if (row.both_announce) {
        rig.settings.open.capabilities.graceful_restart = wire::GracefulRestart{false, row.notification_bit, 120, {}};
        peers.capabilities.graceful_restart = wire::GracefulRestart{false, row.notification_bit, 120, {}};
    }
    rig.to(State::open_sent);
    rig.feed(event::OpenReceived{peers});
    rig.feed(event::KeepaliveReceived{});
    rig.feed(row.end);
    REQUIRE(std::holds_alternative<fsm::action::SessionDown>(rig.actions.back()));
    CHECK(std::get<fsm::action::SessionDown>(rig.actions.back()).end.graceful == row.graceful);
}
