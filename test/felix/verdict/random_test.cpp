#include <cstdlib>
#include <iostream>
#include <memory>

#include <catch2/catch.hpp>

#include "config/model/felix_configuration.hpp"
#include "test/felix/verdict/random_policies.hpp"
#include "test/felix/verdict/situation.hpp"
#include "test/felix/verdict/traced.hpp"

// One long walk: each step changes a few objects, then the kernel must do with many packets what the evaluator says,
// and `policy trace` must say the same.
namespace manul::felix::test {

namespace {

constexpr std::uint32_t kSeed = 20260731;
constexpr std::uint32_t kSteps = 300;
constexpr std::size_t kPackets = 60;
constexpr std::size_t kMaxPolicies = 12;
constexpr std::size_t kStepsOfAProcess = 60;

bool may_go(const model::Key& key) {
    return key.kind == model::Kind::host_endpoint || key.kind == model::Kind::admin_network_policy ||
           key.kind == model::Kind::baseline_admin_network_policy || key.kind == model::Kind::endpoint_slice ||
           key.kind == model::Kind::node || key.kind == model::Kind::ip_pool ||
           key.kind == model::Kind::network_policy || key.kind == model::Kind::global_network_policy ||
           key.kind == model::Kind::kubernetes_network_policy;
}

/// Longer walks by hand: MANUL_VERDICT_SEED, MANUL_VERDICT_STEPS.
std::uint32_t number(const char* variable, std::uint32_t otherwise) {
    const char* text = std::getenv(variable);
    return text == nullptr ? otherwise : static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10));
}

class Walk {
public:
    explicit Walk(std::uint32_t seed) : random_(seed) {}

    void run(std::size_t steps) {
        site_.reset();
        site_.write(random_.first(), {});
        for (step_ = 0; step_ < steps; ++step_) {
            change();
            check();
        }
        std::cout << "random walk: " << steps << " steps, " << packets_ << " packets, " << arrived_ << " arrived\n";
        site_.reset();
    }

private:
    void change() {
        if (step_ % kStepsOfAProcess == kStepsOfAProcess - 1) {
            // Also with maps where lists are short.
            long_lists_ = !long_lists_;
            site_.restart(long_lists_ ? render::DispatchLimits{1, 0} : render::DispatchLimits{});
        }
        if (random_.one_in(20)) {
            let_invalid_pass_ = !let_invalid_pass_;
            site_.write({random_.felix_configuration(let_invalid_pass_)}, {});
        }
        std::vector<model::Key> policies;
        for (const model::Key& key : site_.own_objects()) {
            if (may_go(key)) {
                policies.push_back(key);
            }
        }
        std::vector<model::Key> removals;
        if (policies.size() > random_.below(kMaxPolicies)) {
            removals.push_back(policies[random_.below(policies.size())]);
        }
        std::map<model::Key, model::ResourcePtr> puts;
        for (std::size_t n = 1 + random_.below(3); n > 0; --n) {
            const model::ResourcePtr resource = random_.change(site_);
            if (std::ranges::find(removals, resource->key()) == removals.end()) {
                puts[resource->key()] = resource;
            }
        }
        std::vector<model::ResourcePtr> resources;
        for (const auto& [key, resource] : puts) {
            resources.push_back(resource);
        }
        site_.write(resources, removals);
    }

    /// Refusals are compared where every stack may send them.
    [[nodiscard]] bool agrees(const Party& from, const Shot& shot, Fate wanted) const {
        if (wanted == Fate::arrives || shot.arrived) {
            return shot.arrived == (wanted == Fate::arrives);
        }
        // The node's own stack learns of refusals otherwise; and a refusal is a packet of the node, which untracked
        // policy may deny like any other.
        const HostEndpoint* host = site_.snapshot().host_endpoint_at(from.interface, HostStage::untracked);
        const bool untracked = host != nullptr && (!host->lists(HostStage::untracked, Direction::ingress)->empty() ||
                                                   !host->lists(HostStage::untracked, Direction::egress)->empty());
        const bool answered = !untracked && shot.from != Lab::kNode &&
                              (shot.packet.protocol == net::kTcp || shot.packet.protocol == net::kUdp);
        return !answered || shot.refused == (wanted == Fate::refused);
    }

    void check() {
        const auto probes = random_.probes(site_, kPackets, let_invalid_pass_);
        std::vector<Shot> shots;
        for (const auto& probe : probes) {
            shots.push_back(probe.shot);
        }
        site_.lab().fire(shots);
        packets_ += shots.size();
        Traced traced(site_);
        for (std::size_t i = 0; i < shots.size(); ++i) {
            arrived_ += shots[i].arrived ? 1U : 0U;
            const Site::Judgement judgement = site_.judge(*probes[i].from, *probes[i].to, shots[i].packet);
            if (!agrees(*probes[i].from, shots[i], judgement.fate)) {
                fail(probes[i]);
            }
            if (!Traced::can_tell(*probes[i].from, *probes[i].to)) {
                continue;
            }
            const ctl::Trace trace = traced.trace(*probes[i].from, *probes[i].to, shots[i].packet);
            if ((trace.verdict == Verdict::deny) != (judgement.fate != Fate::arrives)) {
                FAIL("step " << step_ << ": " << describe(shots[i].packet) << ": trace says "
                             << (trace.verdict == Verdict::deny ? "deny" : "allow") << ", the evaluator "
                             << to_string(judgement.fate) << ":\n"
                             << judgement.trace << site_.describe());
            }
        }
    }

    /// Whether kernel and evaluator still differ about the packet.
    bool differs(const RandomPolicies::Probe& probe) {
        std::vector<Shot> one{probe.shot};
        site_.lab().fire(one);
        return !agrees(*probe.from, one[0], site_.judge(*probe.from, *probe.to, one[0].packet).fate);
    }

    /// Takes away what is not needed for the difference, and tells what is left.
    void fail(const RandomPolicies::Probe& probe) {
        const bool lasting = differs(probe);
        for (const model::Key& key : site_.own_objects()) {
            const std::string document = site_.document(key);
            if (!lasting || key.kind == model::Kind::tier) {
                continue;  // a tier with policies stays
            }
            site_.revert(key);
            if (!differs(probe)) {
                site_.write_documents({{key, document}}, {});
            }
        }
        std::vector<Shot> one{probe.shot};
        site_.lab().fire(one);
        const Site::Judgement judgement = site_.judge(*probe.from, *probe.to, probe.shot.packet);
        FAIL("step " << step_ << (lasting ? "" : " (gone when tried again)") << ": " << describe(probe.shot.packet)
                     << ": the kernel says "
                     << (one[0].arrived   ? "allow"
                         : one[0].refused ? "reject"
                                          : "deny")
                     << ", the evaluator " << to_string(judgement.fate) << ":\n"
                     << judgement.trace << site_.describe());
    }

    Site& site_ = Site::instance();
    RandomPolicies random_;
    bool let_invalid_pass_ = false;
    bool long_lists_ = false;
    std::size_t step_ = 0;
    std::size_t packets_ = 0;
    std::size_t arrived_ = 0;
};

}  // namespace

TEST_CASE("on a random walk through policies the kernel does what the evaluator says") {
    Walk(number("MANUL_VERDICT_SEED", kSeed)).run(number("MANUL_VERDICT_STEPS", kSteps));
}

}  // namespace manul::felix::test
