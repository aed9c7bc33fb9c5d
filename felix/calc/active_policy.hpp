#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.hpp"
#include "config/model/kind.hpp"
#include "config/model/resource.hpp"
#include "config/model/selector.hpp"
#include "config/model/tier.hpp"
#include "felix/calc/address_sets.hpp"
#include "felix/calc/endpoint_classes.hpp"
#include "felix/calc/identity.hpp"
#include "felix/calc/label_index.hpp"
#include "felix/calc/policy_order.hpp"
#include "felix/calc/policy_source.hpp"
#include "felix/calc/rule_scanner.hpp"
#include "felix/calc/sequencer.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/host_endpoint.hpp"
#include "felix/model/policy_id.hpp"

namespace manul::felix {

/// Which policies apply to which endpoints of this node.
///
/// Of most policies in the cluster only the selector is known. One that matches a local endpoint is active: its rules
/// are read, the address sets they mention are requested, and it is sent to the dataplane. Rules are read at the next
/// flush, so a policy that is added and removed in between costs nothing.
class ActivePolicies {
public:
    /// `sets` outlives this.
    explicit ActivePolicies(AddressSets& sets) noexcept : sets_(sets) {}

    /// The resource is a policy. Fails when one of its selectors does not parse; nothing has changed then.
    Result<void> put_policy(const model::ResourcePtr& resource);
    void remove_policy(const PolicyId& id);
    void put_tier(const std::string& name, const model::TierSpec& spec);
    void remove_tier(const std::string& name);

    void put_endpoint(const model::Key& key, const Identity& identity);
    void remove_endpoint(const model::Key& key);
    void set_parent_labels(const std::string& parent, const model::StringMap& labels);

    /// Sends policies that became active, changed or are no longer needed, and lists that whole classes of workloads
    /// now have instead of others; returns the other endpoints whose lists may have changed since the last call.
    std::set<model::Key> flush(Sequencer& sequencer);
    /// The lists of a workload of this node, as of the last flush.
    [[nodiscard]] std::shared_ptr<const EndpointLists> lists(const model::Key& endpoint) const {
        return classes_.lists(endpoints_.at(endpoint));
    }
    /// The lists of a host endpoint of this node.
    [[nodiscard]] std::array<HostEndpoint::Lists, 4> host_lists(const model::Key& endpoint);

    /// Rules that are not enforced as written, by policy.
    [[nodiscard]] const std::map<PolicyId, std::vector<std::string>>& notes() const noexcept { return notes_; }

private:
    struct PolicyRecord {
        model::ResourcePtr resource;
        PolicyPlace place;
        std::optional<model::Selector> selector;  // nothing: on its way out
        SelectorId selector_id;                   // valid while there is a selector
        bool needed_everywhere = false;
        std::size_t endpoints = 0;  // that it selects
        std::vector<SetId> sets;    // wanted for it
        bool sent = false;          // to the dataplane

        [[nodiscard]] bool is_active() const noexcept { return selector && (needed_everywhere || endpoints != 0); }
    };

    void apply(const MatchChanges& changes);
    [[nodiscard]] std::vector<const PolicyPlace*> places(std::span<const SelectorId> selectors) const;
    void select(PolicyRecord& record, std::optional<model::Selector> selector);
    void touch_endpoints(const PolicyRecord& record);
    void note(ItemId item);
    void touch_tier(const std::string& name);
    void tell(PolicyRecord& record, Sequencer& sequencer);
    void forget(PolicyRecord& record, Sequencer& sequencer);
    [[nodiscard]] static ScannedPolicy deny_all(const PolicySource& source, const std::string& reason);

    AddressSets& sets_;
    PolicyOrder order_;
    LabelIndex index_;  // local endpoints and the selectors of policies
    std::map<PolicyId, PolicyRecord> policies_;
    std::vector<PolicyRecord*> by_selector_;  // by number
    std::unordered_map<model::Key, ItemId> endpoints_;
    std::vector<std::optional<model::Key>> endpoint_keys_;  // by item number
    std::set<PolicyId> dirty_policies_;
    std::set<model::Key> dirty_endpoints_;
    std::set<ItemId> hosts_;
    EndpointClasses classes_{index_};  // of the workloads
    std::map<PolicyId, std::vector<std::string>> notes_;
};

}  // namespace manul::felix
