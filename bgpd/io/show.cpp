#include "bgpd/io/show.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "base/control.hpp"
#include "base/error.hpp"
#include "base/json_fields.hpp"
#include "bgpd/bfd/packet.hpp"
#include "bgpd/bfd/sessions.hpp"
#include "bgpd/io/datastore.hpp"
#include "bgpd/io/engine.hpp"
#include "bgpd/io/session_report.hpp"
#include "bgpd/speaker/configuration.hpp"
#include "bgpd/speaker/status.hpp"
#include "config/codec/json.hpp"
#include "config/model/node_report.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::bgp::io {
namespace {

namespace json = boost::json;

constexpr std::uint32_t kMostPrefixes = 10'000;  // what fits in an answer of 1 MiB

json::object failure(std::string text) { return {{"error", std::move(text)}}; }

json::value status(const Engine& engine, const Datastore& datastore) {
    json::object answer{{"version", MANUL_VERSION},
                        {"storeConnected", datastore.connected()},
                        {"configured", datastore.in_sync()},
                        {"inSync", engine.in_sync()},
                        {"peers", engine.speaker().peers().size()}};
    if (const auto fib = engine.fib()) {
        answer["kernel"] = json::object{
            {"routes", fib->routes}, {"waiting", fib->waiting}, {"refused", fib->refused}, {"stale", fib->stale}};
    }
    return answer;
}

json::value report_json(const model::NodeReportSpec& spec) {
    model::NodeReport report;
    report.metadata.name = spec.node;
    report.spec = spec;
    const json::value document = json::parse(codec::encode(report));
    const auto* written = document.as_object().if_contains("spec");
    return written != nullptr ? *written : json::value(json::object{});
}

json::object counters(const speaker::FamilyCounters& family) {
    return {{"received", family.received},
            {"accepted", family.accepted},
            {"endOfRib", family.end_of_rib},
            {"stale", family.stale}};
}

json::object bfd_json(const bfd::SessionStatus& path) {
    return {{"state", bfd::to_string(path.state)},
            {"singleHop", path.single_hop},
            {"diagnostic", bfd::to_string(path.diagnostic)},
            {"transmitIntervalUs", path.transmit_interval.count()},
            {"detectionTimeUs", path.detection_time.count()},
            {"packetsIn", path.packets_in},
            {"packetsOut", path.packets_out}};
}

json::value peers(const Engine& engine) {
    json::array list;
    const std::vector<bfd::SessionStatus> paths = engine.bfd();
    for (const speaker::PeerStatus& peer : engine.speaker().peers()) {
        json::object entry{{"address", peer.address.to_string()}, {"name", peer.name},
                           {"asNumber", peer.remote_as.number()}, {"localASNumber", peer.local_as.number()},
                           {"state", fsm::to_string(peer.state)}, {"since", wall_clock_text(peer.since)},
                           {"lastError", peer.last_error},        {"holdTimeSeconds", peer.hold_time.count()},
                           {"updatesIn", peer.updates_in},        {"routeBytesOut", peer.bytes_out}};
        if (peer.remote_id) {
            entry["identifier"] = peer.remote_id->to_string();
        }
        // Of a peer that is away but whose routes are kept, too.
        if (peer.v4.negotiated) {
            entry["ipv4"] = counters(peer.v4);
        }
        if (peer.v6.negotiated) {
            entry["ipv6"] = counters(peer.v6);
        }
        const auto path = std::ranges::find(paths, peer.address, &bfd::SessionStatus::remote);
        if (path != paths.end()) {
            entry["bfd"] = bfd_json(*path);
        }
        list.emplace_back(std::move(entry));
    }
    return json::object{{"peers", std::move(list)}};
}

json::object path_json(const speaker::RouteView& path) {
    json::object entry{{"prefix", path.prefix.to_string()},
                       {"best", path.best},
                       {"multipath", path.multipath},
                       {"verdict", path.verdict},
                       {"asPath", path.as_path},
                       {"origin", path.origin},
                       {"nextHopReachable", path.next_hop_reachable}};
    if (path.peer) {
        entry["peer"] = path.peer->to_string();
    }
    if (path.next_hop) {
        entry["nextHop"] = path.next_hop->to_string();
    }
    if (path.med) {
        entry["med"] = *path.med;
    }
    if (path.local_preference) {
        entry["localPreference"] = *path.local_preference;
    }
    if (!path.communities.empty()) {
        json::array communities;
        for (const std::string& community : path.communities) {
            communities.emplace_back(community);
        }
        entry["communities"] = std::move(communities);
    }
    return entry;
}

json::value routes(const Engine& engine, const json::object& request) {
    std::string error;
    std::optional<net::Prefix> within;
    std::optional<net::Ip> address;
    std::uint32_t limit = 1000;
    const JsonFields fields(request, error);
    fields.read_text("prefix", within, "a prefix", [](std::string_view text) {
        const auto prefix = net::Prefix::parse_loose(text);
        return prefix ? std::optional(prefix) : std::nullopt;
    });
    fields.read_text("address", address, "an address", [](std::string_view text) {
        const auto ip = net::Ip::parse(text);
        return ip ? std::optional(ip) : std::nullopt;
    });
    fields.read("limit", limit);
    if (!error.empty()) {
        return failure(error);
    }
    std::vector<net::Prefix> wanted;
    limit = std::min(limit, kMostPrefixes);
    if (address) {
        if (const auto match = engine.speaker().longest_match(*address)) {
            wanted.push_back(*match);
        }
    } else {
        std::vector<net::Prefix> roots{net::Prefix(), *net::Prefix::masked(net::Ip6(), 0)};
        if (within) {
            roots = {*within};
        }
        for (const net::Prefix& root : roots) {
            const auto found = engine.speaker().prefixes(root, limit - wanted.size());
            wanted.insert(wanted.end(), found.begin(), found.end());
        }
    }
    json::array list;
    for (const net::Prefix& prefix : wanted) {
        for (const speaker::RouteView& path : engine.speaker().paths(prefix)) {
            list.emplace_back(path_json(path));
        }
    }
    return json::object{{"routes", std::move(list)}, {"truncated", !address && wanted.size() >= limit}};
}

void shut_down(Engine& engine, const json::object& request, control::Reply reply) {
    std::string error;
    std::string text;
    JsonFields(request, error).read("text", text);
    if (!error.empty()) {
        return reply(failure(error));
    }
    const auto waiting = std::make_shared<control::Reply>(std::move(reply));
    engine.leave(std::move(text), [waiting] { (*waiting)(json::object{}); });
}

}  // namespace

Result<std::unique_ptr<control::Server>> serve_show(boost::asio::io_context& io, const std::string& run_dir,
                                                    Engine& engine, const Datastore& datastore,
                                                    std::function<model::NodeReportSpec()> report) {
    return control::Server::listen(
        io, run_dir + "/bgpd.sock",
        [&engine, &datastore, report = std::move(report)](const json::object& request, control::Reply reply) {
            const auto* op = request.if_contains("op");
            const std::string name = op != nullptr && op->is_string() ? std::string(op->as_string()) : std::string{};
            if (name == "status") {
                reply(status(engine, datastore));
            } else if (name == "report") {
                reply(report_json(report()));
            } else if (name == "peers") {
                reply(peers(engine));
            } else if (name == "routes") {
                reply(routes(engine, request));
            } else if (name == "shutdown") {
                shut_down(engine, request, std::move(reply));
            } else if (name == "start") {
                engine.command({speaker::PeerCommand::What::enable, std::nullopt, {}});
                reply(json::object{});
            } else {
                reply(failure("unknown op; known are status, report, peers, routes, shutdown and start"));
            }
        });
}

}  // namespace manul::bgp::io
