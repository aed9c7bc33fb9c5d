#include <algorithm>
#include <vector>

#include "test/bench/bgp/load/report.hpp"

namespace manul::bench {

/// Full tables from some senders to some receivers: announced, one sender lost, back again, all withdrawn.
void full(const Options& options, Report& report) {
    constexpr double kPause = 0.5;
    const Prefixes prefixes = Prefixes::of_feed(options.prefixes * options.senders, options.share_of_v6, 0);
    const auto groups = make_groups(prefixes, options.senders, options.prefixes_an_attribute_set);
    std::vector<Bytes> tables;
    std::vector<Bytes> withdrawals;
    Peers peers(options, prefixes, false);
    for (std::uint32_t sender = 0; sender < options.senders; ++sender) {
        tables.push_back(encode_table(prefixes, groups, sender));
        withdrawals.push_back(encode_withdrawals(prefixes, groups, sender));
        peers.add(kSenderAs + sender, false);
    }
    for (std::uint32_t receiver = 0; receiver < options.receivers; ++receiver) {
        peers.add(kReceiverAs + receiver, true);
    }
    const auto expect = [&](bool first_too) {
        for (const Group& group : groups) {
            for (const std::uint32_t prefix : group.prefixes) {
                peers.expected[prefix] = group.sender > 0 || first_too ? static_cast<Origin>(group.sender + 1) : 0;
            }
        }
        peers.count();
    };
    report.add("prefixes", prefixes.size());
    report.add("attribute_sets", static_cast<double>(groups.size()));
    expect(true);
    if (!establish(options, peers, report)) {
        return;
    }
    report.add("announce_at", now());
    Phase announce(options, peers, report);
    for (std::uint32_t sender = 0; sender < options.senders; ++sender) {
        peers.give(sender, tables[sender]);
    }
    if (!announce.finish("announce")) {
        return;
    }
    if (options.only_announce) {
        report.print();
        peers.run_for(options.timeout);  // the sessions stay until somebody ends this process
        return;
    }
    peers.run_for(kPause);
    expect(false);
    Phase loss(options, peers, report);
    peers.down(0);
    if (!loss.finish("loss")) {
        return;
    }
    peers.run_for(kPause);
    expect(true);
    peers.give(0, {});
    peers.up(0);
    if (!peers.run_until([&] { return peers[0].state == Peer::State::established; }, options.timeout)) {
        return report.fail("the lost session does not come back");
    }
    peers.run_for(kPause);
    Phase relearn(options, peers, report);
    peers.give(0, tables[0]);
    if (!relearn.finish("relearn")) {
        return;
    }
    peers.run_for(kPause);
    std::ranges::fill(peers.expected, Origin{0});
    peers.count();
    Phase withdraw(options, peers, report);
    for (std::uint32_t sender = 0; sender < options.senders; ++sender) {
        peers.give(sender, withdrawals[sender]);
    }
    static_cast<void>(withdraw.finish("withdraw"));
    report.add("drops", static_cast<double>(peers.drops()));
}

}  // namespace manul::bench
