// CHECK against every way to damage what ADD made. Needs root.
#include <linux/if_addr.h>

#include <functional>

#include <boost/json/serialize.hpp>

#include "test/cni/rig.hpp"

using namespace manul;
using namespace manul::cni;
using namespace manul::test;

namespace {

struct Pair {
    Node& node;
    netlink::Link host;
    netlink::Link pod;

    void change(Netns& ns, const std::function<void(netlink::RequestBuffer&)>& fill) const {
        netlink::RequestBuffer requests;
        fill(requests);
        const auto done = ns.socket->request(requests);
        REQUIRE(done);
    }
    void on_host(const std::function<void(netlink::RequestBuffer&)>& fill) const { change(node.host, fill); }
    void in_pod(const std::function<void(netlink::RequestBuffer&)>& fill) const { change(node.pod, fill); }
};

struct Tampering {
    const char* what;
    const char* message;
    std::function<void(const Pair&)> damage;
};

netlink::Route pod_route(const Pair& pair, const char* dst, const char* gateway) {
    return {.dst = *net::Prefix::parse(dst),
            .protocol = RTPROT_BOOT,
            .hops = {{.ifindex = pair.pod.index, .gateway = ip(gateway)}}};
}

const std::vector<Tampering>& tamperings() {
    using netlink::RequestBuffer;
    static const std::vector<Tampering> all{
        {"an IPv4 address is gone", "lost its address 10.65.0.7/32",
         [](const Pair& p) {
             p.in_pod([&](RequestBuffer& r) {
                 netlink::delete_address(r, {.ifindex = p.pod.index, .address = {ip("10.65.0.7"), 32}});
             });
         }},
        {"an IPv6 address is gone", "lost its address fd00:65::7/128",
         [](const Pair& p) {
             p.in_pod([&](RequestBuffer& r) {
                 netlink::delete_address(r, {.ifindex = p.pod.index, .address = {ip("fd00:65::7"), 128}});
             });
         }},
        {"the default route is gone", "lost its route to 0.0.0.0/0",
         [](const Pair& p) {
             p.in_pod([&](RequestBuffer& r) { netlink::delete_route(r, pod_route(p, "0.0.0.0/0", "169.254.1.1")); });
         }},
        {"the default route leads elsewhere", "lost its route to 0.0.0.0/0",
         [](const Pair& p) {
             p.in_pod([&](RequestBuffer& r) {
                 netlink::put_route(r,
                                    {.dst = net::Prefix::host(ip("169.254.1.2")),
                                     .protocol = 3,
                                     .scope = RT_SCOPE_LINK,
                                     .hops = {{.ifindex = p.pod.index}}},
                                    netlink::Write::add);
             });
             p.in_pod([&](RequestBuffer& r) {
                 netlink::put_route(r, pod_route(p, "0.0.0.0/0", "169.254.1.2"), netlink::Write::replace);
             });
         }},
        {"the IPv6 default route is gone", "lost its route to ::/0",
         [](const Pair& p) {
             p.in_pod([&](RequestBuffer& r) {
                 auto route = pod_route(p, "::/0", "fe80::ecee:eeff:feee:eeee");
                 route.priority = 1024;
                 netlink::delete_route(r, route);
             });
         }},
        {"the pod's link is down", "eth0 in the pod is down",
         [](const Pair& p) {
             p.in_pod([&](RequestBuffer& r) { netlink::change_link(r, {.index = p.pod.index, .up = false}); });
         }},
        {"the pod's link is gone", "eth0 is missing",
         [](const Pair& p) { p.in_pod([&](RequestBuffer& r) { netlink::delete_link(r, p.pod.index); }); }},
        {"the pod's MAC address is another", "eth0 in the pod has lost its MAC address",
         [](const Pair& p) {
             p.in_pod([&](RequestBuffer& r) {
                 netlink::change_link(r, {.index = p.pod.index, .mac = net::Mac({2, 0, 0, 0, 0, 9})});
             });
         }},
        {"the pod's MTU is another", "eth0 in the pod has MTU 1600, should be 1500",
         [](const Pair& p) {
             p.in_pod([&](RequestBuffer& r) { netlink::change_link(r, {.index = p.pod.index, .mtu = 1600}); });
         }},
        {"the gateway's neighbour entry is gone", "the neighbour entry of its gateway 169.254.1.1",
         [](const Pair& p) {
             p.in_pod([&](RequestBuffer& r) {
                 netlink::delete_neighbour(r, {.ifindex = p.pod.index, .address = kGateway4});
             });
         }},
        {"the gateway's neighbour entry is another's", "the neighbour entry of its gateway fe80::ecee:eeff:feee:eeee",
         [](const Pair& p) {
             p.in_pod([&](RequestBuffer& r) {
                 netlink::put_neighbour(
                     r, {.ifindex = p.pod.index, .address = kGateway6, .mac = net::Mac({2, 0, 0, 0, 0, 9})});
             });
         }},
        {"the host's end is down", "host interface cali",
         [](const Pair& p) {
             p.on_host([&](RequestBuffer& r) { netlink::change_link(r, {.index = p.host.index, .up = false}); });
         }},
        {"the host's MTU is another", "has MTU 1300, should be 1500",
         [](const Pair& p) {
             p.on_host([&](RequestBuffer& r) { netlink::change_link(r, {.index = p.host.index, .mtu = 1300}); });
         }},
        {"the host's MAC address is another", "has lost its MAC address ee:ee:ee:ee:ee:ee",
         [](const Pair& p) {
             p.on_host([&](RequestBuffer& r) {
                 netlink::change_link(r, {.index = p.host.index, .mac = net::Mac({2, 0, 0, 0, 0, 9})});
             });
         }},
        {"the host's end belongs to another container", "belongs to another container",
         [](const Pair& p) {
             p.on_host([&](RequestBuffer& r) { netlink::change_link(r, {.index = p.host.index, .alias = "other"}); });
         }},
        {"the host's neighbour entry is gone", "the host has lost its neighbour entry of 10.65.0.7",
         [](const Pair& p) {
             p.on_host([&](RequestBuffer& r) {
                 netlink::delete_neighbour(r, {.ifindex = p.host.index, .address = ip("10.65.0.7")});
             });
         }},
        {"the host's link-local address is gone", "has lost its address fe80::ecee:eeff:feee:eeee",
         [](const Pair& p) {
             p.on_host([&](RequestBuffer& r) {
                 netlink::delete_address(r, {.ifindex = p.host.index, .address = {kGateway6, 64}});
             });
         }},
        {"the host's route is gone", "the host has no route to 10.65.0.7",
         [](const Pair& p) {
             p.on_host([&](RequestBuffer& r) {
                 netlink::delete_route(r, {.dst = net::Prefix::host(ip("10.65.0.7")),
                                           .protocol = 177,
                                           .scope = RT_SCOPE_LINK,
                                           .hops = {{.ifindex = p.host.index}}});
             });
         }},
        {"felix's mark names another sandbox", "not in force", [](const Pair& p) { p.node.mark("another"); }},
    };
    return all;
}

}  // namespace

TEST_CASE("CHECK agrees after ADD, for every version that has it, and asks ipamd for the remembered addresses") {
    Node node;
    node.version = GENERATE("0.4.0", "1.0.0", "1.1.0");
    const FakeIpamd ipamd(node.run.path, working(node));
    const Outcome added = node.call("ADD");
    REQUIRE(added.exit_status == 0);
    node.route_to_pod({"10.65.0.7", "fd00:65::7"});
    node.more = R"(,"policy_setup_timeout_seconds":1,"prevResult":)" + added.output;
    const Outcome good = node.call("CHECK");
    CAPTURE(good.output);
    CHECK(good.exit_status == 0);
    CHECK(good.output.empty());
    CHECK(ipamd.requests().back().ips == std::vector<net::Ip>{ip("10.65.0.7"), ip("fd00:65::7")});
}

TEST_CASE("CHECK finds every tampering, and names it") {
    Node node;
    const FakeIpamd ipamd(node.run.path, working(node));
    const Outcome added = node.call("ADD");
    REQUIRE(added.exit_status == 0);
    node.route_to_pod({"10.65.0.7", "fd00:65::7"});
    node.more = R"(,"policy_setup_timeout_seconds":1,"prevResult":)" + added.output;
    REQUIRE(node.call("CHECK").exit_status == 0);
    const Tampering& tampering = tamperings()[GENERATE(range(std::size_t{0}, tamperings().size()))];
    CAPTURE(tampering.what);
    tampering.damage({node, *node.host.link(node.host_name()), *node.pod.link("eth0")});
    const Outcome outcome = node.call("CHECK");
    CHECK(code_of(outcome) == 100);
    CHECK_THAT(message_of(outcome), Catch::Contains(tampering.message));
}

TEST_CASE("what a later plugin of the list added does not disturb CHECK") {
    Node node;
    const FakeIpamd ipamd(node.run.path, working(node));
    const Outcome added = node.call("ADD");
    REQUIRE(added.exit_status == 0);
    node.route_to_pod({"10.65.0.7", "fd00:65::7"});
    const auto pod = node.pod.link("eth0");
    netlink::RequestBuffer requests;
    netlink::put_address(requests, {.ifindex = pod->index, .address = {ip("192.0.2.5"), 24}}, netlink::Write::add);
    netlink::change_link(requests, {.index = pod->index, .mtu = 1400});  // `tuning`, which leaves the result as it was
    const auto refused = node.pod.socket->batch(requests);
    REQUIRE(refused);
    json::value later = json::parse(added.output);
    later.as_object()["interfaces"].as_array().emplace_back(json::object{{"name", "ifb0"}, {"mac", ""}});
    later.as_object()["ips"].as_array().emplace_back(json::object{{"address", "198.51.100.9/24"}, {"interface", 2}});
    node.more = R"(,"policy_setup_timeout_seconds":1,"prevResult":)" + json::serialize(later);
    const Outcome outcome = node.call("CHECK");
    CAPTURE(outcome.output);
    CHECK(outcome.exit_status == 0);
}

TEST_CASE("CHECK passes on what ipamd misses, and needs a result that speaks of the interface") {
    Node node;
    std::optional<FakeIpamd> ipamd;
    ipamd.emplace(node.run.path, working(node));
    const Outcome added = node.call("ADD");
    REQUIRE(added.exit_status == 0);
    node.more = R"(,"prevResult":{"ips":[]})";
    CHECK(code_of(node.call("CHECK")) == 7);
    node.more = R"(,"prevResult":)" + added.output;
    ipamd.reset();
    CHECK(code_of(node.call("CHECK")) == 11);  // the daemon is away
    ipamd.emplace(node.run.path, [](const ipam::Request&) {
        return ipam::failure(ipam::ErrorCode::check_failed, "its addresses are not allocated");
    });
    const Outcome outcome = node.call("CHECK");
    CHECK(code_of(outcome) == 100);
    CHECK_THAT(message_of(outcome), Catch::Contains("not allocated"));
}
