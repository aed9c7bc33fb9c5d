#include "bgpd/bfd/sessions.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <variant>
#include <vector>

#include "bgpd/bfd/packet.hpp"
#include "net/ip.hpp"

using namespace manul;
using namespace manul::bgp::bfd;
using namespace std::chrono_literals;

namespace {

const Time kStart = Time(1000s);

SessionConfig to(const char* remote, bool single_hop = true) {
    return {.remote = *net::Ip::parse(remote), .local = {}, .single_hop = single_hop, .settings = {}};
}

template <class T>
std::vector<T> all(const Actions& actions) {
    std::vector<T> found;
    for (const Action& action : actions) {
        if (const T* one = std::get_if<T>(&action)) {
            found.push_back(*one);
        }
    }
    return found;
}

/// A neighbour that answers what the table sends to it.
struct Neighbour {
    Session session{SessionSettings{}, 99, 7, kStart};

    Bytes tick(Time now) {
        const auto packet = session.tick(now);
        return packet ? bytes(*packet) : Bytes();
    }
    static Bytes bytes(const ControlPacket& packet) {
        const auto data = encode(packet);
        return {data.begin(), data.end()};
    }
};

Arrival arrival(const char* source, const Bytes& data) {
    return {.source = *net::Ip::parse(source), .ttl = 255, .single_hop = true, .data = data};
}

/// Brings the session with 10.0.0.2 up.
void bring_up(Sessions& sessions, Neighbour& neighbour, Time now) {
    Bytes data = Neighbour::bytes(neighbour.session.tick(now).value());
    for (int i = 0; i < 6; ++i) {
        Actions actions;
        sessions.receive(arrival("10.0.0.2", data), now, actions);
        const auto sent = all<Send>(actions);
        if (sent.empty()) {
            break;
        }
        const auto answer = neighbour.session.receive(*parse(sent.back().data), now);
        if (!answer) {
            break;
        }
        data = Neighbour::bytes(*answer);
    }
    REQUIRE(sessions.status().front().state == State::up);
}

}  // namespace

TEST_CASE("sessions are opened, kept and closed by what is configured") {
    Sessions sessions(1);
    Actions actions;
    const std::vector<SessionConfig> two{to("10.0.0.2"), to("fd00::2")};
    sessions.configure(two, kStart, actions);
    CHECK(all<Open>(actions).size() == 2);

    actions.clear();
    sessions.configure(two, kStart, actions);
    CHECK(actions.empty());

    SECTION("a change of settings keeps the session") {
        std::vector<SessionConfig> changed = two;
        changed[0].settings.detect_multiplier = 9;
        sessions.configure(changed, kStart, actions);
        CHECK(actions.empty());
    }
    SECTION("another path is another session") {
        std::vector<SessionConfig> changed = two;
        changed[0].single_hop = false;
        sessions.configure(changed, kStart, actions);
        CHECK(all<Close>(actions).size() == 1);
        CHECK(all<Open>(actions).size() == 1);
    }
    SECTION("one that goes away without having been heard says farewell once") {
        sessions.configure(std::vector<SessionConfig>{two[1]}, kStart, actions);
        REQUIRE(actions.size() == 2);
        CHECK(parse(std::get<Send>(actions[0]).data)->state == State::admin_down);
        CHECK(std::get<Close>(actions[1]).remote == *net::Ip::parse("10.0.0.2"));
    }
}

TEST_CASE("coming up and going down are reported once; AdminDown of the neighbour is no failure") {
    Sessions sessions(1);
    Neighbour neighbour;
    Actions actions;
    sessions.configure(std::vector<SessionConfig>{to("10.0.0.2")}, kStart, actions);
    bring_up(sessions, neighbour, kStart);

    actions.clear();
    SECTION("silence") {
        Time now = kStart;
        while (all<Changed>(actions).empty()) {
            now = *sessions.next_deadline();
            sessions.tick(now, actions);
        }
        CHECK(all<Changed>(actions).front().failure);
        CHECK(now - kStart == 3 * 300ms);
    }
    SECTION("AdminDown") {
        sessions.receive(arrival("10.0.0.2", Neighbour::bytes(neighbour.session.farewell(kStart))), kStart, actions);
        REQUIRE(all<Changed>(actions).size() == 1);
        CHECK_FALSE(all<Changed>(actions).front().failure);
    }
}

TEST_CASE("a session that goes away says so for as long as the neighbour waits (RFC 5880 section 6.8.16)") {
    Sessions sessions(1);
    Neighbour neighbour;
    Actions actions;
    sessions.configure(std::vector<SessionConfig>{to("10.0.0.2")}, kStart, actions);
    bring_up(sessions, neighbour, kStart);
    actions.clear();
    sessions.configure({}, kStart, actions);
    CHECK(all<Close>(actions).empty());
    CHECK(sessions.status().empty());
    SECTION("and then no more") {
        Time now = kStart;
        while (const auto due = sessions.next_deadline()) {
            now = *due;
            sessions.tick(now, actions);
        }
        CHECK(now - kStart == 3s);
        const auto sent = all<Send>(actions);
        CHECK(sent.size() >= 4);
        for (const Send& packet : sent) {
            CHECK(parse(packet.data)->state == State::admin_down);
        }
        CHECK(all<Close>(actions).size() == 1);
    }
    SECTION("unless it is wanted again") {
        actions.clear();
        sessions.configure(std::vector<SessionConfig>{to("10.0.0.2", false)}, kStart, actions);
        REQUIRE(actions.size() == 2);
        CHECK(std::holds_alternative<Close>(actions[0]));
        CHECK(std::holds_alternative<Open>(actions[1]));
        actions.clear();
        sessions.tick(kStart + 4s, actions);
        CHECK(all<Close>(actions).empty());
    }
}

TEST_CASE("datagrams that belong to no session are counted and change nothing") {
    Sessions sessions(1);
    Neighbour neighbour;
    Actions actions;
    sessions.configure(std::vector<SessionConfig>{to("10.0.0.2")}, kStart, actions);
    bring_up(sessions, neighbour, kStart);
    const Bytes down = Neighbour::bytes({.state = State::down, .my_discriminator = 99, .your_discriminator = 0});
    const Bytes wrong = Neighbour::bytes({.state = State::down, .my_discriminator = 99, .your_discriminator = 4});
    const std::uint64_t before = sessions.discarded();

    actions.clear();
    Arrival forwarded = arrival("10.0.0.2", down);
    forwarded.ttl = 254;
    sessions.receive(forwarded, kStart, actions);
    Arrival multihop = arrival("10.0.0.2", down);
    multihop.single_hop = false;
    sessions.receive(multihop, kStart, actions);
    sessions.receive(arrival("10.0.0.3", down), kStart, actions);
    sessions.receive(arrival("10.0.0.2", wrong), kStart, actions);
    sessions.receive(arrival("10.0.0.2", Bytes{1, 2, 3}), kStart, actions);
    CHECK(actions.empty());
    CHECK(sessions.discarded() - before == 5);
    CHECK(sessions.status().front().state == State::up);

    SECTION("another source with the right discriminator is not the neighbour") {
        const Bytes stolen = Neighbour::bytes({.state = State::down,
                                               .my_discriminator = 99,
                                               .your_discriminator = neighbour.session.remote_discriminator()});
        sessions.receive(arrival("10.0.0.3", stolen), kStart, actions);
        CHECK(actions.empty());
        CHECK(sessions.status().front().state == State::up);
    }
}
