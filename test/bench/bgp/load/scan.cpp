#include "test/bench/bgp/load/scan.hpp"

#include "bgpd/wire/attribute.hpp"

namespace manul::bench {

namespace {

namespace type = bgp::wire::attribute_type;
namespace flag = bgp::wire::attribute_flag;

/// AFI and SAFI.
std::optional<net::Family> family_of(ByteReader& reader) {
    const auto afi = reader.u16();
    const auto safi = reader.u8();
    if (!afi || safi != 1 || *afi < 1 || *afi > 2) {
        return std::nullopt;
    }
    return *afi == 1 ? net::Family::v4 : net::Family::v6;
}

bool scan_reach(ByteView value, ScannedUpdate& out) {
    ByteReader reader(value);
    const auto family = family_of(reader);
    const auto next_hop = reader.bytes(reader.u8().value_or(0));
    if (!family || !next_hop || next_hop->size() < 4 || !reader.u8()) {
        return false;
    }
    out.mp_announced_family = *family;
    out.mp_next_hop = next_hop->first(next_hop->size() >= 16 ? 16 : 4);
    out.mp_announced = reader.rest();
    return true;
}

bool scan_unreach(ByteView value, ScannedUpdate& out) {
    ByteReader reader(value);
    const auto family = family_of(reader);
    out.mp_withdrawn_family = family.value_or(net::Family::v6);
    out.mp_withdrawn = reader.rest();
    return family.has_value();
}

bool scan_attributes(ByteView section, ScannedUpdate& out) {
    while (!section.empty()) {
        const std::size_t head = (section[0] & flag::kExtendedLength) != 0 ? 4 : 3;
        if (section.size() < head) {
            return false;
        }
        const std::size_t length = head == 4 ? std::size_t{section[2]} << 8U | section[3] : section[2];
        if (section.size() < head + length) {
            return false;
        }
        const ByteView value = section.subspan(head, length);
        switch (section[1]) {
            case type::kAsPath:
                out.as_path = value;
                break;
            case type::kNextHop:
                out.next_hop = value;
                break;
            case type::kMpReach:
                if (!scan_reach(value, out)) {
                    return false;
                }
                break;
            case type::kMpUnreach:
                if (!scan_unreach(value, out)) {
                    return false;
                }
                break;
            default:
                break;
        }
        section = section.subspan(head + length);
    }
    return true;
}

}  // namespace

std::optional<ScannedUpdate> scan_update(ByteView body) {
    ByteReader reader(body);
    ScannedUpdate found;
    const auto withdrawn_length = reader.u16();
    const auto withdrawn = reader.bytes(withdrawn_length.value_or(0));
    const auto attributes_length = reader.u16();
    const auto attributes = reader.bytes(attributes_length.value_or(0));
    if (!withdrawn_length || !withdrawn || !attributes_length || !attributes || !scan_attributes(*attributes, found)) {
        return std::nullopt;
    }
    found.withdrawn = *withdrawn;
    found.announced = reader.rest();
    return found;
}

}  // namespace manul::bench
