#include "bgpd/wire/update.hpp"

#include <algorithm>
#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.hpp"
#include "bgpd/wire/as_path.hpp"
#include "bgpd/wire/attribute.hpp"
#include "bgpd/wire/community.hpp"
#include "bgpd/wire/error.hpp"
#include "bgpd/wire/message.hpp"
#include "bgpd/wire/nlri.hpp"
#include "bgpd/wire/notification.hpp"
#include "net/ip.hpp"

//  +-----------------------------------------------------+
//  |   withdrawn routes length (2 octets)                |
//  +-----------------------------------------------------+
//  |   withdrawn routes (variable, IPv4)                 |
//  +-----------------------------------------------------+
//  |   total path attribute length (2 octets)            |
//  +-----------------------------------------------------+
//  |   path attributes (variable): flags, type, length,  |
//  |   value each                                        |
//  +-----------------------------------------------------+
//  |   network layer reachability information (to the    |
//  |   end, IPv4)                                        |
//  +-----------------------------------------------------+

namespace manul::bgp::wire {
namespace {

namespace type = attribute_type;

/// Most octets of canonical attributes. Numbers of two octets that become four can make more of them than any message
/// carries; with this many there is still room for what is added on the way out (own AS, cluster id, communities).
constexpr std::size_t kMostCanonical = 65'000;

/// Types of mandatory attributes, as data of NOTIFICATION 3/3.
constexpr std::array<std::uint8_t, 6> kTypeOctets = {0, type::kOrigin,   type::kAsPath, type::kNextHop,
                                                     0, type::kLocalPref};

std::uint32_t u32_at(ByteView bytes, std::size_t at) {
    return std::uint32_t{bytes[at]} << 24U | std::uint32_t{bytes[at + 1]} << 16U | std::uint32_t{bytes[at + 2]} << 8U |
           bytes[at + 3];
}

/// An address that a packet can be sent to: not unspecified, not multicast, not of the reserved class E.
bool usable_next_hop(const net::Ip& address) {
    const bool reserved = address.is_v4() && address.v4().value() >= 0xf0000000U;
    return !address.is_unspecified() && !address.is_multicast() && !reserved;
}

/// One decoding of one message.
class Walk {
public:
    Walk(const UpdateContext& context, Update& update, Bytes& canonical, Bytes& scratch)
        : context_(context), update_(update), canonical_(canonical), scratch_(scratch) {}

    void run(ByteView body) {
        ByteReader reader(body);
        const auto withdrawn_length = reader.u16();
        const auto withdrawn = reader.bytes(withdrawn_length.value_or(0));
        const auto attributes_length = reader.u16();
        const auto attributes = reader.bytes(attributes_length.value_or(0));
        if (!withdrawn_length || !withdrawn || !attributes_length || !attributes) {
            return fault(Verdict::reset, update_error::kMalformedAttributeList, 0, {});  // RFC 7606 3 b
        }
        NlriView announced;
        NlriView gone;
        const bool path_ids = context_.add_path.has(net::Family::v4);
        if (!NlriView::check(*withdrawn, net::Family::v4, gone, path_ids) ||
            !NlriView::check(reader.rest(), net::Family::v4, announced, path_ids)) {
            return fault(Verdict::reset, update_error::kInvalidNetworkField, 0, {});  // RFC 7606 5.3
        }
        if (context_.families.has(net::Family::v4)) {
            update_.withdrawn = gone;
            update_.announced = announced;
        }
        walk_attributes(*attributes);
        if (update_.verdict == Verdict::reset) {
            return;
        }
        conclude(gone.empty(), !announced.empty(), !attributes->empty());
    }

private:
    /// Trivial, so that an array of them costs nothing until it is used.
    struct Kept {
        const std::uint8_t* data;
        std::uint16_t size;
        std::uint8_t type;
        std::uint8_t flags;
        std::uint8_t head;  ///< octets before `data` that stand there as canonical bytes do; 0: they are others

        [[nodiscard]] ByteView value() const { return {data, size}; }
        [[nodiscard]] const std::uint8_t* begin() const { return data - head; }
        [[nodiscard]] const std::uint8_t* end() const { return data + size; }
    };

    /// Several errors in one message: the strongest decides; of equals the first is reported (RFC 7606 3 h).
    void fault(Verdict verdict, std::uint8_t subcode, std::uint8_t attribute, ByteView data) {
        if (verdict > update_.verdict) {
            update_.verdict = verdict;
            update_.fault = {subcode, attribute, data};
        }
    }

    void walk_attributes(ByteView section) {
        ByteReader reader(section);
        while (!reader.empty()) {
            const ByteView from = reader.rest();
            const auto flags = reader.u8();
            const auto type = reader.u8();
            std::optional<std::size_t> length;
            if (flags && (*flags & attribute_flag::kExtendedLength) != 0) {
                if (const auto wide = reader.u16()) {
                    length = *wide;
                }
            } else if (const auto narrow = reader.u8()) {
                length = *narrow;
            }
            if (!type || !length || *length > reader.left()) {
                return cut_short(type.value_or(0), from);
            }
            const ByteView value = *reader.bytes(*length);
            attribute(*flags, *type, value, from.first(from.size() - reader.left()));
            if (update_.verdict == Verdict::reset) {
                return;
            }
        }
    }

    /// RFC 7606 section 4: the section's own length still finds the NLRI behind it, but not the prefixes that a cut
    /// attribute has (section 3 j), nor any that attributes behind it may have had (section 5.2).
    void cut_short(std::uint8_t type, ByteView from) {
        const bool multiprotocol = type == type::kMpReach || type == type::kMpUnreach;
        others_than_unreach_ = true;
        fault(multiprotocol ? Verdict::reset : Verdict::treat_as_withdraw, update_error::kMalformedAttributeList, type,
              from);
    }

    void attribute(std::uint8_t flags, std::uint8_t type, ByteView value, ByteView whole) {
        if (seen_[type]) {  // RFC 7606 3 g
            const bool multiprotocol = type == type::kMpReach || type == type::kMpUnreach;
            return fault(multiprotocol ? Verdict::reset : Verdict::discard_attribute,
                         update_error::kMalformedAttributeList, type, {});
        }
        seen_[type] = true;
        others_than_unreach_ = others_than_unreach_ || type != type::kMpUnreach;

        const AttributeInfo* info = attribute_info(type);
        if (info == nullptr) {
            return unknown(flags, type, value, whole);
        }
        if (info->internal_only && !context_.internal) {  // RFC 7606 7.5, 7.9, 7.10
            return fault(Verdict::discard_attribute, update_error::kOptionalAttribute, type, whole);
        }
        if (context_.four_octet_as && (type == type::kAs4Path || type == type::kAs4Aggregator)) {  // RFC 6793 section 6
            return fault(Verdict::discard_attribute, update_error::kOptionalAttribute, type, whole);
        }
        if (((flags ^ info->flags) & (attribute_flag::kOptional | attribute_flag::kTransitive)) != 0) {  // 3 c, 5.3
            const bool multiprotocol = type == type::kMpReach || type == type::kMpUnreach;
            fault(multiprotocol ? Verdict::reset : Verdict::treat_as_withdraw, update_error::kAttributeFlags, type,
                  whole);
        }
        // Whatever else is wrong, the prefixes in these two must be known to withdraw them.
        if (type == type::kMpReach) {
            return mp_reach(value, whole);
        }
        if (type == type::kMpUnreach) {
            return mp_unreach(value, whole);
        }
        if (!length_fits(*info, value.size())) {
            return fault(info->verdict, update_error::kAttributeLength, type, whole);
        }
        if (const std::uint8_t subcode = wrong_value(type, value); subcode != 0) {
            return fault(info->verdict, subcode, type, whole);
        }
        if (type == type::kAs4Path && has_any_set(value)) {  // RFC 9774 section 3, also where AS_PATH alone counts
            return fault(Verdict::treat_as_withdraw, update_error::kMalformedAsPath, type, whole);
        }
        if (type == type::kNextHop) {
            update_.next_hop.address = *net::Ip::from_bytes(value);
            next_hop_ = whole;
            return;
        }
        if (type == type::kLargeCommunities && without_repetitions(value, unique_)) {
            value = unique_;
        }
        const bool passed_on =
            (info->flags & attribute_flag::kOptional) != 0 && (info->flags & attribute_flag::kTransitive) != 0;
        keep(type, passed_on ? info->flags | (flags & attribute_flag::kPartial) : info->flags, value, whole);
    }

    /// RFC 4271 section 5: what nobody here knows is passed on if it is transitive, marked as partial; quietly ignored
    /// if it is not; and an error if its sender holds it for well-known.
    void unknown(std::uint8_t flags, std::uint8_t type, ByteView value, ByteView whole) {
        if ((flags & attribute_flag::kOptional) == 0) {
            return fault(Verdict::reset, update_error::kUnrecognizedWellKnown, type, whole);
        }
        if ((flags & attribute_flag::kTransitive) != 0) {
            keep(type, attribute_flag::kOptional | attribute_flag::kTransitive | attribute_flag::kPartial, value,
                 whole);
        }
    }

    [[nodiscard]] bool length_fits(const AttributeInfo& info, std::size_t length) const {
        if (length == 0 || info.must_be_empty) {
            return length == 0 && info.may_be_empty;
        }
        const bool narrow = info.type == type::kAggregator && !context_.four_octet_as;
        const std::size_t unit = narrow ? 6 : info.unit;
        return unit == 0 || (length % unit == 0 && (info.most == 0 || length / unit <= info.most));
    }

    /// The NOTIFICATION subcode for a value that its attribute cannot have; 0 if it is fine.
    [[nodiscard]] std::uint8_t wrong_value(std::uint8_t type, ByteView value) const {
        switch (type) {
            case type::kOrigin:
                return value[0] > 2 ? update_error::kInvalidOrigin : 0;
            case type::kAsPath:
                return valid_as_path(value, context_.four_octet_as ? 4 : 2) ? 0 : update_error::kMalformedAsPath;
            case type::kAs4Path:
                return valid_as_path(value, 4, Confederations::allowed) ? 0 : update_error::kOptionalAttribute;
            case type::kAggregator:  // AS 0: RFC 7607
                return std::ranges::all_of(value.first(value.size() - 4), [](std::uint8_t b) { return b == 0; })
                           ? update_error::kOptionalAttribute
                           : 0;
            case type::kAs4Aggregator:
                return u32_at(value, 0) != 0 ? 0 : update_error::kOptionalAttribute;
            default:
                return 0;
        }
    }

    /// AFI, SAFI, next hop with its length, a reserved octet, prefixes (RFC 4760 section 3).
    void mp_reach(ByteView value, ByteView whole) {
        ByteReader reader(value);
        const auto afi = reader.u16();
        const auto safi = reader.u8();
        const auto next_hop_length = reader.u8();
        const auto next_hop = reader.bytes(next_hop_length.value_or(0));
        const auto reserved = reader.u8();
        if (!afi || !safi || !next_hop || !reserved) {
            return fault(Verdict::reset, update_error::kOptionalAttribute, type::kMpReach, whole);
        }
        const auto family = AfiSafi{*afi, *safi}.family();
        if (!family || !context_.families.has(*family)) {
            foreign_reach_ = true;
            return;
        }
        const std::size_t size = next_hop->size();
        const bool fits_v6 = (size == 16 || size == 32) && (*family == net::Family::v6 || context_.ipv6_next_hops);
        const bool fits = fits_v6 || (*family == net::Family::v4 && size == 4);
        if (!fits || !NlriView::check(reader.rest(), *family, update_.mp_announced,
                                      context_.add_path.has(*family))) {  // RFC 7606 7.11, 5.3
            return fault(Verdict::reset, update_error::kOptionalAttribute, type::kMpReach, whole);
        }
        NextHop& hop = update_.mp_next_hop;
        hop.address = *net::Ip::from_bytes(next_hop->first(size == 32 ? 16 : size));
        if (size == 32) {
            const net::Ip second = *net::Ip::from_bytes(next_hop->subspan(16));
            if (second.v6().is_link_local()) {
                hop.link_local = second.v6();
            }
            // Peers that have only a link-local address send it as the second one, after :: or after itself.
            if (hop.link_local && (hop.address.is_unspecified() || hop.address.is_link_local())) {
                hop = {*hop.link_local, std::nullopt};
            }
        }
        if (!usable_next_hop(hop.address)) {
            fault(Verdict::treat_as_withdraw, update_error::kInvalidNextHop, type::kMpReach, whole);
        }
    }

    /// AFI, SAFI, prefixes (RFC 4760 section 4).
    void mp_unreach(ByteView value, ByteView whole) {
        ByteReader reader(value);
        const auto afi = reader.u16();
        const auto safi = reader.u8();
        if (!afi || !safi) {
            return fault(Verdict::reset, update_error::kOptionalAttribute, type::kMpUnreach, whole);
        }
        unreach_family_ = AfiSafi{*afi, *safi}.family();
        if (!unreach_family_ || !context_.families.has(*unreach_family_)) {
            unreach_family_.reset();
            return;
        }
        if (!NlriView::check(reader.rest(), *unreach_family_, update_.mp_withdrawn,
                             context_.add_path.has(*unreach_family_))) {
            fault(Verdict::reset, update_error::kOptionalAttribute, type::kMpUnreach, whole);
        }
    }

    /// `whole` is the attribute as received, which ends with `value` unless that was made anew.
    void keep(std::uint8_t type, unsigned flags, ByteView value, ByteView whole) {
        ascending_ = ascending_ && (kept_count_ == 0 || kept_[kept_count_ - 1].type < type);
        const bool is_canonical = whole[0] == (flags | (value.size() > 255 ? attribute_flag::kExtendedLength : 0U)) &&
                                  value.data() + value.size() == whole.data() + whole.size();
        kept_[kept_count_++] = {value.data(), static_cast<std::uint16_t>(value.size()), type,
                                static_cast<std::uint8_t>(flags),
                                static_cast<std::uint8_t>(is_canonical ? whole.size() - value.size() : 0)};
    }

    /// What concerns the message as a whole: End-of-RIB, mandatory attributes, and errors without known prefixes.
    void conclude(bool nothing_withdrawn, bool body_announces, bool has_attributes) {
        const bool empty_body = nothing_withdrawn && !body_announces;
        if (empty_body && !has_attributes) {
            update_.end_of_rib = net::Family::v4;
        } else if (empty_body && unreach_family_ && !others_than_unreach_ && update_.mp_withdrawn.empty()) {
            update_.end_of_rib = unreach_family_;
        }
        const bool reachable = body_announces || !update_.mp_announced.empty();
        if (reachable) {
            for (const std::uint8_t needed : {type::kOrigin, type::kAsPath, type::kNextHop, type::kLocalPref}) {
                if (!seen_[needed] && is_mandatory(needed, body_announces)) {  // RFC 7606 3 d
                    fault(Verdict::treat_as_withdraw, update_error::kMissingWellKnown, needed,
                          std::span(kTypeOctets).subspan(needed, 1));
                }
            }
            // Beside MP_REACH_NLRI alone a NEXT_HOP means nothing (RFC 4760 section 3).
            if (body_announces && !next_hop_.empty() && !usable_next_hop(update_.next_hop.address)) {
                fault(Verdict::treat_as_withdraw, update_error::kInvalidNextHop, type::kNextHop, next_hop_);
            }
        } else if (update_.verdict == Verdict::treat_as_withdraw && others_than_unreach_ && !foreign_reach_) {
            update_.verdict = Verdict::reset;  // RFC 7606 section 5.2: there are routes to withdraw, but which?
        }
        if (update_.verdict < Verdict::treat_as_withdraw &&
            !(update_.announced.empty() && update_.mp_announced.empty())) {
            write_canonical();
        }
        if (too_large_ || canonical_.size() > kMostCanonical) {
            canonical_.clear();
            update_.attributes = {};
            fault(Verdict::treat_as_withdraw, update_error::kMalformedAttributeList, 0, {});
        }
    }

    /// RFC 4271 section 5: NEXT_HOP for routes in the body, LOCAL_PREF from inside (5.1.5).
    [[nodiscard]] bool is_mandatory(std::uint8_t type, bool body_announces) const {
        return type == type::kNextHop ? body_announces : type != type::kLocalPref || context_.needs_local_pref;
    }

    void write_canonical() {
        const std::span<Kept> kept(kept_.data(), kept_count_);
        if (!ascending_) {
            std::ranges::sort(kept, {}, &Kept::type);
        }
        for (std::size_t i = 0; i < kept.size();) {
            const Kept& attribute = kept[i++];
            if (!context_.four_octet_as) {
                write_widened(kept, attribute);
            } else if (attribute.head == 0) {
                encode_attribute(attribute.flags, attribute.type, attribute.value(), canonical_);
            } else {
                const std::uint8_t* end = attribute.end();
                for (; i < kept.size() && kept[i].head != 0 && kept[i].begin() == end; ++i) {
                    end = kept[i].end();
                }
                canonical_.insert(canonical_.end(), attribute.begin(), end);
            }
        }
        update_.attributes = canonical_;
    }

    /// RFC 6793 section 4.2.3: numbers that did not fit in 2 octets come from the AS4_* attributes, unless an
    /// AGGREGATOR shows that a router in between did not know them.
    void write_widened(std::span<const Kept> kept, const Kept& attribute) {
        const auto find = [&](std::uint8_t wanted) -> ByteView {
            const auto at = std::ranges::find(kept, wanted, &Kept::type);
            return at == kept.end() ? ByteView() : at->value();
        };
        const ByteView aggregator = find(type::kAggregator);
        const ByteView aggregator4 = find(type::kAs4Aggregator);
        const bool real_as = !aggregator.empty() && (std::uint32_t{aggregator[0]} << 8U | aggregator[1]) != kAsTrans;
        const bool use_as4 = aggregator4.empty() || !real_as;
        switch (attribute.type) {
            case type::kAsPath:
                scratch_.clear();
                widen_as_path(attribute.value(), use_as4 ? find(type::kAs4Path) : ByteView(), scratch_);
                too_large_ = scratch_.size() > kMostCanonical;  // its length has 16 bits
                if (!too_large_) {
                    encode_attribute(attribute.flags, attribute.type, scratch_, canonical_);
                }
                break;
            case type::kAggregator:
                scratch_.assign({0, 0});
                scratch_.insert(scratch_.end(), attribute.value().begin(), attribute.value().end());
                encode_attribute(attribute.flags, attribute.type,
                                 use_as4 && !aggregator4.empty() ? aggregator4 : ByteView(scratch_), canonical_);
                break;
            case type::kAs4Path:
            case type::kAs4Aggregator:
                break;
            default:
                encode_attribute(attribute.flags, attribute.type, attribute.value(), canonical_);
                break;
        }
    }

    const UpdateContext& context_;
    Update& update_;
    Bytes& canonical_;
    Bytes& scratch_;
    std::bitset<256> seen_;
    // One place for each type; only the first kept_count_ are ever set.
    std::array<Kept, 256> kept_;  // NOLINT(cppcoreguidelines-pro-type-member-init): 4 kB a message for nothing
    std::size_t kept_count_ = 0;
    bool ascending_ = true;
    bool too_large_ = false;  ///< the canonical form would be
    ByteView next_hop_;       ///< the whole attribute
    Bytes unique_;            ///< large communities, each once
    bool others_than_unreach_ = false;
    bool foreign_reach_ = false;  ///< announces a family that is not spoken here
    std::optional<net::Family> unreach_family_;
};

}  // namespace

Notification UpdateFault::notification() const { return {ErrorCode::update, subcode, Bytes(data.begin(), data.end())}; }

Update UpdateDecoder::decode(ByteView body, const UpdateContext& context) {
    canonical_.clear();
    Update update;
    Walk(context, update, canonical_, scratch_).run(body);
    return update;
}

}  // namespace manul::bgp::wire
