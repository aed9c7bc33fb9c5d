#include "bgpd/io/show.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "base/control.hpp"
#include "base/error.hpp"
#include "base/json_fields.hpp"
#include "bgpd/bfd/packet.hpp"
#include "bgpd/bfd/sessions.hpp"
#include "bgpd/io/address_text.hpp"
#include "bgpd/io/datastore.hpp"
#include "bgpd/io/engine.hpp"
#include "bgpd/io/session_report.hpp"
#include "bgpd/io/show_routes.hpp"
#include "bgpd/speaker/configuration.hpp"
#include "bgpd/speaker/status.hpp"
#include "bgpd/wire/capability.hpp"
#include "config/codec/json.hpp"
#include "config/model/node_report.hpp"
#include "net/ip.hpp"

namespace manul::bgp::io {
namespace {

namespace json = boost::json;

/// Of more peers than these capabilities are only told when one peer is asked for: an answer has at most 1 MiB.
constexpr std::size_t kMostInFull = 200;

json::value status(const Engine& engine, const Datastore& datastore) {
    json::object answer{{"version", MANUL_VERSION},
                        {"storeConnected", datastore.connected()},
                        {"storeLost", datastore.is_lost()},
                        {"storeProblem", datastore.problem()},
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

std::string text_of(const wire::AfiSafi& family) {
    return family == wire::AfiSafi::of(net::Family::v4)   ? "IPv4"
           : family == wire::AfiSafi::of(net::Family::v6) ? "IPv6"
                                                          : fmt::format("{}/{}", family.afi, family.safi);
}

/// In words, one for each capability.
json::array capabilities(const wire::Capabilities& all) {
    json::array out;
    for (const wire::AfiSafi& family : all.multiprotocol) {
        out.emplace_back("multiprotocol " + text_of(family));
    }
    if (all.route_refresh) {
        out.emplace_back("route-refresh");
    }
    if (all.enhanced_route_refresh) {
        out.emplace_back("enhanced-route-refresh");
    }
    for (const wire::ExtendedNextHop& entry : all.extended_next_hop) {
        out.emplace_back(entry == wire::ipv4_over_ipv6() ? "extended-next-hop IPv4 over IPv6"
                                                         : fmt::format("extended-next-hop {} over AFI {}",
                                                                       text_of(entry.family), entry.next_hop_afi));
    }
    if (all.extended_message) {
        out.emplace_back("extended-message");
    }
    if (all.four_octet_as) {
        out.emplace_back(fmt::format("four-octet-as {}", *all.four_octet_as));
    }
    if (all.graceful_restart) {
        std::string text = fmt::format("graceful-restart {} s", all.graceful_restart->seconds);
        for (const auto& entry : all.graceful_restart->families) {
            text += " " + text_of(entry.family) + (entry.forwarding_kept ? " (forwarding kept)" : "");
        }
        out.emplace_back(text + (all.graceful_restart->notification ? ", notification" : ""));
    }
    if (all.long_lived_restart) {
        out.emplace_back("long-lived-graceful-restart");
    }
    for (const wire::AddPath& path : all.add_path) {
        out.emplace_back("add-path " + text_of(path.family) + (path.receive ? " receive" : "") +
                         (path.send ? " send" : ""));
    }
    for (const std::uint8_t role : all.roles) {
        out.emplace_back(role <= 4 ? std::string("role ") + wire::to_string(static_cast<wire::Role>(role))
                                   : fmt::format("role {}", role));
    }
    if (all.fqdn) {
        out.emplace_back("hostname " + all.fqdn->host);
    }
    if (all.software_version) {
        out.emplace_back("software-version " + *all.software_version);
    }
    for (const wire::UnknownCapability& other : all.others) {
        out.emplace_back(fmt::format("capability {}", other.code));
    }
    return out;
}

json::value peers(const Engine& engine, const json::object& request) {
    std::string error;
    std::optional<net::Ip> only;
    JsonFields(request, error).read_text("peer", only, "an address", to_address);
    if (!error.empty()) {
        return failure(error);
    }
    json::array list;
    const std::vector<bfd::SessionStatus> paths = engine.bfd();
    const std::vector<speaker::PeerStatus> all = engine.speaker().peers();
    for (const speaker::PeerStatus& peer : all) {
        if (only && peer.address != *only) {
            continue;
        }
        json::object entry{{"address", address_text(peer)},       {"name", peer.name},
                           {"asNumber", peer.remote_as.number()}, {"localASNumber", peer.local_as.number()},
                           {"state", fsm::to_string(peer.state)}, {"since", wall_clock_text(peer.since)},
                           {"lastError", peer.last_error},        {"holdTimeSeconds", peer.hold_time.count()},
                           {"updatesIn", peer.updates_in},        {"routeBytesOut", peer.bytes_out}};
        if (peer.remote_id) {
            entry["identifier"] = peer.remote_id->to_string();
        }
        entry["type"] = peer.origin == speaker::PeerOrigin::node_mesh       ? "node-to-node mesh"
                        : peer.origin == speaker::PeerOrigin::node_specific ? "node specific"
                                                                            : "global";
        entry["messagesIn"] = peer.messages_in;
        entry["messagesOut"] = peer.messages_out;
        entry["malformedIn"] = peer.malformed_in;
        entry["lastMalformed"] = peer.last_malformed;
        entry["timesUp"] = peer.times_up;
        entry["backlogBytes"] = peer.backlog;
        entry["passive"] = peer.passive;
        entry["filters"] = json::array(peer.filters.begin(), peer.filters.end());
        if (peer.sent && peer.received && (only || all.size() <= kMostInFull)) {
            entry["capabilities"] =
                json::object{{"sent", capabilities(*peer.sent)}, {"received", capabilities(*peer.received)}};
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

/// An operator's request about one peer, or about all.
json::value command(Engine& engine, const json::object& request) {
    using What = speaker::PeerCommand::What;
    static constexpr auto kNames =
        std::to_array<std::pair<std::string_view, What>>({{"reset", What::reset},
                                                          {"shutdown", What::shutdown},
                                                          {"enable", What::enable},
                                                          {"refresh-in", What::refresh_in},
                                                          {"refresh-out", What::refresh_out}});
    std::string error;
    std::optional<What> what;
    speaker::PeerCommand wanted{};
    const JsonFields fields(request, error);
    fields.read_text("what", what, "one of reset, shutdown, enable, refresh-in and refresh-out",
                     [](std::string_view name) {
                         const auto known = std::ranges::find(kNames, name, [](const auto& row) { return row.first; });
                         return known == kNames.end() ? std::nullopt : std::optional(known->second);
                     });
    fields.read_text("peer", wanted.peer, "an address", to_address);
    fields.read("text", wanted.text);
    if (!error.empty() || !what) {
        return failure(error.empty() ? "what: expected a word" : error);
    }
    const auto peers = engine.speaker().peers();
    if (wanted.peer && std::ranges::find(peers, *wanted.peer, &speaker::PeerStatus::address) == peers.end()) {
        return failure("there is no peer " + address_text(*wanted.peer));
    }
    wanted.what = *what;
    engine.command(std::move(wanted));
    return json::object{};
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
                reply(peers(engine, request));
            } else if (name == "routes") {
                reply(show_routes(engine, request));
            } else if (name == "walk") {
                reply(walk_routes(engine, request));
            } else if (name == "sent-counts") {
                reply(count_sent(engine, request));
            } else if (name == "why") {
                reply(explain_prefix(engine, request));
            } else if (name == "test-filters") {
                reply(test_filters(engine, datastore, request));
            } else if (name == "command") {
                reply(command(engine, request));
            } else if (name == "shutdown") {
                shut_down(engine, request, std::move(reply));
            } else if (name == "start") {
                engine.command({speaker::PeerCommand::What::enable, std::nullopt, {}});
                reply(json::object{});
            } else {
                reply(
                    failure("unknown op; known are status, report, peers, routes, walk, sent-counts, why, "
                            "test-filters, command, "
                            "shutdown and start"));
            }
        });
}

}  // namespace manul::bgp::io
