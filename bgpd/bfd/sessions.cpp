#include "bgpd/bfd/sessions.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "bgpd/bfd/packet.hpp"
#include "bgpd/bfd/session.hpp"
#include "net/ip.hpp"

namespace manul::bgp::bfd {
namespace {

/// RFC 5881 section 5: a datagram that was forwarded even once is not from a neighbour on the link.
constexpr std::uint8_t kSingleHopTtl = 255;

}  // namespace

bool same_path(const SessionConfig& a, const SessionConfig& b) noexcept {
    return a.remote == b.remote && a.local == b.local && a.single_hop == b.single_hop;
}

Sessions::Sessions(std::uint32_t seed) : random_(seed == 0 ? 0x9e3779b9U : seed) {}

std::uint32_t Sessions::random() {
    random_ ^= random_ << 13U;  // xorshift32
    random_ ^= random_ >> 17U;
    random_ ^= random_ << 5U;
    return random_;
}

std::uint32_t Sessions::new_discriminator() {
    std::uint32_t discriminator = random();
    while (discriminator == 0 || by_discriminator_.contains(discriminator)) {
        discriminator = random();
    }
    return discriminator;
}

SessionStatus Sessions::status(const Entry& entry) {
    return {
        .remote = entry.config.remote,
        .single_hop = entry.config.single_hop,
        .state = entry.session.state(),
        .diagnostic = entry.session.diagnostic(),
        .transmit_interval = entry.session.transmit_interval(),
        .detection_time = entry.session.detection_time(),
        .packets_in = entry.packets_in,
        .packets_out = entry.packets_out,
    };
}

void Sessions::send(Entry& entry, const std::optional<ControlPacket>& packet, Actions& actions) {
    if (packet) {
        ++entry.packets_out;
        actions.emplace_back(Send{entry.config.remote, encode(*packet)});
    }
}

void Sessions::report(const Entry& entry, State before, Actions& actions) {
    const State state = entry.session.state();
    if (state != before && (state == State::up || before == State::up)) {
        const bool failure = state != State::up && entry.session.remote_state() != State::admin_down;
        actions.emplace_back(Changed{status(entry), failure});
    }
}

/// RFC 5880 section 6.8.16: for a detection time, for a single packet can be lost. A neighbour that was never heard has
/// nothing to be told.
void Sessions::dismiss(Entry entry, Time now, Actions& actions) {
    const bool heard = entry.session.remote_discriminator() != 0;
    send(entry, entry.session.farewell(now), actions);
    if (!heard) {
        actions.emplace_back(Close{entry.config.remote});
        return;
    }
    const Time until = now + entry.session.neighbours_detection_time();
    const net::Ip remote = entry.config.remote;
    leaving_.emplace(remote, Leaving{std::move(entry), until});
}

void Sessions::configure(std::span<const SessionConfig> wanted, Time now, Actions& actions) {
    for (auto it = sessions_.begin(); it != sessions_.end();) {
        const auto same = std::ranges::find_if(
            wanted, [&](const SessionConfig& config) { return same_path(config, it->second.config); });
        if (same != wanted.end()) {
            ++it;
            continue;
        }
        by_discriminator_.erase(it->second.session.discriminator());
        dismiss(std::move(it->second), now, actions);
        it = sessions_.erase(it);
    }
    for (const SessionConfig& config : wanted) {
        if (const auto known = sessions_.find(config.remote); known != sessions_.end()) {
            known->second.config = config;
            known->second.session.set_settings(config.settings, now);
            continue;
        }
        if (leaving_.erase(config.remote) > 0) {
            actions.emplace_back(Close{config.remote});
        }
        const std::uint32_t discriminator = new_discriminator();
        by_discriminator_.emplace(discriminator, config.remote);
        sessions_.emplace(config.remote, Entry{config, Session(config.settings, discriminator, random(), now)});
        actions.emplace_back(Open{config});
    }
}

Sessions::Entry* Sessions::find(const Arrival& arrival, const ControlPacket& packet) {
    // RFC 5880 section 6.3: by our discriminator once the neighbour knows it, until then by where it comes from.
    net::Ip remote = arrival.source;
    if (packet.your_discriminator != 0) {
        const auto known = by_discriminator_.find(packet.your_discriminator);
        if (known == by_discriminator_.end() || known->second != arrival.source) {
            return nullptr;
        }
        remote = known->second;
    }
    const auto found = sessions_.find(remote);
    if (found == sessions_.end()) {
        return nullptr;
    }
    return found->second.config.single_hop == arrival.single_hop ? &found->second : nullptr;
}

void Sessions::receive(const Arrival& arrival, Time now, Actions& actions) {
    const auto packet = parse(arrival.data);
    Entry* entry = packet && (!arrival.single_hop || arrival.ttl == kSingleHopTtl) ? find(arrival, *packet) : nullptr;
    if (entry == nullptr) {
        ++discarded_;
        return;
    }
    ++entry->packets_in;
    const State before = entry->session.state();
    send(*entry, entry->session.receive(*packet, now), actions);
    report(*entry, before, actions);
}

void Sessions::tick(Time now, Actions& actions) {
    for (auto& [remote, entry] : sessions_) {
        if (entry.session.next_deadline() <= now) {
            const State before = entry.session.state();
            send(entry, entry.session.tick(now), actions);
            report(entry, before, actions);
        }
    }
    for (auto it = leaving_.begin(); it != leaving_.end();) {
        auto& [entry, until] = it->second;
        if (entry.session.next_deadline() <= now) {
            send(entry, entry.session.tick(now), actions);
        }
        if (until > now) {
            ++it;
            continue;
        }
        actions.emplace_back(Close{it->first});
        it = leaving_.erase(it);
    }
}

void Sessions::stop(Time now, Actions& actions) {
    for (auto& [remote, entry] : sessions_) {
        send(entry, entry.session.farewell(now), actions);
    }
}

std::optional<Time> Sessions::next_deadline() const {
    std::optional<Time> next;
    const auto consider = [&](Time due) {
        if (!next || due < *next) {
            next = due;
        }
    };
    for (const auto& [remote, entry] : sessions_) {
        consider(entry.session.next_deadline());
    }
    for (const auto& [remote, leaving] : leaving_) {
        consider(std::min(leaving.until, leaving.entry.session.next_deadline()));
    }
    return next;
}

std::vector<SessionStatus> Sessions::status() const {
    std::vector<SessionStatus> all;
    all.reserve(sessions_.size());
    for (const auto& [remote, entry] : sessions_) {
        all.push_back(status(entry));
    }
    return all;
}

}  // namespace manul::bgp::bfd
