#include "bgpd/wire/attribute.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "bgpd/wire/as_path.hpp"
#include "bgpd/wire/community.hpp"
#include "bgpd/wire/error.hpp"

namespace manul::bgp::wire {
namespace {

namespace type = attribute_type;
constexpr std::uint8_t kWellKnown = attribute_flag::kTransitive;
constexpr std::uint8_t kOptional = attribute_flag::kOptional;
constexpr std::uint8_t kOptionalTransitive = attribute_flag::kOptional | attribute_flag::kTransitive;

// RFC 7606 section 7 and the RFCs of the attributes. AGGREGATOR has 6 octets from a peer without 4-octet AS numbers,
// which the walk over an UPDATE knows.
constexpr std::array<AttributeInfo, 18> kTable = {{
    {.type = type::kOrigin, .flags = kWellKnown, .name = "ORIGIN", .unit = 1, .most = 1},
    {.type = type::kAsPath, .flags = kWellKnown, .name = "AS_PATH", .may_be_empty = true},
    {.type = type::kNextHop, .flags = kWellKnown, .name = "NEXT_HOP", .unit = 4, .most = 1},
    {.type = type::kMed, .flags = kOptional, .name = "MULTI_EXIT_DISC", .unit = 4, .most = 1},
    {.type = type::kLocalPref, .flags = kWellKnown, .name = "LOCAL_PREF", .unit = 4, .most = 1, .internal_only = true},
    {.type = type::kAtomicAggregate,
     .flags = kWellKnown,
     .name = "ATOMIC_AGGREGATE",
     .must_be_empty = true,
     .may_be_empty = true,
     .verdict = Verdict::discard_attribute},
    {.type = type::kAggregator,
     .flags = kOptionalTransitive,
     .name = "AGGREGATOR",
     .unit = 8,
     .most = 1,
     .verdict = Verdict::discard_attribute},
    {.type = type::kCommunities, .flags = kOptionalTransitive, .name = "COMMUNITIES", .unit = 4},
    {.type = type::kOriginatorId,
     .flags = kOptional,
     .name = "ORIGINATOR_ID",
     .unit = 4,
     .most = 1,
     .internal_only = true},
    {.type = type::kClusterList, .flags = kOptional, .name = "CLUSTER_LIST", .unit = 4, .internal_only = true},
    {.type = type::kMpReach, .flags = kOptional, .name = "MP_REACH_NLRI", .verdict = Verdict::reset},
    {.type = type::kMpUnreach, .flags = kOptional, .name = "MP_UNREACH_NLRI", .verdict = Verdict::reset},
    {.type = type::kExtendedCommunities, .flags = kOptionalTransitive, .name = "EXTENDED_COMMUNITIES", .unit = 8},
    {.type = type::kAs4Path, .flags = kOptionalTransitive, .name = "AS4_PATH", .verdict = Verdict::discard_attribute},
    {.type = type::kAs4Aggregator,
     .flags = kOptionalTransitive,
     .name = "AS4_AGGREGATOR",
     .unit = 8,
     .most = 1,
     .verdict = Verdict::discard_attribute},
    {.type = type::kIpv6ExtendedCommunities,
     .flags = kOptionalTransitive,
     .name = "IPV6_EXTENDED_COMMUNITIES",
     .unit = 20},
    {.type = type::kOnlyToCustomer, .flags = kOptionalTransitive, .name = "ONLY_TO_CUSTOMER", .unit = 4, .most = 1},
    {.type = type::kLargeCommunities, .flags = kOptionalTransitive, .name = "LARGE_COMMUNITY", .unit = 12},
}};

constexpr std::array<std::uint8_t, 256> kIndex = [] {
    std::array<std::uint8_t, 256> index{};
    for (std::size_t i = 0; i < kTable.size(); ++i) {
        index[kTable[i].type] = static_cast<std::uint8_t>(i + 1);
    }
    return index;
}();

std::uint32_t u32_at(ByteView bytes, std::size_t at) {
    return std::uint32_t{bytes[at]} << 24U | std::uint32_t{bytes[at + 1]} << 16U | std::uint32_t{bytes[at + 2]} << 8U |
           bytes[at + 3];
}

void read_well_known(ByteView communities, AttributeFacts& facts) noexcept {
    for (std::size_t at = 0; at + 4 <= communities.size(); at += 4) {
        switch (u32_at(communities, at)) {
            case kNoExport.value:
            case kNoExportSubconfed.value:
                facts.no_export = true;
                break;
            case kNoAdvertise.value:
                facts.no_advertise = true;
                break;
            case kGracefulShutdown.value:
                facts.graceful_shutdown = true;
                break;
            case kLlgrStale.value:
                facts.llgr_stale = true;
                break;
            case kNoLlgr.value:
                facts.no_llgr = true;
                break;
            default:
                break;
        }
    }
}

}  // namespace

const AttributeInfo* attribute_info(std::uint8_t type) noexcept {
    return kIndex[type] == 0 ? nullptr : &kTable[kIndex[type] - 1U];
}

std::string attribute_name(std::uint8_t type) {
    const AttributeInfo* info = attribute_info(type);
    return info != nullptr ? std::string(info->name) : "attribute " + std::to_string(type);
}

std::optional<ByteView> AttributeRange::find(std::uint8_t type) const noexcept {
    for (const Attribute& attribute : *this) {
        if (attribute.type == type) {
            return attribute.value;
        }
        if (attribute.type > type) {
            break;
        }
    }
    return std::nullopt;
}

AttributeFacts attribute_facts(ByteView canonical) noexcept {
    AttributeFacts facts;
    for (const Attribute& attribute : AttributeRange(canonical)) {
        const ByteView value = attribute.value;
        switch (attribute.type) {
            case type::kOrigin:
                facts.origin = static_cast<Origin>(value[0]);
                break;
            case type::kAsPath:
                facts.as_path = AsPathView(value);
                facts.as_path_length = facts.as_path.length();
                if (const auto first = facts.as_path.first()) {
                    facts.neighbour_as = first->number();
                }
                break;
            case type::kMed:
                facts.med = u32_at(value, 0);
                break;
            case type::kLocalPref:
                facts.local_pref = u32_at(value, 0);
                break;
            case type::kOriginatorId:
                facts.originator_id = u32_at(value, 0);
                break;
            case type::kClusterList:
                facts.cluster_list = value;
                break;
            case type::kCommunities:
                facts.communities = value;
                read_well_known(value, facts);
                break;
            case type::kExtendedCommunities:
                facts.extended_communities = value;
                break;
            case type::kOnlyToCustomer:
                facts.only_to_customer = u32_at(value, 0);
                break;
            case type::kLargeCommunities:
                facts.large_communities = value;
                break;
            default:
                break;
        }
    }
    return facts;
}

void encode_with_attribute(ByteView canonical, std::uint8_t flags, std::uint8_t type, ByteView value, Bytes& out) {
    bool due = true;
    for (const Attribute& attribute : AttributeRange(canonical)) {
        if (due && attribute.type > type) {
            encode_attribute(flags, type, value, out);
            due = false;
        }
        out.insert(out.end(), attribute.whole.begin(), attribute.whole.end());
    }
    if (due) {
        encode_attribute(flags, type, value, out);
    }
}

void encode_with_community(ByteView canonical, Community community, Bytes& out) {
    const auto present = AttributeRange(canonical).find(type::kCommunities);
    if (!present) {
        Bytes value;
        ByteWriter(value).u32(community.value);
        return encode_with_attribute(canonical, kOptionalTransitive, type::kCommunities, value, out);
    }
    for (const Attribute& attribute : AttributeRange(canonical)) {
        if (attribute.type != type::kCommunities || contains_community(attribute.value, community)) {
            out.insert(out.end(), attribute.whole.begin(), attribute.whole.end());
            continue;
        }
        Bytes value(attribute.value.begin(), attribute.value.end());
        ByteWriter(value).u32(community.value);
        encode_attribute(attribute.flags, attribute.type, value, out);
    }
}

void encode_prepended(std::uint8_t flags, AsPathView path, net::Asn as, Bytes& out) {
    if (path.bytes().size() + 6 > 255) {  // a new segment takes 6 octets
        Bytes longer;
        prepend_as(path, as, 1, longer);
        return encode_attribute(flags, type::kAsPath, longer, out);
    }
    encode_attribute(flags, type::kAsPath, {}, out);
    const std::size_t at = out.size();
    prepend_as(path, as, 1, out);
    out[at - 1] = static_cast<std::uint8_t>(out.size() - at);
}

void encode_attribute(std::uint8_t flags, std::uint8_t type, ByteView value, Bytes& out) {
    const bool extended = value.size() > 255;
    ByteWriter writer(out);
    writer.u8(extended ? static_cast<std::uint8_t>(flags | attribute_flag::kExtendedLength)
                       : static_cast<std::uint8_t>(flags & ~attribute_flag::kExtendedLength));
    writer.u8(type);
    if (extended) {
        writer.u16(static_cast<std::uint16_t>(value.size()));
    } else {
        writer.u8(static_cast<std::uint8_t>(value.size()));
    }
    writer.bytes(value);
}

}  // namespace manul::bgp::wire
