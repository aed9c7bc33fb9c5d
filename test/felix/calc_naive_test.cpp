// The graph and the evaluator together against policy worked out from the resources themselves, packet by packet, in
// the plainest way: no index, no sets, no order but sorting. What is compared is the verdict.

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "config/model/convert_kubernetes.hpp"
#include "config/model/global_network_policy.hpp"
#include "config/model/host_endpoint.hpp"
#include "config/model/kind.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/network_policy.hpp"
#include "config/model/network_set.hpp"
#include "config/model/policy.hpp"
#include "config/model/profile.hpp"
#include "config/model/resource.hpp"
#include "config/model/selector.hpp"
#include "config/model/tier.hpp"
#include "config/model/workload_endpoint.hpp"
#include "felix/eval/evaluate.hpp"
#include "felix/eval/packet.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/snapshot.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"
#include "test/felix/accumulator.hpp"
#include "test/felix/builders.hpp"
#include "test/felix/random_objects.hpp"

namespace manul::felix::test {

namespace {

using Objects = std::map<model::Key, model::ResourcePtr>;

bool matches(const std::string& selector, const model::StringMap& labels) {
    return model::Selector::parse(selector)->matches(labels);
}

/// Labels of a namespace or account by their own names: what a namespaceSelector or account selector reads.
model::StringMap stripped(const model::StringMap& labels, const std::string& prefix) {
    model::StringMap out;
    for (const auto& [key, value] : labels) {
        if (key.starts_with(prefix)) {
            out.emplace(key.substr(prefix.size()), value);
        }
    }
    return out;
}

bool is_all(const std::string& selector) { return selector == "all()" || selector.empty(); }

class Naive {
public:
    explicit Naive(const Objects& objects) : objects_(objects) {}

    /// Verdict of section "Evaluation algorithm", read aloud.
    bool allows(const model::WorkloadEndpoint& endpoint, Direction direction, const Packet& packet) const {
        struct Applied {
            std::string tier;
            double order;
            std::string text;
            std::string ns;
            model::PolicySpec spec;
        };
        const auto type = direction == Direction::ingress ? kIngress : kEgress;
        std::vector<Applied> applied;
        for (const auto& [key, resource] : objects_) {
            model::PolicySpec spec;
            std::string kind;
            if (const auto* np = model::as<model::NetworkPolicy>(*resource)) {
                spec = np->spec;
                kind = "NetworkPolicy";
            } else if (const auto* gnp = model::as<model::GlobalNetworkPolicy>(*resource)) {
                spec = gnp->spec;
                kind = "GlobalNetworkPolicy";
                if (gnp->spec.do_not_track || gnp->spec.pre_dnat ||
                    (!gnp->spec.namespace_selector.empty() &&
                     !in_namespaces(gnp->spec.namespace_selector, labels_of(endpoint)))) {
                    continue;
                }
            } else if (const auto* knp = model::as<model::KubernetesNetworkPolicy>(*resource)) {
                spec = model::convert(*knp).spec;
                kind = "KubernetesNetworkPolicy";
            } else {
                continue;
            }
            const model::StringMap labels = labels_of(endpoint);
            if ((!key.ns.empty() && key.ns != endpoint.metadata.ns) || !matches(spec.selector, labels) ||
                (!spec.service_account_selector.empty() && !of_accounts(spec.service_account_selector, labels)) ||
                std::ranges::find(spec.types, type) == spec.types.end()) {
                continue;
            }
            applied.push_back({spec.tier, spec.order.value_or(std::numeric_limits<double>::infinity()),
                               key.name + "/" + key.ns + "/" + kind, key.ns, spec});
        }
        std::ranges::sort(applied, [this](const Applied& a, const Applied& b) {
            return std::tuple(tier_rank(a.tier), a.order, a.text) < std::tuple(tier_rank(b.tier), b.order, b.text);
        });
        for (std::size_t i = 0; i < applied.size();) {
            const std::string tier_name = applied[i].tier;
            std::optional<model::Action> decision;
            for (; i < applied.size() && applied[i].tier == tier_name; ++i) {
                if (!decision) {
                    const auto& rules =
                        direction == Direction::ingress ? applied[i].spec.ingress : applied[i].spec.egress;
                    decision = first_action(rules, applied[i].ns, packet);
                }
            }
            if (decision && *decision != model::Action::pass) {
                return *decision == model::Action::allow;
            }
            if (!decision && !tier_passes(tier_name)) {
                return false;
            }
        }
        for (const std::string& name : endpoint.spec.profiles) {
            if (name.starts_with("kns.")) {
                return namespace_exists(name.substr(4));
            }
            if (name.starts_with("ksa.")) {
                continue;
            }
            const auto found = objects_.find(model::Key{model::Kind::profile, "", name});
            if (found == objects_.end()) {
                return false;
            }
            const auto& spec = model::as<model::Profile>(*found->second)->spec;
            const auto decision =
                first_action(direction == Direction::ingress ? spec.ingress : spec.egress, "", packet);
            if (decision && *decision != model::Action::pass) {
                return *decision == model::Action::allow;
            }
        }
        return false;
    }

private:
    std::tuple<bool, double, std::string> tier_rank(const std::string& name) const {
        if (const auto* built_in = model::built_in_tier(name)) {
            return {false, built_in->order, name};
        }
        const auto found = objects_.find(model::Key{model::Kind::tier, "", name});
        if (found == objects_.end()) {
            return {true, 0, name};
        }
        return {false, *model::as<model::Tier>(*found->second)->spec.order, name};
    }

    bool tier_passes(const std::string& name) const {
        if (const auto* built_in = model::built_in_tier(name)) {
            return built_in->default_action == model::TierDefaultAction::pass;
        }
        const auto found = objects_.find(model::Key{model::Kind::tier, "", name});
        return found != objects_.end() &&
               model::as<model::Tier>(*found->second)->spec.default_action == model::TierDefaultAction::pass;
    }

    bool namespace_exists(const std::string& name) const {
        return std::ranges::any_of(objects_, [&name](const auto& object) {
            return object.first.ns == name ||
                   (object.first.kind == model::Kind::namespace_ && object.first.name == name);
        });
    }

    model::StringMap inherited(const std::string& profile) const {
        model::StringMap out;
        std::string prefix;
        model::Key key{model::Kind::profile, "", profile};
        std::string name;
        if (profile.starts_with("kns.")) {
            name = profile.substr(4);
            prefix = "pcns.";
            key = model::Key{model::Kind::namespace_, "", name};
            if (!namespace_exists(name)) {
                return {};
            }
            out["pcns.kubernetes.io/metadata.name"] = name;
        } else if (profile.starts_with("ksa.")) {
            const auto dot = profile.find('.', 4);
            name = profile.substr(dot + 1);
            prefix = "pcsa.";
            key = model::Key{model::Kind::service_account, profile.substr(4, dot - 4), name};
        }
        if (!prefix.empty()) {
            out[prefix + "projectcalico.org/name"] = name;
        }
        if (const auto found = objects_.find(key); found != objects_.end()) {
            const auto* stored = model::as<model::Profile>(*found->second);
            for (const auto& [k, v] :
                 stored != nullptr ? stored->spec.labels_to_apply : found->second->metadata.labels) {
                out.emplace(prefix + k, v);
            }
        }
        return out;
    }

    model::StringMap labels_of(const model::Resource& resource) const {
        model::StringMap labels = resource.metadata.labels;
        std::vector<std::string> profiles;
        if (!resource.metadata.ns.empty()) {
            labels["projectcalico.org/namespace"] = resource.metadata.ns;
            profiles = {"kns." + resource.metadata.ns};
        }
        if (const auto* pod = model::as<model::WorkloadEndpoint>(resource)) {
            labels["projectcalico.org/orchestrator"] = pod->spec.orchestrator;
            if (!pod->spec.service_account_name.empty()) {
                labels["projectcalico.org/serviceaccount"] = pod->spec.service_account_name;
            }
            profiles = pod->spec.profiles;
        }
        for (const std::string& profile : profiles) {
            labels.merge(inherited(profile));
        }
        return labels;
    }

    static bool in_namespaces(const std::string& selector, const model::StringMap& labels) {
        const bool namespaced = labels.contains("projectcalico.org/namespace");
        if (selector == "global()") {
            return !namespaced;
        }
        return is_all(selector) ? namespaced : matches(selector, stripped(labels, "pcns."));
    }

    static bool of_accounts(const std::string& selector, const model::StringMap& labels) {
        return is_all(selector) ? labels.contains("projectcalico.org/serviceaccount")
                                : matches(selector, stripped(labels, "pcsa."));
    }

    /// What selectors of an entity rule say about one object; `ns` is the policy's.
    bool selected(const model::EntityRule& entity, const std::string& ns, const model::Resource& resource) const {
        const model::StringMap labels = labels_of(resource);
        if (!entity.namespace_selector.empty()) {
            if (!in_namespaces(entity.namespace_selector, labels)) {
                return false;
            }
        } else if (!ns.empty() && resource.metadata.ns != ns) {
            return false;
        }
        if (entity.service_accounts) {
            const auto& [names, selector] = *entity.service_accounts;
            const auto account = labels.find("projectcalico.org/serviceaccount");
            if (account == labels.end() ||
                (!names.empty() && std::ranges::find(names, account->second) == names.end()) ||
                (!selector.empty() && !of_accounts(selector, labels))) {
                return false;
            }
        }
        return matches(entity.selector, labels) &&
               (entity.not_selector.empty() || !matches(entity.not_selector, labels));
    }

    static std::vector<net::Prefix> addresses_of(const model::Resource& resource) {
        if (const auto* pod = model::as<model::WorkloadEndpoint>(resource)) {
            return pod->spec.ip_networks;
        }
        if (const auto* set = model::as<model::NetworkSet>(resource)) {
            return set->spec.nets;
        }
        if (const auto* set = model::as<model::GlobalNetworkSet>(resource)) {
            return set->spec.nets;
        }
        std::vector<net::Prefix> out;
        if (const auto* host = model::as<model::HostEndpoint>(resource)) {
            for (const net::Ip& address : host->spec.expected_ips) {
                out.push_back(net::Prefix::host(address));
            }
        }
        return out;
    }

    bool has_address(const model::Resource& resource, const net::Ip& address) const {
        return std::ranges::any_of(addresses_of(resource),
                                   [&address](const net::Prefix& prefix) { return prefix.contains(address); });
    }

    bool end_matches(const model::EntityRule& entity, const std::string& ns, const model::Rule& rule,
                     const net::Ip& address, std::uint16_t port, net::Protocol protocol) const {
        const auto in = [&address](const net::Prefix& prefix) { return prefix.contains(address); };
        if ((!entity.nets.empty() && std::ranges::none_of(entity.nets, in)) ||
            std::ranges::any_of(entity.not_nets, in)) {
            return false;
        }
        const bool positive = !entity.selector.empty() || !entity.namespace_selector.empty() ||
                              entity.service_accounts || (!ns.empty() && !entity.not_selector.empty());
        if (positive) {
            if (std::ranges::none_of(objects_, [&](const auto& object) {
                    return has_address(*object.second, address) && selected(entity, ns, *object.second);
                })) {
                return false;
            }
        } else if (!entity.not_selector.empty()) {
            if (std::ranges::any_of(objects_, [&](const auto& object) {
                    return has_address(*object.second, address) &&
                           matches(entity.not_selector, labels_of(*object.second));
                })) {
                return false;
            }
        }
        if (entity.ports.empty()) {
            return true;
        }
        return std::ranges::any_of(entity.ports, [&](const model::Port& wanted) {
            if (const auto* range = std::get_if<net::PortRange>(&wanted)) {
                return range->contains(port);
            }
            return std::ranges::any_of(objects_, [&](const auto& object) {
                const auto* pod = model::as<model::WorkloadEndpoint>(*object.second);
                return pod != nullptr && has_address(*pod, address) && (!positive || selected(entity, ns, *pod)) &&
                       std::ranges::any_of(pod->spec.ports, [&](const model::WorkloadEndpointPort& declared) {
                           return declared.name == std::get<std::string>(wanted) && declared.port == port &&
                                  declared.protocol == protocol && (!rule.protocol || *rule.protocol == protocol);
                       });
            });
        });
    }

    std::optional<model::Action> first_action(const std::vector<model::Rule>& rules, const std::string& ns,
                                              const Packet& packet) const {
        for (const model::Rule& rule : rules) {
            if (rule.action != model::Action::log && (!rule.protocol || *rule.protocol == packet.protocol) &&
                end_matches(rule.source, ns, rule, packet.source, *packet.source_port, packet.protocol) &&
                end_matches(rule.destination, ns, rule, packet.destination, *packet.destination_port,
                            packet.protocol)) {
                return rule.action;
            }
        }
        return std::nullopt;
    }

    const Objects& objects_;
};

}  // namespace

TEST_CASE("the graph's verdicts are those of policy read from the resources themselves") {
    const auto seed = GENERATE(range(100U, 112U));
    CAPTURE(seed);
    RandomObjects random(seed);
    World world;
    Objects current;
    for (int step = 0; step < 200; ++step) {
        const model::ResourcePtr object = random.any();
        if (random.below(6) == 0) {
            world.remove(object);
            current.erase(object->key());
        } else {
            world.put(object);
            current.insert_or_assign(object->key(), object);
        }
        if (step % 10 != 0) {
            continue;
        }
        const Naive naive(current);
        const Snapshot& state = world.state();
        for (const auto& [key, resource] : current) {
            const auto* endpoint = model::as<model::WorkloadEndpoint>(*resource);
            const auto told = state.endpoints.find(EndpointKey{EndpointKind::workload, key.ns, key.name});
            if (endpoint == nullptr || told == state.endpoints.end()) {
                continue;
            }
            for (int i = 0; i < 4; ++i) {
                Packet packet = tcp(random.address(), random.address(), random.below(2) == 0 ? 80 : 8080);
                if (random.below(4) == 0) {
                    packet.protocol = net::kUdp;
                }
                const Direction direction = random.below(2) == 0 ? Direction::ingress : Direction::egress;
                CAPTURE(step, key.to_string(), to_string(direction), packet.source.to_string(),
                        packet.destination.to_string(), *packet.destination_port);
                CHECK((evaluate(state, *told->second, direction, packet).verdict == Verdict::allow) ==
                      naive.allows(*endpoint, direction, packet));
            }
        }
    }
}

}  // namespace manul::felix::test
