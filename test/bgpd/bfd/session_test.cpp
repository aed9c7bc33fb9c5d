#include "bgpd/bfd/session.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <optional>
#include <string>

#include "bgpd/bfd/packet.hpp"

using namespace manul::bgp::bfd;
using namespace std::chrono_literals;

namespace {

const Time kStart = Time(1000s);
constexpr SessionSettings kFast{.desired_min_tx = 150ms, .required_min_rx = 150ms, .detect_multiplier = 3};

ControlPacket from_peer(const Session& session, State state) {
    return {.state = state,
            .detect_multiplier = 3,
            .my_discriminator = 77,
            .your_discriminator = session.discriminator(),
            .desired_min_tx = 150'000,
            .required_min_rx = 150'000};
}

/// A session brought to `state`, with its Poll sequence finished.
Session session_in(State state, Time now) {
    Session session(kFast, 5, 1, now);
    if (state == State::init || state == State::up) {
        static_cast<void>(session.receive(from_peer(session, State::down), now));
    }
    if (state == State::up) {
        static_cast<void>(session.receive(from_peer(session, State::up), now));
        ControlPacket final = from_peer(session, State::up);
        final.final = true;
        static_cast<void>(session.receive(final, now));
    }
    if (state == State::admin_down) {
        static_cast<void>(session.farewell(now));
    }
    REQUIRE(session.state() == state);
    return session;
}

}  // namespace

TEST_CASE("every state with every received state (RFC 5880 section 6.2)") {
    struct Case {
        State before;
        State received;
        State after;
    };
    using enum State;
    const Case cases[] = {
        {down, admin_down, down}, {down, down, init}, {down, init, up}, {down, up, down},
        {init, admin_down, down}, {init, down, init}, {init, init, up}, {init, up, up},
        {up, admin_down, down},   {up, down, down},   {up, init, up},   {up, up, up},
    };
    for (const Case& c : cases) {
        INFO(std::string(to_string(c.before)) + " receives " + to_string(c.received));
        Session session = session_in(c.before, kStart);
        const auto answer = session.receive(from_peer(session, c.received), kStart + 10ms);
        CHECK(session.state() == c.after);
        CHECK(answer.has_value() == (c.before != c.after));  // news leaves at once
        if (c.before != down && c.after == down) {
            CHECK(session.diagnostic() == Diagnostic::neighbour_signaled_down);
        }
    }
}

TEST_CASE("while not up a packet a second leaves, with jitter that only shortens") {
    Session session(kFast, 5, 9, kStart);
    Time last = kStart;
    CHECK(session.tick(kStart)->desired_min_tx == 1'000'000);
    for (int i = 0; i < 200; ++i) {
        const Time next = session.next_deadline();
        CHECK((next - last >= 750ms && next - last <= 1000ms));
        REQUIRE(session.tick(next));
        last = next;
    }
}

TEST_CASE("up: the configured interval holds after a Poll sequence, and silence ends the session") {
    Session session = session_in(State::init, kStart);
    const auto up = session.receive(from_peer(session, State::init), kStart);
    REQUIRE(up);
    CHECK(up->state == State::up);
    CHECK(up->poll);
    CHECK(up->desired_min_tx == 150'000);
    CHECK(session.transmit_interval() == 150ms);
    CHECK(session.detection_time() == 450ms);

    ControlPacket final = from_peer(session, State::up);
    final.final = true;
    static_cast<void>(session.receive(final, kStart + 100ms));
    std::optional<ControlPacket> sent;
    Time now = kStart;
    while (session.state() == State::up) {
        now = session.next_deadline();
        sent = session.tick(now);
        REQUIRE((!sent || !sent->poll));
    }
    CHECK(now == kStart + 100ms + 450ms);
    REQUIRE(sent);
    CHECK(sent->state == State::down);
    CHECK(sent->diagnostic == Diagnostic::detection_time_expired);
    CHECK(sent->your_discriminator == 0);
}

TEST_CASE("a Poll is answered at once with Final, never with both bits") {
    Session session = session_in(State::up, kStart);
    session.set_settings({.desired_min_tx = 100ms, .required_min_rx = 100ms, .detect_multiplier = 3}, kStart);
    ControlPacket poll = from_peer(session, State::up);
    poll.poll = true;
    const auto answer = session.receive(poll, kStart + 1ms);
    REQUIRE(answer);
    CHECK(answer->final);
    CHECK_FALSE(answer->poll);
    CHECK(session.tick(session.next_deadline())->poll);  // our own goes on
}

TEST_CASE("a neighbour that polls faster than packets are due does not keep them back (RFC 5880 section 6.8.7)") {
    Session session = session_in(State::up, kStart);
    session.set_settings({.desired_min_tx = 100ms, .required_min_rx = 100ms, .detect_multiplier = 3}, kStart);
    ControlPacket poll = from_peer(session, State::up);
    poll.poll = true;
    int polls = 0;
    for (Time now = kStart; now < kStart + 1s; now += 10ms) {
        REQUIRE(session.receive(poll, now)->final);
        if (session.next_deadline() <= now) {
            const auto sent = session.tick(now);
            polls += sent && sent->poll ? 1 : 0;
        }
    }
    CHECK(polls >= 5);
    CHECK(polls <= 15);
}

TEST_CASE("slower sending and quicker detection wait for the end of the Poll sequence (RFC 5880 section 6.8.3)") {
    Session session = session_in(State::up, kStart);
    session.set_settings({.desired_min_tx = 500ms, .required_min_rx = 50ms, .detect_multiplier = 3}, kStart);
    CHECK(session.transmit_interval() == 150ms);
    CHECK(session.detection_time() == 450ms);
    const auto poll = session.tick(session.next_deadline());
    REQUIRE(poll);
    CHECK(poll->poll);
    CHECK(poll->desired_min_tx == 500'000);
    CHECK(poll->required_min_rx == 50'000);
    ControlPacket final = from_peer(session, State::up);
    final.final = true;
    final.desired_min_tx = 60'000;
    static_cast<void>(session.receive(final, kStart + 10ms));
    CHECK(session.transmit_interval() == 500ms);
    CHECK(session.detection_time() == 180ms);
}

TEST_CASE("the neighbour's wishes: a slower rate, none at all, demand mode") {
    Session session = session_in(State::up, kStart);
    ControlPacket packet = from_peer(session, State::up);
    packet.required_min_rx = 700'000;
    static_cast<void>(session.receive(packet, kStart));
    CHECK(session.transmit_interval() == 700ms);

    SECTION("required_min_rx 0 stops our packets") {
        packet.required_min_rx = 0;
        static_cast<void>(session.receive(packet, kStart));
        CHECK(session.next_deadline() == kStart + session.detection_time());
    }
    SECTION("demand mode stops them while both are up") {
        packet.demand = true;
        static_cast<void>(session.receive(packet, kStart));
        CHECK(session.next_deadline() == kStart + session.detection_time());
        packet.demand = false;
        static_cast<void>(session.receive(packet, kStart));
        CHECK(session.next_deadline() < kStart + session.detection_time() + 700ms);
    }
    SECTION("a shorter interval holds at once") {
        packet.required_min_rx = 150'000;
        static_cast<void>(session.receive(packet, kStart + 1ms));
        CHECK(session.next_deadline() <= kStart + 150ms);
    }
}

TEST_CASE("a session taken away says so") {
    Session session = session_in(State::up, kStart);
    const ControlPacket last = session.farewell(kStart);
    CHECK(last.state == State::admin_down);
    CHECK(last.diagnostic == Diagnostic::administratively_down);
    CHECK(last.your_discriminator == 77);
    CHECK(last.desired_min_tx == 1'000'000);
    CHECK(session.neighbours_detection_time() == 3s);
    const auto again = session.tick(session.next_deadline());
    REQUIRE(again);
    CHECK(again->state == State::admin_down);
}

TEST_CASE("two sessions find each other and agree on everything, whatever the order of their packets") {
    Session a(kFast, 1, 11, kStart);
    Session b({.desired_min_tx = 300ms, .required_min_rx = 200ms, .detect_multiplier = 5}, 2, 22, kStart + 40ms);
    Time now = kStart;
    const auto deliver = [&](Session& to, Session& from, std::optional<ControlPacket> packet) {
        for (Session *receiver = &to, *sender = &from; packet; std::swap(receiver, sender)) {
            packet = receiver->receive(*packet, now);
        }
    };
    for (int i = 0; i < 100; ++i) {
        const bool a_next = a.next_deadline() <= b.next_deadline();
        now = a_next ? a.next_deadline() : b.next_deadline();
        a_next ? deliver(b, a, a.tick(now)) : deliver(a, b, b.tick(now));
    }
    CHECK(a.state() == State::up);
    CHECK(b.state() == State::up);
    CHECK(a.transmit_interval() == 200ms);
    CHECK(b.transmit_interval() == 300ms);
    CHECK(a.detection_time() == 5 * 300ms);
    CHECK(b.detection_time() == 3 * 200ms);
}
