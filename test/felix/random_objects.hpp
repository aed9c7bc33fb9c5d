#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "config/model/kubernetes.hpp"
#include "config/model/policy.hpp"
#include "config/model/resource.hpp"
#include "config/model/tier.hpp"
#include "net/port_range.hpp"
#include "test/felix/builders.hpp"

namespace manul::felix::test {

/// Random objects of a small world: few names, labels and addresses, so that most of them have to do with each other.
class RandomObjects {
public:
    explicit RandomObjects(std::uint32_t seed) : engine_(seed) {}

    std::size_t below(std::size_t limit) { return engine_() % limit; }

    model::ResourcePtr any() {
        switch (below(12)) {
            case 0:
            case 1:
            case 2:
            case 3:
                return random_pod();
            case 4:
            case 5:
                return random_policy();
            case 6:
                return random_global_policy();
            case 7:
                return random_kubernetes_policy();
            case 8:
                return tier(tier_name(), static_cast<double>(below(4)),
                            below(2) == 0 ? model::TierDefaultAction::deny : model::TierDefaultAction::pass);
            case 9:
                return network_set(below(2) == 0 ? "" : ns(), name(), {net(), net()}, labels());
            case 10:
                return below(2) == 0 ? namespace_(ns(), labels()) : account(ns(), account_name(), labels());
            default:
                return below(2) == 0 ? profile("p" + name(), {allow(rule_spec())}, {deny(rule_spec())}, labels())
                                     : host_endpoint("h" + name(), {address()}, labels());
        }
    }

    std::string address() { return "10.0.0." + std::to_string(1 + below(6)); }

private:
    std::string pick(const std::vector<std::string>& from) { return from[below(from.size())]; }
    std::string ns() { return pick({"ns1", "ns2"}); }
    std::string name() { return pick({"a", "b", "c"}); }
    std::string account_name() { return pick({"sa1", "sa2"}); }
    std::string tier_name() { return pick({"t1", "t2"}); }
    std::string any_tier() { return pick({"default", "t1", "t2", "kube-baseline"}); }
    std::string key() { return pick({"x", "y"}); }
    std::string value() { return pick({"1", "2"}); }
    std::string net() { return pick({"10.0.0.0/30", "10.0.0.4/30", "10.0.0.0/24", "10.0.0.3/32", "0.0.0.0/0"}); }

    model::StringMap labels() {
        model::StringMap out;
        for (std::size_t n = below(3); n > 0; --n) {
            out[key()] = value();
        }
        return out;
    }

    std::string selector() {
        switch (below(8)) {
            case 0:
                return "";
            case 5:
                return "projectcalico.org/name == '" + pick({"ns1", "ns2", "sa1", "sa2"}) + "'";
            case 1:
                return "all()";
            case 2:
                return "has(" + key() + ")";
            case 3:
                return key() + " != '" + value() + "'";
            case 4:
                return key() + " == '" + value() + "' || " + key() + " == '" + value() + "'";
            default:
                return key() + " == '" + value() + "'";
        }
    }

    EntitySpec entity_spec() {
        EntitySpec out;
        switch (below(8)) {
            case 0:
                break;
            case 1:
                out.nets = {net()};
                break;
            case 2:
                out.not_selector = selector();
                break;
            case 3:
                out.namespace_selector = below(4) == 0 ? "global()" : selector();
                out.selector = selector();
                break;
            case 4:
                out.namespace_selector = selector();
                break;
            case 5:
                out.accounts = model::ServiceAccountMatch{{account_name()}, below(2) == 0 ? "" : selector()};
                break;
            default:
                out.selector = selector();
                break;
        }
        return out;
    }

    RuleSpec rule_spec() {
        RuleSpec out{.source = entity_spec(), .destination = entity_spec()};
        if (below(3) == 0) {
            out.protocol = net::kTcp;
            out.destination.ports = {pick({"80", "http", "web", "1:100"})};
        }
        return out;
    }

    std::vector<model::Rule> rules() {
        std::vector<model::Rule> out;
        for (std::size_t n = below(3); n > 0; --n) {
            out.push_back(rule(static_cast<model::Action>(below(4)), rule_spec()));
        }
        return out;
    }

    PolicySpec policy_spec() {
        PolicySpec out{.name = name(), .selector = selector()};
        out.types = below(3) == 0   ? std::vector{kIngress, kEgress}
                    : below(2) == 0 ? std::vector{kIngress}
                                    : std::vector{kEgress};
        out.ingress = rules();
        out.egress = rules();
        out.order = below(3) == 0 ? std::nullopt : std::optional(static_cast<double>(below(3)));
        out.tier = any_tier();
        out.account_selector = below(4) == 0 ? selector() : "";
        return out;
    }

    model::ResourcePtr random_policy() { return policy(ns(), policy_spec()); }

    model::ResourcePtr random_global_policy() {
        PolicySpec spec = policy_spec();
        spec.namespace_selector = below(2) == 0 ? selector() : "";
        auto out = global_policy(spec);
        out->spec.do_not_track = below(8) == 0;
        return out;
    }

    model::ResourcePtr random_kubernetes_policy() {
        auto out = std::make_shared<model::KubernetesNetworkPolicy>();
        out->metadata.name = name();
        out->metadata.ns = ns();
        out->spec.pod_selector.match_labels = labels();
        model::KubernetesPeer peer;
        peer.pod_selector.emplace().match_labels = labels();
        if (below(2) == 0) {
            peer.namespace_selector.emplace().match_labels = labels();
        }
        model::KubernetesIngressRule rule;
        rule.from = {peer};
        out->spec.ingress = {rule};
        return out;
    }

    model::ResourcePtr random_pod() {
        PodSpec out{.ns = ns(), .name = name(), .ips = {address()}, .labels = labels()};
        out.node = below(3) == 0 ? "node2" : kNode;
        out.account = below(4) == 0 ? "" : account_name();
        if (below(2) == 0) {
            out.ports = {port(pick({"http", "web"}), below(2) == 0 ? 80 : 8080)};
        }
        if (below(4) == 0) {
            out.profiles = std::vector<std::string>{"p" + name(), "kns." + ns(), "ksa." + ns() + "." + account_name()};
        }
        if (below(10) == 0) {
            out.ips = {};
        }
        if (below(8) == 0) {
            out.interface = "cali-shared";
        }
        return pod(out);
    }

    std::mt19937 engine_;
};

}  // namespace manul::felix::test
