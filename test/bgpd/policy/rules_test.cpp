#include <catch2/catch.hpp>

#include "bgpd/policy/export_rules.hpp"
#include "bgpd/policy/import_rules.hpp"
#include "bgpd/wire/path_attributes.hpp"

namespace {

using namespace manul;
using namespace manul::bgp;
using namespace manul::bgp::policy;

net::Asn as(std::uint32_t number) { return *net::Asn::make(number); }
net::PrefixKey4 key(const char* text) { return net::PrefixKey4::from(*net::Prefix::parse(text)); }

ExportTarget target(bool external) {
    ExportTarget out;
    out.external = external;
    out.local_as = as(64512);
    out.self = *net::Ip::parse("10.0.0.1");
    out.relayable = std::make_shared<const net::PrefixRanges>(std::vector{*net::Prefix::parse("10.244.0.0/16")});
    return out;
}

wire::PathAttributes exported(const ExportTarget& to, const SourceTraits& from, const wire::PathAttributes& received) {
    Bytes in;
    wire::encode_attributes(received, in);
    Bytes out;
    export_attributes(to, from, 7, in, out);
    const wire::PathAttributes decoded = wire::decode_attributes(out);
    Bytes again;
    wire::encode_attributes(decoded, again);
    CHECK(again == out);  // canonical: ascending types, each once
    return decoded;
}

bool exported_at_all(const ExportTarget& to, const SourceTraits& from, const RouteMarks& marks,
                     net::PrefixKey4 prefix) {
    return judge_export(to, from, marks, prefix, [] { return FilterRoute{}; }).accepted;
}

wire::PathAttributes route() {
    wire::PathAttributes attributes;
    attributes.prepend(as(65001));
    attributes.med = 5;
    attributes.communities = {{0x00010002}};
    return attributes;
}

constexpr SourceTraits kLocal{SourceKind::local, false, false};
constexpr SourceTraits kExternal{SourceKind::external, false, false};
constexpr SourceTraits kExternalNode{SourceKind::external, false, true};
constexpr SourceTraits kInternal{SourceKind::internal, false, true};
constexpr SourceTraits kConnected{SourceKind::connected, false, false};
constexpr SourceTraits kKernel{SourceKind::kernel, false, false};
constexpr SourceTraits kClient{SourceKind::internal, true, true};

}  // namespace

TEST_CASE("who may be told what") {
    struct Row {
        const char* name;
        SourceTraits from;
        bool external;
        bool to_client;
        bool to_node;
        bool reflector;
        Permission permission;
    };
    const auto row = GENERATE(values<Row>({
        {"own routes to a router", kLocal, true, false, false, false, Permission::always},
        {"own routes to a node", kLocal, false, false, true, false, Permission::always},
        {"internal to internal", kInternal, false, false, true, false, Permission::never},
        {"internal to internal, never without a cluster", kClient, false, true, true, false, Permission::never},
        {"client to client", kClient, false, true, true, true, Permission::always},
        {"client to non-client", kClient, false, false, true, true, Permission::always},
        {"non-client to client", kInternal, false, true, true, true, Permission::always},
        {"non-client to non-client", kInternal, false, false, true, true, Permission::never},
        {"internal to a router: pools", kInternal, true, false, false, false, Permission::inside_ranges},
        {"a router's routes to nodes: pools", kExternal, false, false, true, false, Permission::inside_ranges},
        {"between routers", kExternal, true, false, false, false, Permission::by_filter},
        {"between routers at a reflector", kExternal, true, false, false, true, Permission::by_filter},
        {"external nodes through a reflector", kExternalNode, true, false, true, true, Permission::inside_ranges},
        {"external nodes without a reflector", kExternalNode, true, false, true, false, Permission::by_filter},
        {"connected prefixes", kConnected, true, false, false, false, Permission::by_filter},
        {"other programs' routes to a node", kKernel, false, false, true, true, Permission::by_filter},
    }));
    CAPTURE(row.name);
    ExportTarget to = target(row.external);
    to.reflector_client = row.to_client;
    to.is_node = row.to_node;
    if (row.reflector) {
        to.cluster_id = 1;
    }
    CHECK(permission(to, row.from, {}) == row.permission);
    CHECK(permission(to, row.from, {.no_export = false, .no_advertise = true}) == Permission::never);
    CHECK(permission(to, row.from, {.no_export = true, .no_advertise = false}) ==
          (row.external ? Permission::never : row.permission));
}

TEST_CASE("a default route of a router stays on its node") {
    CHECK_FALSE(exported_at_all(target(false), kExternal, {}, key("0.0.0.0/0")));
    CHECK(exported_at_all(target(false), kExternal, {}, key("10.244.3.0/26")));
    CHECK_FALSE(exported_at_all(target(true), kInternal, {}, key("192.168.0.0/24")));
    CHECK(exported_at_all(target(true), kInternal, {}, key("10.244.3.0/26")));
}

TEST_CASE("external peers get our AS in front, a MED of ours, and nothing internal") {
    wire::PathAttributes received = route();
    received.local_pref = 200;
    received.originator_id = 3;
    received.cluster_list = {4};
    received.extended_communities = {{0x0002'0000'0000'0001}, {0x4004'0000'0000'0001}};
    const auto sent = exported(target(true), kInternal, received);
    CHECK(sent.path().to_string() == "64512 65001");
    CHECK(sent.med == kMedRelayed);
    CHECK_FALSE(sent.local_pref);
    CHECK_FALSE(sent.originator_id);
    CHECK(sent.cluster_list.empty());
    CHECK(sent.communities == received.communities);
    REQUIRE(sent.extended_communities.size() == 1);
    CHECK(sent.extended_communities[0].value == 0x0002'0000'0000'0001);
    CHECK(exported(target(true), kLocal, {}).med == kMedOwn);
    CHECK(exported(target(true), kLocal, {}).path().to_string() == "64512");
}

TEST_CASE("internal peers get LOCAL_PREF, and the path, MED and communities as they are") {
    const auto sent = exported(target(false), kExternal, route());
    CHECK(sent.path().to_string() == "65001");
    CHECK(sent.med == 5U);
    CHECK(sent.local_pref == kDefaultLocalPref);
    CHECK_FALSE(sent.originator_id);
    CHECK(sent.cluster_list.empty());
}

TEST_CASE("a reflected route is left alone but for originator and cluster list") {
    ExportTarget to = target(false);
    to.cluster_id = 9;
    wire::PathAttributes received = route();
    received.local_pref = 300;
    auto sent = exported(to, kClient, received);
    CHECK(sent.local_pref == 300U);
    CHECK(sent.originator_id == 7U);
    CHECK(sent.cluster_list == std::vector<std::uint32_t>{9});
    received.originator_id = 5;
    received.cluster_list = {8};
    sent = exported(to, kClient, received);
    CHECK(sent.originator_id == 5U);
    CHECK(sent.cluster_list == std::vector<std::uint32_t>{9, 8});
}

TEST_CASE("next hops") {
    const wire::NextHop node{*net::Ip::parse("10.0.0.7"), std::nullopt};
    struct Row {
        const char* name;
        bool external;
        NextHopMode mode;
        bool shared_link;
        SourceTraits from;
        const char* wanted;
    };
    const auto row = GENERATE(values<Row>({
        {"own route", false, NextHopMode::automatic, false, kLocal, "10.0.0.1"},
        {"own route, keep", true, NextHopMode::keep, true, kLocal, "10.0.0.1"},
        {"reflected", false, NextHopMode::automatic, false, kClient, "10.0.0.7"},
        {"reflected, self", false, NextHopMode::self, false, kClient, "10.0.0.1"},
        {"from a router to a node", false, NextHopMode::automatic, false, kExternal, "10.0.0.7"},
        {"relayed to a router elsewhere", true, NextHopMode::automatic, false, kInternal, "10.0.0.1"},
        {"relayed to a router on the link", true, NextHopMode::automatic, true, kInternal, "10.0.0.7"},
        {"relayed, self", true, NextHopMode::self, true, kInternal, "10.0.0.1"},
        {"relayed, keep", true, NextHopMode::keep, false, kInternal, "10.0.0.7"},
    }));
    CAPTURE(row.name);
    ExportTarget to = target(row.external);
    to.next_hop_mode = row.mode;
    if (row.shared_link) {
        to.shared_link = net::Prefix::parse("10.0.0.0/24");
    }
    CHECK(export_next_hop(to, row.from, node).address.to_string() == row.wanted);
}

TEST_CASE("next hops of the other family, and link-local ones") {
    const wire::NextHop six{*net::Ip::parse("2001:db8::9"), std::nullopt};
    const wire::NextHop four{*net::Ip::parse("10.0.0.9"), std::nullopt};
    const wire::NextHop on_link{*net::Ip::parse("fe80::9"), std::nullopt};
    const SourceTraits learned{.kind = SourceKind::internal, .reflector_client = true};
    ExportTarget to;
    to.cluster_id = 1;
    to.self = *net::Ip::parse("10.0.0.1");
    CHECK(export_next_hop(to, learned, four) == four);
    CHECK(export_next_hop(to, learned, six).address == to.self);  // who did not announce RFC 8950
    to.self = *net::Ip::parse("2001:db8::1");
    to.self_link_local = net::Ip6::parse("fe80::1");
    CHECK(export_next_hop(to, learned, four) == four);
    CHECK(export_next_hop(to, learned, six) == six);
    const wire::NextHop self{to.self, to.self_link_local};
    CHECK(export_next_hop(to, learned, on_link) == self);
    to.external = true;
    to.next_hop_mode = NextHopMode::keep;
    CHECK(export_next_hop(to, learned, on_link) == self);
}

TEST_CASE("import refuses loops and wrong neighbours") {
    ImportContext context;
    context.external = true;
    context.remote_as = as(65001);
    context.local_as = context.node_as = as(64512);
    context.router_id = *net::RouterId::make(42);
    context.cluster_id = 9;
    const OwnAddresses own({*net::Ip::parse("10.0.0.1")});
    const wire::NextHop next_hop{*net::Ip::parse("10.0.0.2"), std::nullopt};
    const auto judge = [&](const wire::PathAttributes& attributes, const char* hop = nullptr) {
        Bytes bytes;
        wire::encode_attributes(attributes, bytes);
        return judge_attributes(context, wire::attribute_facts(bytes),
                                hop == nullptr ? next_hop : wire::NextHop{*net::Ip::parse(hop), std::nullopt}, own);
    };
    CHECK(judge(route()) == Refusal::none);
    CHECK(judge(route(), "10.0.0.1") == Refusal::own_next_hop);
    CHECK(judge(route(), "0.0.0.0") == Refusal::invalid_next_hop);
    CHECK(judge(route(), "224.0.0.5") == Refusal::invalid_next_hop);
    wire::PathAttributes looped;
    looped.prepend(as(64512));
    looped.prepend(as(65001));
    CHECK(judge(looped) == Refusal::as_loop);
    context.allowed_own_as = 1;
    CHECK(judge(looped) == Refusal::none);
    context.allowed_own_as = 0;
    wire::PathAttributes foreign;
    foreign.prepend(as(65002));
    CHECK(judge(foreign) == Refusal::wrong_first_as);
    CHECK(judge({}) == Refusal::wrong_first_as);

    context.external = false;
    CHECK(judge({}) == Refusal::none);
    wire::PathAttributes reflected;
    reflected.originator_id = 42;
    CHECK(judge(reflected) == Refusal::originator_loop);
    reflected.originator_id = 43;
    reflected.cluster_list = {8, 9};
    CHECK(judge(reflected) == Refusal::cluster_loop);
    reflected.cluster_list = {8};
    CHECK(judge(reflected) == Refusal::none);
}

TEST_CASE("martians and own addresses are refused, a default route and longer prefixes of others are not") {
    const OwnAddresses own({*net::Ip::parse("10.0.0.1"), *net::Ip::parse("2001:db8::1")});
    struct Row {
        const char* prefix;
        Refusal refusal;
    };
    const auto row = GENERATE(values<Row>({
        {"0.0.0.0/0", Refusal::none},
        {"127.0.0.0/8", Refusal::martian},
        {"127.1.0.0/16", Refusal::martian},
        {"126.0.0.0/7", Refusal::none},
        {"169.254.0.0/16", Refusal::martian},
        {"169.254.1.1/32", Refusal::martian},
        {"169.0.0.0/8", Refusal::none},
        {"224.0.0.0/3", Refusal::martian},
        {"224.0.0.0/4", Refusal::martian},
        {"240.0.0.0/4", Refusal::martian},
        {"192.0.0.0/2", Refusal::none},
        {"10.0.0.1/32", Refusal::own_address},
        {"10.0.0.0/24", Refusal::none},
        {"10.0.0.2/32", Refusal::none},
        {"::/0", Refusal::none},
        {"::/128", Refusal::martian},
        {"::1/128", Refusal::martian},
        {"::2/128", Refusal::none},
        {"fe80::/10", Refusal::martian},
        {"fe80::/64", Refusal::martian},
        {"fe00::/9", Refusal::none},
        {"ff00::/8", Refusal::martian},
        {"ff02::/16", Refusal::martian},
        {"2001:db8::1/128", Refusal::own_address},
        {"2001:db8::/32", Refusal::none},
    }));
    CAPTURE(row.prefix);
    const net::Prefix prefix = *net::Prefix::parse(row.prefix);
    CHECK((prefix.family() == net::Family::v4 ? judge_prefix(net::PrefixKey4::from(prefix), own)
                                              : judge_prefix(net::PrefixKey6::from(prefix), own)) == row.refusal);
}

TEST_CASE("an export filter decides before the built-in rules, but not against the protocol") {
    FilterRule accept;
    accept.remote_peers_only = false;
    FilterRule reject;
    reject.action = FilterAction::reject;
    reject.cidr_match = CidrMatch::in;
    reject.cidr = *net::Prefix::parse("10.244.0.0/17");
    ExportTarget to = target(true);
    to.filter = std::make_shared<const FilterProgram>(std::vector{reject, accept});
    const auto verdict = [&](const SourceTraits& from, const RouteMarks& marks, const char* prefix) {
        return judge_export(to, from, marks, key(prefix), [] { return FilterRoute{}; });
    };
    CHECK(verdict(kLocal, {}, "10.244.1.0/26") == ExportVerdict{false, {1, 0}});
    CHECK(verdict(kLocal, {}, "10.244.128.0/26") == ExportVerdict{true, {2, 0}});
    CHECK(verdict(kExternal, {}, "192.0.2.0/24") == ExportVerdict{true, {2, 0}});
    CHECK(verdict(kConnected, {}, "192.0.2.0/24") == ExportVerdict{true, {2, 0}});
    CHECK(verdict(kExternal, {.no_export = true, .no_advertise = false}, "192.0.2.0/24") == ExportVerdict{});
    to.external = false;
    CHECK(verdict(kInternal, {}, "192.0.2.0/24") == ExportVerdict{});  // reflection is not a filter's to allow
}

TEST_CASE("what leaves inside a prefix is marked on the way out, own or relayed, and the mark does not keep it here") {
    const auto community = [](const char* text) { return AddCommunity{*wire::Community::parse(text)}; };
    const auto marking = [&](const char* within, const char* text) {
        return Marking{*net::Prefix::parse(within), {community(text)}};
    };
    const std::vector given = {marking("0.0.0.0/0", "65535:65281"), marking("10.244.0.0/16", "64512:1"),
                               marking("10.244.0.0/16", "64512:2"), marking("2001:db8::/32", "64512:6")};
    FilterRule adds;
    adds.cidr_match = CidrMatch::in;
    adds.cidr = *net::Prefix::parse("10.244.9.0/24");
    adds.operations = {AddCommunity{*wire::Community::parse("64512:9")}};
    ExportTarget to = target(true);
    to.markings = std::make_shared<const Markings>(given);
    to.filter = std::make_shared<const FilterProgram>(std::vector{adds});
    const auto sent = [&](const SourceTraits& from, const char* prefix) -> std::vector<std::string> {
        const ExportVerdict verdict = judge_export(to, from, {}, key(prefix), [] { return FilterRoute{}; });
        if (!verdict.accepted) {
            return {"not sent"};
        }
        Bytes in;
        wire::encode_attributes(route(), in);
        std::vector<std::string> out;
        for (const auto& each :
             wire::decode_attributes(with_operations(operations_of(to, verdict.treatment), in)).communities) {
            out.push_back(each.to_string());
        }
        return out;
    };
    using Texts = std::vector<std::string>;
    CHECK(sent(kLocal, "10.244.1.0/26") == Texts{"1:2", "no-export", "64512:1", "64512:2"});
    CHECK(sent(kInternal, "10.244.0.0/16") == Texts{"1:2", "no-export", "64512:1", "64512:2"});
    CHECK(sent(kInternal, "10.244.9.0/26") == Texts{"1:2", "64512:9", "no-export", "64512:1", "64512:2"});
    CHECK(sent(kLocal, "10.0.0.0/8") == Texts{"1:2", "no-export"});
    CHECK(sent(kInternal, "10.0.0.0/8") == Texts{"not sent"});
    CHECK(Markings(given).of(net::PrefixKey6::from(*net::Prefix::parse("2001:db8:1::/48"))) != 0);
    CHECK(Markings(given).of(net::PrefixKey6::from(*net::Prefix::parse("2001::/16"))) == 0);
}
