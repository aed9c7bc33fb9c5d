#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "bgpd/policy/filter.hpp"
#include "test/sim/scripted.hpp"
#include "test/sim/topologies.hpp"

using namespace manul;
using namespace manul::sim;
using namespace std::chrono_literals;
using bgp::policy::CidrMatch;
using bgp::policy::FilterAction;
using bgp::policy::FilterProgram;
using bgp::policy::FilterRule;

namespace {

FilterRule rule(FilterAction action, const std::string& within) {
    FilterRule rule;
    rule.action = action;
    if (!within.empty()) {
        rule.cidr_match = CidrMatch::in;
        rule.cidr = *net::Prefix::parse(within);
    }
    return rule;
}
FilterRule accept(const std::string& within = {}) { return rule(FilterAction::accept, within); }
FilterRule reject(const std::string& within = {}) { return rule(FilterAction::reject, within); }

bgp::policy::FilterPtr rules(std::vector<FilterRule> list) {
    return list.empty() ? nullptr : std::make_shared<const FilterProgram>(std::move(list));
}

/// A node (0) between two routers of different AS, and what the test changes about it.
struct Between {
    Network net;
    Configuration node;

    Between() {
        make_routers(net, 2);
        node = make_configuration("node", kAs, "10.0.0.1/24", kPools);
        node.peers = {make_peer(address(1), 65001, kAs), make_peer(address(2), 65002, kAs)};
        net.originate(1, {"198.51.100.0/24", "203.0.113.0/24", "10.244.7.0/24"});
        net.settle();
    }
    void import_at(std::size_t peer, std::vector<FilterRule> list, const std::string& name = "f") {
        node.peers[peer].filters = {name};
        node.peers[peer].rules.import_rules[0] = rules(std::move(list));
        apply();
    }
    void export_at(std::size_t peer, std::vector<FilterRule> list, const std::string& name = "f") {
        node.peers[peer].filters = {name};
        node.peers[peer].rules.export_rules[0] = rules(std::move(list));
        apply();
    }
    void apply() {
        net.configure(0, node);
        net.settle();
    }
    [[nodiscard]] std::set<std::string> at_router_2() const {
        std::set<std::string> out;
        for (const auto& [prefix, route] : net.best(2)) {
            if (route != "local") {
                out.insert(prefix);
            }
        }
        return out;
    }
    [[nodiscard]] std::string path(std::size_t at, const std::string& prefix) const {
        for (const std::string& line : net.paths(at)) {
            if (line.starts_with(prefix + " ")) {
                return line;
            }
        }
        return {};
    }
};

}  // namespace

TEST_CASE("an import filter that changes judges again what the peer sent, without a message to it") {
    Between lab;
    lab.import_at(0, {});
    const std::size_t heard = lab.net.updates_received(1);
    const std::size_t sent = lab.net.updates_received(0);
    const auto before = lab.net.paths(0);
    CHECK(lab.net.kernel(0).contains("198.51.100.0/24"));

    lab.import_at(0, {reject("198.51.100.0/24")});
    CHECK_FALSE(lab.net.kernel(0).contains("198.51.100.0/24"));
    CHECK(lab.net.kernel(0).contains("203.0.113.0/24"));
    CHECK(lab.path(0, "198.51.100.0/24").ends_with("rejected by an import filter"));

    FilterRule marked = accept("198.51.100.0/24");
    marked.operations = {bgp::policy::AddCommunity{*bgp::wire::Community::parse("64512:9")},
                         bgp::policy::PrependAsPath{{*net::Asn::make(65001)}}, bgp::policy::SetPriority{512}};
    lab.import_at(0, {marked, reject()});
    CHECK(lab.path(0, "198.51.100.0/24").find("[65001 65001] med 0 pref 2147483135 64512:9 best") != std::string::npos);
    CHECK_FALSE(lab.net.kernel(0).contains("203.0.113.0/24"));

    lab.import_at(0, {});
    CHECK(lab.net.paths(0) == before);
    CHECK(lab.net.updates_received(0) == sent);
    CHECK(lab.net.updates_received(1) == heard);
    CHECK(lab.net.sessions(0) == 2);
}

TEST_CASE("the priority that a filter sets, or a node announces, is the kernel route's metric") {
    constexpr const char* kPeer = "192.0.2.2";
    Configuration configuration = make_configuration("node", 64512, "192.0.2.1/24", {"0.0.0.0/0"});
    configuration.peers = {make_peer(kPeer, 64512, 64512)};
    Scripted node(configuration);
    node.connect(kPeer, make_open(64512, kPeer));
    bgp::wire::PathAttributes plain = attributes({});
    plain.local_pref = bgp::policy::local_pref_of(1024);
    bgp::wire::PathAttributes elevated = attributes({});
    elevated.local_pref = bgp::policy::local_pref_of(512);
    node.send(kPeer, announcement(plain, kPeer, {"10.1.0.0/24"}));
    node.send(kPeer, announcement(elevated, kPeer, {"10.2.0.0/24"}));
    CHECK(node.kernel() == Routes{{"10.1.0.0/24", kPeer}, {"10.2.0.0/24", kPeer + std::string(" metric 512")}});
    FilterRule preferred = accept("10.1.0.0/24");
    preferred.operations = {bgp::policy::SetPriority{77}};
    configuration.peers[0].rules.import_rules[0] =
        std::make_shared<const bgp::policy::FilterProgram>(std::vector<FilterRule>{preferred});
    configuration.peers[0].filters = {"priorities"};
    node.configure(configuration);
    CHECK(node.kernel() == Routes{{"10.1.0.0/24", kPeer + std::string(" metric 77")},
                                  {"10.2.0.0/24", kPeer + std::string(" metric 512")}});
    configuration.peers[0].rules = {};
    configuration.peers[0].filters.clear();
    node.configure(configuration);
    node.send(kPeer, announcement(plain, kPeer, {"10.2.0.0/24"}));
    CHECK(node.kernel() == Routes{{"10.1.0.0/24", kPeer}, {"10.2.0.0/24", kPeer}});
    node.send(kPeer, withdrawal({"10.1.0.0/24", "10.2.0.0/24"}));
    CHECK(node.kernel().empty());
}

TEST_CASE("what is kept of a peer that is away is judged by the filter of now") {
    constexpr const char* kPeer = "192.0.2.2";
    Configuration configuration = make_configuration("node", kAs, "192.0.2.1/24", {"0.0.0.0/0"});
    configuration.peers = {make_peer(kPeer, 65001, kAs)};
    Scripted node(configuration);
    bgp::wire::Open open = make_open(65001, kPeer);
    open.capabilities.graceful_restart =
        bgp::wire::GracefulRestart{false, true, 100, {{bgp::wire::AfiSafi::of(net::Family::v4), true}}};
    node.connect(kPeer, open);
    node.send(kPeer, announcement(attributes({65001}), kPeer, {"10.1.0.0/24", "10.2.0.0/24"}));
    configuration.peers[0].filters = {"f"};
    configuration.peers[0].rules.import_rules[0] = rules({reject("10.1.0.0/24")});
    SECTION("a filter alone") { node.close(kPeer); }
    SECTION("with what ends the session") { configuration.peers[0].hold_time = 60s; }
    node.configure(configuration);
    CHECK(node.kernel() == Routes{{"10.2.0.0/24", kPeer}});
    configuration.peers[0].rules = {};
    configuration.peers[0].filters.clear();
    node.configure(configuration);
    CHECK(node.kernel().size() == 2);
    CHECK_FALSE(node.up(kPeer));
}

TEST_CASE("who gets several paths is told what a filter does now, also when another of its kind comes up meanwhile") {
    constexpr const char* kFirst = "192.0.2.2";
    constexpr const char* kSecond = "192.0.2.3";
    const auto marking = [](const char* community) {
        FilterRule marked = accept("10.1.0.0/16");
        marked.operations = {bgp::policy::AddCommunity{*bgp::wire::Community::parse(community)}};
        return rules({marked, reject()});
    };
    Configuration configuration = make_configuration("node", kAs, "192.0.2.1/24", {"0.0.0.0/0"});
    configuration.peers = {make_peer(kFirst, kAs, kAs), make_peer(kSecond, kAs, kAs)};
    const auto configure = [&](Scripted& node, bgp::policy::FilterPtr filter) {
        for (PeerConfig& peer : configuration.peers) {
            peer.add_path_send = true;
            peer.filters = {"f"};
            peer.rules.export_rules[0] = filter;
        }
        node.configure(configuration);
    };
    Scripted node(configuration);
    configure(node, marking("64512:1"));
    node.originate({"10.1.0.0/24", "10.2.0.0/24"});
    bgp::wire::Open open = make_open(kAs, kFirst);
    open.capabilities.add_path = {{bgp::wire::AfiSafi::of(net::Family::v4), true, false}};
    node.connect(kFirst, open);
    const auto told = [&](const char* peer, const std::string& line) {
        const auto heard = node.heard(peer);
        return std::ranges::find(heard, line) != heard.end();
    };
    const std::string route = "announce 10.1.0.0/24 #1 via 192.0.2.1 path  pref 100";
    CHECK(told(kFirst, route + " [64512:1]"));
    configure(node, marking("64512:2"));
    CHECK(told(kFirst, route + " [64512:2]"));
    configure(node, rules({reject("10.1.0.0/16")}));
    const auto changed = node.heard(kFirst);
    CHECK(changed ==
          std::vector<std::string>{"withdraw 10.1.0.0/24 #1", "announce 10.2.0.0/24 #1 via 192.0.2.1 path  pref 100"});
    // Both in one turn: the session of one peer, and what the other is to be told.
    open.identifier = *net::RouterId::make(0xc0000203);
    node.hold_turns(true);
    node.connect(kSecond, open);
    configure(node, marking("64512:3"));
    node.hold_turns(false);
    CHECK(told(kSecond, route + " [64512:3]"));
    const auto both = node.heard(kFirst);
    CHECK(both == std::vector<std::string>{"withdraw 10.2.0.0/24 #1", route + " [64512:3]"});
}

TEST_CASE("routes that arrive later meet the filter, too") {
    Between lab;
    lab.import_at(0, {reject("192.0.2.0/24")});
    lab.net.originate(1, {"192.0.2.0/24", "192.0.2.128/25", "198.51.100.0/24"});
    lab.net.settle();
    CHECK(lab.net.kernel(0) == Routes{{block(0), "blackhole"}, {"198.51.100.0/24", "10.0.0.2"}});
}

TEST_CASE("between external peers only what an export filter accepts is passed on, and its changes are told") {
    Between lab;
    CHECK(lab.at_router_2() == std::set<std::string>{block(0)});
    lab.export_at(1, {accept("198.51.100.0/24")});
    CHECK(lab.at_router_2() == std::set<std::string>{block(0), "198.51.100.0/24"});
    CHECK(lab.path(2, "198.51.100.0/24").find("[64512 65001]") != std::string::npos);

    FilterRule longer = accept("198.51.100.0/24");
    longer.operations = {bgp::policy::PrependAsPath{{*net::Asn::make(64512), *net::Asn::make(64512)}}};
    lab.export_at(1, {longer, reject("10.244.0.0/16")});
    CHECK(lab.at_router_2() == std::set<std::string>{"198.51.100.0/24"});
    CHECK(lab.path(2, "198.51.100.0/24").find("[64512 64512 64512 65001]") != std::string::npos);

    lab.export_at(1, {accept("203.0.113.0/24")}, "another");
    CHECK(lab.at_router_2() == std::set<std::string>{block(0), "203.0.113.0/24"});
    lab.node.peers[1].filters.clear();
    lab.node.peers[1].rules = {};
    lab.apply();
    CHECK(lab.at_router_2() == std::set<std::string>{block(0)});
    CHECK(lab.net.sessions(0) == 2);
}

TEST_CASE("the host's own routes leave by an export filter alone") {
    Between lab;
    using bgp::speaker::HostRoute;
    const HostRoute connected{*net::Prefix::parse("10.0.0.0/24"), true, 0, "eth0", false};
    const HostRoute alien{*net::Prefix::parse("172.16.0.0/16"), false, 20, "eth1", false};
    const HostRoute workload{*net::Prefix::parse("10.244.0.5/32"), false, 1023, "cali1", true};
    lab.net.host_routes(0, {connected, alien, workload});
    lab.net.settle();
    CHECK(lab.at_router_2() == std::set<std::string>{block(0)});

    FilterRule over = accept();
    over.interface = "eth*";
    lab.export_at(1, {over});
    CHECK(lab.at_router_2() == std::set<std::string>{block(0), "10.0.0.0/24", "172.16.0.0/16"});
    CHECK(lab.path(2, "172.16.0.0/16").find("10.0.0.1 [64512] med 0") != std::string::npos);
    CHECK_FALSE(lab.net.kernel(0).contains("172.16.0.0/16"));

    FilterRule normal = accept();
    normal.priority = 1024;
    lab.export_at(1, {normal, reject()});
    CHECK(lab.at_router_2() == std::set<std::string>{block(0), "10.0.0.0/24", "10.244.0.5/32", "198.51.100.0/24",
                                                     "203.0.113.0/24", "10.244.7.0/24"});
    normal.priority = 20;
    lab.export_at(1, {normal, reject()});
    CHECK(lab.at_router_2() == std::set<std::string>{"172.16.0.0/16"});
    lab.export_at(1, {accept("10.244.0.0/24")});

    lab.net.host_routes(0, {connected});
    lab.net.settle();
    CHECK(lab.at_router_2() == std::set<std::string>{block(0)});
    lab.node.peers[1].rules = {};
    lab.apply();
    CHECK(lab.net.paths(0).size() == 4);  // the block and three routes of the router: nothing of the host's own
}

TEST_CASE("routes of the host take their priority along inside the AS, where that of the blocks goes, too") {
    constexpr const char* kPeer = "192.0.2.2";
    Configuration configuration = make_configuration("node", kAs, "192.0.2.1/24", {"0.0.0.0/0"});
    configuration.peers = {make_peer(kPeer, kAs, kAs)};
    configuration.peers[0].rules.export_rules[0] = rules({accept()});
    const auto told = [&](std::uint32_t local_preference, const std::string& line) {
        configuration.local_preference_v4 = local_preference;
        Scripted node(configuration);
        node.host_routes({{*net::Prefix::parse("10.1.0.0/16"), true, 0, "eth1", false},
                          {*net::Prefix::parse("10.2.0.0/16"), false, 20, "eth1", false}});
        node.connect(kPeer, make_open(kAs, kPeer));
        const auto heard = node.heard(kPeer);
        return std::ranges::find(heard, "announce " + line) != heard.end();
    };
    CHECK(told(100, "10.2.0.0/16 via 192.0.2.1 path  pref 100"));
    CHECK(told(bgp::policy::local_pref_of(2000), "10.2.0.0/16 via 192.0.2.1 path  pref 2147483627"));
    CHECK(told(bgp::policy::local_pref_of(2000), "10.1.0.0/16 via 192.0.2.1 path  pref 2147481647"));
}

TEST_CASE("a learned route is preferred to another program's kernel route, and gives way to a connected prefix") {
    Between lab;
    lab.net.host_routes(0, {{*net::Prefix::parse("198.51.100.0/24"), false, 20, "eth1", false},
                            {*net::Prefix::parse("203.0.113.0/24"), true, 0, "eth2", false}});
    FilterRule over = accept();
    over.interface = "eth2";
    lab.export_at(1, {over});
    CHECK(lab.net.kernel(0).contains("198.51.100.0/24"));
    CHECK_FALSE(lab.net.kernel(0).contains("203.0.113.0/24"));
    CHECK(lab.at_router_2() == std::set<std::string>{block(0), "203.0.113.0/24"});
}

TEST_CASE("a random walk of filters ends where a start with the last ones would have ended") {
    std::mt19937 engine(4711);
    const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(engine); };
    const std::vector<std::string> ranges{"198.51.100.0/24", "10.244.0.0/16", "203.0.113.0/24", "0.0.0.0/0"};
    const auto random_rules = [&] {
        std::vector<FilterRule> list;
        for (std::size_t n = below(4); n > 0; --n) {
            FilterRule one = below(2) == 0 ? accept(ranges[below(4)]) : reject(ranges[below(4)]);
            one.remote_peers_only = below(3) == 0;
            if (one.action == FilterAction::accept && below(2) == 0) {
                one.operations = {
                    bgp::policy::AddCommunity{bgp::wire::Community{static_cast<std::uint32_t>(below(3))}}};
            }
            if (below(4) == 0) {
                one.community = bgp::wire::Community{static_cast<std::uint32_t>(below(3))};
            }
            list.push_back(std::move(one));
        }
        return list;
    };
    for (int walk = 0; walk < 30; ++walk) {
        Between lab;
        for (std::size_t step = 1 + below(8); step > 0; --step) {
            auto& peer = lab.node.peers[below(2)];
            peer.filters = {"f" + std::to_string(below(2))};
            // One name says one thing: the other peer with it changes along.
            auto& side = below(2) == 0 ? peer.rules.import_rules : peer.rules.export_rules;
            side[0] = rules(random_rules());
            for (auto& other : lab.node.peers) {
                if (other.filters == peer.filters) {
                    other.rules = peer.rules;
                }
            }
            if (below(3) == 0) {
                lab.node.tagging.clear();
                for (std::size_t n = below(3); n > 0; --n) {
                    const bgp::wire::Community community{static_cast<std::uint32_t>(10 + below(3))};
                    lab.node.tagging.push_back({*net::Prefix::parse(ranges[below(4)]), {community}, {}});
                }
            }
            lab.net.configure(0, lab.node);
            if (below(2) == 0) {
                lab.net.settle();
            }
        }
        lab.net.settle();
        Between fresh;
        fresh.node = lab.node;
        fresh.net.restart(0);
        fresh.apply();
        fresh.net.advance(150s);
        INFO("walk " << walk);
        REQUIRE(fresh.net.sessions(0) == 2);
        CHECK(lab.net.paths(0) == fresh.net.paths(0));
        CHECK(lab.net.paths(1) == fresh.net.paths(1));
        CHECK(lab.net.paths(2) == fresh.net.paths(2));
    }
}

TEST_CASE("whoever connects from a listen range is a peer for as long as it stays, and is forgotten with its routes") {
    Network net;
    net.add("node", {"10.0.0.1/24"});
    Configuration node = make_configuration("node", kAs, "10.0.0.1/24", kPools);
    PeerConfig range = make_peer("10.0.0.0", 65001, kAs);
    range.range = *net::Prefix::parse("10.0.0.0/24");
    range.passive = true;
    node.ranges = {range};
    net.configure(0, node);
    net.originate(0, {block(0)});
    for (std::size_t i = 1; i <= 2; ++i) {
        net.add("router-" + std::to_string(i), {address(i) + "/24"});
        Configuration router = make_configuration("router", 65001, address(i) + "/24", {"0.0.0.0/0"});
        router.peers = {make_peer("10.0.0.1", kAs, 65001)};
        net.configure(i, router);
        net.originate(i, {"198.51." + std::to_string(i) + ".0/24"});
    }
    net.advance(60s);
    CHECK(net.sessions(0) == 2);
    CHECK(net.best(1).contains(block(0)));
    CHECK(net.kernel(0).contains("198.51.2.0/24"));

    Configuration silent = make_configuration("router", 65001, "10.0.0.3/24", {"0.0.0.0/0"});
    net.configure(2, silent);
    net.advance(1s);
    CHECK(net.sessions(0) == 1);
    CHECK(net[0].peers().size() == 1);
    CHECK_FALSE(net.kernel(0).contains("198.51.2.0/24"));

    node.ranges.clear();
    net.configure(0, node);
    net.advance(1s);
    CHECK(net[0].peers().empty());
    CHECK(net.kernel(0) == Routes{{block(0), "blackhole"}});
}

TEST_CASE("the filters of a listen range hold for who came from it, whatever else is configured") {
    Network net;
    net.add("node", {"10.0.0.1/24"});
    net.add("router", {address(1) + "/24"});
    Configuration node = make_configuration("node", kAs, "10.0.0.1/24", kPools);
    PeerConfig range = make_peer("10.0.0.0", 65001, kAs);
    range.range = *net::Prefix::parse("10.0.0.0/24");
    range.passive = true;
    range.filters = {"f"};
    range.rules.export_rules[0] = rules({reject(block(0)), accept("203.0.113.0/24")});
    node.ranges = {range};
    net.configure(0, node);
    net.originate(0, {block(0), block(9)});
    net.host_routes(0, {{*net::Prefix::parse("203.0.113.0/24"), true, 0, "eth1", false}});
    Configuration router = make_configuration("router", 65001, address(1) + "/24", {"0.0.0.0/0"});
    router.peers = {make_peer("10.0.0.1", kAs, 65001)};
    net.configure(1, router);
    net.advance(60s);
    const auto learned = [&] {
        std::set<std::string> out;
        for (const auto& [prefix, route] : net.best(1)) {
            out.insert(prefix);
        }
        return out;
    };
    CHECK(learned() == std::set<std::string>{block(9), "203.0.113.0/24"});
    node.local_preference_v4 = 200;  // anything
    net.configure(0, node);
    net.settle();
    CHECK(learned() == std::set<std::string>{block(9), "203.0.113.0/24"});
    node.ranges[0].rules.export_rules[0] = rules({reject(block(9))});
    net.configure(0, node);
    net.settle();
    CHECK(learned() == std::set<std::string>{block(0)});
    CHECK(net.sessions(0) == 1);
}

TEST_CASE("questions are answered from what is really sent, in parts of any size") {
    Between lab;
    using bgp::speaker::Cursor;
    using bgp::speaker::RouteQuery;
    lab.export_at(1, {accept("198.51.100.0/24"), reject("10.244.0.0/26")});
    RouteQuery sent;
    sent.table = RouteQuery::Table::sent;
    sent.peer = *net::Ip::parse(address(2));
    std::set<std::string> told;
    std::optional<Cursor> next = Cursor{};
    for (std::size_t parts = 0; next; ++parts) {
        REQUIRE(parts < 100);
        const auto page = lab.net[0].routes(sent, *next, 1);
        for (const auto& route : page.routes) {
            told.insert(route.prefix.to_string());
            CHECK(route.as_path.starts_with("64512"));
        }
        next = page.next;
    }
    CHECK(told == lab.at_router_2());
    const auto counts = lab.net[0].sent_counts(Cursor{}, 1000);
    CHECK(counts.peers.at(*net::Ip::parse(address(2)))[0] == told.size());

    const auto reason = [&](const char* prefix, std::size_t peer) {
        for (const auto& view : lab.net[0].exports(*net::Prefix::parse(prefix))) {
            if (view.peer == *net::Ip::parse(address(peer))) {
                return view.reason;
            }
        }
        return std::string("no such peer");
    };
    CHECK(reason("10.244.0.0/26", 1) == "sent");
    CHECK(reason("10.244.0.0/26", 2).starts_with("not sent: rejected by filter"));
    CHECK(reason("198.51.100.0/24", 1) == "not sent: the best path is its own");
    CHECK(reason("203.0.113.0/24", 2) == "not sent: between external peers only an export filter lets routes pass");
    CHECK(reason("192.0.2.0/24", 2) == "not sent: no path is selected");

    bgp::policy::PeerFilters other;
    other.import_rules[0] = rules({reject("203.0.113.0/24")});
    const auto trial = lab.net[0].try_filters({{*net::Ip::parse(address(1)), other}}, Cursor{}, 1000);
    REQUIRE(trial.differences.size() == 1);
    CHECK(trial.differences[0].import);
    CHECK(trial.differences[0].prefix == *net::Prefix::parse("203.0.113.0/24"));
    CHECK(lab.net.kernel(0).contains("203.0.113.0/24"));
}
