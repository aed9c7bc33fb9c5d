#include "bgpd/policy/export_rules.hpp"

#include <array>

#include "bgpd/wire/community.hpp"

namespace manul::bgp::policy {

namespace type = wire::attribute_type;
namespace flag = wire::attribute_flag;

bool ExportTarget::same_group(const ExportTarget& other) const noexcept {
    return external == other.external && reflector_client == other.reflector_client && is_node == other.is_node &&
           knows_llgr == other.knows_llgr && role == other.role && next_hop_mode == other.next_hop_mode &&
           local_as == other.local_as && cluster_id == other.cluster_id && self == other.self &&
           self_link_local == other.self_link_local && shared_link == other.shared_link && filters == other.filters;
}

namespace {

bool same(const std::vector<FilterOperation>* a, const std::vector<FilterOperation>* b) {
    return a == b || (a != nullptr && b != nullptr && *a == *b);
}

/// RFC 9234 section 5, egress 1: whom it goes to may pass the route on to customers alone.
bool marks_for_customers(const std::optional<wire::Role>& ours) noexcept {
    return ours == wire::Role::provider || ours == wire::Role::peer || ours == wire::Role::route_server;
}

}  // namespace

bool same_operations(const Operations& a, const Operations& b) {
    return same(a.of_rule, b.of_rule) && same(a.of_marking, b.of_marking);
}

Bytes with_operations(const Operations& operations, ByteView canonical) {
    wire::PathAttributes attributes = wire::decode_attributes(canonical);
    for (const auto* each : {operations.of_rule, operations.of_marking}) {
        if (each != nullptr) {
            apply(*each, attributes);
        }
    }
    Bytes out;
    wire::encode_attributes(attributes, out);
    return out;
}

std::uint32_t local_preference(const wire::AttributeFacts& facts) noexcept {
    return facts.local_pref.value_or(facts.graceful_shutdown ? 0 : kDefaultLocalPref);
}

wire::NextHop export_next_hop(const ExportTarget& target, const SourceTraits& source,
                              const wire::NextHop& received) noexcept {
    const wire::NextHop self{target.self, target.self_link_local};
    // Who takes IPv6 next hops for IPv4 routes takes IPv4 ones, too. A link-local address means nothing beyond its
    // link.
    const bool understood = !(received.address.is_v6() && target.self.is_v4()) && !received.address.is_link_local();
    if (source.kind == SourceKind::local || is_host_route(source.kind) || target.next_hop_mode == NextHopMode::self ||
        !understood) {
        return self;
    }
    if (!target.external) {
        return {received.address, std::nullopt};
    }
    const bool on_shared_link = target.shared_link && target.shared_link->contains(received.address);
    if (target.next_hop_mode == NextHopMode::keep || on_shared_link) {
        return {received.address, std::nullopt};
    }
    return self;
}

namespace {

void append_u32(std::uint8_t flags, std::uint8_t attribute, std::uint32_t value, Bytes& out) {
    const std::array<std::uint8_t, 4> bytes{static_cast<std::uint8_t>(value >> 24U),
                                            static_cast<std::uint8_t>(value >> 16U),
                                            static_cast<std::uint8_t>(value >> 8U), static_cast<std::uint8_t>(value)};
    wire::encode_attribute(flags, attribute, bytes, out);
}

void append(ByteView bytes, Bytes& out) { out.insert(out.end(), bytes.begin(), bytes.end()); }

/// Extended communities of `size` octets that may cross an AS border (RFC 4360 section 6, RFC 5701 section 2).
void append_transitive(const wire::Attribute& attribute, std::size_t size, Bytes& out) {
    Bytes kept;
    for (std::size_t at = 0; at + size <= attribute.value.size(); at += size) {
        if ((attribute.value[at] & 0x40U) == 0) {
            append(attribute.value.subspan(at, size), kept);
        }
    }
    if (!kept.empty()) {
        wire::encode_attribute(attribute.flags, attribute.type, kept, out);
    }
}

void export_external(const ExportTarget& target, const SourceTraits& source, ByteView received, Bytes& out) {
    const bool own = source.kind == SourceKind::local || is_host_route(source.kind);
    const std::uint32_t med = own ? kMedOwn : kMedRelayed;
    bool med_written = false;
    bool otc_due = marks_for_customers(target.role) && !wire::AttributeRange(received).find(type::kOnlyToCustomer);
    for (const wire::Attribute attribute : wire::AttributeRange(received)) {
        if (!med_written && attribute.type >= type::kMed) {
            append_u32(flag::kOptional, type::kMed, med, out);
            med_written = true;
        }
        switch (attribute.type) {
            case type::kAsPath:
                wire::encode_prepended(attribute.flags, wire::AsPathView(attribute.value), target.local_as, out);
                break;
            case type::kMed:
            case type::kLocalPref:
            case type::kOriginatorId:
            case type::kClusterList:
                break;
            case type::kExtendedCommunities:
                append_transitive(attribute, 8, out);
                break;
            case type::kIpv6ExtendedCommunities:
                append_transitive(attribute, 20, out);
                break;
            default:
                if (otc_due && attribute.type > type::kOnlyToCustomer) {
                    append_u32(flag::kOptional | flag::kTransitive, type::kOnlyToCustomer, target.local_as.number(),
                               out);
                    otc_due = false;
                }
                append(attribute.whole, out);
        }
    }
    if (!med_written) {
        append_u32(flag::kOptional, type::kMed, med, out);
    }
    if (otc_due) {
        append_u32(flag::kOptional | flag::kTransitive, type::kOnlyToCustomer, target.local_as.number(), out);
    }
}

void append_cluster_list(std::uint32_t own, ByteView received, Bytes& out) {
    Bytes list;
    ByteWriter(list).u32(own);
    append(received, list);
    wire::encode_attribute(flag::kOptional, type::kClusterList, list, out);
}

/// What internal peers get besides what was received, in order of types.
struct Additions {
    std::optional<std::uint32_t> local_pref;
    std::optional<std::uint32_t> originator_id;
    std::optional<std::uint32_t> cluster_id;

    /// Writes those that stand before `next`.
    void append_before(unsigned next, Bytes& out) {
        if (local_pref && type::kLocalPref < next) {
            append_u32(flag::kTransitive, type::kLocalPref, *local_pref, out);
            local_pref.reset();
        }
        if (originator_id && type::kOriginatorId < next) {
            append_u32(flag::kOptional, type::kOriginatorId, *originator_id, out);
            originator_id.reset();
        }
        if (cluster_id && type::kClusterList < next) {
            append_cluster_list(*cluster_id, {}, out);
            cluster_id.reset();
        }
    }
};

void export_internal(const ExportTarget& target, const SourceTraits& source, std::uint32_t source_router_id,
                     ByteView received, Bytes& out) {
    const bool reflected = source.kind == SourceKind::internal;
    Additions additions;
    additions.local_pref = local_preference(wire::attribute_facts(received));
    if (reflected) {
        additions.originator_id = source_router_id;
        additions.cluster_id = target.cluster_id;
    }
    for (const wire::Attribute attribute : wire::AttributeRange(received)) {
        additions.append_before(attribute.type, out);
        switch (attribute.type) {
            case type::kLocalPref:
                additions.local_pref.reset();
                break;
            case type::kOriginatorId:
                additions.originator_id.reset();
                break;
            case type::kClusterList:
                if (additions.cluster_id) {
                    append_cluster_list(*additions.cluster_id, attribute.value, out);
                    additions.cluster_id.reset();
                    continue;
                }
                break;
            default:
                break;
        }
        append(attribute.whole, out);
    }
    additions.append_before(0x100, out);
}

}  // namespace

void export_attributes(const ExportTarget& target, const SourceTraits& source, std::uint32_t source_router_id,
                       ByteView received, Bytes& out) {
    if (target.external) {
        export_external(target, source, received, out);
    } else {
        export_internal(target, source, source_router_id, received, out);
    }
}

}  // namespace manul::bgp::policy
