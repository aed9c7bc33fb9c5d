// bgp_replay: reads BGP messages that others recorded, a line each ("2" or "4" for the octets of AS numbers, "+" when
// prefixes have path identifiers, then the whole message in hex), and checks that
//
//  - what decodes is written and read again as the same thing,
//  - a speaker that is sent all of them lives on, and keeps sessions that it has no reason to end.
//
// Prints how many messages of which kind there were. Exit status 1: something differed.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "bgpd/wire/attribute.hpp"
#include "bgpd/wire/framer.hpp"
#include "bgpd/wire/update.hpp"
#include "test/sim/scripted.hpp"
#include "test/sim/topologies.hpp"

namespace {

using namespace manul;
using namespace manul::sim;

constexpr const char* kPeers[] = {"192.0.2.2", "192.0.2.4"};  // with numbers of 2 and of 4 octets
constexpr std::uint32_t kPeerAs = 65001;

struct Line {
    bool wide = false;
    bool path_ids = false;
    Bytes message;
};

Bytes unhex(std::string_view text) {
    const auto digit = [](char c) {
        return static_cast<std::uint8_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);  // NOLINT: made by our script
    };
    Bytes out;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
        out.push_back(static_cast<std::uint8_t>(digit(text[i]) << 4U | digit(text[i + 1])));
    }
    return out;
}

/// An UPDATE as values, to be compared.
struct Meaning {
    std::vector<std::string> withdrawn;
    std::vector<std::string> announced;
    Bytes attributes;

    void add(const wire::Update& update) {
        update.each_withdrawn([&](const net::Prefix& prefix) { withdrawn.push_back(prefix.to_string()); });
        update.each_announced([&](const net::Prefix& prefix, const wire::NextHop& via) {
            announced.push_back(prefix.to_string() + " via " + via.address.to_string() +
                                (via.link_local ? " " + net::Ip(*via.link_local).to_string() : ""));
        });
        if (!update.attributes.empty()) {
            attributes.assign(update.attributes.begin(), update.attributes.end());
        }
    }
    bool operator==(const Meaning&) const = default;
};

const wire::FamilySet kBoth{net::Family::v4, net::Family::v6};

bool survives_writing(const wire::Update& update, bool wide) {
    Meaning first;
    first.add(update);
    Bytes bytes;
    wire::UpdateWriter writer(bytes, {wide, wire::kMaxExtendedMessage, false});
    bool fits = true;
    const auto write = [&](const wire::NlriView& prefixes, const wire::NextHop* via) {
        if (prefixes.empty()) {
            return;
        }
        via != nullptr ? writer.announce(prefixes.family(), *via, update.attributes)
                       : writer.withdraw(prefixes.family());
        for (const net::Prefix prefix : prefixes) {
            fits = writer.add(prefix) && fits;
        }
        writer.finish();
    };
    write(update.withdrawn, nullptr);
    write(update.mp_withdrawn, nullptr);
    write(update.announced, &update.next_hop);
    write(update.mp_announced, &update.mp_next_hop);
    Meaning second;
    wire::UpdateDecoder decoder;
    wire::Framer framer(bytes, wire::kMaxExtendedMessage);
    for (auto frame = framer.next(); frame && *frame; frame = framer.next()) {
        const auto again = decoder.decode((*frame)->body(), {kBoth, wide, true, {}, true});
        if (again.verdict != wire::Verdict::ok) {
            return false;
        }
        second.add(again);
    }
    return fits && framer.consumed() == bytes.size() && first == second;
}

class Replay {
public:
    Replay() : speaker_(configuration()) {}

    void take(const Line& line) {
        wire::Framer framer(line.message, wire::kMaxExtendedMessage);
        const auto frame = framer.next();
        if (!frame || !*frame) {
            ++counts_["not a message"];
            return;
        }
        bool ends_session = (*frame)->type != wire::MessageType::update &&
                            (*frame)->type != wire::MessageType::keepalive &&
                            (*frame)->type != wire::MessageType::route_refresh;
        if ((*frame)->type == wire::MessageType::open) {
            take_open((*frame)->body());
        } else if ((*frame)->type == wire::MessageType::update) {
            const wire::FamilySet ids = line.path_ids ? kBoth : wire::FamilySet();
            const auto update = decoder_.decode((*frame)->body(), {kBoth, line.wide, true, ids, true});
            static constexpr const char* kVerdicts[] = {"fine", "with an attribute discarded", "withdrawn",
                                                        "ending a session"};
            std::string what = std::string("UPDATEs ") + kVerdicts[static_cast<std::size_t>(update.verdict)];
            if (update.verdict != wire::Verdict::ok) {
                what += " for " + update.fault.notification().to_string() + " of " +
                        wire::attribute_name(update.fault.attribute);
            }
            ++counts_[what];
            if (update.verdict < wire::Verdict::treat_as_withdraw && !survives_writing(update, line.wide)) {
                differs("UPDATE", line.message);
            }
            // The session has neither path identifiers nor IPv6 next hops of IPv4 routes.
            ends_session =
                line.path_ids ||
                decoder_.decode((*frame)->body(), {kBoth, line.wide, true, {}, false}).verdict == wire::Verdict::reset;
        }
        feed(line, ends_session);
    }
    [[nodiscard]] int finish() {
        for (const auto& [what, count] : counts_) {
            std::cout << count << " " << what << "\n";
        }
        for (const char* peer : kPeers) {
            std::cout << speaker_.status(peer).v4.received + speaker_.status(peer).v6.received << " routes of " << peer
                      << "\n";
        }
        return different_ ? 1 : 0;
    }

private:
    static Configuration configuration() {
        Configuration configuration = make_configuration("node", kPeerAs, "192.0.2.1/24", {"0.0.0.0/0"});
        for (const char* peer : kPeers) {
            configuration.peers.push_back(make_peer(peer, kPeerAs, kPeerAs));
            configuration.peers.back().v6 = true;
        }
        return configuration;
    }

    void differs(const char* what, const Bytes& message) {
        different_ = true;
        std::cout << what << " differs:";
        for (const std::uint8_t byte : message) {
            std::printf("%02x", byte);
        }
        std::fflush(stdout);
        std::cout << "\n";
    }

    void take_open(ByteView body) {
        const auto open = wire::decode_open(body);
        ++counts_[open ? "OPENs" : "OPENs refused"];
        if (!open) {
            return;
        }
        Bytes bytes;
        wire::encode_open(*open, bytes);
        const auto again = wire::decode_open(ByteView(bytes).subspan(wire::kHeaderSize));
        if (!again || *again != *open) {
            differs("OPEN", bytes);
        }
    }

    /// `may_end`: the message is one that ends a session.
    void feed(const Line& line, bool may_end) {
        const char* peer = kPeers[line.wide ? 1 : 0];
        if (!speaker_.up(peer)) {
            speaker_.close(peer);
            speaker_.advance(std::chrono::seconds(130));
            wire::Open open = make_open(kPeerAs, peer);
            open.capabilities.multiprotocol.push_back(wire::AfiSafi::of(net::Family::v6));
            open.capabilities.extended_message = true;
            if (!line.wide) {
                open.capabilities.four_octet_as.reset();
            }
            speaker_.connect(peer, open);
        }
        speaker_.send(peer, line.message);
        static_cast<void>(speaker_.heard(peer));
        if (!speaker_.up(peer) && !may_end) {
            differs(("a session ended (" + speaker_.status(peer).last_error + "), and this").c_str(), line.message);
        }
    }

    Scripted speaker_;
    wire::UpdateDecoder decoder_;
    std::map<std::string, std::size_t> counts_;
    bool different_ = false;
};

}  // namespace

int main() {
    Replay replay;
    for (std::string text; std::getline(std::cin, text);) {
        const std::size_t hex = text.find(' ') + 1;
        replay.take({text[0] == '4', text[1] == '+', unhex(std::string_view(text).substr(hex))});
    }
    return replay.finish();
}
