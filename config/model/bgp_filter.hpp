#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/model/resource.hpp"
#include "net/asn.hpp"
#include "net/prefix.hpp"

namespace manul::model {

enum class FilterAction : std::uint8_t { accept, reject };
enum class MatchOperator : std::uint8_t { equal, not_equal, in, not_in };
enum class FilterSource : std::uint8_t { remote_peers };
enum class FilterPeerType : std::uint8_t { ebgp, ibgp };

/// Lengths of the prefixes that match; an absent end is the family's.
struct PrefixLengthRange {
    std::optional<std::uint8_t> min;
    std::optional<std::uint8_t> max;

    bool operator==(const PrefixLengthRange&) const = default;
};

struct CommunityMatch {
    std::vector<std::string> values;  ///< exactly one: "aa:nn" or "aa:nn:mm"

    bool operator==(const CommunityMatch&) const = default;
};

struct AddCommunity {
    std::string value;  ///< "aa:nn" or "aa:nn:mm"

    bool operator==(const AddCommunity&) const = default;
};

struct PrependAsPath {
    std::vector<net::Asn> prefix;

    bool operator==(const PrependAsPath&) const = default;
};

struct SetPriority {
    std::uint32_t value = 0;

    bool operator==(const SetPriority&) const = default;
};

/// Exactly one of them.
struct FilterOperation {
    std::optional<AddCommunity> add_community;
    std::optional<PrependAsPath> prepend_as_path;
    std::optional<SetPriority> set_priority;

    bool operator==(const FilterOperation&) const = default;
};

/// Every criterion given must hold.
struct BgpFilterRule {
    FilterAction action = FilterAction::reject;
    std::optional<net::Prefix> cidr;  ///< given exactly when match_operator is
    std::optional<MatchOperator> match_operator;
    std::optional<PrefixLengthRange> prefix_length;
    std::optional<FilterSource> source;
    std::string interface;  ///< outgoing interface of the route; '*' stands for any text
    std::optional<FilterPeerType> peer_type;
    std::optional<CommunityMatch> communities;
    std::vector<net::Asn> as_path_prefix;     ///< the AS path begins with these
    std::optional<std::uint32_t> priority;    ///< metric in the kernel
    std::vector<FilterOperation> operations;  ///< done, in order, when the rule accepts
    bool has_unknown_fields = false;          ///< the rule may be narrower than it looks

    bool operator==(const BgpFilterRule&) const = default;
};

/// The first rule that matches decides; without a match the next filter of the peer is asked.
struct BgpFilterSpec {
    std::vector<BgpFilterRule> export_v4;
    std::vector<BgpFilterRule> import_v4;
    std::vector<BgpFilterRule> export_v6;
    std::vector<BgpFilterRule> import_v6;

    bool operator==(const BgpFilterSpec&) const = default;
};

struct BgpFilter final : ResourceOf<Kind::bgp_filter> {
    BgpFilterSpec spec;
};

}  // namespace manul::model
