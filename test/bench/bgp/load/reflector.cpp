#include <algorithm>
#include <cmath>
#include <vector>

#include "test/bench/bgp/load/report.hpp"

namespace manul::bench {

/// Nodes with some blocks each behind a route reflector: all announce at once, then one at a time withdraws and
/// announces its blocks, then a tenth of them is lost and comes back.
void reflector(const Options& options, Report& report) {
    constexpr double kPause = 0.5;
    constexpr std::uint32_t kChanges = 20;
    const Prefixes prefixes = Prefixes::of_blocks(options.clients * options.blocks);
    std::vector<std::uint32_t> dealt(prefixes.size());
    for (std::uint32_t i = 0; i < prefixes.size(); ++i) {
        dealt[i] = i;
    }
    Random random(79);
    random.shuffle(dealt);

    Peers peers(options, prefixes, true);
    std::vector<Origin> owners(prefixes.size());
    std::vector<std::vector<std::uint32_t>> blocks(options.clients);
    std::vector<Bytes> announcements;
    std::vector<Bytes> withdrawals;
    for (std::uint32_t client = 0; client < options.clients; ++client) {
        for (std::uint32_t i = client * options.blocks; i < (client + 1) * options.blocks; ++i) {
            blocks[client].push_back(dealt[i]);
            owners[dealt[i]] = static_cast<Origin>(client + 1);
        }
        announcements.push_back(encode_blocks(prefixes, blocks[client], client));
        withdrawals.push_back(encode_withdrawal_of(prefixes, blocks[client]));
        peers.add(options.speaker_as, true);
    }
    peers.set_owners(owners);
    peers.expected = owners;
    peers.count();
    if (!establish(options, peers, report)) {
        return;
    }
    Phase reflect(options, peers, report);
    for (std::uint32_t client = 0; client < options.clients; ++client) {
        peers.give(client, announcements[client]);
    }
    if (!reflect.finish("reflect")) {
        return;
    }

    std::vector<double> changes;
    const double cpu = usage_of(options.pids).cpu;
    for (std::uint32_t i = 0; i < kChanges; ++i) {
        const std::uint32_t client = i * 37 % options.clients;
        for (const bool leaves : {true, false}) {
            peers.run_for(0.05);
            for (const std::uint32_t block : blocks[client]) {
                peers.expected[block] = leaves ? Origin{0} : static_cast<Origin>(client + 1);
            }
            peers.count();
            const double began = now();
            peers.give(client, leaves ? withdrawals[client] : announcements[client]);
            if (!peers.run_until([&] { return peers.converged(); }, options.timeout, 1)) {
                return report.fail("a change of one node does not reach all");
            }
            double last = began;
            for (const Peer& peer : peers.all()) {
                last = std::max(last, peer.right_at);
            }
            changes.push_back((last - began) * 1e3);
        }
    }
    std::ranges::sort(changes);
    report.add("change_p50_ms", changes[changes.size() / 2]);
    report.add("change_max_ms", changes.back());
    report.add("change_cpu_ms", (usage_of(options.pids).cpu - cpu) / static_cast<double>(changes.size()) * 1e3);
    const Usage usage = usage_of(options.pids);
    report.add("rss_mb", usage.resident);
    report.add("pss_mb", usage.proportional);

    if (options.no_table) {
        return;
    }
    const std::uint32_t lost = std::max(1U, options.clients / 10);
    peers.run_for(kPause);
    for (std::uint32_t i = 0; i < prefixes.size(); ++i) {
        peers.expected[i] = owners[i] <= lost ? Origin{0} : owners[i];
    }
    for (std::uint32_t client = 0; client < lost; ++client) {
        peers[client].receives = false;
    }
    peers.count();
    Phase loss(options, peers, report);
    for (std::uint32_t client = 0; client < lost; ++client) {
        peers.down(client);
    }
    if (!loss.finish("loss")) {
        return;
    }
    peers.run_for(kPause);
    peers.expected = owners;
    for (std::uint32_t client = 0; client < lost; ++client) {
        peers[client].receives = true;
    }
    peers.count();
    Phase rejoin(options, peers, report);
    for (std::uint32_t client = 0; client < lost; ++client) {
        peers.up(client);
    }
    static_cast<void>(rejoin.finish("rejoin"));
    report.add("drops", static_cast<double>(peers.drops()));
    report.add("sent_back", static_cast<double>(peers.received().own));
}

}  // namespace manul::bench
