#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <catch2/catch.hpp>

#include "base/overloaded.hpp"
#include "felix/model/address_set.hpp"
#include "felix/model/config.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/route.hpp"
#include "felix/model/shared.hpp"
#include "felix/render/dispatch.hpp"
#include "felix/render/groups.hpp"
#include "felix/render/inputs.hpp"
#include "felix/render/names.hpp"
#include "felix/render/nat.hpp"
#include "felix/render/raw.hpp"
#include "felix/render/ruleset.hpp"
#include "felix/render/ruleset_writer.hpp"
#include "felix/render/sets.hpp"
#include "felix/render/skeleton.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"
#include "test/felix/render/cases.hpp"

// The parts of the renderer, each by itself.
namespace manul::felix::test {

namespace {

using render::Chain;
using render::ChainPtr;
using render::Groups;
using render::Inputs;
using render::RulesetWriter;
using render::TableId;
using render::TableKey;
using Lines = std::vector<std::string>;

constexpr TableKey kEgress{net::Family::v4, TableId::egress};

/// "+chain c", "-set s", "s -1 +2": changes in their order, without contents.
Lines taken(RulesetWriter& writer) {
    Lines lines;
    for (const render::Change& change : writer.take_changes()) {
        lines.push_back(std::visit(overloaded{
                                       [](const render::PutTable& /*c*/) { return std::string("+table"); },
                                       [](const render::RemoveTable& /*c*/) { return std::string("-table"); },
                                       [](const render::PutChain& c) { return "+chain " + c.name; },
                                       [](const render::RemoveChain& c) { return "-chain " + c.name; },
                                       [](const render::PutSet& c) { return "+set " + c.name; },
                                       [](const render::RemoveSet& c) { return "-set " + c.name; },
                                       [](const render::ChangeElements& c) {
                                           return c.set + " -" + std::to_string(c.remove.size()) + " +" +
                                                  std::to_string(c.add.size());
                                       },
                                   },
                                   change));
    }
    return lines;
}

render::RulePtr looks_into(const std::string& set) {
    return render::share(net::Family::v4,
                         render::Rule{{render::MatchSet{{render::Field::source_address}, set}}, {render::accept()}});
}

ChainPtr chain_of(std::vector<render::RulePtr> rules) { return Chain::make(std::move(rules)); }

net::Prefix prefix(std::string_view text) { return *net::Prefix::parse(text); }

IpPoolInfo pool(std::string_view cidr, bool nat_outgoing) {
    IpPoolInfo info;
    info.cidr = prefix(cidr);
    info.nat_outgoing = nat_outgoing;
    return info;
}

}  // namespace

TEST_CASE("the writer gives out what differs from what it gave before") {
    render::Sets sets;
    RulesetWriter writer(sets);
    const auto one = chain_of({render::share(net::Family::v4, render::Rule{{}, {render::accept()}})});
    writer.put_chain(kEgress, "c", one);
    CHECK(taken(writer) == Lines{"+chain c"});
    writer.put_chain(kEgress, "c", chain_of({render::share(net::Family::v4, render::Rule{{}, {render::accept()}})}));
    writer.remove_chain(kEgress, "other");
    CHECK(taken(writer).empty());
    CHECK(writer.find_chain(kEgress, "c") == one);
    writer.put_rules(kEgress, "c", {});
    CHECK(taken(writer) == Lines{"-chain c"});
    CHECK(writer.find_chain(kEgress, "c") == nullptr);
}

TEST_CASE("a set stands in a table from the first rule that names it to the last") {
    render::Sets sets;
    RulesetWriter writer(sets);
    AddressSet members = address_set("s", {"10.0.0.1", "10.0.0.2"});
    (void)sets.add(members, writer.changes());
    const std::string name = render::names::member_set(members.id);
    CHECK(taken(writer).empty());
    writer.put_chain(kEgress, "a", chain_of({looks_into(name)}));
    writer.put_chain(kEgress, "b", chain_of({looks_into(name), looks_into(name)}));
    CHECK(taken(writer) == Lines{"+set " + name, "+chain a", "+chain b"});
    writer.remove_chain(kEgress, "a");
    writer.put_chain(kEgress, "b", chain_of({looks_into(name)}));
    CHECK(taken(writer) == Lines{"-chain a", "+chain b"});
    writer.put_chain({net::Family::v4, TableId::ingress}, "b", chain_of({looks_into(name)}));
    CHECK(taken(writer) == Lines{"+set " + name, "+chain b"});
    writer.remove_chain(kEgress, "b");
    CHECK(taken(writer) == Lines{"-set " + name, "-chain b"});
    // Sets of the skeleton are always there.
    writer.put_chain(kEgress, "b", chain_of({looks_into("pools")}));
    CHECK(taken(writer) == Lines{"+chain b"});
}

TEST_CASE("cells and maps of a list come before its chain, and go after it") {
    render::Sets sets;
    RulesetWriter writer(sets);
    const auto rule = render::share(net::Family::v4, render::Rule{{}, {render::accept()}});
    const auto element = [](std::uint16_t port) {
        return render::Element{render::ElementKey::port(6, port), {}, render::go_to("t_cell")};
    };
    writer.put_list(kEgress, "t", {{rule}, {{"t_cell", {rule}}}, {{"t_map", {element(80)}}}, 0});
    CHECK(taken(writer) == Lines{"+set t_map", "t_map -0 +1", "+chain t_cell", "+chain t"});
    writer.put_list(kEgress, "t", {{rule}, {{"t_cell", {rule}}}, {{"t_map", {element(80), element(81)}}}, 0});
    CHECK(taken(writer) == Lines{"t_map -0 +1"});
    writer.put_list(kEgress, "t", {});
    CHECK(taken(writer) == Lines{"-chain t", "-set t_map", "-chain t_cell"});
    CHECK_FALSE(writer.edit_list(kEgress, "t", {}, {}, 0));
}

TEST_CASE("a set of ranges gets and loses what differs") {
    render::Sets sets;
    RulesetWriter writer(sets);
    const auto ranges = [](std::vector<net::Prefix> prefixes) { return render::ranges_of(prefixes); };
    writer.change_ranges(kEgress, "r", {}, ranges({prefix("10.0.0.0/24"), prefix("10.2.0.0/24")}));
    CHECK(taken(writer) == Lines{"r -0 +2"});
    writer.change_ranges(kEgress, "r", ranges({prefix("10.0.0.0/24"), prefix("10.2.0.0/24")}),
                         ranges({prefix("10.0.0.0/23"), prefix("10.2.0.0/24")}));
    CHECK(taken(writer) == Lines{"r -1 +1"});
    writer.change_ranges(kEgress, "r", ranges({prefix("10.2.0.0/24")}), ranges({prefix("10.2.0.0/24")}));
    CHECK(taken(writer).empty());
}

TEST_CASE("groups of pairs: counted, kept over a restart, given out again once links have left them") {
    const Groups::Pair a{"c_a", "c_b"};
    const Groups::Pair b{"c_c", "c_b"};
    Groups groups;
    groups.reserve(a, render::kFirstGroup + 4);
    groups.reserve({"c_gone", "c_b"}, render::kFirstGroup + 2);
    groups.reserve(b, render::kEndGroup);  // not ours
    CHECK(groups.acquire(a).group == render::kFirstGroup + 4);
    CHECK_FALSE(groups.acquire(a).first);
    CHECK(groups.acquire(b).group == render::kFirstGroup + 5);
    CHECK_FALSE(groups.release(a));
    CHECK(groups.release(a));
    CHECK(groups.acquire({"c_d", "c_d"}).group == render::kFirstGroup + 6);
    groups.settle();
    CHECK(groups.acquire({"c_e", "c_e"}).group == render::kFirstGroup + 2);
    CHECK(groups.acquire(a).group == render::kFirstGroup + 4);
    CHECK(groups.group_of(b) == render::kFirstGroup + 5);
}

TEST_CASE("translation: chains come with who asks for it; the chain of what leaves stays once it is there") {
    Inputs inputs;
    RulesetWriter writer(inputs.sets);
    render::NatChains nat;
    nat.render(inputs, writer);
    CHECK(taken(writer).empty());
    Endpoint endpoint;
    endpoint.key.name = "a";
    endpoint.addresses = {*net::Ip::parse("10.65.0.2")};
    endpoint.host_ports = {HostPort{.host_port = 8080, .host_ip = std::nullopt, .port = 80}};
    nat.put(endpoint);
    nat.render(inputs, writer);
    CHECK(taken(writer) == Lines{"+chain post", "+chain host_ports", "+chain dnat_pre", "+chain dnat_out"});
    nat.render(inputs, writer);
    CHECK(taken(writer).empty());
    endpoint.host_ports.clear();
    nat.put(endpoint);
    nat.render(inputs, writer);
    CHECK(taken(writer) == Lines{"+chain post", "-chain dnat_pre", "-chain dnat_out", "-chain host_ports"});
    inputs.pools = {pool("10.65.0.0/16", true), pool("fd00::/64", false)};
    render::NatChains::change_pools({}, inputs.pools, writer);
    CHECK(taken(writer) == Lines{"pools -0 +1", "all_pools -0 +1", "all_pools -0 +1"});
    nat.touch();
    nat.render(inputs, writer);
    CHECK(taken(writer) == Lines{"+chain post"});
}

TEST_CASE("raw: more source addresses count while the configuration allows them; VXLAN is not tracked") {
    Config config;
    config.interface_prefixes = {"cali"};
    Inputs inputs;
    inputs.config = config;
    RulesetWriter writer(inputs.sets);
    render::RawChains raw;
    raw.render(inputs, writer);
    CHECK(taken(writer) == Lines{"+chain pre", "+chain pre"});  // a chain in each family
    Endpoint endpoint;
    endpoint.key.name = "a";
    endpoint.allowed_source_prefixes = {prefix("192.0.2.0/24")};
    raw.put(endpoint);
    raw.render(inputs, writer);
    CHECK(taken(writer).empty());
    config.allow_spoofed_sources = true;
    inputs.config = config;
    raw.touch();
    raw.render(inputs, writer);
    CHECK(taken(writer) == Lines{"+chain pre"});
    raw.remove(endpoint.key);
    raw.render(inputs, writer);
    CHECK(taken(writer) == Lines{"+chain pre"});
    inputs.tunnels.vxlan_v4 = true;
    raw.touch();
    raw.render(inputs, writer);
    CHECK(taken(writer) == Lines{"+chain pre", "+chain tunnel_out"});
    inputs.tunnels = {};
    raw.touch();
    raw.render(inputs, writer);
    CHECK(taken(writer) == Lines{"+chain pre", "-chain tunnel_out"});
}

}  // namespace manul::felix::test
