#include <unistd.h>

#include <utility>
#include <vector>

#include "net/netlink/encode.hpp"
#include "net/netlink/socket.hpp"
#include "test/bench/bgp/load/report.hpp"

namespace manul::bench {

namespace {

constexpr std::uint8_t kProtocol = 176;
constexpr std::uint32_t kMetric = 1024;
constexpr std::size_t kRoutesAtOnce = 10'000;

template <class T>
T must(netlink::SocketResult<T> result) {
    if (!result) {
        die(result.error().message());
    }
    return *std::move(result);
}

/// One for each sender and family: the sender is the gateway.
std::uint32_t object_of(std::uint32_t sender, net::Family family) {
    return 1 + 2 * sender + (family == net::Family::v4 ? 0U : 1U);
}

}  // namespace

/// No speaker: the same prefixes go into the kernel's table from a bare loop, as routes to nexthop objects, encoded
/// before the clock starts. What the kernel alone needs for them here.
void routes(const Options& options, Report& report) {
    const Prefixes prefixes = Prefixes::of_feed(options.prefixes * options.senders, options.share_of_v6, 0);
    auto groups = make_groups(prefixes, options.senders, options.prefixes_an_attribute_set);
    Random random(1000);
    random.shuffle(groups);
    netlink::Socket socket = must(netlink::Socket::open());
    const auto link = must(socket.link("b0"));
    if (!link) {
        die("the link b0 is missing");
    }
    netlink::RequestBuffer objects;
    for (std::uint32_t sender = 0; sender < options.senders; ++sender) {
        for (const net::Ip& gateway : {net::Ip(peer_address(sender)), net::Ip(peer_address6(sender))}) {
            netlink::Nexthop object;
            object.id = object_of(sender, gateway.family());
            object.protocol = kProtocol;
            object.family = gateway.family();
            object.hop = {.ifindex = link->index, .gateway = gateway};
            netlink::put_nexthop(objects, object, netlink::Write::add);
        }
    }
    if (!must(socket.batch(objects)).empty()) {
        die("the kernel refuses nexthop objects");
    }
    std::vector<netlink::RequestBuffer> batches(1);
    std::size_t in_batch = 0;
    for (const Group& group : groups) {
        for (const std::uint32_t number : group.prefixes) {
            netlink::Route route;
            route.dst = prefixes[number];
            route.protocol = kProtocol;
            route.priority = kMetric;
            route.nexthop_id = object_of(group.sender, route.family());
            if (in_batch++ == kRoutesAtOnce) {
                batches.emplace_back();
                in_batch = 1;
            }
            netlink::put_route(batches.back(), route, netlink::Write::add);
        }
    }
    const std::vector<int> self = {::getpid()};
    const double cpu = usage_of(self).cpu;
    const double began = now();
    std::size_t refused = 0;
    for (netlink::RequestBuffer& batch : batches) {
        refused += must(socket.batch(batch)).size();
    }
    const double took = now() - began;
    report.add("kernel_s", took);
    report.add("kernel_cpu_s", usage_of(self).cpu - cpu);
    report.add("routes_per_s", prefixes.size() / took);
    if (refused > 0) {
        report.fail("the kernel refused routes");
    }
}

}  // namespace manul::bench
