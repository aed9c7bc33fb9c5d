#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "felix/model/endpoint_key.hpp"
#include "felix/model/host_endpoint.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/shared.hpp"
#include "felix/render/inputs.hpp"
#include "felix/render/ruleset.hpp"
#include "felix/render/ruleset_writer.hpp"

/// Policy of host endpoints, and what pods may do with their node.
///
/// A packet meets these base chains; each exists only while an endpoint has policy there, but for `in_hook`, which is
/// always there. In a packet's order:
///
///   manul_raw  host_in  prerouting -299   untracked ingress: Allow leaves connection tracking out
///   manul_raw  host_out output -299       untracked egress
///   manul_pre  pre_hook prerouting -150   preDNAT: Allow labels the connection, and later stages let it pass
///   manul_h    fwd_in   forward -20       forward ingress  \  an Allow ends this base chain alone: the pod's own
///   manul_h    fwd_out  forward -10       forward egress   /  policy comes after it
///   manul_h    loop_hook forward 10       packets to services' addresses that nobody translated
///   manul_h    in_hook  input 0           pods to their node; normal ingress
///   manul_h    out_hook output 0          normal egress
///   manul_h    post_hook postrouting -150 normal egress of what the node sent and output NAT gave another destination:
///                                         only here its interface is known
///
/// "Untracked" proves nothing by itself, since others may leave packets out of tracking too: the later chains ask the
/// untracked policy again. Chains are named after the place (`ni_`: normal ingress), then as those of workloads are.
namespace manul::felix::render {

class HostChains {
public:
    void put(const Shared<HostEndpoint>& endpoint);
    void remove(const EndpointKey& key);
    /// The content, or the sets, of one of these changed.
    void touch(const PolicyId& policy) { touched_policies_.insert(policy); }
    void touch(const std::string& profile) { touched_profiles_.insert(profile); }
    void touch_everything();
    /// The kinds of tunnels changed.
    void touch_hooks() { structure_changed_ = true; }

    /// A chain is put after those that it names, and removed before them.
    void render(const Inputs& inputs, RulesetWriter& writer);

private:
    using ChainKey = std::pair<TableKey, std::string>;
    class Builder;

    std::map<EndpointKey, Shared<HostEndpoint>> endpoints_;
    std::map<ChainKey, ChainPtr> given_;
    /// Chains of single policies and profiles, and where Pass makes a policy part of its tier's chain: null.
    std::map<ChainKey, ChainPtr> leaves_;
    std::set<PolicyId> touched_policies_;
    std::set<std::string> touched_profiles_;
    bool structure_changed_ = true;
};

}  // namespace manul::felix::render
