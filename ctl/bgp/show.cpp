#include "ctl/bgp/show.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "config/model/kind.hpp"
#include "ctl/bgp/ask.hpp"
#include "ctl/output/document.hpp"
#include "ctl/output/table.hpp"
#include "net/prefix.hpp"

namespace manul::ctl {

namespace {

namespace json = boost::json;

/// Columns are as wide as the cells of so many rows need.
constexpr std::size_t kRowsATable = 5000;

bool is_true(const json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    return value != nullptr && value->is_bool() && value->get_bool();
}

std::string joined(const json::object& object, std::string_view key, std::string_view between) {
    std::string out;
    if (const auto* list = object.if_contains(key); list != nullptr && list->is_array()) {
        for (const json::value& each : list->get_array()) {
            out += (out.empty() ? std::string() : std::string(between)) +
                   (each.is_string() ? std::string(each.get_string()) : json::serialize(each));
        }
    }
    return out;
}

// ---- peers

/// Adds to each peer how many routes it is told.
Result<void> add_sent(const Context& context, json::array& peers) {
    std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> sent;
    const auto done = ask_in_parts(context, {{"op", "sent-counts"}}, "peers", [&](const json::value& part) {
        for (const auto& [address, counts] : part.as_object()) {
            auto& of_peer = sent[std::string(address)];
            of_peer.first += counts.at(0).to_number<std::uint64_t>();
            of_peer.second += counts.at(1).to_number<std::uint64_t>();
        }
    });
    for (json::value& each : peers) {
        json::object& peer = each.as_object();
        const auto of_peer = sent[text_at(peer, "address")];
        if (auto* family = peer.if_contains("ipv4"); family != nullptr) {
            family->as_object()["sent"] = of_peer.first;
        }
        if (auto* family = peer.if_contains("ipv6"); family != nullptr) {
            family->as_object()["sent"] = of_peer.second;
        }
    }
    return done;
}

/// "12" or, with both families, "12+3".
std::string both(const json::object& peer, std::string_view key) {
    std::string out;
    for (const char* family : {"ipv4", "ipv6"}) {
        if (const auto* counters = peer.if_contains(family); counters != nullptr && counters->is_object()) {
            out += (out.empty() ? "" : "+") + text_at(counters->get_object(), key);
        }
    }
    return out.empty() ? "-" : out;
}

void print_peer(const Context& context, const json::object& peer) {
    const auto line = [&](std::string_view name, const std::string& value) {
        if (!value.empty()) {
            std::string label(name);
            label.resize(std::max<std::size_t>(label.size() + 1, 20), ' ');
            context.print(label + value + "\n");
        }
    };
    line("Peer", text_at(peer, "address") + " (" + text_at(peer, "name") + ", " + text_at(peer, "type") + ")");
    line("AS number", text_at(peer, "asNumber") + ", ours " + text_at(peer, "localASNumber"));
    line("State",
         text_at(peer, "state") + " since " + text_at(peer, "since") + (is_true(peer, "passive") ? ", passive" : ""));
    line("Identifier", text_at(peer, "identifier"));
    line("Last error", text_at(peer, "lastError"));
    line("Hold time", text_at(peer, "holdTimeSeconds") + " s");
    line("Filters", joined(peer, "filters", ", "));
    for (const auto& [key, name] : {std::pair("ipv4", "IPv4 routes"), std::pair("ipv6", "IPv6 routes")}) {
        if (const auto* counters = peer.if_contains(key); counters != nullptr && counters->is_object()) {
            const json::object& family = counters->get_object();
            line(name, text_at(family, "received") + " received, " + text_at(family, "accepted") + " accepted, " +
                           text_at(family, "sent") + " sent" + (is_true(family, "stale") ? ", stale" : "") +
                           (is_true(family, "endOfRib") ? "" : ", End-of-RIB not heard"));
        }
    }
    line("Messages", text_at(peer, "messagesIn") + " received, " + text_at(peer, "messagesOut") + " sent; " +
                         text_at(peer, "updatesIn") + " UPDATEs received, " + text_at(peer, "routeBytesOut") +
                         " bytes of routes sent");
    line("Malformed", text_at(peer, "malformedIn") +
                          (text_at(peer, "lastMalformed").empty() ? "" : ", last: " + text_at(peer, "lastMalformed")));
    line("Sessions", text_at(peer, "timesUp") + " established so far");
    if (const auto* both_ways = peer.if_contains("capabilities"); both_ways != nullptr && both_ways->is_object()) {
        line("Capabilities sent", joined(both_ways->get_object(), "sent", ", "));
        line("  received", joined(both_ways->get_object(), "received", ", "));
    }
    if (const auto* bfd = peer.if_contains("bfd"); bfd != nullptr && bfd->is_object()) {
        const json::object& path = bfd->get_object();
        line("BFD", text_at(path, "state") + (is_true(path, "singleHop") ? ", single hop" : ", multihop") +
                        ", detects in " + text_at(path, "detectionTimeUs") +
                        " us, last diagnostic: " + text_at(path, "diagnostic"));
    }
}

}  // namespace

ExitCode bgp_peers(const Context& context, const BgpPeersOptions& options) {
    json::object request{{"op", "peers"}};
    if (!options.peer.empty()) {
        request["peer"] = options.peer;
    }
    auto answer = ask_bgpd(context, request);
    if (!answer) {
        return context.fail(answer.error().message);
    }
    json::array peers = std::move((*answer)["peers"].as_array());
    if (!options.peer.empty() && peers.empty()) {
        return context.fail("there is no peer " + options.peer);
    }
    if (const auto done = add_sent(context, peers); !done) {
        return context.fail(done.error().message);
    }
    if (!options.format.empty()) {
        return print_document(context, peers, options.format);
    }
    if (!options.peer.empty()) {
        print_peer(context, peers.front().as_object());
        return ExitCode::ok;
    }
    Table table({"PEER", "AS", "TYPE", "STATE", "SINCE", "RECEIVED", "ACCEPTED", "SENT", "INFO"});
    for (const json::value& each : peers) {
        const json::object& peer = each.as_object();
        const bool up = text_at(peer, "state") == "Established";
        const std::string malformed = text_at(peer, "malformedIn");
        table.add({text_at(peer, "address"), text_at(peer, "asNumber"), text_at(peer, "type"), text_at(peer, "state"),
                   text_at(peer, "since"), both(peer, "received"), both(peer, "accepted"), both(peer, "sent"),
                   !up                ? text_at(peer, "lastError")
                   : malformed != "0" ? malformed + " malformed UPDATEs"
                                      : std::string()});
    }
    context.print(table.plain());
    return ExitCode::ok;
}

// ---- routes

namespace {

std::vector<std::string> route_row(const json::object& route) {
    const std::string rule = text_at(route, "filterRule");
    return {
        text_at(route, "prefix"),          route.contains("peer") ? text_at(route, "peer") : text_at(route, "source"),
        text_at(route, "nextHop"),         text_at(route, "asPath"),
        text_at(route, "localPreference"), text_at(route, "med"),
        joined(route, "communities", " "), text_at(route, "verdict") + (rule.empty() ? "" : " (" + rule + ")")};
}

const std::vector<std::string> kRouteHeading{"PREFIX",     "FROM", "NEXT HOP",    "AS PATH",
                                             "LOCAL PREF", "MED",  "COMMUNITIES", "VERDICT"};

net::Prefix prefix_of(const json::value& route) {
    return net::Prefix::parse(text_at(route.as_object(), "prefix")).value_or(net::Prefix());
}

/// Gathers routes, in whatever order they come, and prints them in order of prefixes. A row is one string, so that a
/// full table fits into memory.
class RoutePrinter {
public:
    RoutePrinter(const Context& context, bool as_json) : context_(context), as_json_(as_json) {}

    void add(const json::array& part) {
        for (const json::value& each : part) {
            rows_.push_back({prefix_of(each), as_json_
                                                  ? json::serialize(each)
                                                  : fmt::format("{}", fmt::join(route_row(each.as_object()), "\n"))});
        }
    }
    void finish() {
        std::ranges::stable_sort(rows_, {}, &Row::prefix);
        as_json_ ? print_json() : print_tables();
    }

private:
    struct Row {
        net::Prefix prefix;
        std::string text;  ///< JSON, or cells with line ends between them
    };

    void print_json() const {
        const char* before = "[\n ";
        for (const Row& row : rows_) {
            context_.print(std::exchange(before, ",\n ") + row.text);
        }
        context_.print(rows_.empty() ? "[]\n" : "\n]\n");
    }
    void print_tables() const {
        std::size_t at = 0;
        do {
            Table table(kRouteHeading);
            for (const std::size_t end = std::min(rows_.size(), at + kRowsATable); at < end; ++at) {
                table.add(cells_of(rows_[at].text));
            }
            context_.print(table.plain());
        } while (at < rows_.size());
    }
    static std::vector<std::string> cells_of(std::string_view text) {
        std::vector<std::string> cells;
        for (std::size_t end = 0; end != std::string_view::npos; text.remove_prefix(std::min(text.size(), end + 1))) {
            end = text.find('\n');
            cells.emplace_back(text.substr(0, end));
        }
        return cells;
    }

    const Context& context_;
    bool as_json_;
    std::vector<Row> rows_;
};

}  // namespace

ExitCode bgp_routes(const Context& context, const BgpRoutesOptions& options) {
    json::object request{{"op", "walk"}, {"table", options.table}};
    for (const auto& [key, value] :
         {std::pair("prefix", &options.prefix), std::pair("peer", &options.peer),
          std::pair("community", &options.community), std::pair("asPath", &options.as_path)}) {
        if (!value->empty()) {
            request[key] = *value;
        }
    }
    if (options.format == "yaml") {
        json::array all;
        const auto done = ask_in_parts(context, request, "routes", [&](const json::value& part) {
            const json::array& routes = part.as_array();
            all.insert(all.end(), routes.begin(), routes.end());
        });
        std::ranges::stable_sort(all, {}, prefix_of);
        return done ? print_document(context, all, options.format) : context.fail(done.error().message);
    }
    if (!options.format.empty() && options.format != "json") {
        return context.fail("unknown output format '" + options.format + "'; there are json and yaml");
    }
    RoutePrinter printer(context, options.format == "json");
    const auto done =
        ask_in_parts(context, request, "routes", [&](const json::value& part) { printer.add(part.as_array()); });
    if (!done) {
        return context.fail(done.error().message);
    }
    printer.finish();
    return ExitCode::ok;
}

// ---- why

ExitCode bgp_why(const Context& context, const BgpWhyOptions& options) {
    const bool is_prefix = options.what.find('/') != std::string::npos;
    const auto answer = ask_bgpd(context, {{"op", "why"}, {is_prefix ? "prefix" : "address", options.what}});
    if (!answer) {
        return context.fail(answer.error().message);
    }
    if (!options.format.empty()) {
        return print_document(context, *answer, options.format);
    }
    const json::array& paths = answer->at("paths").as_array();
    if (paths.empty()) {
        context.print("Nobody announces " + text_at(*answer, "prefix") + ".\n\n");
    } else {
        Table table(kRouteHeading);
        for (const json::value& path : paths) {
            table.add(route_row(path.as_object()));
        }
        context.print("Paths to " + text_at(*answer, "prefix") + "\n" + table.plain());
    }
    Table told({"PEER", "TOLD", "NEXT HOP", "AS PATH", "REASON"});
    for (const json::value& each : answer->at("exports").as_array()) {
        const json::object& peer = each.as_object();
        const auto* route = peer.if_contains("route");
        const json::object sent = route != nullptr ? route->as_object() : json::object();
        told.add({text_at(peer, "peer"), is_true(peer, "sent") ? "yes" : "no", text_at(sent, "nextHop"),
                  text_at(sent, "asPath"), text_at(peer, "reason")});
    }
    if (told.empty()) {
        context.print("No session is up in this family.\n");
    } else {
        context.print(told.plain());
    }
    return ExitCode::ok;
}

// ---- commands

ExitCode bgp_command(const Context& context, const BgpCommandOptions& options) {
    json::object request{{"op", "command"}, {"what", options.what}};
    if (!options.peer.empty()) {
        request["peer"] = options.peer;
    }
    if (!options.text.empty()) {
        request["text"] = options.text;
    }
    if (const auto answer = ask_bgpd(context, request); !answer) {
        return context.fail(answer.error().message);
    }
    const std::string whom = options.peer.empty() ? "all peers" : options.peer;
    context.print(options.what == "reset"        ? "Sessions with " + whom + " are being started again\n"
                  : options.what == "refresh-in" ? "Asked " + whom + " for all routes again\n"
                                                 : "Sending all routes to " + whom + " again\n");
    return ExitCode::ok;
}

// ---- filter test

ExitCode bgp_filter_test(const Context& context, const BgpFilterTestOptions& options) {
    json::object request{{"op", "test-filters"}};
    if (!options.input.paths.empty()) {
        const Input input = read_input(context, options.input);
        for (const std::string& error : input.errors) {
            context.err(error + "\n");
        }
        if (!input.errors.empty()) {
            return context.fail("the input has errors");
        }
        json::array filters;
        for (const InputObject& object : input.objects) {
            if (object.key.kind == model::Kind::bgp_filter) {
                filters.emplace_back(json::parse(object.document));
            }
        }
        if (filters.empty()) {
            return context.fail("there is no BGPFilter in the input");
        }
        request["filters"] = std::move(filters);
    }
    if (!options.peer.empty()) {
        request["peer"] = options.peer;
    }
    if (!options.names.empty()) {
        request["names"] = json::array(options.names.begin(), options.names.end());
    }
    json::array all;
    const auto done = ask_in_parts(context, request, "differences", [&](const json::value& part) {
        const json::array& differences = part.as_array();
        all.insert(all.end(), differences.begin(), differences.end());
    });
    if (!done) {
        return context.fail(done.error().message);
    }
    if (!options.format.empty()) {
        return print_document(context, all, options.format);
    }
    if (all.empty()) {
        context.print("Nothing would change.\n");
        return ExitCode::ok;
    }
    Table table({"PEER", "DIRECTION", "PREFIX", "NOW", "THEN"});
    for (const json::value& each : all) {
        const json::object& row = each.as_object();
        table.add({text_at(row, "peer"), text_at(row, "direction"), text_at(row, "prefix"), text_at(row, "before"),
                   text_at(row, "after")});
    }
    context.print(table.plain());
    return ExitCode::ok;
}

}  // namespace manul::ctl
