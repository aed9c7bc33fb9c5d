#include "test/sim/scripted.hpp"

#include <algorithm>
#include <stdexcept>

#include "base/overloaded.hpp"
#include "bgpd/wire/framer.hpp"
#include "bgpd/wire/route_refresh.hpp"

namespace manul::sim {

using namespace speaker;

namespace {

const char* family_text(net::Family family) { return family == net::Family::v4 ? "v4" : "v6"; }

std::string describe(const wire::PathAttributes& attributes) {
    std::string text = " path " + attributes.path().to_string();
    if (attributes.local_pref) {
        text += " pref " + std::to_string(*attributes.local_pref);
    }
    std::string communities;
    for (const auto& community : attributes.communities) {
        communities += (communities.empty() ? "" : " ") + community.to_string();
    }
    for (const auto& other : attributes.others) {
        if (other.type == wire::attribute_type::kOnlyToCustomer) {
            text += " otc " + std::to_string(*ByteReader(other.value).u32());
        }
    }
    return text + (communities.empty() ? "" : " [" + communities + "]");
}

void describe(ByteView body, const wire::UpdateContext& context, std::vector<std::string>& out) {
    wire::UpdateDecoder decoder;
    const wire::Update update = decoder.decode(body, context);
    if (update.end_of_rib) {
        out.push_back(std::string("end of rib ") + family_text(*update.end_of_rib));
    }
    const auto id = [&](const auto& at) { return at.path_id() == 0 ? "" : " #" + std::to_string(at.path_id()); };
    for (const wire::NlriView* gone : {&update.withdrawn, &update.mp_withdrawn}) {
        for (auto at = gone->begin(); at != gone->end(); ++at) {
            out.push_back("withdraw " + (*at).to_string() + id(at));
        }
    }
    const wire::PathAttributes attributes =
        update.attributes.empty() ? wire::PathAttributes() : wire::decode_attributes(update.attributes);
    for (const auto& [come, next_hop] :
         {std::pair{&update.announced, &update.next_hop}, std::pair{&update.mp_announced, &update.mp_next_hop}}) {
        for (auto at = come->begin(); at != come->end(); ++at) {
            const auto& link_local = next_hop->link_local;
            out.push_back("announce " + (*at).to_string() + id(at) + " via " + next_hop->address.to_string() +
                          (link_local ? " " + net::Ip(*link_local).to_string() : "") + describe(attributes));
        }
    }
}

}  // namespace

Scripted::Scripted(Configuration configuration, wire::FamilySet in_kernel)
    : speaker_(std::make_unique<Speaker>()), now_(std::chrono::hours(1)) {
    handle(KernelRoutes{in_kernel});
    std::vector<net::InterfaceAddress> own;
    for (const auto& address : {configuration.self.v4, configuration.self.v6}) {
        if (address) {
            own.push_back(*address);
        }
    }
    handle(LocalAddresses{own});
    configure(std::move(configuration));
    originate({});
}

void Scripted::configure(Configuration configuration) {
    for (PeerConfig& peer : configuration.peers) {
        peer.passive = true;
    }
    handle(Configure{std::make_shared<const Configuration>(std::move(configuration))});
    settle();
}

void Scripted::originate(const std::vector<std::string>& prefixes) {
    auto routes = std::make_shared<std::vector<LocalRoute>>();
    for (const std::string& prefix : prefixes) {
        routes->push_back({*net::Prefix::parse(prefix), true, true});
    }
    handle(Originate{std::move(routes)});
    settle();
}

void Scripted::addresses(const std::vector<std::string>& all) {
    LocalAddresses event;
    for (const std::string& address : all) {
        event.addresses.push_back(*net::InterfaceAddress::parse(address));
    }
    handle(event);
}

void Scripted::handle(const Event& event) {
    const auto outcome = speaker_->handle(event, now_);
    const std::vector<Action> actions(outcome.actions.begin(), outcome.actions.end());
    for (const Action& action : actions) {
        carry_out(action);
    }
    if (!std::holds_alternative<TurnEnd>(event)) {
        settle();
    }
}

void Scripted::settle() {
    for (int i = 0; !turns_wait_ && speaker_->busy(); ++i) {
        if (i > 10'000) {
            throw std::runtime_error("the speaker is busy for ever");
        }
        handle(TurnEnd{});
    }
}

void Scripted::connect(const std::string& peer, const wire::Open& open) {
    const ConnectionId id(next_++);
    connections_[peer] = id;
    theirs_[peer] = open.capabilities;
    contexts_[peer] = {open.capabilities.families(), open.capabilities.four_octet_as.has_value(), true, {}};
    const auto remote = *net::Ip::parse(peer);
    handle(Accepted{id, {*net::Ip::parse(remote.is_v4() ? "192.0.2.1" : "2001:db8::1"), 179}, {remote, 40000}});
    Bytes bytes;
    wire::encode_open(open, bytes);
    wire::encode_keepalive(bytes);
    send(peer, bytes);
}

void Scripted::send(const std::string& peer, const Bytes& bytes) {
    const auto connection = connections_.find(peer);
    if (connection == connections_.end()) {
        return;
    }
    const ConnectionId id = connection->second;
    Bytes offered = std::exchange(unread_[id], {});
    offered.insert(offered.end(), bytes.begin(), bytes.end());
    const auto outcome = speaker_->handle(Received{id, offered}, now_);
    const std::vector<Action> actions(outcome.actions.begin(), outcome.actions.end());
    unread_[id].assign(offered.begin() + static_cast<std::ptrdiff_t>(outcome.consumed), offered.end());
    for (const Action& action : actions) {
        carry_out(action);
    }
    settle();
}

void Scripted::close(const std::string& peer) {
    const auto connection = connections_.find(peer);
    if (connection != connections_.end()) {
        const ConnectionId id = connection->second;
        connections_.erase(connection);
        handle(Closed{id, "end of file"});
    }
}

void Scripted::advance(std::chrono::seconds duration) {
    const Time target = now_ + duration;
    Bytes keepalive;
    wire::encode_keepalive(keepalive);
    while (now_ < target) {
        pass(std::min(target, now_ + std::chrono::seconds(20)));
        const auto all = connections_;
        for (const auto& [peer, id] : all) {
            if (!silent_.contains(peer) && up(peer)) {
                send(peer, keepalive);
            }
        }
    }
}

void Scripted::pass(Time target) {
    while (true) {
        const auto deadline = speaker_->next_deadline();
        if (!deadline || *deadline > target) {
            break;
        }
        now_ = std::max(now_, *deadline);
        handle(Tick{});
    }
    now_ = target;
}

void Scripted::carry_out(const Action& action) {
    std::visit(
        overloaded{
            [&](const Write& write) {
                std::vector<ByteView> spans;
                write.chunk->append_spans(write.reader, spans);
                Bytes& sent = sent_[write.connection];
                for (const ByteView span : spans) {
                    sent.insert(sent.end(), span.begin(), span.end());
                }
            },
            [&](const FibBatch& batch) {
                for (const FibChange& change : *batch.changes) {
                    if (change.group == kNoRoute) {
                        fib_.erase(change.prefix);
                    } else {
                        fib_[change.prefix] = {change.group, change.metric};
                    }
                }
                largest_batch_ = std::max(largest_batch_, batch.changes->size());
            },
            [&](const FibGroup& group) { groups_[group.group] = group.members; },
            [&](const TrackNextHop& track) {
                if (track.wanted) {
                    const auto outcome =
                        speaker_->handle(NextHopChanged{track.next_hop, Resolution{1, std::nullopt, 0}}, now_);
                    static_cast<void>(outcome);
                }
            },
            [&](const SetBfdSessions& watch) {
                bfd_sessions_.clear();
                for (const bgp::bfd::SessionConfig& each : watch.sessions) {
                    bfd_sessions_.push_back(each.remote.to_string() + (each.single_hop ? " single hop" : " multihop"));
                }
            },
            [&](const ManyPrefixes& many) {
                warnings_.push_back(many.peer.to_string() + " " + std::to_string(many.received) + " of " +
                                    std::to_string(many.most));
            },
            [&](const Monitored& news) {
                monitored_.insert(monitored_.end(), news.events->begin(), news.events->end());
            },
            [](const auto&) {},
        },
        action);
}

std::vector<std::string> Scripted::heard(const std::string& peer) {
    std::vector<std::string> out;
    const auto connection = connections_.find(peer);
    if (connection == connections_.end()) {
        return out;
    }
    const Bytes sent = std::exchange(sent_[connection->second], {});
    wire::Framer framer(sent, wire::kMaxExtendedMessage);
    for (auto frame = framer.next(); frame && *frame; frame = framer.next()) {
        switch ((*frame)->type) {
            case wire::MessageType::open:
                opens_[peer] = *wire::decode_open((*frame)->body());
                for (const net::Family family : wire::kFamilies) {
                    if (theirs_[peer].add_path_of(family).receive &&
                        opens_[peer]->capabilities.add_path_of(family).send) {
                        contexts_[peer].add_path.add(family);
                    }
                }
                out.emplace_back("open");
                break;
            case wire::MessageType::keepalive:
                out.emplace_back("keepalive");
                break;
            case wire::MessageType::notification: {
                const auto why = wire::decode_notification((*frame)->body());
                out.push_back("notification " + std::to_string(static_cast<int>(why.code)) + "/" +
                              std::to_string(why.subcode));
                if (const auto reason = wire::hard_reset_reason(why)) {
                    out.back() +=
                        " " + std::to_string(static_cast<int>(reason->code)) + "/" + std::to_string(reason->subcode);
                }
                break;
            }
            case wire::MessageType::route_refresh: {
                const auto refresh = wire::decode_route_refresh((*frame)->message, true);
                constexpr const char* kNames[] = {"request", "begin", "end"};
                out.push_back(std::string("refresh ") + kNames[refresh->subtype] + " " +
                              family_text(*refresh->family.family()));
                break;
            }
            case wire::MessageType::update:
                describe((*frame)->body(), contexts_[peer], out);
                break;
        }
    }
    return out;
}

bool Scripted::up(const std::string& peer) const { return status(peer).state == SessionState::established; }

PeerStatus Scripted::status(const std::string& peer) const {
    for (const PeerStatus& status : speaker_->peers()) {
        if (status.address.to_string() == peer) {
            return status;
        }
    }
    throw std::runtime_error("no peer " + peer);
}

std::map<std::string, std::string> Scripted::kernel() const {
    std::map<std::string, std::string> out;
    for (const auto& [prefix, route] : fib_) {
        const auto [group, metric] = route;
        std::string& text = out[prefix.to_string()];
        if (group == kBlackhole) {
            text = "blackhole";
            continue;
        }
        for (const FibMember& member : groups_.at(group)) {
            text += (text.empty() ? "" : " ") + member.next_hop.to_string();
            if (member.weight != 1) {
                text += "*" + std::to_string(member.weight);
            }
        }
        if (metric != bgp::policy::kNormalPriority) {
            text += " metric " + std::to_string(metric);
        }
    }
    return out;
}

std::vector<std::string> Scripted::paths(const std::string& prefix) const {
    std::vector<std::string> out;
    for (const RouteView& route : speaker_->paths(*net::Prefix::parse(prefix))) {
        out.push_back((route.peer ? route.peer->to_string() : "local") + " " + route.verdict);
    }
    return out;
}

wire::Open make_open(std::uint32_t as, const std::string& identifier) {
    wire::Open open{*net::Asn::make(as), *net::RouterId::make(net::Ip::parse(identifier)->v4().value()), 90, {}};
    open.capabilities.multiprotocol = {wire::AfiSafi::of(net::Family::v4)};
    open.capabilities.four_octet_as = as;
    return open;
}

wire::PathAttributes attributes(const std::vector<std::uint32_t>& as_path) {
    wire::PathAttributes out;
    for (auto as = as_path.rbegin(); as != as_path.rend(); ++as) {
        out.prepend(*net::Asn::make(*as));
    }
    return out;
}

Bytes announcement(const wire::PathAttributes& attributes, const std::string& next_hop,
                   const std::vector<std::string>& prefixes) {
    std::vector<net::Prefix> parsed;
    for (const std::string& prefix : prefixes) {
        parsed.push_back(*net::Prefix::parse(prefix));
    }
    Bytes canonical;
    wire::encode_attributes(attributes, canonical);
    Bytes out;
    static_cast<void>(wire::encode_announcement(out, {}, {*net::Ip::parse(next_hop), std::nullopt}, canonical, parsed));
    return out;
}

Bytes withdrawal(const std::vector<std::string>& prefixes) {
    std::vector<net::Prefix> parsed;
    for (const std::string& prefix : prefixes) {
        parsed.push_back(*net::Prefix::parse(prefix));
    }
    Bytes out;
    wire::encode_withdrawal(out, {}, parsed);
    return out;
}

namespace {

Bytes encoded(const PathPrefix& path) {
    Bytes out;
    ByteWriter(out).u32(path.first);
    wire::encode_prefix(*net::Prefix::parse(path.second), out);
    return out;
}

}  // namespace

Bytes path_announcement(const wire::PathAttributes& attributes, const std::string& next_hop,
                        const std::vector<PathPrefix>& prefixes) {
    Bytes canonical;
    wire::encode_attributes(attributes, canonical);
    Bytes out;
    wire::UpdateWriter writer(out, {});
    writer.announce(net::Family::v4, {*net::Ip::parse(next_hop), std::nullopt}, canonical);
    for (const PathPrefix& prefix : prefixes) {
        static_cast<void>(writer.add(encoded(prefix)));
    }
    writer.finish();
    return out;
}

Bytes path_withdrawal(const std::vector<PathPrefix>& prefixes) {
    Bytes out;
    wire::UpdateWriter writer(out, {});
    writer.withdraw(net::Family::v4);
    for (const PathPrefix& prefix : prefixes) {
        static_cast<void>(writer.add(encoded(prefix)));
    }
    writer.finish();
    return out;
}

Bytes end_of_rib(net::Family family) {
    Bytes out;
    wire::UpdateWriter(out, {}).end_of_rib(family);
    return out;
}

Bytes refresh(std::uint8_t subtype, net::Family family) {
    Bytes out;
    wire::encode_route_refresh(family, static_cast<wire::RouteRefresh::Kind>(subtype), out);
    return out;
}

}  // namespace manul::sim
