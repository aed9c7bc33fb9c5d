#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/model/resource.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

/// What NetworkPolicy, GlobalNetworkPolicy and Profile have in common.
namespace manul::model {

enum class Action : std::uint8_t { allow, deny, log, pass };
enum class DenyAction : std::uint8_t { drop, reject };
enum class PolicyType : std::uint8_t { ingress, egress };
enum class PerformanceHint : std::uint8_t { assume_needed_on_every_node };

/// Numbers, or the name of a port that endpoints declare.
using Port = std::variant<net::PortRange, std::string>;

struct IcmpMatch {
    std::optional<std::uint8_t> type;
    std::optional<std::uint8_t> code;

    bool operator==(const IcmpMatch&) const = default;
};

struct ServiceMatch {
    std::string name;
    std::string namespace_;  ///< empty in a NetworkPolicy: the policy's own

    bool operator==(const ServiceMatch&) const = default;
};

struct ServiceAccountMatch {
    std::vector<std::string> names;
    std::string selector;

    bool operator==(const ServiceAccountMatch&) const = default;
};

/// One side of a packet. Every criterion given must hold.
struct EntityRule {
    std::vector<net::Prefix> nets;
    std::vector<net::Prefix> not_nets;
    std::string selector;
    std::string not_selector;
    std::string namespace_selector;
    std::optional<ServiceMatch> services;
    std::vector<Port> ports;
    std::vector<Port> not_ports;
    std::optional<ServiceAccountMatch> service_accounts;  ///< present and empty counts as present

    bool operator==(const EntityRule&) const = default;

    /// Whether nothing is asked for.
    [[nodiscard]] bool empty() const { return *this == EntityRule{}; }
};

/// Exactly one of the two.
struct HttpPath {
    std::optional<std::string> exact;
    std::optional<std::string> prefix;

    bool operator==(const HttpPath&) const = default;
};

struct HttpMatch {
    std::vector<std::string> methods;
    std::vector<HttpPath> paths;

    bool operator==(const HttpMatch&) const = default;
};

struct RuleMetadata {
    StringMap annotations;

    bool operator==(const RuleMetadata&) const = default;
};

struct Rule {
    Action action = Action::deny;
    std::optional<RuleMetadata> metadata;
    std::optional<net::Family> ip_version;
    std::optional<net::Protocol> protocol;
    std::optional<net::Protocol> not_protocol;
    std::optional<IcmpMatch> icmp;
    std::optional<IcmpMatch> not_icmp;
    EntityRule source;
    EntityRule destination;
    std::optional<HttpMatch> http;
    std::optional<DenyAction> deny_action;  ///< Manul
    /// The document has fields in this rule that this version does not know: the rule may be narrower than it looks.
    bool has_unknown_fields = false;

    bool operator==(const Rule&) const = default;
};

inline constexpr const char* kDefaultTier = "default";

struct PolicySpec {
    std::string tier = kDefaultTier;
    std::optional<double> order;    ///< absent: last
    std::string selector;           ///< empty: everything in scope
    std::vector<PolicyType> types;  ///< empty: see effective_types
    std::vector<Rule> ingress;
    std::vector<Rule> egress;
    std::string service_account_selector;
    std::vector<PerformanceHint> performance_hints;
    std::optional<DenyAction> deny_action;  ///< Manul; absent: the tier's

    bool operator==(const PolicySpec&) const = default;
};

/// The directions that a policy covers: as given, else Egress alone when there are only egress rules, both when there
/// are both, otherwise Ingress.
[[nodiscard]] std::vector<PolicyType> effective_types(const PolicySpec& spec);

}  // namespace manul::model
