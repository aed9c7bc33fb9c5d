#pragma once

#include <map>
#include <memory>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "config/model/host_endpoint.hpp"
#include "config/model/kind.hpp"
#include "felix/calc/active_policy.hpp"
#include "felix/calc/event.hpp"
#include "felix/calc/sequencer.hpp"

namespace manul::felix {

/// The host endpoints of this node and the interfaces that each stands for.
///
/// An interface belongs to an endpoint that names it, or that names none and expects one of its addresses; of several
/// the one with the lowest name has it. Endpoints named `*` (again, the one with the lowest name) have what is left.
/// Interfaces of workloads belong to nobody.
class LocalHosts {
public:
    using Resource = std::shared_ptr<const model::HostEndpoint>;

    void put(const Resource& resource);
    void remove(const model::Key& key);
    void set_interfaces(InterfaceAddresses interfaces);
    /// Names of interfaces that no host endpoint may have: the beginnings of workloads' names, and others, which are
    /// names or "/patterns/".
    void set_names(const std::vector<std::string>& workload_prefixes, const std::vector<std::string>& excluded);

    /// `changed` are endpoints whose policy lists may differ; keys of workloads among them are passed over.
    void flush(const std::set<model::Key>& changed, ActivePolicies& policies, Sequencer& sequencer);

    /// Endpoints that are not in force as stored, and why.
    [[nodiscard]] std::map<model::Key, std::string> conflicts() const;

private:
    struct Assignment {
        std::map<std::string, model::Key> by_interface;
        std::optional<model::Key> wildcard;
    };

    [[nodiscard]] Assignment assign() const;
    [[nodiscard]] bool is_workload(const std::string& interface) const;
    [[nodiscard]] bool is_excluded(const std::string& interface) const;

    std::map<model::Key, Resource> endpoints_;
    std::map<std::string, std::set<net::Ip>> addresses_;
    std::vector<std::string> workload_prefixes_;
    std::vector<std::string> excluded_texts_;
    std::set<std::string> excluded_names_;
    std::vector<std::regex> excluded_patterns_;
    Assignment assignment_;
    std::set<model::Key> dirty_;
    std::set<model::Key> without_untracked_;  ///< wildcards that untracked policy selects in vain
    bool must_assign_ = false;
};

}  // namespace manul::felix
