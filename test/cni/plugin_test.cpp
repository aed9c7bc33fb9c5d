// The plugin against the kernel, in nameless namespaces, with a stand-in for ipamd. Needs root.
#include "cni/plugin.hpp"

#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "cni/del.hpp"
#include "cni/veth.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/encode.hpp"
#include "net/netlink/netns.hpp"
#include "net/netlink/socket.hpp"
#include "test/cni/fake_ipamd.hpp"
#include "test/cni/rig.hpp"

using namespace manul;
using namespace manul::cni;
using namespace manul::test;
namespace fs = std::filesystem;
namespace json = boost::json;

TEST_CASE("ADD connects the pod, DEL asks ipamd") {
    Node node;
    const FakeIpamd ipamd(node.run.path, working(node));
    const Outcome added = node.call("ADD");
    CAPTURE(added.output, added.note);
    REQUIRE(added.exit_status == 0);

    const auto host_end = node.host.link(node.host_name());
    const auto pod_end = node.pod.link("eth0");
    REQUIRE(host_end);
    REQUIRE(pod_end);
    CHECK(host_end->alias == "c1");
    CHECK(host_end->mac == kHostMac);
    CHECK(host_end->is_up());
    CHECK(pod_end->is_up());
    CHECK(pod_end->mac == ipamd.requests().at(0).mac);
    CHECK((pod_end->mac->bytes()[0] & 3U) == 2);  // locally administered, unicast
    CHECK(ipamd.requests().at(0).netns_inode != 0);

    // Addresses, routes and neighbours of both sides.
    const auto has_address = [](netlink::Socket& socket, std::uint32_t index, std::string_view text,
                                std::uint8_t length) {
        const auto addresses = *socket.addresses(index);
        return std::ranges::any_of(addresses,
                                   [&](const auto& a) { return a.address == net::InterfaceAddress{ip(text), length}; });
    };
    CHECK(has_address(*node.pod.socket, pod_end->index, "10.65.0.7", 32));
    CHECK(has_address(*node.pod.socket, pod_end->index, "fd00:65::7", 128));
    CHECK(has_address(*node.host.socket, host_end->index, "fe80::ecee:eeff:feee:eeee", 64));
    const auto out4 = *node.pod.socket->route_to(ip("192.0.2.1"));
    const auto out6 = *node.pod.socket->route_to(ip("2001:db8::1"));
    REQUIRE(out4);
    REQUIRE(out6);
    CHECK(out4->hops.at(0).gateway == kGateway4);
    CHECK(out6->hops.at(0).gateway == kGateway6);
    const auto has_neighbour = [](netlink::Socket& socket, std::uint32_t index, std::string_view text,
                                  const auto& mac) {
        const auto all = *socket.neighbours(ip(text).family(), index);
        return std::ranges::any_of(
            all, [&](const auto& n) { return n.address == ip(text) && n.mac == mac && n.state == NUD_PERMANENT; });
    };
    CHECK(has_neighbour(*node.pod.socket, pod_end->index, "169.254.1.1", kHostMac));
    CHECK(has_neighbour(*node.pod.socket, pod_end->index, "fe80::ecee:eeff:feee:eeee", kHostMac));
    CHECK(has_neighbour(*node.host.socket, host_end->index, "10.65.0.7", pod_end->mac));
    CHECK(has_neighbour(*node.host.socket, host_end->index, "fd00:65::7", pod_end->mac));

    const json::value result = json::parse(added.output);
    CHECK(result.at("interfaces").at(0).at("name") == node.host_name().c_str());
    CHECK(result.at("interfaces").at(1).at("sandbox") == node.environment.netns.c_str());
    CHECK(result.at("ips").at(0).at("address") == "10.65.0.7/32");
    CHECK(fs::is_empty(node.run.path + "/wait"));

    SECTION("a second ADD is refused and leaves the first one alone") {
        const Outcome again = node.call("ADD");
        CHECK(code_of(again) == 4);
        CHECK(node.host.link(node.host_name()) == host_end);
        REQUIRE(ipamd.requests().size() == 2);
        CHECK(ipamd.requests().back().op == ipam::Op::check);  // a question, which changes nothing
    }
    SECTION("DEL, with and without the namespace") {
        CHECK(node.call("DEL").exit_status == 0);
        node.environment.netns = "";
        CHECK(node.call("DEL").exit_status == 0);
        CHECK(ipamd.requests().back().op == ipam::Op::del);
        CHECK(ipamd.requests().back().attachment == ipam::Attachment{"c1", "eth0"});
        CHECK(node.journaled() == 0);
    }
}

TEST_CASE(
    "a connected pod reaches the host's address and is reached, by nothing but the plugin's work and a host route") {
    Node node;
    node.more = R"(,"ipam":{"assign_ipv6":true},"mtu":1400)";
    const FakeIpamd ipamd(node.run.path, working(node));
    REQUIRE(node.call("ADD").exit_status == 0);
    const auto host_end = node.host.link(node.host_name());
    CHECK(host_end->mtu == 1400);
    CHECK(node.pod.link("eth0")->mtu == 1400);
    const auto loopback = node.host.link("lo");
    netlink::RequestBuffer requests;
    netlink::change_link(requests, {.index = loopback->index, .up = true});
    netlink::put_address(requests, {.ifindex = loopback->index, .address = {ip("10.1.1.1"), 32}}, netlink::Write::add);
    netlink::put_address(requests, {.ifindex = loopback->index, .address = {ip("fd01::1"), 128}}, netlink::Write::add);
    const auto refused = node.host.socket->batch(requests);
    REQUIRE(refused);
    REQUIRE(refused->empty());
    node.route_to_pod({"10.65.0.7", "fd00:65::7"});

    const auto listen_on = [](Netns& ns, int family) {
        const auto scope = netlink::NetnsScope::enter(ns.fd.get());
        UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in6 address{};
        address.sin6_family = static_cast<sa_family_t>(family);
        address.sin6_port = htons(7000);  // at the same place in both families
        REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address),
                       family == AF_INET ? sizeof(sockaddr_in) : sizeof address) == 0);
        REQUIRE(::listen(fd.get(), 1) == 0);
        return fd;
    };
    const auto connects = [](Netns& ns, const net::Ip& to) {
        const auto scope = netlink::NetnsScope::enter(ns.fd.get());
        const UniqueFd fd(::socket(to.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const timeval bound{3, 0};
        (void)::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof bound);
        sockaddr_storage address{};
        if (to.is_v4()) {
            auto& v4 = reinterpret_cast<sockaddr_in&>(address);
            v4.sin_family = AF_INET;
            v4.sin_port = htons(7000);
            std::ranges::copy(to.bytes(), reinterpret_cast<std::uint8_t*>(&v4.sin_addr));
            return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&v4), sizeof v4) == 0;
        }
        auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(7000);
        std::ranges::copy(to.bytes(), reinterpret_cast<std::uint8_t*>(&v6.sin6_addr));
        return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&v6), sizeof v6) == 0;
    };
    for (const int family : {AF_INET, AF_INET6}) {
        CAPTURE(family);
        {
            const UniqueFd listener = listen_on(node.host, family);
            CHECK(connects(node.pod, family == AF_INET ? ip("10.1.1.1") : ip("fd01::1")));
        }
        const UniqueFd listener = listen_on(node.pod, family);
        CHECK(connects(node.host, family == AF_INET ? ip("10.65.0.7") : ip("fd00:65::7")));
    }
}

TEST_CASE("MTU and MAC address are ipamd's to say where the configuration does not, and stand in the result") {
    Node node;
    const bool configured = GENERATE(false, true);
    node.more = configured ? R"(,"mtu":1380)" : "";
    const FakeIpamd ipamd(node.run.path, [&node](const ipam::Request& request) {
        node.mark(request.attachment.container_id);
        ipam::Answer answer = with_ips({"10.65.0.7"});
        answer.mtu = 1450;
        answer.mac = net::Mac({2, 0, 0, 0, 0, 9});
        return answer;
    });
    const Outcome added = node.call("ADD");
    REQUIRE(added.exit_status == 0);
    const std::uint32_t mtu = configured ? 1380 : 1450;
    CHECK(node.pod.link("eth0")->mtu == mtu);
    CHECK(node.host.link(node.host_name())->mtu == mtu);
    CHECK(node.pod.link("eth0")->mac == net::Mac({2, 0, 0, 0, 0, 9}));
    const json::value result = json::parse(added.output);
    CHECK(result.at("interfaces").at(1).at("mac") == "02:00:00:00:00:09");
    CHECK(result.at("interfaces").at(0).at("mtu") == mtu);
    CHECK(result.at("interfaces").at(1).at("mtu") == mtu);
    const auto neighbours = *node.host.socket->neighbours(net::Family::v4);
    REQUIRE(neighbours.size() == 1);
    CHECK(neighbours[0].mac == net::Mac({2, 0, 0, 0, 0, 9}));
}

TEST_CASE("an ADD that ipamd refuses leaves nothing and passes the reason on") {
    Node node;
    const FakeIpamd ipamd(node.run.path, [](const ipam::Request&) {
        return ipam::failure(ipam::ErrorCode::try_again, "no free address in pool default", "add a pool");
    });
    const Outcome outcome = node.call("ADD");
    CHECK(code_of(outcome) == 11);
    CHECK(message_of(outcome) == "no free address in pool default");
    CHECK(ipamd.requests().size() == 1);  // nothing was reserved: nothing to release
    node.check_nothing_left();
}

TEST_CASE("an ADD whose ipamd is away, dies or hangs fails in bounded time, and the release is not forgotten") {
    Node node;
    std::optional<FakeIpamd> ipamd;
    std::size_t journaled = 1;
    SECTION("away") { journaled = 0; }
    SECTION("dies before it answers") {
        ipamd.emplace(node.run.path, [](const ipam::Request&) { return std::nullopt; });
    }
    SECTION("hangs") {
        ipamd.emplace(node.run.path, [&node](const ipam::Request&) {
            std::this_thread::sleep_for(2 * node.limits.answer);
            return std::nullopt;
        });
    }
    const Outcome outcome = node.call("ADD");
    CHECK(code_of(outcome) == 11);
    CHECK_THAT(message_of(outcome), Catch::Contains("manul-ipamd"));
    CHECK(node.journaled() == journaled);
    node.check_nothing_left();
}

TEST_CASE("an ADD without felix's mark is undone when its time is up") {
    Node node;
    node.more = R"(,"policy_setup_timeout_seconds":1)";
    const FakeIpamd ipamd(node.run.path, [&node](const ipam::Request& request) {
        node.mark("another-container");
        return request.op == ipam::Op::add ? with_ips({"10.65.0.7"}) : ipam::Answer{};
    });
    const Outcome outcome = node.call("ADD");
    CHECK(code_of(outcome) == 11);
    CHECK_THAT(message_of(outcome), Catch::Contains("policy"));
    REQUIRE(ipamd.requests().size() == 2);
    CHECK(ipamd.requests().back().op == ipam::Op::del);
    CHECK(ipamd.requests().back().attachment == ipamd.requests().front().attachment);
    node.check_nothing_left();
}

TEST_CASE("with a timeout of zero ADD does not wait for felix") {
    Node node;
    node.more = R"(,"policy_setup_timeout_seconds":0)";
    const FakeIpamd ipamd(node.run.path, [](const ipam::Request&) { return with_ips({"10.65.0.7"}); });
    CHECK(node.call("ADD").exit_status == 0);
}

TEST_CASE("ADD sees felix's mark whenever it comes, also where its socket cannot be bound") {
    Node node;
    if (GENERATE(false, true)) {
        fs::remove_all(node.run.path + "/wait");
        std::ofstream(node.run.path + "/wait") << "in the way";
    }
    std::jthread felix;
    const FakeIpamd ipamd(node.run.path, [&](const ipam::Request& request) {
        node.mark("an-older-sandbox");
        felix = std::jthread([&node, id = request.attachment.container_id] {
            node.wake();
            std::this_thread::sleep_for(std::chrono::milliseconds(30));
            node.mark(id);
            node.wake();
        });
        return with_ips({"10.65.0.7"});
    });
    const Outcome outcome = node.call("ADD");
    CAPTURE(outcome.output);
    CHECK(outcome.exit_status == 0);
}

TEST_CASE("a host interface that an older sandbox holds is ipamd's to move; ADD goes on with its own") {
    Node node;
    netlink::RequestBuffer requests;
    netlink::create_veth(requests, {.local = {.name = node.host_name()}, .peer = {.name = "older"}});
    REQUIRE(node.host.socket->request(requests));
    const bool moves = GENERATE(true, false);
    const FakeIpamd ipamd(node.run.path, [&](const ipam::Request& request) {
        if (request.op == ipam::Op::add) {
            node.mark("c1");
            auto own = netlink::NetnsScope::enter(node.host.fd.get());
            auto socket = *netlink::Socket::open();
            if (moves) {
                netlink::RequestBuffer rename;
                netlink::change_link(rename, {.index = (*socket.link(node.host_name()))->index, .name = "mxl7"});
                (void)socket.request(rename);
            }
        }
        return request.op == ipam::Op::add ? with_ips({"10.65.0.7"}) : ipam::Answer{};
    });
    const Outcome outcome = node.call("ADD");
    CAPTURE(outcome.output);
    if (moves) {
        CHECK(outcome.exit_status == 0);
        CHECK(node.host.link(node.host_name())->alias == "c1");
        CHECK(node.host.link("mxl7")->alias.empty());
    } else {
        CHECK(code_of(outcome) == 11);
        CHECK(node.host.link(node.host_name())->alias.empty());  // never deletes what it did not make
        CHECK(ipamd.requests().back().op == ipam::Op::del);
        CHECK_FALSE(node.pod.link("eth0"));
    }
}

TEST_CASE("a DEL of the same container id that takes the new pair with it does not spoil the ADD") {
    Node node;
    const auto answer = working(node);
    const FakeIpamd ipamd(node.run.path, [&](const ipam::Request& request) -> std::optional<ipam::Answer> {
        if (request.op == ipam::Op::add) {
            // The plugin makes its pair meanwhile; what the late deletion does to it is done before the answer.
            std::optional<netlink::Link> made;
            for (int i = 0; i < 400 && !(made && made->alias == "c1"); ++i) {
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
                made = *node.host.socket->link(node.host_name());
            }
            if (made) {
                netlink::RequestBuffer requests;
                netlink::delete_link(requests, made->index);
                static_cast<void>(node.host.socket->request(requests));
            }
        }
        return answer(request);
    });
    const Outcome added = node.call("ADD");
    CAPTURE(added.output, added.note);
    REQUIRE(added.exit_status == 0);
    REQUIRE(node.host.link(node.host_name()));
    CHECK(node.host.link(node.host_name())->alias == "c1");
    REQUIRE(node.pod.link("eth0"));
    CHECK(node.pod.link("eth0")->is_up());
}

TEST_CASE("an ADD waits for the interface of an attachment that is being deleted, and for no other one") {
    enum class Case : std::uint8_t { goes, of_another_container_goes, stays, foreign };
    Node node;
    const Case what = GENERATE(Case::goes, Case::of_another_container_goes, Case::stays, Case::foreign);
    const bool goes = what == Case::goes || what == Case::of_another_container_goes;
    const std::string owner = what == Case::of_another_container_goes ? "c0" : "c1";
    if (what == Case::foreign) {
        node.limits.release = std::chrono::hours(1);  // it is not waited for at all
    }
    netlink::RequestBuffer requests;
    netlink::create_veth(requests,
                         {.local = {.name = "mxl9"}, .peer = {.name = "eth0", .netns_fd = node.pod.fd.get()}});
    REQUIRE(node.host.socket->request(requests));
    requests.clear();
    netlink::change_link(requests, {.index = node.host.link("mxl9")->index, .alias = owner});
    REQUIRE(node.host.socket->request(requests));
    std::jthread deleter;
    const auto answer = working(node);
    const FakeIpamd ipamd(node.run.path, [&](const ipam::Request& request) -> std::optional<ipam::Answer> {
        if (request.op != ipam::Op::check) {
            return answer(request);
        }
        CHECK(request.attachment.container_id == owner);
        if (goes) {
            deleter = std::jthread([&node] {
                std::this_thread::sleep_for(std::chrono::milliseconds(20));
                netlink::RequestBuffer remove;
                netlink::delete_link(remove, node.host.link("mxl9")->index);
                static_cast<void>(node.host.socket->request(remove));
            });
        }
        ipam::Answer refused = ipam::failure(ipam::ErrorCode::unknown_container, "not known, or being deleted");
        refused.ending = what != Case::foreign;
        return refused;
    });
    const Outcome added = node.call("ADD");
    CAPTURE(added.output, added.note);
    if (goes) {
        CHECK(added.exit_status == 0);
        CHECK(node.pod.link("eth0")->is_up());
    } else {
        CHECK(code_of(added) == 4);
        CHECK(ipamd.requests().size() == 1);
        CHECK(node.host.link("mxl9"));
    }
}

TEST_CASE("a mark of felix counts for the link and addresses that it was set for, not for the container's older ones") {
    const bool right_link = GENERATE(false, true);
    const auto [addresses, right_addresses] = GENERATE(table<std::string, bool>({
        {R"(["10.65.0.7"])", true},
        {R"(["10.65.0.6","10.65.0.7"])", true},
        {R"(["10.65.0.6"])", false},
        {"[]", false},
        {"", true},  // a felix from before an upgrade does not tell
    }));
    Node node;
    node.more = R"(,"policy_setup_timeout_seconds":1)";
    const FakeIpamd ipamd(node.run.path, [&](const ipam::Request& request) -> std::optional<ipam::Answer> {
        if (request.op != ipam::Op::add) {
            return ipam::Answer{};
        }
        std::optional<netlink::Link> made;
        for (int i = 0; i < 400 && !made; ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            made = *node.host.socket->link(node.host_name());
        }
        if (made) {
            node.mark("c1", right_link ? made->index : made->index + 1000, addresses);
        }
        return with_ips({"10.65.0.7"});
    });
    const Outcome added = node.call("ADD");
    CAPTURE(added.output, addresses);
    if (right_link && right_addresses) {
        CHECK(added.exit_status == 0);
    } else {
        CHECK(code_of(added) == 11);
        node.check_nothing_left();
    }
}

TEST_CASE("a namespace that is none, or the host's own, is refused with code 8 before ipamd hears of it") {
    Node node;
    const FakeIpamd ipamd(node.run.path, working(node));
    node.environment.netns = "/run/netns/no-such-pod";
    CHECK(code_of(node.call("ADD")) == 8);
    node.environment.netns = "/etc/hostname";
    CHECK(code_of(node.call("ADD")) == 8);
    node.environment.netns = node.host.path();
    CHECK(code_of(node.call("ADD")) == 8);
    CHECK(ipamd.requests().empty());
    CHECK_FALSE(node.host.link("eth0"));
}

TEST_CASE("DEL without ipamd writes one file an attachment and succeeds, however often it is called") {
    Node node;
    node.environment.netns = "";
    node.more = R"(,"mtu":"nonsense")";
    std::optional<FakeIpamd> ipamd;
    SECTION("ipamd is away") {}
    SECTION("ipamd cannot reach its store") {
        ipamd.emplace(node.run.path, [](const ipam::Request&) {
            return ipam::failure(ipam::ErrorCode::try_again, "the store is locked");
        });
    }
    for (int i = 0; i < 3; ++i) {
        const Outcome outcome = node.call("DEL");
        CAPTURE(outcome.output);
        CHECK(outcome.exit_status == 0);
        CHECK(outcome.output.empty());
        CHECK_THAT(outcome.note, Catch::Contains("cni-journal"));
    }
    REQUIRE(node.journaled() == 1);
    const auto file = fs::directory_iterator(node.state.path + "/cni-journal")->path();
    CHECK(file.extension() == ".json");
    std::ifstream stream(file);
    const std::string text((std::istreambuf_iterator<char>(stream)), {});
    const auto request = ipam::decode_request(text);
    REQUIRE(request);
    CHECK(request->op == ipam::Op::del);
    CHECK(request->attachment == ipam::Attachment{"c1", "eth0"});
    CHECK(request->host_interface == node.host_name());

    node.environment.ifname = "net1";
    CHECK(node.call("DEL").exit_status == 0);
    CHECK(node.journaled() == 2);
}

TEST_CASE("VERSION answers whatever comes with it, and needs nothing else") {
    const Environment environment{.command = "VERSION"};
    CHECK(json::parse(cni::run(environment, R"({"cniVersion":"0.4.0"})").output).at("cniVersion") == "0.4.0");
    CHECK(json::parse(cni::run(environment, "").output).at("cniVersion") == "1.1.0");
    CHECK(code_of(cni::run(environment, "{")) == 6);
}

TEST_CASE("an environment that is not complete has code 4, whatever the input is") {
    const std::string command = GENERATE("ADD", "CHECK", "DEL");
    CAPTURE(command);
    for (const char* input : {"", "{", "{}", R"({"cniVersion":"1.0.0","name":"a"})", R"({"cniVersion":"9.9.9"})"}) {
        CHECK(code_of(cni::run({.command = command, .netns = "/run/netns/x", .ifname = "eth0"}, input)) == 4);
        CHECK(code_of(cni::run({.command = command, .container_id = "a", .netns = "/run/netns/x"}, input)) == 4);
    }
}

TEST_CASE("DEL fails with code 5 when not even the file can be written") {
    Node node;
    std::ofstream(node.state.path + "/cni-journal") << "in the way";
    CHECK(code_of(node.call("DEL")) == 5);
}

TEST_CASE("STATUS and GC speak for ipamd") {
    Node node;
    node.more = R"(,"cni.dev/valid-attachments":[{"containerID":"a","ifname":"eth0"}])";
    node.environment.container_id.clear();
    node.environment.ifname.clear();
    node.environment.netns.clear();
    CHECK(code_of(node.call("STATUS")) == 50);
    CHECK(code_of(node.call("GC")) == 11);
    {
        const FakeIpamd ipamd(node.run.path, [](const ipam::Request&) { return ipam::Answer{}; });
        CHECK(code_of(node.call("STATUS")) == 51);  // no felix: an ADD would wait for policy in vain
        {
            const FelixSocket felix(node);
            CHECK(node.call("STATUS").exit_status == 0);
        }
        CHECK(code_of(node.call("STATUS")) == 51);
        const std::string list = std::exchange(node.more, R"(,"policy_setup_timeout_seconds":0)");
        CHECK(node.call("STATUS").exit_status == 0);
        node.more = list;
        CHECK(node.call("GC").exit_status == 0);
        CHECK(ipamd.requests().back().valid_attachments == std::vector<ipam::Attachment>{{"a", "eth0"}});
        CHECK(ipamd.requests().back().network == "pods");
        const std::size_t asked = ipamd.requests().size();
        node.more.clear();
        const Outcome without_list = node.call("GC");
        CHECK(without_list.exit_status == 0);
        CHECK_THAT(without_list.note, Catch::Contains("releases nothing"));
        CHECK(ipamd.requests().size() == asked);
    }
    const FakeIpamd ipamd(node.run.path, [](const ipam::Request&) {
        return ipam::failure(ipam::ErrorCode::limited_connectivity, "the store has been away for an hour");
    });
    CHECK(code_of(node.call("STATUS")) == 51);
}
