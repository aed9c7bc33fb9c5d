#include "bgpd/io/node_status.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/log.hpp"
#include "bgpd/io/address_text.hpp"
#include "bgpd/io/messages.hpp"
#include "bgpd/io/session_report.hpp"
#include "config/codec/json.hpp"
#include "config/store/obey_lock.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::bgp::io {
namespace {

namespace json = boost::json;
using std::chrono::steady_clock;

/// Of one family. A status is an object of the store, not a place for a full table.
constexpr std::size_t kMostRoutes = 1000;

model::BgpPeerType type_of(speaker::PeerOrigin origin) {
    switch (origin) {
        case speaker::PeerOrigin::node_mesh:
            return model::BgpPeerType::node_mesh;
        case speaker::PeerOrigin::node_specific:
            return model::BgpPeerType::node_peer;
        case speaker::PeerOrigin::global:
            break;
    }
    return model::BgpPeerType::global_peer;
}

model::NodeBgpStatus sessions(const std::vector<speaker::PeerStatus>& peers) {
    model::NodeBgpStatus out;
    for (const speaker::PeerStatus& peer : peers) {
        const bool four = peer.address.is_v4();
        const bool up = peer.state == speaker::SessionState::established;
        auto& count = four ? (up ? out.number_established_v4 : out.number_not_established_v4)
                           : (up ? out.number_established_v6 : out.number_not_established_v6);
        ++count;
        // Both enumerations begin with the states of RFC 4271 in its order.
        (four ? out.peers_v4 : out.peers_v6)
            .push_back({address_text(peer), type_of(peer.origin), static_cast<model::BgpSessionState>(peer.state),
                        wall_clock_text(peer.since)});
    }
    return out;
}

model::RouteLearnedFrom origin_of(const speaker::RouteView& route, const std::set<net::Ip>& mesh) {
    switch (route.source) {
        case policy::SourceKind::local:
            return {model::RouteSourceType::static_, {}};
        case policy::SourceKind::connected:
            return {model::RouteSourceType::direct, {}};
        case policy::SourceKind::kernel:
            return {model::RouteSourceType::kernel, {}};
        case policy::SourceKind::external:
        case policy::SourceKind::internal:
            break;
    }
    const bool in_mesh = route.peer && mesh.contains(*route.peer);
    return {in_mesh ? model::RouteSourceType::node_mesh : model::RouteSourceType::bgp_peer,
            route.peer ? address_text(*route.peer) : std::string()};
}

void add_routes(const speaker::Speaker& speaker, const net::Prefix& all, const std::set<net::Ip>& mesh,
                std::vector<model::NodeRoute>& out) {
    for (const net::Prefix& prefix : speaker.prefixes(all, kMostRoutes)) {
        for (const speaker::RouteView& route : speaker.paths(prefix)) {
            out.push_back({route.best ? model::RouteKind::fib : model::RouteKind::rib, prefix.to_string(),
                           route.next_hop ? address_text(*route.next_hop) : std::string(), route.interface,
                           origin_of(route, mesh)});
        }
    }
}

/// On the worker: nothing but the status changes in the stored document.
void write(store::Store& store, const model::Key& key, model::CalicoNodeStatusStatus status) {
    auto stored = store.get(key);
    const auto locked = store::is_locked(store);
    if (!stored || (locked && *locked)) {
        return;  // deleted meanwhile, or to be left as it is
    }
    model::CalicoNodeStatus object;
    object.metadata.name = key.name;
    object.status = std::move(status);
    json::value document = json::parse(*stored->document);
    json::value made = json::parse(codec::encode(object));
    document.as_object()["status"] = std::move(made.as_object()["status"]);
    if (const auto done = store.update(key, json::serialize(document), stored->revision); !done) {
        log::emit(kStoreFailed, done.error().message);
    }
}

}  // namespace

model::CalicoNodeStatusStatus make_node_status(const speaker::Speaker& speaker, const AgentFacts& facts,
                                               const std::vector<model::NodeStatusClass>& classes, std::string now) {
    model::CalicoNodeStatusStatus status;
    status.last_updated = std::move(now);
    const auto asked = [&](model::NodeStatusClass one) { return std::ranges::find(classes, one) != classes.end(); };
    if (asked(model::NodeStatusClass::agent)) {
        const model::SpeakerStatus agent{facts.ready ? model::SpeakerState::ready : model::SpeakerState::not_ready,
                                         MANUL_VERSION, facts.router_id, facts.started, facts.reconfigured};
        status.agent = model::AgentStatus{agent, agent};
    }
    const std::vector<speaker::PeerStatus> peers = speaker.peers();
    if (asked(model::NodeStatusClass::bgp)) {
        status.bgp = sessions(peers);
    }
    if (asked(model::NodeStatusClass::routes)) {
        std::set<net::Ip> mesh;
        for (const speaker::PeerStatus& peer : peers) {
            if (peer.origin == speaker::PeerOrigin::node_mesh) {
                mesh.insert(peer.address);
            }
        }
        status.routes.emplace();
        add_routes(speaker, net::Prefix(), mesh, status.routes->routes_v4);
        add_routes(speaker, *net::Prefix::masked(net::Ip6(), 0), mesh, status.routes->routes_v6);
    }
    return status;
}

NodeStatusWriter::NodeStatusWriter(boost::asio::io_context& io, Worker& worker, store::Store& store, Make make)
    : worker_(worker), store_(store), make_(std::move(make)), timer_(io, [this] { write_due(); }) {}

void NodeStatusWriter::set_requests(Requests requests) {
    requests_ = std::move(requests);
    std::erase_if(written_, [&](const auto& one) {
        return std::ranges::none_of(requests_, [&](const auto& request) {
            return request->metadata.name + " " + request->metadata.uid == one.first;
        });
    });
    write_due();
}

void NodeStatusWriter::write_due() {
    const auto now = steady_clock::now();
    std::optional<steady_clock::time_point> next;
    for (const auto& request : requests_) {
        const auto period = std::chrono::seconds(request->spec.update_period_seconds);
        const auto [known, first] = written_.try_emplace(request->metadata.name + " " + request->metadata.uid, now);
        if (!first && period.count() == 0) {
            continue;
        }
        if (first || known->second + period <= now) {
            known->second = now;
            worker_.submit([this, key = request->key(),
                            status = make_(request->spec.classes)]() mutable -> std::move_only_function<void()> {
                write(store_, key, std::move(status));
                return [] {};
            });
        }
        if (period.count() > 0 && (!next || known->second + period < *next)) {
            next = known->second + period;
        }
    }
    if (next) {
        timer_.after_us(std::max<std::int64_t>(
            1, std::chrono::duration_cast<std::chrono::microseconds>(*next - steady_clock::now()).count()));
    } else {
        timer_.cancel();
    }
}

}  // namespace manul::bgp::io
