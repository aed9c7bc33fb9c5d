#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "config/model/kind.hpp"
#include "config/model/profile.hpp"
#include "config/model/resource.hpp"
#include "felix/calc/address_sets.hpp"
#include "felix/calc/rule_scanner.hpp"
#include "felix/calc/sequencer.hpp"
#include "felix/model/address_set.hpp"
#include "felix/model/policy.hpp"

namespace manul::felix {

/// Profiles: which exist, what labels they pass on, and the rules of those that endpoints of this node list.
///
/// Besides stored ones there is a profile for each namespace (`kns.NAMESPACE`, allows everything) and each service
/// account (`ksa.NAMESPACE.ACCOUNT`, no rules) that pass on the labels of the Namespace or ServiceAccount with a
/// prefix. Nobody stores them: they follow from those objects, and a namespace exists as soon as anything is in it.
/// Stored profiles of those names have no effect.
class Profiles {
public:
    using LabelsChanged = std::function<void(const std::string& profile, const model::StringMap& labels)>;

    /// `labels_changed` is called at once whenever the labels that a profile passes on may have changed (empty: it does
    /// not exist). `sets` outlives this.
    Profiles(AddressSets& sets, LabelsChanged labels_changed)
        : sets_(sets), labels_changed_(std::move(labels_changed)) {}

    void put_profile(const std::string& name, const model::ProfileSpec& spec);
    void remove_profile(const std::string& name);
    void put_namespace(const std::string& name, const model::StringMap& labels);
    void remove_namespace(const std::string& name);
    void put_account(const std::string& ns, const std::string& name, const model::StringMap& labels);
    void remove_account(const std::string& ns, const std::string& name);

    /// Something came into the namespace or went; counted.
    void enter_namespace(const std::string& name);
    void leave_namespace(const std::string& name);

    /// Profiles that an endpoint lists, wherever it is; those of local endpoints are told to the dataplane. Counted.
    void use(const std::vector<std::string>& names, bool local);
    void release(const std::vector<std::string>& names, bool local);

    void flush(Sequencer& sequencer);

    /// Rules that are not enforced as written, by profile.
    [[nodiscard]] const std::map<std::string, std::vector<std::string>>& notes() const noexcept { return notes_; }
    /// Profiles with labels to which another one, that some local endpoint lists before them, gives another value; and
    /// which labels. The endpoint inherits the first.
    [[nodiscard]] std::set<std::pair<std::string, std::string>> clashes() const;

private:
    struct NamespaceRecord {
        bool has_object = false;
        model::StringMap labels;
        std::uint32_t contents = 0;
        std::map<std::string, model::StringMap> accounts;  // ServiceAccount objects

        [[nodiscard]] bool exists() const noexcept { return has_object || contents != 0; }
    };
    struct Uses {
        std::uint32_t all = 0;
        std::uint32_t local = 0;
    };

    void update_namespace(const std::string& name, bool existed);
    void update_account(const std::string& ns, const std::string& name);
    [[nodiscard]] bool namespace_exists(const std::string& name) const;
    Profile build(const std::string& name, std::vector<SetSpec>& sets);

    AddressSets& sets_;
    LabelsChanged labels_changed_;
    std::unordered_map<std::string, NamespaceRecord> namespaces_;
    std::unordered_map<std::string, model::ProfileSpec> stored_;
    std::map<std::string, Uses> uses_;
    std::map<std::vector<std::string>, std::uint32_t> together_;  ///< lists of several stored ones, of local endpoints
    std::unordered_map<std::string, std::vector<SetId>> wanted_sets_;
    std::set<std::string> dirty_;
    std::map<std::string, std::vector<std::string>> notes_;
};

}  // namespace manul::felix
