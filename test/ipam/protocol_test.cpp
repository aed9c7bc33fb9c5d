#include "ipam/local/protocol.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "base/sha1.hpp"

using namespace manul;
using namespace manul::ipam;

namespace {

Request full_request() {
    Request request;
    request.op = Op::add;
    request.network = "pods";
    request.cni_version = "1.0.0";
    request.attachment = {"0123abc", "eth0"};
    request.netns = "/var/run/netns/cni-1";
    request.netns_inode = 4026532000;
    request.args = {{"K8S_POD_NAMESPACE", "default"}, {"K8S_POD_NAME", "web-0"}};
    request.labels = {{"app", "web"}};
    request.annotations = {{"cni.projectcalico.org/ipv4pools", "[\"a\"]"}};
    request.ips = {*net::Ip::parse("10.0.0.7"), *net::Ip::parse("fd00::7")};
    request.assign_ipv4 = false;
    request.assign_ipv6 = true;
    request.ipv4_pools = {"10.0.0.0/16"};
    request.ipv6_pools = {"six"};
    request.allow_addresses_without_ipam = true;
    request.allow_floating_addresses = true;
    request.host_interface = "cali0123456789a";
    request.host_ifindex = 7;
    request.mac = net::Mac::parse("02:00:00:00:00:01");
    request.port_mappings = {{8080, 80, "tcp", net::Ip::parse("127.0.0.1")}, {53, 53, "udp", std::nullopt}};
    request.bandwidth = Bandwidth{1'000'000, 2'000'000, 0, 7};
    request.valid_attachments = {{"a", "eth0"}, {"b", "net1"}};
    return request;
}

}  // namespace

TEST_CASE("a request survives the wire") {
    const Request request = full_request();
    const auto decoded = decode_request(encode(request));
    REQUIRE(decoded);
    CHECK(*decoded == request);
    CHECK(decoded->is_kubernetes());

    for (const Op op : {Op::add, Op::del, Op::check, Op::gc, Op::status}) {
        Request small;
        small.op = op;
        const auto again = decode_request(encode(small));
        REQUIRE(again);
        CHECK(*again == small);
        CHECK_FALSE(again->is_kubernetes());
    }
}

TEST_CASE("an answer survives the wire") {
    Answer answer;
    answer.ips = {*net::Ip::parse("10.0.0.7")};
    answer.routes = {*net::Prefix::parse("10.0.0.0/8")};
    answer.host_interface = "cali0";
    answer.mtu = 1450;
    answer.endpoint = "default/n1-k8s-web--0-eth0";
    answer.resource_version = "42";
    answer.warning = "w";
    answer.ending = true;
    CHECK(decode_answer(encode(answer)) == answer);

    const Answer refused = failure(ErrorCode::try_again, "no free address", "add an IPPool");
    const auto decoded = decode_answer(encode(refused));
    REQUIRE(decoded);
    CHECK(*decoded == refused);
    CHECK(decoded->error->code == 11);
}

TEST_CASE("what is wrong in a request is named") {
    struct Row {
        const char* text;
        const char* error;
    };
    const auto row = GENERATE(values<Row>({
        {"", "request is not JSON"},
        {"[]", "request is not a JSON object"},
        {R"({"op":"add"})", "protocol version 0"},
        {R"({"version":2,"op":"add"})", "protocol version 2"},
        {R"({"version":1})", "has no op"},
        {R"({"version":1,"op":"ADD"})", R"(op: is "ADD", should be add, del)"},
        {R"({"version":1,"op":"add","containerID":5})", "containerID: is 5, should be text"},
        {R"({"version":1,"op":"add","ips":["10.0.0.1","x"]})", R"(ips[1]: is "x", should be an IP address)"},
        {R"({"version":1,"op":"add","ipam":{"assign_ipv6":"yes"}})", "ipam.assign_ipv6: is \"yes\", should be true"},
        {R"({"version":1,"op":"add","portMappings":[{"hostPort":70000}]})", "portMappings[0].hostPort: is 70000"},
        {R"({"version":1,"op":"add","labels":{"a":1}})", "labels.a: is 1, should be text"},
        {R"({"version":1,"op":"add","hostIfindex":-1})", "hostIfindex: is -1"},
    }));
    CAPTURE(row.text);
    const auto decoded = decode_request(row.text);
    REQUIRE_FALSE(decoded);
    CHECK_THAT(decoded.error().message, Catch::Contains(row.error));
}

TEST_CASE("every truncation of a request or answer is refused") {
    const std::string request = encode(full_request());
    for (std::size_t length = 0; length < request.size(); ++length) {
        CHECK_FALSE(decode_request(std::string_view(request).substr(0, length)));
    }
    const std::string answer = encode(failure(ErrorCode::internal, "x"));
    for (std::size_t length = 0; length < answer.size(); ++length) {
        CHECK_FALSE(decode_answer(std::string_view(answer).substr(0, length)));
    }
}

TEST_CASE("the host interface is named by the pod, or by container and interface") {
    Request request;
    request.attachment = {"0123abc", "eth0"};
    request.args = {{"K8S_POD_NAMESPACE", "default"}, {"K8S_POD_NAME", "web-0"}};
    CHECK(host_interface_name(request) == "cali" + sha1_hex("default.web-0", 11));
    request.attachment.ifname = "net1";
    CHECK(host_interface_name(request) == "cali" + sha1_hex("0123abc/net1", 11));
    request.attachment.ifname = "eth0";
    request.args.erase("K8S_POD_NAMESPACE");  // podman passes the name alone
    CHECK(host_interface_name(request) == "cali" + sha1_hex("0123abc/eth0", 11));
    CHECK(host_interface_name(request).size() == 15);
}
