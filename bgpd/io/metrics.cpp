#include "bgpd/io/metrics.hpp"

#include <chrono>
#include <functional>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "bgpd/fsm/event.hpp"
#include "bgpd/io/address_text.hpp"
#include "bgpd/speaker/status.hpp"

namespace manul::bgp::io {
namespace {

using speaker::PeerStatus;

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\' || c == '"') {
            out += '\\';
        }
        out += c == '\n' ? std::string("\\n") : std::string(1, c);
    }
    return out;
}

class Exposition {
public:
    void head(std::string_view name, std::string_view type, std::string_view help) {
        text_ += fmt::format("# HELP manul_bgpd_{} {}\n# TYPE manul_bgpd_{} {}\n", name, help, name, type);
    }
    void value(std::string_view name, const std::string& labels, double value) {
        text_ += fmt::format("manul_bgpd_{}{} {}\n", name, labels.empty() ? "" : "{" + labels + "}", value);
    }
    [[nodiscard]] std::string take() && { return std::move(text_); }

private:
    std::string text_;
};

std::string labels_of(const PeerStatus& peer) {
    return fmt::format(R"(name="{}",peer="{}")", escaped(peer.name), address_text(peer));
}

void add_prefixes(Exposition& out, const PeerStatus& peer, const SentByPeer& sent) {
    const auto told = sent.find(peer.address);
    const auto one = [&](const char* afi, const speaker::FamilyCounters& family, std::size_t index) {
        if (!family.negotiated) {
            return;
        }
        const auto labels = [&](const char* direction) {
            return fmt::format(R"(afi="{}",dir="{}",{})", afi, direction, labels_of(peer));
        };
        out.value("peer_prefixes", labels("received"), family.received);
        out.value("peer_prefixes", labels("accepted"), family.accepted);
        if (told != sent.end()) {
            out.value("peer_prefixes", labels("sent"), told->second[index]);
        }
    };
    one("ipv4", peer.v4, 0);
    one("ipv6", peer.v6, 1);
}

}  // namespace

std::string metrics_text(const Engine& engine, const SentByPeer& sent, bool datastore_lost) {
    const std::vector<PeerStatus> peers = engine.speaker().peers();
    Exposition out;
    const auto each = [&](std::string_view name, std::string_view type, std::string_view help,
                          const std::function<double(const PeerStatus&)>& value) {
        out.head(name, type, help);
        for (const PeerStatus& peer : peers) {
            out.value(name, labels_of(peer), value(peer));
        }
    };
    each("peer_state", "gauge", "1 Idle, 2 Connect, 3 Active, 4 OpenSent, 5 OpenConfirm, 6 Established.",
         [](const PeerStatus& peer) { return static_cast<double>(peer.state) + 1; });
    each("peer_state_seconds", "gauge", "How long the peer has been in its state.", [](const PeerStatus& peer) {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - peer.since).count();
    });
    each("peer_sessions_total", "counter", "Sessions that were established.",
         [](const PeerStatus& peer) { return static_cast<double>(peer.times_up); });
    each("peer_messages_received_total", "counter", "Messages of the peer.",
         [](const PeerStatus& peer) { return static_cast<double>(peer.messages_in); });
    each("peer_messages_sent_total", "counter", "Messages to the peer.",
         [](const PeerStatus& peer) { return static_cast<double>(peer.messages_out); });
    each("peer_updates_received", "gauge", "UPDATEs of the present session.",
         [](const PeerStatus& peer) { return static_cast<double>(peer.updates_in); });
    each("peer_updates_malformed_total", "counter", "UPDATEs with an error that the session survived (RFC 7606).",
         [](const PeerStatus& peer) { return static_cast<double>(peer.malformed_in); });
    each("peer_route_bytes_sent", "gauge", "Bytes of routes sent in the present session.",
         [](const PeerStatus& peer) { return static_cast<double>(peer.bytes_out); });
    each("peer_backlog_bytes", "gauge", "Bytes that wait for the peer to read.",
         [](const PeerStatus& peer) { return static_cast<double>(peer.backlog); });
    out.head("peer_prefixes", "gauge", "Routes of the peer, of these accepted, and routes sent to it.");
    for (const PeerStatus& peer : peers) {
        add_prefixes(out, peer, sent);
    }
    out.head("peer_last_error", "gauge", "Why the session last ended or does not come up, as label.");
    for (const PeerStatus& peer : peers) {
        if (!peer.last_error.empty()) {
            out.value("peer_last_error", fmt::format(R"(error="{}",{})", escaped(peer.last_error), labels_of(peer)), 1);
        }
    }
    out.head("in_sync", "gauge", "The first tables of all peers are loaded.");
    out.value("in_sync", {}, engine.in_sync() ? 1 : 0);
    out.head("datastore_lost", "gauge", "An empty datastore is in the place of the one whose sessions are in force.");
    out.value("datastore_lost", {}, datastore_lost ? 1 : 0);
    if (const auto fib = engine.fib()) {
        out.head("kernel_routes", "gauge", "Routes in the kernel, waiting to be written, refused, and left over.");
        out.value("kernel_routes", R"(state="installed")", static_cast<double>(fib->routes));
        out.value("kernel_routes", R"(state="waiting")", static_cast<double>(fib->waiting));
        out.value("kernel_routes", R"(state="refused")", static_cast<double>(fib->refused));
        out.value("kernel_routes", R"(state="stale")", static_cast<double>(fib->stale));
    }
    const Engine::Turns& turns = engine.turns();
    out.head("turns_total", "counter", "Rounds of reading, deciding and sending.");
    out.value("turns_total", {}, static_cast<double>(turns.count));
    out.head("turn_seconds_total", "counter", "Time spent in them.");
    out.value("turn_seconds_total", {}, std::chrono::duration<double>(turns.total).count());
    out.head("turn_seconds_longest", "gauge", "The longest of them so far.");
    out.value("turn_seconds_longest", {}, std::chrono::duration<double>(turns.longest).count());
    out.head("converging", "gauge", "There is work left: tables, kernel routes or messages are behind.");
    out.value("converging", {}, engine.speaker().busy() || (engine.fib() && engine.fib()->waiting > 0) ? 1 : 0);
    return std::move(out).take();
}

}  // namespace manul::bgp::io
