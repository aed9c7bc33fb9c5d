#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "bgpd/wire/community.hpp"
#include "bgpd/wire/path_attributes.hpp"
#include "net/asn.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"
#include "net/prefix_key.hpp"

/// What people write into a BGPFilter, as plain values, and its evaluation.
///
/// A peer names filters in order; the rules of one direction and family of all of them, one list behind the other, are
/// a FilterProgram. The first rule whose every condition holds decides. When none does, the built-in rules do
/// (export_rules.hpp; on import everything that is not refused for other reasons is accepted). Evaluation depends on
/// its arguments alone, so what a peer was told can always be worked out again.
namespace manul::bgp::policy {

enum class FilterAction : std::uint8_t { accept, reject };
enum class CidrMatch : std::uint8_t { equal, not_equal, in, not_in };
enum class PeerType : std::uint8_t { external, internal };

struct AddCommunity {
    std::variant<wire::Community, wire::LargeCommunity> value;
    bool operator==(const AddCommunity&) const = default;
};
/// The first number of the list ends up first in the path.
struct PrependAsPath {
    std::vector<net::Asn> prefix;
    bool operator==(const PrependAsPath&) const = default;
};
/// The kernel priority; between peers it travels as LOCAL_PREF (see local_pref_of).
struct SetPriority {
    std::uint32_t value = 0;
    bool operator==(const SetPriority&) const = default;
};
using FilterOperation = std::variant<AddCommunity, PrependAsPath, SetPriority>;

/// A condition that is absent always holds.
struct FilterRule {
    FilterAction action = FilterAction::accept;
    /// `in` with a length range: the prefix is inside the cidr, and its length inside the range.
    std::optional<CidrMatch> cidr_match;
    net::Prefix cidr;
    std::optional<std::uint8_t> min_length;  ///< with the other absent: the cidr's own length
    std::optional<std::uint8_t> max_length;  ///< with the other absent: 32 or 128
    bool remote_peers_only = false;          ///< learned from a BGP peer
    std::string interface;                   ///< glob of the outgoing interface's name; empty: any, or none
    std::optional<PeerType> peer_type;       ///< of the session
    std::optional<std::variant<wire::Community, wire::LargeCommunity>> community;
    std::vector<std::uint32_t> as_path_prefix;  ///< the path begins with these
    std::optional<std::uint32_t> priority;      ///< of the kernel route
    std::vector<FilterOperation> operations;    ///< with action accept
    std::string label;                          ///< for people: "filter-name exportV4[2]"

    bool operator==(const FilterRule&) const = default;
};

/// A route as filters see it.
struct FilterRoute {
    ByteView attributes;  ///< canonical
    bool from_peer = false;
    std::string_view interface;  ///< empty: none, or not known
    std::uint32_t priority = 0;  ///< 0: none
};

class FilterProgram {
public:
    FilterProgram() = default;
    explicit FilterProgram(std::vector<FilterRule> rules);

    /// No rule holds.
    static constexpr std::size_t kNoMatch = SIZE_MAX;
    /// The first rule that holds.
    template <class Key>
    [[nodiscard]] std::size_t match(const Key& key, PeerType peer, const FilterRoute& route) const {
        return first_without_condition_ == 0 ? 0 : search(key, peer, route);
    }

    [[nodiscard]] const FilterRule& operator[](std::size_t rule) const noexcept { return rules_[rule]; }
    [[nodiscard]] const std::vector<FilterRule>& rules() const noexcept { return rules_; }
    [[nodiscard]] bool empty() const noexcept { return rules_.empty(); }
    /// match() looks at the route at all; else any will do. Most filters ask for prefixes alone.
    [[nodiscard]] bool asks_for_route() const noexcept { return asks_for_route_; }
    /// The verdict can change with the way to a next hop.
    [[nodiscard]] bool asks_for_interface() const noexcept { return asks_for_interface_; }

    bool operator==(const FilterProgram& other) const { return rules_ == other.rules_; }

private:
    [[nodiscard]] std::size_t search(const net::PrefixKey4& key, PeerType peer, const FilterRoute& route) const;
    [[nodiscard]] std::size_t search(const net::PrefixKey6& key, PeerType peer, const FilterRoute& route) const;
    template <class Key>
    [[nodiscard]] std::size_t first_match(const std::vector<Key>& cidrs, const Key& key, PeerType peer,
                                          const FilterRoute& route) const;

    std::vector<FilterRule> rules_;
    std::vector<net::PrefixKey4> v4_;  ///< the rules' cidrs, by rule
    std::vector<net::PrefixKey6> v6_;
    std::size_t first_without_condition_ = kNoMatch;  ///< rules behind it never decide
    bool asks_for_route_ = false;
    bool asks_for_interface_ = false;
};

using FilterPtr = std::shared_ptr<const FilterProgram>;  ///< null: no rules

/// Everything that the filters of one peer say, by family_index of the tables (0 = IPv4).
struct PeerFilters {
    std::array<FilterPtr, 2> import_rules;
    std::array<FilterPtr, 2> export_rules;

    /// By value.
    bool operator==(const PeerFilters& other) const noexcept;
};

[[nodiscard]] bool same_rules(const FilterPtr& a, const FilterPtr& b) noexcept;

/// Applies the operations in order.
void apply(const std::vector<FilterOperation>& operations, wire::PathAttributes& attributes);
/// Canonical attributes with the operations applied.
[[nodiscard]] Bytes with_operations(const std::vector<FilterOperation>& operations, ByteView canonical);

/// `*` stands for any run of characters; everything else for itself.
[[nodiscard]] bool glob_matches(std::string_view glob, std::string_view text) noexcept;

/// The kernel priority that ordinary routes have.
inline constexpr std::uint32_t kNormalPriority = 1024;
/// Calico's way to carry a kernel priority between nodes: smaller priorities (preferred) are larger LOCAL_PREFs.
[[nodiscard]] constexpr std::uint32_t local_pref_of(std::uint32_t priority) noexcept { return 2147483647U - priority; }
/// And back; a LOCAL_PREF that is not of this form belongs to an ordinary route.
[[nodiscard]] constexpr std::uint32_t priority_of(std::uint32_t local_pref) noexcept {
    constexpr std::uint32_t kHalf = 1U << 30U;
    return local_pref > kHalf && local_pref < 2147483647U ? 2147483647U - local_pref : kNormalPriority;
}

}  // namespace manul::bgp::policy
