#include <algorithm>
#include <vector>

#include "test/bench/bgp/load/report.hpp"

namespace manul::bench {

/// Full tables while every session has a short hold time: from the first UPDATE until some seconds after all receivers
/// have everything, no session may be without a message for as long as the hold time. With graceful restart the speaker
/// has the whole table before it selects anything, and then all at once to do.
void timers(const Options& options, Report& report) {
    const Prefixes prefixes = Prefixes::of_feed(options.prefixes * options.senders, options.share_of_v6, 0);
    const auto groups = make_groups(prefixes, options.senders, options.prefixes_an_attribute_set);
    const Bytes nothing = encode_end_of_rib(prefixes);
    std::vector<Bytes> tables;
    Peers peers(options, prefixes, false);
    for (std::uint32_t sender = 0; sender < options.senders; ++sender) {
        tables.push_back(encode_table(prefixes, groups, sender));
        peers.add(kSenderAs + sender, false);
    }
    for (std::uint32_t receiver = 0; receiver < options.receivers; ++receiver) {
        peers.add(kReceiverAs + receiver, true);
    }
    for (const Group& group : groups) {
        for (const std::uint32_t prefix : group.prefixes) {
            peers.expected[prefix] = static_cast<Origin>(group.sender + 1);
        }
    }
    peers.count();
    if (!establish(options, peers, report)) {
        return;
    }
    Phase announce(options, peers, report);
    for (std::uint32_t peer = 0; peer < options.senders + options.receivers; ++peer) {
        peers.give(peer, peer < options.senders ? ByteView(tables[peer]) : ByteView(nothing));
    }
    if (!announce.finish("announce")) {
        return;
    }
    peers.run_for(2.0 * options.hold_time);
    report.add("longest_silence_s", peers.longest_silence());
    report.add("drops", static_cast<double>(peers.drops()));
    if (peers.drops() > 0) {
        report.fail("sessions were lost");
    }
}

}  // namespace manul::bench
