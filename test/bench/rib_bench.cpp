// How fast the whole pure core is: bytes of two senders in, bytes for two readers out, through framing, validation,
// tables, decision, packing. No sockets, no kernel. Argument: prefixes of each sender (default 200,000).
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "bgpd/speaker/speaker.hpp"
#include "bgpd/wire/open.hpp"
#include "bgpd/wire/path_attributes.hpp"
#include "bgpd/wire/update_writer.hpp"

using namespace manul;
using namespace manul::bgp;
using namespace manul::bgp::speaker;

namespace {

/// Time on the processor, so that a busy machine does not change the result.
double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

constexpr std::uint32_t kAs = 64512;
constexpr std::size_t kRead = 16 * 1024;

net::Ip peer_address(std::uint32_t number) { return net::Ip4(0x0a000001U + number); }

/// A speaker with established sessions to clients of it as a route reflector, and what it has written to each.
struct Bench {
    Speaker speaker;
    std::vector<std::size_t> written;
    double longest_turn = 0;

    explicit Bench(std::uint32_t peers) : written(peers) {
        Configuration configuration;
        configuration.self.as = *net::Asn::make(kAs);
        configuration.self.router_id = *net::RouterId::make(0x0a000064);
        configuration.self.cluster_id = 1;
        configuration.relayable = {*net::Prefix::parse("0.0.0.0/0")};
        for (std::uint32_t i = 0; i < peers; ++i) {
            PeerConfig peer;
            peer.address = peer_address(i);
            peer.remote_as = peer.local_as = *net::Asn::make(kAs);
            peer.v4 = true;
            peer.passive = true;
            peer.reflector_client = true;
            configuration.peers.push_back(peer);
        }
        run(Configure{std::make_shared<const Configuration>(configuration)});
        run(Originate{std::make_shared<const std::vector<LocalRoute>>()});
        for (std::uint32_t i = 0; i < peers; ++i) {
            const ConnectionId id(kFirstAcceptedConnection + i);
            run(Accepted{id, {net::Ip4(0x0a000064), 179}, {peer_address(i), 40000}});
            wire::Open open{.as = *net::Asn::make(kAs),
                            .identifier = *net::RouterId::make(peer_address(i).v4().value()),
                            .hold_time = 0,
                            .capabilities = {}};
            open.capabilities.four_octet_as = kAs;
            Bytes bytes;
            wire::encode_open(open, bytes);
            wire::encode_keepalive(bytes);
            run(Received{id, bytes});
        }
        finish_turn();
    }

    std::size_t run(const Event& event) {
        const auto outcome = speaker.handle(event, Time{});
        for (const Action& action : outcome.actions) {
            if (const auto* write = std::get_if<Write>(&action)) {
                const std::uint32_t peer = write->connection.value() - kFirstAcceptedConnection;
                written[peer] += write->chunk->size_for(write->reader);
            } else if (const auto* track = std::get_if<TrackNextHop>(&action)) {
                if (track->wanted) {
                    answers.push_back({track->next_hop, Resolution{1, std::nullopt, 0}});
                }
            }
        }
        return outcome.consumed;
    }
    void finish_turn() {
        do {
            for (const NextHopChanged& answer : std::exchange(answers, {})) {
                run(answer);
            }
            const double start = cpu_seconds();
            run(TurnEnd{});
            longest_turn = std::max(longest_turn, cpu_seconds() - start);
        } while (speaker.busy());
    }

    std::vector<NextHopChanged> answers;
};

/// UPDATEs for `count` prefixes in random order, six a message, each message with attributes of its own. `gone` gets
/// the withdrawal of all of them.
Bytes make_feed(std::uint32_t sender, std::uint32_t count, std::mt19937& random, Bytes& gone) {
    std::vector<std::uint32_t> order(count);
    std::iota(order.begin(), order.end(), 0U);
    std::shuffle(order.begin(), order.end(), random);
    Bytes out;
    wire::UpdateWriter withdrawals(gone, {});
    withdrawals.withdraw(net::Family::v4);
    for (std::uint32_t at = 0; at < count; at += 6) {
        wire::PathAttributes attributes;
        attributes.local_pref = 100;
        attributes.med = at / 6 % 50'000;
        for (std::uint32_t hop = 0; hop < 4; ++hop) {
            attributes.prepend(*net::Asn::make(65000 + static_cast<std::uint32_t>(random() % 500)));
        }
        attributes.communities = {{kAs << 16U | 1U}, {static_cast<std::uint32_t>(random() % 100)}};
        Bytes canonical;
        wire::encode_attributes(attributes, canonical);
        std::vector<net::Prefix> prefixes;
        for (std::uint32_t i = at; i < std::min(count, at + 6); ++i) {
            prefixes.push_back(*net::Prefix::masked(net::Ip4(((sender + 1) << 28U) + (order[i] << 6U)), 26));
            static_cast<void>(withdrawals.add(prefixes.back()));
        }
        if (!wire::encode_announcement(out, {}, {peer_address(sender), std::nullopt}, canonical, prefixes)) {
            std::abort();
        }
    }
    withdrawals.finish();
    return out;
}

}  // namespace

int main(int argc, char** argv) {
    const auto count = static_cast<std::uint32_t>(argc > 1 ? std::atoi(argv[1]) : 200'000);
    std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same feed each time
    std::vector<Bytes> gone(2);
    const std::vector<Bytes> feeds{make_feed(0, count, random, gone[0]), make_feed(1, count, random, gone[1])};
    Bench bench(4);

    double start = cpu_seconds();
    std::vector<std::size_t> at(2, 0);
    while (at[0] < feeds[0].size() || at[1] < feeds[1].size()) {
        for (std::uint32_t sender = 0; sender < 2; ++sender) {
            const ByteView rest = ByteView(feeds[sender]).subspan(at[sender]);
            if (!rest.empty()) {
                at[sender] += bench.run(Received{ConnectionId(kFirstAcceptedConnection + sender),
                                                 rest.first(std::min(kRead, rest.size()))});
            }
        }
        bench.finish_turn();
    }
    const double announce = cpu_seconds() - start;
    std::printf("announce  %7.3f s  %6.1f ns a prefix, longest turn %.2f ms, %.1f bytes a prefix to each reader\n",
                announce, announce * 1e9 / (2.0 * count), bench.longest_turn * 1e3,
                static_cast<double>(bench.written[2]) / (2.0 * count));

    bench.longest_turn = 0;
    start = cpu_seconds();
    bench.run(Closed{ConnectionId(kFirstAcceptedConnection), "test"});
    bench.finish_turn();
    const double loss = cpu_seconds() - start;
    std::printf("loss      %7.3f s  %6.1f ns a prefix, longest turn %.2f ms\n", loss, loss * 1e9 / count,
                bench.longest_turn * 1e3);

    bench.longest_turn = 0;
    start = cpu_seconds();
    bench.run(PeerCommand{PeerCommand::What::refresh_out, peer_address(3), ""});
    bench.finish_turn();
    const double dump = cpu_seconds() - start;
    std::printf("dump      %7.3f s  %6.1f ns a prefix, longest turn %.2f ms\n", dump, dump * 1e9 / count,
                bench.longest_turn * 1e3);

    bench.longest_turn = 0;
    start = cpu_seconds();
    for (ByteView rest = gone[1]; !rest.empty();) {
        rest = rest.subspan(
            bench.run(Received{ConnectionId(kFirstAcceptedConnection + 1), rest.first(std::min(kRead, rest.size()))}));
        bench.finish_turn();
    }
    const double withdraw = cpu_seconds() - start;
    std::printf("withdraw  %7.3f s  %6.1f ns a prefix, longest turn %.2f ms\n", withdraw, withdraw * 1e9 / count,
                bench.longest_turn * 1e3);
    return 0;
}
