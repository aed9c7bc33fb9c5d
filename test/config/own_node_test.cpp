#include "config/own_node.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/address_detection.hpp"
#include "config/codec/json.hpp"
#include "config/model/kind.hpp"
#include "config/model/node.hpp"
#include "config/model/resource.hpp"
#include "config/settings.hpp"
#include "config/store/memory.hpp"
#include "config/store/store.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

using namespace manul::config;
namespace net = manul::net;
namespace model = manul::model;

namespace {

HostInterface interface(const std::string& name, const std::vector<std::string>& addresses, bool up = true) {
    HostInterface result{name, up, {}};
    for (const std::string& address : addresses) {
        result.addresses.push_back(*net::InterfaceAddress::parse(address));
    }
    return result;
}

const std::vector<HostInterface>& host() {
    static const std::vector<HostInterface> interfaces{
        interface("lo", {"127.0.0.1/8", "::1/128"}),
        interface("docker0", {"172.17.0.1/16"}),
        interface("eth9", {"10.9.0.1/24"}, false),
        interface("eth0", {"169.254.3.4/16", "192.168.1.10/24", "fe80::1/64", "2001:db8::10/64"}),
        interface("eth1", {"10.1.0.10/16", "10.2.0.10/16"}),
        interface("cali0123456789a", {"10.5.0.1/32"}),
        interface("vxlan.manul", {"10.244.0.0/32"}),
        interface("wan0", {"203.0.113.5/30"}),
    };
    return interfaces;
}

}  // namespace

TEST_CASE("the node's address is found as the settings say") {
    struct Row {
        std::string how;
        std::string ipv4;
        std::string ipv6;
    };
    const std::vector<Row> rows{
        {"first-found", "192.168.1.10/24", "2001:db8::10/64"},
        {"none", "", ""},
        {"interface=eth1", "10.1.0.10/16", ""},
        {"interface=wan.*,eth1", "10.1.0.10/16", ""},
        {"interface=docker0", "172.17.0.1/16", ""},
        {"interface=eth9", "", ""},
        {"skip-interface=^eth0$", "10.1.0.10/16", ""},
        {"skip-interface=eth.*", "203.0.113.5/30", ""},
        {"cidr=10.0.0.0/8", "10.1.0.10/16", ""},
        {"cidr=10.2.0.0/16,2001:db8::/32", "10.2.0.10/16", "2001:db8::10/64"},
        {"can-reach=8.8.8.8", "203.0.113.5/30", ""},
        {"can-reach=2001:db8:1::1", "", "2001:db8::10/64"},
        {"can-reach=9.9.9.9", "", ""},
    };
    const SourceAddress source = [](const net::Ip& target) -> std::optional<net::Ip> {
        if (target == *net::Ip::parse("9.9.9.9")) {
            return std::nullopt;
        }
        return net::Ip::parse(target.is_v4() ? "203.0.113.5" : "2001:db8::10");
    };
    for (const Row& row : rows) {
        CAPTURE(row.how);
        const auto how = AddressDetection::parse(row.how);
        REQUIRE(how);
        const auto text = [&](net::Family family) {
            const auto found = detect_address(*how, family, host(), source);
            return found ? found->to_string() : std::string();
        };
        CHECK(text(net::Family::v4) == row.ipv4);
        CHECK(text(net::Family::v6) == row.ipv6);
    }
}

TEST_CASE("a detection that means nothing is refused") {
    for (const char* text : {"", "eth0", "interface=", "interface=[", "interface=a,,b", "can-reach=example.org",
                             "cidr=10.0.0.1", "cidr=10.0.0.1/8", "first-found=x", "skip-interface"}) {
        CAPTURE(text);
        CHECK(!AddressDetection::parse(text));
    }
}

TEST_CASE("interfaces of container runtimes and of our own never carry the node's address") {
    for (const char* name : {"lo", "docker0", "cbr0", "dummy0", "virbr0", "lxcbr0", "veth1234", "cali012", "tunl0",
                             "flannel.1", "kube-ipvs0", "cni0", "vxlan.calico", "vxlan.manul", "vxlan-v6.manul"}) {
        CAPTURE(name);
        CHECK(is_excluded_interface(name));
    }
    for (const char* name : {"eth0", "lo1", "bond0", "uplink", "vxlan0", "eno1"}) {
        CAPTURE(name);
        CHECK(!is_excluded_interface(name));
    }
}

TEST_CASE("the host's interfaces are read with their addresses") {
    const auto interfaces = read_host_interfaces();
    REQUIRE(interfaces);
    const auto loopback = std::ranges::find(*interfaces, "lo", &HostInterface::name);
    REQUIRE(loopback != interfaces->end());
    if (loopback->up) {
        CHECK(std::ranges::find(loopback->addresses, *net::InterfaceAddress::parse("127.0.0.1/8")) !=
              loopback->addresses.end());
    }
}

TEST_CASE("a Node is a valid object, with and without addresses") {
    const NodeAddresses both{net::InterfaceAddress::parse("10.0.0.1/24"), net::InterfaceAddress::parse("fd00::1/64")};
    const auto decoded = manul::codec::decode_and_validate(model::Kind::node, own_node_document("a", both, true),
                                                           manul::codec::Mode::strict);
    REQUIRE(decoded.ok());
    const auto node = model::as<model::Node>(decoded.resource);
    REQUIRE(node->spec.bgp);
    CHECK(node->spec.bgp->ipv4_address->to_string() == "10.0.0.1/24");
    CHECK(node->spec.bgp->ipv6_address->to_string() == "fd00::1/64");
    CHECK(node->metadata.annotations.at(std::string(kAddressSourceAnnotation)) == "detected");

    const auto bare = manul::codec::decode_and_validate(model::Kind::node, own_node_document("a", {}, false),
                                                        manul::codec::Mode::strict);
    REQUIRE(bare.ok());
    CHECK(!model::as<model::Node>(bare.resource)->spec.bgp);
    CHECK(bare.resource->metadata.annotations.empty());
}

TEST_CASE("a daemon creates its Node once and leaves it alone afterwards") {
    const auto store = manul::store::make_memory();
    Settings settings;
    settings.node_name = "node-a";
    const auto created = ensure_own_node(*store, settings);
    REQUIRE(created);
    const model::Key key{model::Kind::node, "", "node-a"};
    const std::string edited =
        R"({"apiVersion":"projectcalico.org/v3","kind":"Node","metadata":{"name":"node-a"},"spec":{"bgp":{"asNumber":64512}}})";
    const auto updated = store->update(key, edited, created->revision);
    REQUIRE(updated);
    const auto again = ensure_own_node(*store, settings);
    REQUIRE(again);
    CHECK(again->revision == updated->revision);
}
