#pragma once

#include <chrono>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/overloaded.hpp"
#include "bgpd/fsm/action.hpp"
#include "bgpd/fsm/settings.hpp"
#include "bgpd/wire/framer.hpp"
#include "bgpd/wire/notification.hpp"
#include "bgpd/wire/open.hpp"

namespace manul::test {

using namespace std::chrono_literals;
namespace fsm = bgp::fsm;
namespace wire = bgp::wire;

inline const fsm::TimePoint kStart{1'000'000s};

inline wire::Open make_open(std::uint32_t as, std::uint32_t identifier, std::uint16_t hold_time = 90) {
    wire::Open open{*net::Asn::make(as), *net::RouterId::make(identifier), hold_time, {}};
    open.capabilities.multiprotocol = {wire::AfiSafi::of(net::Family::v4)};
    open.capabilities.four_octet_as = as;
    return open;
}

/// "6/7".
inline std::string numbers(const wire::Notification& notification) {
    return std::to_string(static_cast<int>(notification.code)) + "/" + std::to_string(notification.subcode);
}

/// What an action does, in a word or two: "connect", "refuse 6/7", "out open", "in notify 6/7", "out close", "up out",
/// "down graceful".
inline std::string describe(const fsm::Action& action) {
    const auto side = [](fsm::Direction direction) {
        return std::string(direction == fsm::Direction::outgoing ? "out" : "in");
    };
    return std::visit(overloaded{
                          [](const fsm::action::Connect&) { return std::string("connect"); },
                          [](const fsm::action::Adopt&) { return std::string("adopt"); },
                          [](const fsm::action::Refuse& refuse) {
                              return "refuse" + (refuse.why ? " " + numbers(*refuse.why) : std::string());
                          },
                          [&](const fsm::action::Send& send) {
                              wire::Framer framer(send.bytes);
                              const wire::Frame frame = **framer.next();
                              switch (frame.type) {
                                  case wire::MessageType::open:
                                      return side(send.direction) + " open";
                                  case wire::MessageType::keepalive:
                                      return side(send.direction) + " keepalive";
                                  default:
                                      return side(send.direction) + " notify " +
                                             numbers(wire::decode_notification(frame.body()));
                              }
                          },
                          [&](const fsm::action::Close& close) { return side(close.direction) + " close"; },
                          [&](const fsm::action::SessionUp& up) { return "up " + side(up.direction); },
                          [](const fsm::action::SessionDown& down) {
                              return std::string(down.end.graceful ? "down graceful" : "down");
                          },
                      },
                      action);
}

/// All of them, separated by commas.
inline std::string describe(const fsm::Actions& actions) {
    std::string text;
    for (const fsm::Action& action : actions) {
        text += (text.empty() ? "" : ", ") + describe(action);
    }
    return text;
}

}  // namespace manul::test
