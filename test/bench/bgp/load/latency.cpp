#include <algorithm>
#include <vector>

#include "test/bench/bgp/load/report.hpp"

namespace manul::bench {

namespace {

constexpr std::uint32_t kTableSender = 0;
constexpr std::uint32_t kProbeSender = 1;
constexpr std::size_t kMostWaiting = std::size_t{1} << 20U;

/// Changed attributes for a part of the table, a given number of prefixes a second.
class Churn {
public:
    Churn(const Prefixes& prefixes, const std::vector<Group>& groups, double rate) : rate_(rate), last_(now()) {
        constexpr std::size_t kMostGroups = 20'000;
        for (const std::uint32_t variant : {1U, 2U}) {
            for (std::size_t i = 0; i < std::min(groups.size(), kMostGroups); ++i) {
                Step step{{}, groups[i].prefixes.size()};
                encode_group(prefixes, groups[i], variant, step.bytes);
                steps_.push_back(std::move(step));
            }
        }
    }
    void go_on(Peers& peers) {
        const double time = now();
        due_ += (time - last_) * rate_;
        last_ = time;
        for (; due_ > 0; at_ = (at_ + 1) % steps_.size()) {
            due_ -= static_cast<double>(steps_[at_].prefixes);
            if (peers[kTableSender].queue.size() < kMostWaiting) {
                peers.send(kTableSender, steps_[at_].bytes);
            }
        }
    }

private:
    struct Step {
        Bytes bytes;
        std::size_t prefixes;
    };
    std::vector<Step> steps_;
    double rate_;
    double due_ = 0;
    double last_;
    std::size_t at_ = 0;
};

}  // namespace

/// How long one new prefix of a peer takes to all receivers: while nothing happens, while another peer changes routes,
/// or while another peer sends its table.
void latency(const Options& options, Report& report) {
    const bool feeds = options.load == "feed";
    const Prefixes prefixes = Prefixes::of_feed(options.prefixes, options.share_of_v6, options.probes);
    const auto groups = make_groups(prefixes, 1, options.prefixes_an_attribute_set);
    const Bytes table = encode_table(prefixes, groups, 0);
    Peers peers(options, prefixes, false);
    peers.add(kSenderAs + kTableSender, false);
    peers.add(kSenderAs + kProbeSender, false);
    for (std::uint32_t receiver = 0; receiver < options.receivers; ++receiver) {
        peers.add(kReceiverAs + receiver, true);
    }
    std::ranges::fill(peers.expected, Origin{kTableSender + 1});
    peers.count();
    if (!establish(options, peers, report)) {
        return;
    }
    if (!feeds) {
        Phase announce(options, peers, report);
        peers.give(kTableSender, table);
        if (!announce.finish("announce")) {
            return;
        }
        peers.run_for(1);
    }

    std::vector<Bytes> probes;
    for (std::uint32_t i = 0; i < options.probes; ++i) {
        probes.push_back(encode_probe(prefixes, kProbeSender, i));
    }
    std::vector<double> sent_at(options.probes);
    std::vector<double> took;
    peers.on_probe([&](const Peer& peer, std::uint32_t probe) {
        if (peer.receives && sent_at[probe] > 0) {
            took.push_back((now() - sent_at[probe]) * 1e3);
        }
    });
    Churn churn(prefixes, groups, options.churn);
    const double began = now();
    if (feeds) {
        peers.give(kTableSender, table);
    }
    std::uint32_t sent = 0;
    double next = began;
    const auto complete = [&] { return took.size() >= std::size_t{sent} * options.receivers; };
    const auto over = [&] { return sent == options.probes || (feeds && peers.converged()); };
    while ((!over() || !complete()) && now() < began + options.timeout) {
        if (!over() && now() >= next) {
            sent_at[sent] = now();
            peers.send(kProbeSender, probes[sent++]);
            next = std::max(next, now() - options.probe_gap) + options.probe_gap;
        }
        if (options.load == "churn" && sent < options.probes) {
            churn.go_on(peers);
        }
        peers.poll(feeds ? 0 : 1);
    }
    if (!complete()) {
        return report.fail("probes were lost");
    }
    std::ranges::sort(took);
    const auto at = [&](double share) {
        return took[std::min(took.size() - 1, static_cast<std::size_t>(share * static_cast<double>(took.size())))];
    };
    report.add("samples", static_cast<double>(took.size()));
    report.add("p50_ms", at(0.5));
    report.add("p90_ms", at(0.9));
    report.add("p99_ms", at(0.99));
    report.add("max_ms", took.back());
    report.add("wall_s", now() - began);
}

}  // namespace manul::bench
