#include "bgpd/io/show_routes.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/json_fields.hpp"
#include "bgpd/io/address_text.hpp"
#include "bgpd/speaker/filters.hpp"
#include "bgpd/speaker/peers.hpp"
#include "bgpd/speaker/speaker.hpp"
#include "bgpd/speaker/status.hpp"
#include "bgpd/wire/community.hpp"
#include "config/codec/json.hpp"
#include "config/model/bgp_filter.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::bgp::io {
namespace {

namespace json = boost::json;
using speaker::Cursor;
using speaker::RouteQuery;

constexpr std::uint32_t kMostPrefixes = 10'000;  // what fits in an answer of 1 MiB
// A part ends after about so many routes, looked for in steps of so many slots, in so many slots at most.
constexpr std::size_t kRoutesAPart = 300;
constexpr std::size_t kSlotsAStep = 8;
constexpr std::size_t kSlotsAPart = 8192;

std::optional<net::Prefix> to_prefix(std::string_view text) { return net::Prefix::parse_loose(text); }
std::optional<std::uint32_t> to_number(std::string_view text) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

/// "4:8192"
std::optional<Cursor> to_cursor(std::string_view text) {
    const bool four = text.starts_with("4:");
    if (!four && !text.starts_with("6:")) {
        return std::nullopt;
    }
    const auto slot = to_number(text.substr(2));
    return slot ? std::optional(Cursor{four ? net::Family::v4 : net::Family::v6, *slot}) : std::nullopt;
}
std::string text_of(const Cursor& cursor) {
    return (cursor.family == net::Family::v4 ? "4:" : "6:") + std::to_string(cursor.slot);
}
Cursor cursor_of(const JsonFields& fields) {
    std::optional<Cursor> cursor;
    fields.read_text("cursor", cursor, "a cursor of an answer", to_cursor);
    return cursor.value_or(Cursor{});
}
void set_cursor(json::object& answer, const std::optional<Cursor>& next) {
    if (next) {
        answer["cursor"] = text_of(*next);
    }
}

std::optional<RouteQuery::Table> to_table(std::string_view text) {
    using Table = RouteQuery::Table;
    static const std::map<std::string_view, Table> names{{"all", Table::all},
                                                         {"accepted", Table::accepted},
                                                         {"rejected", Table::rejected},
                                                         {"best", Table::best},
                                                         {"sent", Table::sent}};
    const auto found = names.find(text);
    return found == names.end() ? std::nullopt : std::optional(found->second);
}

/// A community of any kind as it is shown, whichever way it was written: "65535:65281" is "no-export".
std::optional<std::string> to_community(std::string_view text) {
    constexpr std::array kNamed{wire::kGracefulShutdown,  wire::kLlgrStale, wire::kNoLlgr,
                                wire::kBlackhole,         wire::kNoExport,  wire::kNoAdvertise,
                                wire::kNoExportSubconfed, wire::kNoPeer};
    if (const auto plain = wire::Community::parse(text)) {
        return plain->to_string();
    }
    if (const auto large = wire::LargeCommunity::parse(text)) {
        return large->to_string();
    }
    const bool extended = text.starts_with("rt:") || text.starts_with("ro:") || text.starts_with("0x");
    const bool named = std::ranges::any_of(kNamed, [&](wire::Community each) { return each.to_string() == text; });
    return extended || named ? std::optional(std::string(text)) : std::nullopt;
}

/// "^65001 65002$": numbers in a row, with the ends of the path marked.
bool read_as_path(std::string_view text, RouteQuery& query) {
    if (text.starts_with('^')) {
        query.path_from_start = true;
        text.remove_prefix(1);
    }
    if (text.ends_with('$')) {
        query.path_to_end = true;
        text.remove_suffix(1);
    }
    while (!text.empty()) {
        const std::size_t end = std::min(text.find_first_of(" ,"), text.size());
        if (end > 0) {
            const auto as = to_number(text.substr(0, end));
            if (!as) {
                return false;
            }
            query.as_path.push_back(*as);
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return true;
}

const char* text_of(policy::SourceKind kind) {
    switch (kind) {
        case policy::SourceKind::local:
            return "own";
        case policy::SourceKind::external:
            return "eBGP";
        case policy::SourceKind::internal:
            return "iBGP";
        case policy::SourceKind::connected:
            return "connected";
        case policy::SourceKind::kernel:
            return "kernel";
    }
    return "";
}

json::object path_json(const speaker::RouteView& path) {
    json::object entry{{"prefix", path.prefix.to_string()},
                       {"source", text_of(path.source)},
                       {"best", path.best},
                       {"multipath", path.multipath},
                       {"accepted", path.accepted},
                       {"verdict", path.verdict},
                       {"asPath", path.as_path},
                       {"origin", path.origin},
                       {"nextHopReachable", path.next_hop_reachable}};
    if (path.peer) {
        entry["peer"] = address_text(*path.peer);
    }
    if (path.next_hop) {
        entry["nextHop"] = address_text(*path.next_hop);
    }
    if (!path.interface.empty()) {
        entry["interface"] = path.interface;
    }
    if (!path.rule.empty()) {
        entry["filterRule"] = path.rule;
    }
    if (path.path_id) {
        entry["pathIdentifier"] = *path.path_id;
    }
    if (path.stale) {
        entry["stale"] = true;
    }
    if (path.med) {
        entry["med"] = *path.med;
    }
    if (path.local_preference) {
        entry["localPreference"] = *path.local_preference;
    }
    if (!path.communities.empty()) {
        entry["communities"] = json::array(path.communities.begin(), path.communities.end());
    }
    return entry;
}

/// The prefix asked for, or the longest one that contains the address.
std::optional<net::Prefix> prefix_of(const Engine& engine, const JsonFields& fields) {
    std::optional<net::Prefix> prefix;
    std::optional<net::Ip> address;
    fields.read_text("prefix", prefix, "a prefix", to_prefix);
    fields.read_text("address", address, "an address", to_address);
    return address ? engine.speaker().longest_match(*address) : prefix;
}

}  // namespace

json::object failure(std::string text) { return {{"error", std::move(text)}}; }

json::value show_routes(const Engine& engine, const json::object& request) {
    std::string error;
    std::optional<net::Prefix> within;
    std::optional<net::Ip> address;
    std::uint32_t limit = 1000;
    const JsonFields fields(request, error);
    fields.read_text("prefix", within, "a prefix", to_prefix);
    fields.read_text("address", address, "an address", to_address);
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

json::value walk_routes(const Engine& engine, const json::object& request) {
    std::string error;
    RouteQuery query;
    std::optional<RouteQuery::Table> table;
    std::string as_path;
    const JsonFields fields(request, error);
    fields.read_text("table", table, "one of all, accepted, rejected, best and sent", to_table);
    fields.read_text("peer", query.peer, "an address", to_address);
    fields.read_text("prefix", query.within, "a prefix", to_prefix);
    std::optional<std::string> community;
    fields.read_text("community", community, "a community, like 65000:7, 65000:1:2, no-export or rt:65000:7",
                     to_community);
    fields.read("asPath", as_path);
    std::optional<Cursor> next = cursor_of(fields);
    if (!error.empty()) {
        return failure(error);
    }
    if (!read_as_path(as_path, query)) {
        return failure("asPath: expected AS numbers, with ^ before the first and $ behind the last one of the path");
    }
    query.table = table.value_or(RouteQuery::Table::all);
    query.community = community.value_or("");
    const auto is_meant = [&](const speaker::PeerStatus& peer) { return peer.address == *query.peer; };
    if (query.peer && next->family == net::Family::v4 && next->slot == 0 &&
        std::ranges::none_of(engine.speaker().peers(), is_meant)) {
        return failure("there is no peer " + address_text(*query.peer));
    }
    if (query.table == RouteQuery::Table::sent && !query.peer) {
        return failure("routes that were sent are those of one peer: name it");
    }
    json::array list;
    for (std::size_t seen = 0; next && seen < kSlotsAPart && list.size() < kRoutesAPart; seen += kSlotsAStep) {
        speaker::RoutePage page = engine.speaker().routes(query, *next, kSlotsAStep);
        for (const speaker::RouteView& path : page.routes) {
            list.emplace_back(path_json(path));
        }
        next = page.next;
    }
    json::object answer{{"routes", std::move(list)}};
    set_cursor(answer, next);
    return answer;
}

json::value count_sent(const Engine& engine, const json::object& request) {
    std::string error;
    const Cursor from = cursor_of(JsonFields(request, error));
    if (!error.empty()) {
        return failure(error);
    }
    const speaker::SentCounts counts = engine.speaker().sent_counts(from, kSlotsAPart);
    json::object peers;
    for (const auto& [address, families] : counts.peers) {
        peers[address_text(address)] = json::array{families[0], families[1]};
    }
    json::object answer{{"peers", std::move(peers)}};
    set_cursor(answer, counts.next);
    return answer;
}

json::value explain_prefix(const Engine& engine, const json::object& request) {
    std::string error;
    const auto prefix = prefix_of(engine, JsonFields(request, error));
    if (!error.empty()) {
        return failure(error);
    }
    if (!prefix) {
        return failure("no route contains this address");
    }
    json::array paths;
    for (const speaker::RouteView& path : engine.speaker().paths(*prefix)) {
        paths.emplace_back(path_json(path));
    }
    json::array peers;
    for (const speaker::ExportView& view : engine.speaker().exports(*prefix)) {
        json::object entry{
            {"peer", address_text(view.peer)}, {"name", view.name}, {"sent", view.sent}, {"reason", view.reason}};
        if (view.route) {
            entry["route"] = path_json(*view.route);
        }
        peers.emplace_back(std::move(entry));
    }
    return json::object{{"prefix", prefix->to_string()}, {"paths", std::move(paths)}, {"exports", std::move(peers)}};
}

namespace {

using Filters = std::vector<std::shared_ptr<const model::BgpFilter>>;

/// Reads BGPFilter documents; empty: fine, else what is wrong.
std::string read_filters(const json::object& request, Filters& filters) {
    const auto* given = request.if_contains("filters");
    if (given == nullptr) {
        return {};
    }
    if (!given->is_array()) {
        return "filters: expected a list of BGPFilters";
    }
    for (const json::value& document : given->get_array()) {
        const auto decoded =
            codec::decode_and_validate(model::Kind::bgp_filter, json::serialize(document), codec::Mode::strict);
        const auto filter = model::as<model::BgpFilter>(decoded.resource);
        if (!decoded.ok() || !filter) {
            std::string text = "not a good BGPFilter";
            for (const model::Finding& finding : decoded.findings) {
                text += "; " + finding.to_string();
            }
            return text;
        }
        filters.push_back(filter);
    }
    return {};
}

}  // namespace

json::value test_filters(const Engine& engine, const Datastore& datastore, const json::object& request) {
    std::string error;
    std::optional<net::Ip> peer;
    std::vector<std::string> names;
    const JsonFields fields(request, error);
    fields.read_text("peer", peer, "an address", to_address);
    fields.read("names", names);
    std::optional<Cursor> next = cursor_of(fields);
    Filters given;
    if (error.empty()) {
        error = read_filters(request, given);
    }
    if (!error.empty()) {
        return failure(error);
    }
    speaker::PeerResources resources = datastore.peer_resources();
    std::erase_if(resources.filters, [&](const auto& stored) {
        return std::ranges::any_of(given,
                                   [&](const auto& other) { return other->metadata.name == stored->metadata.name; });
    });
    resources.filters.insert(resources.filters.end(), given.begin(), given.end());
    std::map<net::Ip, policy::PeerFilters> now;
    for (const speaker::PeerConfig& config : speaker::make_configuration(datastore.peer_resources()).peers) {
        now.emplace(config.address, config.rules);
    }
    if (peer && !now.contains(*peer)) {
        return failure("there is no such peer");
    }
    std::map<net::Ip, policy::PeerFilters> rules;  // of the peers for which they become others
    speaker::FiltersByName by_name;
    for (const auto& filter : resources.filters) {
        by_name.emplace(filter->metadata.name, filter.get());
    }
    for (const speaker::PeerConfig& config : speaker::make_configuration(resources).peers) {
        if (peer && config.address != *peer) {
            continue;
        }
        auto compiled = speaker::compile_filters(peer && !names.empty() ? names : config.filters, by_name);
        if (!compiled) {
            return failure(config.name + ": " + compiled.error());
        }
        if (const auto known = now.find(config.address); known == now.end() || known->second != *compiled) {
            rules.emplace(config.address, *std::move(compiled));
        }
    }
    if (rules.empty()) {
        next.reset();
    }
    const std::size_t slots = kSlotsAPart / std::max<std::size_t>(1, rules.size());
    json::array differences;
    for (std::size_t seen = 0; next && seen < slots && differences.size() < kRoutesAPart; seen += kSlotsAStep) {
        const speaker::FilterTrial trial = engine.speaker().try_filters(rules, *next, kSlotsAStep);
        for (const speaker::FilterDifference& difference : trial.differences) {
            differences.emplace_back(json::object{{"peer", address_text(difference.peer)},
                                                  {"direction", difference.import ? "import" : "export"},
                                                  {"prefix", difference.prefix.to_string()},
                                                  {"before", difference.before},
                                                  {"after", difference.after}});
        }
        next = trial.next;
    }
    json::object answer{{"differences", std::move(differences)}};
    set_cursor(answer, next);
    return answer;
}

}  // namespace manul::bgp::io
