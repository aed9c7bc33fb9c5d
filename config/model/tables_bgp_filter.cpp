#include "config/model/bgp_filter.hpp"
#include "config/model/described.hpp"
#include "config/model/field.hpp"
#include "config/model/limits.hpp"

namespace manul::model {

namespace {

constexpr auto kPrefixLengthRange = std::to_array<Field>({
    field<&PrefixLengthRange::min>("min", "Shortest prefix that matches.").range(0, 128),
    field<&PrefixLengthRange::max>("max", "Longest prefix that matches.").range(0, 128),
});
constexpr auto kCommunityMatch = std::to_array<Field>({
    field<&CommunityMatch::values>("values", "The community, aa:nn or aa:nn:mm; exactly one.").items(1),
});
constexpr auto kAddCommunity = std::to_array<Field>({
    field<&AddCommunity::value>("value", "aa:nn or aa:nn:mm.").required(),
});
constexpr auto kPrependAsPath = std::to_array<Field>({
    field<&PrependAsPath::prefix>("prefix", "AS numbers, the first one comes first in the path.").items(10).required(),
});
constexpr auto kSetPriority = std::to_array<Field>({
    field<&SetPriority::value>("value", "Metric in the kernel.").range(1, kMaxRoutePriority).required(),
});
constexpr auto kFilterOperation = std::to_array<Field>({
    field<&FilterOperation::add_community>("addCommunity", "Adds a community."),
    field<&FilterOperation::prepend_as_path>("prependASPath", "Puts AS numbers in front of the AS path."),
    field<&FilterOperation::set_priority>("setPriority", "Sets the metric in the kernel."),
});
constexpr auto kRule = std::to_array<Field>({
    field<&BgpFilterRule::action>("action", "What happens to a route that matches.").required(),
    field<&BgpFilterRule::cidr>("cidr", "Range that the route is compared with; needs matchOperator."),
    field<&BgpFilterRule::match_operator>("matchOperator", "How the route is compared with cidr."),
    field<&BgpFilterRule::prefix_length>("prefixLength", "Lengths of routes that match; needs cidr."),
    field<&BgpFilterRule::source>("source", "RemotePeers: only routes that were learned from peers."),
    field<&BgpFilterRule::interface>("interface", "Outgoing interface of the route; * matches any text."),
    field<&BgpFilterRule::peer_type>("peerType", "Only sessions of this type."),
    field<&BgpFilterRule::communities>("communities", "Only routes with this community."),
    field<&BgpFilterRule::as_path_prefix>("asPathPrefix", "Only routes whose AS path begins with these."),
    field<&BgpFilterRule::priority>("priority", "Only routes with this metric in the kernel.")
        .range(1, kMaxRoutePriority),
    field<&BgpFilterRule::operations>("operations", "What is changed in the route; only with Accept.").items(10),
});
constexpr auto kBgpFilter = std::to_array<Field>({
    field<&BgpFilterSpec::export_v4>("exportV4", "Rules for IPv4 routes to the peer, in order."),
    field<&BgpFilterSpec::import_v4>("importV4", "Rules for IPv4 routes from the peer, in order."),
    field<&BgpFilterSpec::export_v6>("exportV6", "Rules for IPv6 routes to the peer, in order."),
    field<&BgpFilterSpec::import_v6>("importV6", "Rules for IPv6 routes from the peer, in order."),
});

}  // namespace

template <>
constinit const ObjectInfo Described<PrefixLengthRange>::kInfo =
    object<PrefixLengthRange>("BGPFilterPrefixLength", "Lengths of prefixes.", kPrefixLengthRange);
template <>
constinit const ObjectInfo Described<CommunityMatch>::kInfo =
    object<CommunityMatch>("BGPFilterCommunityMatch", "A community.", kCommunityMatch);
template <>
constinit const ObjectInfo Described<AddCommunity>::kInfo =
    object<AddCommunity>("BGPFilterAddCommunity", "A community.", kAddCommunity);
template <>
constinit const ObjectInfo Described<PrependAsPath>::kInfo =
    object<PrependAsPath>("BGPFilterPrependASPath", "The beginning of an AS path.", kPrependAsPath);
template <>
constinit const ObjectInfo Described<SetPriority>::kInfo =
    object<SetPriority>("BGPFilterSetPriority", "A metric.", kSetPriority);
template <>
constinit const ObjectInfo Described<FilterOperation>::kInfo =
    object<FilterOperation>("BGPFilterOperation", "Exactly one of these.", kFilterOperation);
template <>
constinit const ObjectInfo Described<BgpFilterRule>::kInfo =
    object<BgpFilterRule>("BGPFilterRule", "Matches when every given criterion holds.", kRule);
template <>
constinit const ObjectInfo Described<BgpFilterSpec>::kInfo = object<BgpFilterSpec>(
    "BGPFilter", "Which routes go to and come from the peers that name it; the first rule that matches decides.",
    kBgpFilter);

}  // namespace manul::model
