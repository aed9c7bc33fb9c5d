// ADD behind another plugin of the list. Needs root.
#include "test/cni/rig.hpp"

using namespace manul;
using namespace manul::cni;
using namespace manul::test;

namespace {

/// What a plugin such as ptp leaves behind.
struct OtherPlugin {
    explicit OtherPlugin(Node& node) {
        netlink::RequestBuffer requests;
        netlink::create_veth(requests,
                             {.local = {.name = "veth7"}, .peer = {.name = "eth0", .netns_fd = node.pod.fd.get()}});
        REQUIRE(node.host.socket->request(requests));
        requests.clear();
        netlink::put_address(requests, {.ifindex = node.pod.link("eth0")->index, .address = {ip("10.77.0.5"), 24}},
                             netlink::Write::add);
        REQUIRE(node.pod.socket->batch(requests));
        result = R"({"cniVersion":")" + node.version +
                 R"(","interfaces":[{"name":"veth7"},{"name":"eth0","sandbox":")" + node.environment.netns +
                 R"("}],"ips":[{"address":"10.77.0.5/24","gateway":"10.77.0.1","interface":1}],)"
                 R"("routes":[{"dst":"0.0.0.0/0"}],"dns":{"nameservers":["10.0.0.2"]},"its.own/key":[1]})";
    }
    std::string result;
};

/// An ipamd whose felix is at once ready with whatever host interface was named.
FakeIpamd::Handler policing(const Node& node) {
    return [&node](const ipam::Request& request) -> std::optional<ipam::Answer> {
        ipam::Answer answer = with_ips({"10.77.0.5"});
        answer.host_interface = "veth7";
        answer.policy_only = true;
        if (request.op == ipam::Op::add) {
            std::ofstream(node.run.path + "/endpoints/" + request.host_interface)
                << R"({"containerID":")" << request.attachment.container_id << R"("})";
        }
        return answer;
    };
}

}  // namespace

TEST_CASE("behind another plugin ADD registers that plugin's link and addresses, and hands its result on") {
    Node node;
    node.version = GENERATE("0.3.1", "0.4.0", "1.0.0", "1.1.0");
    const OtherPlugin other(node);
    const FakeIpamd ipamd(node.run.path, policing(node));
    node.more = R"(,"prevResult":)" + other.result;
    const Outcome added = node.call("ADD");
    CAPTURE(added.output);
    REQUIRE(added.exit_status == 0);
    CHECK(json::parse(added.output) == json::parse(other.result));
    const ipam::Request request = ipamd.requests().at(0);
    CHECK(request.policy_only);
    CHECK(request.host_interface == "veth7");
    CHECK(request.ips == std::vector<net::Ip>{ip("10.77.0.5")});
    CHECK(request.mac == node.pod.link("eth0")->mac);
    CHECK(node.host.link("veth7")->alias.empty());
    CHECK_FALSE(node.host.link(node.host_name()));

    if (node.version != "0.3.1") {
        netlink::RequestBuffer requests;  // the other plugin's part
        netlink::change_link(requests, {.index = node.host.link("veth7")->index, .up = true});
        REQUIRE(node.host.socket->request(requests));
        requests.clear();
        netlink::change_link(requests, {.index = node.pod.link("eth0")->index, .up = true});
        REQUIRE(node.pod.socket->request(requests));
        requests.clear();
        netlink::put_route(requests,
                           {.dst = net::Prefix::host(ip("10.77.0.5")),
                            .scope = RT_SCOPE_LINK,
                            .hops = {{.ifindex = node.host.link("veth7")->index}}},
                           netlink::Write::add);
        REQUIRE(node.host.socket->request(requests));
        const Outcome checked = node.call("CHECK");
        CAPTURE(checked.output);
        CHECK(checked.exit_status == 0);
    }
    CHECK(node.call("DEL").exit_status == 0);
    CHECK(node.host.link("veth7"));  // its maker's to delete
}

TEST_CASE("behind another plugin a failed ADD takes back the endpoint and nothing else") {
    Node node;
    const OtherPlugin other(node);
    node.more = R"(,"policy_setup_timeout_seconds":1,"prevResult":)" + other.result;
    const FakeIpamd ipamd(node.run.path, [](const ipam::Request&) { return ipam::Answer{}; });
    CHECK(code_of(node.call("ADD")) == 11);  // felix says nothing
    REQUIRE(ipamd.requests().size() == 2);
    CHECK(ipamd.requests().back().op == ipam::Op::del);
    CHECK(node.host.link("veth7"));
    CHECK(node.pod.link("eth0"));
}

TEST_CASE("a result that policy cannot be enforced for is refused with the reason, before ipamd hears of it") {
    Node node;
    const FakeIpamd ipamd(node.run.path, policing(node));
    std::string reason;
    std::string previous;
    std::optional<OtherPlugin> other;
    SECTION("without addresses") {
        previous = "{}";
        reason = "no address of eth0";
    }
    SECTION("of an interface that is not there") {
        previous = R"({"interfaces":[{"name":"eth0","sandbox":"x"}],"ips":[{"address":"10.0.0.1/24","interface":0}]})";
        reason = "eth0 is not in the pod";
    }
    SECTION("of a port of a bridge") {
        other.emplace(node);
        previous = other->result;
        const auto scope = netlink::NetnsScope::enter(node.host.fd.get());
        REQUIRE(std::system("ip link add br7 type bridge && ip link set veth7 master br7") == 0);  // NOLINT
        reason = "is a port of a bridge";
    }
    SECTION("of an interface without a host's end") {
        const auto scope = netlink::NetnsScope::enter(node.pod.fd.get());
        REQUIRE(std::system("ip link add eth0 type bridge") == 0);  // NOLINT
        previous = R"({"interfaces":[{"name":"eth0","sandbox":"x"}],"ips":[{"address":"10.0.0.1/24","interface":0}]})";
        reason = "no pair with an end in the host's namespace";
    }
    node.more = R"(,"prevResult":)" + previous;
    const Outcome outcome = node.call("ADD");
    CHECK(code_of(outcome) == 7);
    CHECK_THAT(message_of(outcome), Catch::Contains(reason));
    CHECK(ipamd.requests().empty());
}
