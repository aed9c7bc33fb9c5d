// What people are told: packets as bytes, rules in words, who has an address.

#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <vector>

#include "felix/calc/address_names.hpp"
#include "felix/calc/event.hpp"
#include "felix/eval/explain.hpp"
#include "felix/eval/parse_packet.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/snapshot.hpp"
#include "test/felix/builders.hpp"

namespace manul::felix::test {

namespace {

Bytes bytes(std::string_view hex) {
    Bytes out;
    std::string digits;
    for (const char c : hex) {
        if (c != ' ') {
            digits += c;
        }
    }
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
        out.push_back(static_cast<std::uint8_t>(std::stoi(digits.substr(i, 2), nullptr, 16)));
    }
    return out;
}

constexpr const char* kV4 = "45000028 00000000 40 06 0000 0a410002 0a410003 ";  // 10.65.0.2 -> 10.65.0.3, TCP
const std::string kAddresses6 = "fd650000000000000000000000000002 fd650000000000000000000000000003 ";

std::string told(const std::string& hex) {
    const auto packet = parse_packet(bytes(hex));
    return packet ? describe(*packet) : std::string("none");
}

}  // namespace

TEST_CASE("packets are read as far as policy sees them") {
    const std::string v4 = "SRC=10.65.0.2 DST=10.65.0.3 PROTO=";
    const std::string v6 = "SRC=fd65::2 DST=fd65::3 PROTO=";
    CHECK(told(std::string(kV4) + "9c40 0050 00000000") == v4 + "TCP SPT=40000 DPT=80");
    CHECK(told("45000028 00002000 40 11 0000 0a410002 0a410003 9c40 0035") == v4 + "UDP SPT=40000 DPT=53");
    CHECK(told("45000028 00000001 40 11 0000 0a410002 0a410003 9c40 0035") == v4 + "UDP");  // later fragment
    CHECK(told("45000028 00000000 40 01 0000 0a410002 0a410003 08 00") == v4 + "ICMP TYPE=8 CODE=0");
    CHECK(told("45000028 00000000 40 2f 0000 0a410002 0a410003") == v4 + "47");
    CHECK(told("46000028 00000000 40 06 0000 0a410002 0a410003 01010101 9c40 0050") == v4 + "TCP SPT=40000 DPT=80");
    CHECK(told("60000000 0008 06 40 " + kAddresses6 + "9c40 0050") == v6 + "TCP SPT=40000 DPT=80");
    CHECK(told("60000000 0008 00 40 " + kAddresses6 + "3a 00 0000 0000 0000 80 00") == v6 + "ICMPv6 TYPE=128 CODE=0");
    CHECK(told("60000000 0008 2c 40 " + kAddresses6 + "11 00 0001 0000 0000 9c40 0035") == v6 + "UDP SPT=40000 DPT=53");
    CHECK(told("60000000 0008 2c 40 " + kAddresses6 + "11 00 0008 0000 0000 9c40 0035") == v6 + "UDP");
}

TEST_CASE("what is cut off or no IP packet is not read beyond its end") {
    CHECK(told("") == "none");
    CHECK(told("45") == "none");
    CHECK(told(std::string(kV4)) == "SRC=10.65.0.2 DST=10.65.0.3 PROTO=TCP");
    CHECK(told(std::string(kV4) + "9c40 00") == "SRC=10.65.0.2 DST=10.65.0.3 PROTO=TCP");
    CHECK(told("4f000028 00000000 40 06 0000 0a410002 0a410003 9c40 0050") == "SRC=10.65.0.2 DST=10.65.0.3 PROTO=TCP");
    CHECK(told("70000000 0008 06 40 " + kAddresses6) == "none");
    CHECK(told("60000000 0008 00 40 " + kAddresses6 + "06 ff 0000 0000 0000") == "SRC=fd65::2 DST=fd65::3 PROTO=TCP");
}

TEST_CASE("a rule is told criterion by criterion, each judged alone") {
    Snapshot snapshot;
    const SetId set = SetId::of_selector("app == 'web'");
    snapshot.sets[set].description = "app == 'web'";
    snapshot.sets[set].addresses.insert(ip("10.65.0.2"));
    Rule rule;
    rule.action = Action::allow;
    rule.protocol = net::kTcp;
    rule.source.sets = {set};
    rule.destination.nets = {cidr("10.65.0.0/16")};
    rule.destination.ports = {*net::PortRange::make(80, 90), *net::PortRange::make(443, 443)};
    CHECK(describe(snapshot, rule) ==
          "Allow protocol TCP, source in app == 'web', destination in 10.65.0.0/16, destination port 80:90, 443");
    Packet packet{.source = ip("10.65.0.4"), .destination = ip("10.65.0.3"), .protocol = net::kTcp};
    packet.destination_port = 85;
    std::vector<std::string> failing;
    for (const Criterion& criterion : criteria(snapshot, rule, packet)) {
        if (!criterion.holds) {
            failing.push_back(criterion.text);
        }
    }
    CHECK(failing == std::vector<std::string>{"source in app == 'web'"});
    rule.never = Never::http;
    CHECK_FALSE(criteria(snapshot, rule, packet).front().holds);
    CHECK(describe(snapshot, Rule{}) == "Deny");
    CHECK(criteria(snapshot, Rule{}, packet).empty());
}

TEST_CASE("an address is called by who has it, and by the next when that one goes") {
    AddressNames names;
    const auto web = pod({.name = "web", .ips = {"10.65.0.2", "fd65::2"}});
    const auto host = host_endpoint("h", {"10.65.0.2"});
    names.handle(ResourcePut{host});
    names.handle(ResourcePut{web});
    CHECK(names.describe(ip("10.65.0.2")) == "pod ns1/web (10.65.0.2)");
    CHECK(names.describe(ip("fd65::2")) == "pod ns1/web (fd65::2)");
    CHECK(names.describe(ip("192.0.2.1")) == "192.0.2.1");
    names.handle(ResourcePut{pod({.name = "web", .ips = {"10.65.0.9"}})});
    CHECK(names.describe(ip("10.65.0.2")) == "host endpoint h (10.65.0.2)");
    CHECK(names.find(ip("fd65::2")) == nullptr);
    names.handle(ResourceRemoved{host->key()});
    names.handle(ResourceRemoved{web->key()});
    CHECK(names.find(ip("10.65.0.2")) == nullptr);
    CHECK(names.find(ip("10.65.0.9")) == nullptr);
}

}  // namespace manul::felix::test
