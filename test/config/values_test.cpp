#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "base/sha1.hpp"
#include "config/model/bgp_peer.hpp"
#include "config/model/duration.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/kind.hpp"
#include "config/model/names.hpp"
#include "config/model/node_report.hpp"
#include "config/model/policy.hpp"
#include "config/model/workload_endpoint.hpp"

using namespace manul::model;
using namespace std::chrono_literals;

TEST_CASE("durations as Go writes them") {
    struct Row {
        const char* text;
        std::chrono::nanoseconds value;
        const char* printed;
    };
    const auto row = GENERATE(values<Row>({
        {"90s", 90s, "1m30s"},
        {"1m30s", 90s, "1m30s"},
        {"0", 0s, "0s"},
        {"0s", 0s, "0s"},
        {"1.5s", 1500ms, "1.5s"},
        {".5s", 500ms, "500ms"},
        {"1h", 1h, "1h0m0s"},
        {"1h2m3.004s", 1h + 2min + 3s + 4ms, "1h2m3.004s"},
        {"250ms", 250ms, "250ms"},
        {"1.5us", 1500ns, "1.5\u00b5s"},
        {"7\u00b5s", 7us, "7\u00b5s"},
        {"7\u03bcs", 7us, "7\u00b5s"},
        {"9ns", 9ns, "9ns"},
        {"-5s", -5s, "-5s"},
        {"+5s", 5s, "5s"},
        {"2540400h10m10s", 2540400h + 10min + 10s, "2540400h10m10s"},
    }));
    CAPTURE(row.text);
    const auto parsed = Duration::parse(row.text);
    REQUIRE(parsed);
    CHECK(parsed->value == row.value);
    CHECK(parsed->to_string() == row.printed);
    CHECK(Duration::parse(parsed->to_string()) == parsed);
}

TEST_CASE("what is no duration") {
    for (const char* text :
         {"", "5", "s", "5 s", "5sec", "1.s2", ".", "-", "1h5", "99999999999999999999s", "2562048h", "0x5s", "5S"}) {
        CAPTURE(text);
        CHECK_FALSE(Duration::parse(text));
    }
    CHECK(Duration{std::chrono::nanoseconds::min()}.to_string() == "-2562047h47m16.854775807s");
}

TEST_CASE("addresses of BGP peers") {
    struct Row {
        const char* text;
        const char* printed;  ///< empty: refused
    };
    const auto row = GENERATE(values<Row>({
        {"192.0.2.1", "192.0.2.1"},
        {"192.0.2.1:1790", "192.0.2.1:1790"},
        {"2001:db8::1", "2001:db8::1"},
        {"[2001:db8::1]:1790", "[2001:db8::1]:1790"},
        {"[2001:db8::1]", ""},
        {"[192.0.2.1]:179", ""},
        {"192.0.2.1:", ""},
        {"192.0.2.1:0", ""},
        {"192.0.2.1:65536", ""},
        {"192.0.2.1:0179", ""},
        {"host:179", ""},
        {"", ""},
        {"]:1", ""},
    }));
    CAPTURE(row.text);
    const auto parsed = PeerAddress::parse(row.text);
    CHECK((parsed ? parsed->to_string() : "") == row.printed);
}

TEST_CASE("names, labels and port names") {
    CHECK(is_dns_subdomain("a.b-c.9"));
    CHECK(is_dns_subdomain(std::string(253, 'a')));
    for (const char* text : {"", ".", "a.", ".a", "a..b", "A", "a_b", "-a", "a-"}) {
        CAPTURE(text);
        CHECK_FALSE(is_dns_subdomain(text));
    }
    CHECK_FALSE(is_dns_subdomain(std::string(254, 'a')));
    CHECK(is_label_key("example.com/A.b_c-d"));
    CHECK_FALSE(is_label_key("/a"));
    CHECK_FALSE(is_label_key("a/"));
    CHECK_FALSE(is_label_key("a/b/c"));
    CHECK(is_label_value(""));
    CHECK_FALSE(is_label_value("_a"));
    CHECK(is_iana_service_name("http-2"));
    for (const char* text : {"", "80", "a--b", "-a", "Http", "sixteen-letters-"}) {
        CAPTURE(text);
        CHECK_FALSE(is_iana_service_name(text));
    }
    CHECK(is_interface_name("eth0.100"));
    CHECK_FALSE(is_interface_name("a/b"));
}

TEST_CASE("the name that was probably meant") {
    const auto kNames = std::to_array<std::string_view>({"protocol", "notProtocol", "action", "source", ""});
    CHECK(closest("protcol", kNames) == "protocol");
    CHECK(closest("Protocol", kNames) == "protocol");
    CHECK(closest("aciton", kNames) == "action");
    CHECK(closest("NotProtocol", kNames) == "notProtocol");
    CHECK_FALSE(closest("xyz", kNames));
    CHECK_FALSE(closest("", kNames));
    CHECK_FALSE(closest(std::string(100'000, 'a'), kNames));
}

TEST_CASE("the name of an endpoint follows from its spec") {
    WorkloadEndpointSpec spec{.orchestrator = "k8s", .node = "node-1", .pod = "web-0", .endpoint = "eth0"};
    CHECK(workload_endpoint_name(spec) == "node--1-k8s-web--0-eth0");
    spec = {.orchestrator = "cni", .node = "n", .container_id = "abc", .endpoint = "eth0"};
    CHECK(workload_endpoint_name(spec) == "n-cni-abc-eth0");
    spec.container_id = "My_Container";
    CHECK(workload_endpoint_name(spec) == "n-cni-" + manul::sha1_hex("My_Container") + "-eth0");
    spec.container_id = "";
    CHECK(workload_endpoint_name(spec).empty());
    spec = {.orchestrator = "libnetwork", .workload = "libnetwork", .node = "n", .endpoint = "e"};
    CHECK(workload_endpoint_name(spec) == "n-libnetwork-libnetwork-e");
}

TEST_CASE("types of a policy follow from its rules when they are not given") {
    PolicySpec spec;
    using Types = std::vector<PolicyType>;
    CHECK(effective_types(spec) == Types{PolicyType::ingress});
    spec.egress.resize(1);
    CHECK(effective_types(spec) == Types{PolicyType::egress});
    spec.ingress.resize(1);
    CHECK(effective_types(spec) == Types{PolicyType::ingress, PolicyType::egress});
    spec.types = {PolicyType::egress};
    CHECK(effective_types(spec) == Types{PolicyType::egress});
}

TEST_CASE("uses and block size of a pool when they are not given") {
    IpPoolSpec spec;
    CHECK(spec.effective_block_size() == 26);
    CHECK(spec.allows(AllowedUse::tunnel));
    CHECK_FALSE(spec.allows(AllowedUse::load_balancer));
    spec.cidr = *manul::net::Prefix::parse("fd00::/48");
    CHECK(spec.effective_block_size() == 122);
    spec.allowed_uses = {AllowedUse::load_balancer};
    CHECK(spec.allows(AllowedUse::load_balancer));
    CHECK_FALSE(spec.allows(AllowedUse::workload));
}

TEST_CASE("how reports name a kind") {
    CHECK(reported_kind(Kind::network_policy) == "NetworkPolicy.projectcalico.org");
    CHECK(reported_kind(Kind::kubernetes_network_policy) == "NetworkPolicy.networking.k8s.io");
    CHECK(reported_kind(Kind::pod) == "Pod");
}
