#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "config/model/admin_policy.hpp"
#include "config/model/felix_configuration.hpp"
#include "config/model/global_network_policy.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/policy.hpp"
#include "config/model/resource.hpp"
#include "test/felix/verdict/site.hpp"

/// Random changes of the site's cluster, and random packets in it. Names, labels, ports and ranges are few, so that
/// most things have to do with each other. Everything is valid.
namespace manul::felix::test {

class RandomPolicies {
public:
    explicit RandomPolicies(std::uint32_t seed) : engine_(seed) {}

    /// What exists from the beginning: tiers and a profile.
    [[nodiscard]] std::vector<model::ResourcePtr> first();
    /// A new version of some object, mostly of a policy.
    [[nodiscard]] model::ResourcePtr change(const Site& site);

    struct Probe {
        const Party* from;
        const Party* to;
        Shot shot;
    };
    /// Packets no two of which belong to one connection. ICMP types that connection tracking does not take for
    /// beginnings are among them only if `invalid_passes`.
    [[nodiscard]] std::vector<Probe> probes(const Site& site, std::size_t count, bool invalid_passes);

    /// The node's configuration.
    [[nodiscard]] model::ResourcePtr felix_configuration(bool invalid_passes);

    std::size_t below(std::size_t limit) { return engine_() % limit; }
    bool one_in(std::size_t n) { return below(n) == 0; }

private:
    template <class T>
    T pick(const std::vector<T>& from) {
        return from[below(from.size())];
    }
    model::ResourcePtr any_change(const Site& site);
    model::ResourcePtr pod_change(const Site& site);
    model::ResourcePtr network_set_change();
    model::ResourcePtr kubernetes_policy();
    model::ResourcePtr namespaced_policy();
    model::ResourcePtr global_policy();
    void classify(model::GlobalNetworkPolicySpec& spec);
    model::ResourcePtr host_endpoint();
    model::ResourcePtr admin_policy();
    model::ResourcePtr slice();
    model::ResourcePtr other_node();
    model::ResourcePtr tunnelled_pool();
    model::LabelSelector namespace_labels();
    model::AdminSubject subject();
    model::AdminEgressPeer egress_peer();
    std::vector<model::AdminPort> admin_ports();
    std::uint16_t any_port();
    void fill(model::BaselineAdminNetworkPolicySpec& spec, bool may_pass);
    model::ResourcePtr random_tier(const std::string& name);
    model::ResourcePtr random_profile();
    void fill(model::PolicySpec& spec);

    model::StringMap labels();
    std::string selector();
    std::string namespace_selector();
    std::string account_selector();
    std::vector<net::Prefix> nets(net::Family family);
    std::vector<model::Port> ports(bool numbers);
    model::EntityRule entity(net::Family family, bool nets_here, bool ports_here, bool numbers);
    model::Rule rule(model::PolicyType direction);
    std::vector<model::Rule> rules(model::PolicyType direction);
    model::LabelSelector label_selector();
    model::KubernetesPeer peer();
    std::vector<model::KubernetesPeer> peers();
    std::vector<model::KubernetesPort> kubernetes_ports();
    Packet packet(net::Family family, bool invalid_passes);

    std::mt19937 engine_;
};

}  // namespace manul::felix::test
