// How fast routes go into the kernel: one request an acknowledgement, batches, and batches by nexthop objects. Works in
// a nameless namespace. Needs root. Argument: number of routes (default 50,000).
#include <linux/rtnetlink.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "net/netlink/encode.hpp"
#include "net/netlink/netns.hpp"
#include "net/netlink/socket.hpp"

using namespace manul;
using namespace manul::netlink;

namespace {

constexpr std::uint32_t kGateways = 200;
constexpr std::uint8_t kProtocol = 176;

struct Uplink {
    Socket socket;
    std::uint32_t index;
};

template <class T>
T must(SocketResult<T> result) {
    if (!result) {
        (void)std::fprintf(stderr, "route_bench: %s\n", result.error().message().c_str());
        std::exit(1);
    }
    return *std::move(result);
}

Uplink make_uplink() {
    Socket socket = must(Socket::open());
    RequestBuffer requests;
    create_veth(requests, {.local = {.name = "a"}, .peer = {.name = "b"}});
    (void)must(socket.batch(requests));
    const Link link = must(socket.link("a")).value();
    requests.clear();
    change_link(requests, {.index = link.index, .up = true});
    change_link(requests, {.index = link.lower, .up = true});
    put_address(requests, {.ifindex = link.index, .address = {net::Ip4(10, 9, 0, 1), 16}}, Write::add);
    for (std::uint32_t i = 0; i < kGateways; ++i) {
        put_nexthop(
            requests,
            {.id = i + 1, .protocol = kProtocol, .hop = {.ifindex = link.index, .gateway = net::Ip4(0x0a090002U + i)}},
            Write::add);
    }
    (void)must(socket.batch(requests));
    return {std::move(socket), link.index};
}

Route route(std::uint32_t i, std::uint32_t index, bool by_object) {
    Route out{
        .dst = *net::Prefix::exact(net::Ip4(0x14000000U + (i << 6U)), 26), .protocol = kProtocol, .priority = 1024};
    if (by_object) {
        out.nexthop_id = 1 + i % kGateways;
    } else {
        out.hops = {{.ifindex = index, .gateway = net::Ip4(0x0a090002U + i % kGateways)}};
    }
    return out;
}

void timed(const char* what, std::uint32_t routes, const std::function<std::size_t()>& work) {
    const auto start = std::chrono::steady_clock::now();
    const std::size_t refused = work();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    std::printf("%-34s %8.1f ms %10.0f/s%s\n", what, took.count() * 1e3, routes / took.count(),
                refused == 0 ? "" : "  (some were refused)");
}

}  // namespace

int main(int argc, char** argv) {
    const auto routes = static_cast<std::uint32_t>(argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 50'000);
    const auto scope = NetnsScope::create();
    if (!scope) {
        (void)std::fprintf(stderr, "route_bench: %s\n", scope.error().message.c_str());
        return 77;  // meson: skipped
    }
    Uplink uplink = make_uplink();
    RequestBuffer requests;
    timed("add, one by one", routes, [&] {
        std::size_t refused = 0;
        for (std::uint32_t i = 0; i < routes; ++i) {
            requests.clear();
            put_route(requests, route(i, uplink.index, false), Write::add);
            refused += uplink.socket.request(requests) ? 0U : 1U;
        }
        return refused;
    });
    const auto batch = [&](const std::function<void(std::uint32_t)>& append) {
        requests.clear();
        for (std::uint32_t i = 0; i < routes; ++i) {
            append(i);
        }
        return must(uplink.socket.batch(requests)).size();
    };
    const auto remove = [&] {
        return batch([&](std::uint32_t i) { delete_route(requests, route(i, uplink.index, false)); });
    };
    timed("delete, batches of 100", routes, remove);
    timed("add, batches of 100", routes, [&] {
        return batch([&](std::uint32_t i) { put_route(requests, route(i, uplink.index, false), Write::add); });
    });
    timed("list", routes, [&] {
        return must(uplink.socket.routes({.family = net::Family::v4, .protocol = kProtocol})).size() == routes ? 0U
                                                                                                               : 1U;
    });
    timed("replace, batches of 100", routes, [&] {
        return batch([&](std::uint32_t i) {
            Route moved = route(i, uplink.index, false);
            moved.hops[0].gateway = net::Ip4(0x0a090002U + (i + 1) % kGateways);
            put_route(requests, moved, Write::replace);
        });
    });
    timed("to nexthop objects, batches of 100", routes, [&] {
        return batch([&](std::uint32_t i) { put_route(requests, route(i, uplink.index, true), Write::replace); });
    });
    timed("delete by object, batches of 100", routes,
          [&] { return batch([&](std::uint32_t i) { delete_route(requests, route(i, uplink.index, true)); }); });
    timed("add by nexthop object, batches", routes, [&] {
        return batch([&](std::uint32_t i) { put_route(requests, route(i, uplink.index, true), Write::add); });
    });
    return 0;
}
