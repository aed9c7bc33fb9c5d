#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "felix/model/address_set.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/rule_id.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

/// What a node must enforce, without a word about how: the values that felix/calc makes of resources, and that
/// felix/render turns into nftables and felix/eval evaluates packet by packet. All of them compare with ==.
namespace manul::felix {

enum class Action : std::uint8_t { allow, deny, log, pass };

/// How a denied packet is answered; absent means the node's configured default.
enum class DenyAction : std::uint8_t { drop, reject };

struct IcmpMatch {
    std::uint8_t type = 0;
    std::optional<std::uint8_t> code;

    bool operator==(const IcmpMatch&) const = default;
};

/// What a rule asks of one end of the packet. Every criterion that is present must hold.
struct EntityMatch {
    std::vector<net::Prefix> nets;      ///< any of them; empty: no criterion
    std::vector<net::Prefix> not_nets;  ///< none of them
    std::vector<SetId> sets;            ///< the address is in every one
    std::vector<SetId> not_sets;        ///< the address is in none

    std::vector<net::PortRange> ports;  ///< any of these or of `named_ports`; both empty: no criterion
    std::vector<SetId> named_ports;     ///< sets of kind ports, looked up with (address, protocol, port) of this end
    std::vector<net::PortRange> not_ports;
    std::vector<SetId> not_named_ports;

    [[nodiscard]] bool has_ports() const noexcept { return !ports.empty() || !named_ports.empty(); }

    bool operator==(const EntityMatch&) const = default;
};

/// Why a rule can match no packet although it is listed (it stays listed so that traces can show it).
enum class Never : std::uint8_t {
    unknown_field,  ///< an Allow or Pass with a field of a newer version: opening on a guess would be wrong
    http,           ///< HTTP criteria are not enforced here, and the rule would be wider than written
    services,       ///< likewise: the rule names no service that could be looked up
};

struct Rule {
    Action action = Action::deny;
    RuleId id;
    std::optional<DenyAction> deny_action;  ///< of the rule, else its policy, else its tier
    std::optional<Never> never;

    std::optional<net::Family> family;
    std::optional<net::Protocol> protocol;
    std::optional<net::Protocol> not_protocol;
    std::optional<IcmpMatch> icmp;      ///< type (and code) equal; only ICMP packets of the packet's family match
    std::optional<IcmpMatch> not_icmp;  ///< not (type equal and code equal); see `not_icmp_needs_icmp()`
    EntityMatch source;
    EntityMatch destination;

    /// Whether any packet of the family can match. False also where a CIDR list, positive or negative, holds nothing of
    /// the family (the rule belongs to the other one then and must not widen into "any"), and where notNets holds
    /// everything. What can not match must not be rendered.
    [[nodiscard]] bool can_match(net::Family family) const noexcept;

    /// A packet that is not ICMP satisfies `not_icmp` unless the rule's protocol is ICMP or ICMPv6.
    [[nodiscard]] bool not_icmp_needs_icmp() const noexcept {
        return protocol == net::kIcmp || protocol == net::kIcmpv6;
    }

    bool operator==(const Rule&) const = default;
};

/// A policy that selects at least one endpoint of this node. Where it stands is told by the endpoints' lists.
struct Policy {
    PolicyId id;
    std::string tier;
    std::optional<double> order;  ///< absent sorts last
    bool has_ingress = false;     ///< `types`: takes part in this direction, with or without rules
    bool has_egress = false;
    std::vector<Rule> ingress;
    std::vector<Rule> egress;

    // Classes of host endpoint policy; a policy with do_not_track or pre_dnat is in no workload endpoint's list.
    bool do_not_track = false;
    bool pre_dnat = false;
    bool apply_on_forward = false;

    [[nodiscard]] bool applies(Direction direction) const noexcept {
        return direction == Direction::ingress ? has_ingress : has_egress;
    }
    [[nodiscard]] const std::vector<Rule>& rules(Direction direction) const noexcept {
        return direction == Direction::ingress ? ingress : egress;
    }

    bool operator==(const Policy&) const = default;
};

/// A profile that an endpoint of this node lists. One that does not exist is here with a single Deny each way
/// (`exists` false), so that it needs no special case.
struct Profile {
    std::string name;
    bool exists = true;
    std::vector<Rule> ingress;
    std::vector<Rule> egress;

    [[nodiscard]] const std::vector<Rule>& rules(Direction direction) const noexcept {
        return direction == Direction::ingress ? ingress : egress;
    }

    bool operator==(const Profile&) const = default;
};

}  // namespace manul::felix
