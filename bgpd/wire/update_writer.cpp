#include "bgpd/wire/update_writer.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.hpp"
#include "bgpd/wire/as_path.hpp"
#include "bgpd/wire/attribute.hpp"
#include "bgpd/wire/message.hpp"
#include "bgpd/wire/nlri.hpp"
#include "bgpd/wire/update.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"
#include "net/scoped.hpp"

namespace manul::bgp::wire {
namespace {

namespace type = attribute_type;

void append(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

/// Canonical attributes for a peer with 2-octet AS numbers; AS4_* come behind (RFC 6793 section 4.2.2).
void write_narrow(ByteView canonical, const auto& before_each, Bytes& out) {
    Bytes path;
    Bytes aggregator;
    ByteView as4_path;
    ByteView as4_aggregator;
    const auto put_as4 = [&] {
        if (!as4_path.empty()) {
            encode_attribute(attribute_info(type::kAs4Path)->flags, type::kAs4Path, as4_path, out);
            as4_path = {};
        }
        if (!as4_aggregator.empty()) {
            encode_attribute(attribute_info(type::kAs4Aggregator)->flags, type::kAs4Aggregator, as4_aggregator, out);
            as4_aggregator = {};
        }
    };
    for (const Attribute& attribute : AttributeRange(canonical)) {
        before_each(attribute.type);
        if (attribute.type > type::kAs4Path) {
            put_as4();
        }
        if (attribute.type == type::kAsPath) {
            if (narrow_as_path(AsPathView(attribute.value), path)) {
                as4_path = attribute.value;
            }
            encode_attribute(attribute.flags, attribute.type, path, out);
        } else if (attribute.type == type::kAggregator) {
            const bool fits = attribute.value[0] == 0 && attribute.value[1] == 0;
            as4_aggregator = fits ? ByteView() : attribute.value;
            ByteWriter writer(aggregator);
            writer.u16(fits ? static_cast<std::uint16_t>(std::uint32_t{attribute.value[2]} << 8U | attribute.value[3])
                            : kAsTrans);
            writer.bytes(attribute.value.subspan(4));
            encode_attribute(attribute.flags, attribute.type, aggregator, out);
        } else {
            append(out, attribute.whole);
        }
    }
    put_as4();
}

}  // namespace

void UpdateWriter::announce(net::Family family, const NextHop& next_hop, ByteView attributes) {
    run_ = Run::announce;
    family_ = family;
    next_hop_ = {net::without_scope(next_hop.address), next_hop.link_local};
    in_body_ = family == net::Family::v4 && next_hop.address.is_v4();
    attributes_ = attributes;
    write_attributes();
}

void UpdateWriter::withdraw(net::Family family) {
    run_ = Run::withdraw;
    family_ = family;
    in_body_ = family == net::Family::v4;
    path_.clear();
}

void UpdateWriter::write_attributes() {
    path_.clear();
    bool next_hop_due = in_body_;
    const auto before_each = [&](unsigned upcoming) {
        if (next_hop_due && upcoming > type::kNextHop) {
            next_hop_due = false;
            encode_attribute(attribute_info(type::kNextHop)->flags, type::kNextHop, next_hop_.address.bytes(), path_);
        }
    };
    if (context_.four_octet_as) {
        std::size_t before = 0;  // NEXT_HOP
        for (const Attribute& attribute : AttributeRange(attributes_)) {
            if (!in_body_ || attribute.type > type::kNextHop) {
                break;
            }
            before += attribute.whole.size();
        }
        append(path_, attributes_.first(before));
        before_each(type::kNextHop + 1U);
        append(path_, attributes_.subspan(before));
    } else {
        write_narrow(attributes_, before_each, path_);
    }
    before_each(type::kNextHop + 1U);
}

void UpdateWriter::begin_update() {
    open_ = true;
    start_ = begin_message(out_, MessageType::update);
    ByteWriter writer(out_);
    writer.u16(0);  // withdrawn routes length, patched at the end of a withdrawal
    if (run_ == Run::withdraw && in_body_) {
        return;
    }
    attributes_at_ = out_.size();
    writer.u16(0);
    if (in_body_) {
        append(out_, path_);
        writer.patch_u16(attributes_at_, static_cast<std::uint16_t>(path_.size()));
        return;
    }
    const bool reach = run_ == Run::announce;
    writer.u8(attribute_flag::kOptional | attribute_flag::kExtendedLength);
    writer.u8(reach ? type::kMpReach : type::kMpUnreach);
    mp_length_at_ = out_.size();
    writer.u16(0);
    const AfiSafi entry = AfiSafi::of(family_);
    writer.u16(entry.afi);
    writer.u8(entry.safi);
    if (reach) {
        const auto address = next_hop_.address.bytes();
        writer.u8(static_cast<std::uint8_t>(address.size() + (next_hop_.link_local ? 16 : 0)));
        writer.bytes(address);
        if (next_hop_.link_local) {
            writer.bytes(next_hop_.link_local->bytes());
        }
        writer.u8(0);
    }
}

void UpdateWriter::end_update() {
    open_ = false;
    ByteWriter writer(out_);
    if (run_ == Run::withdraw && in_body_) {
        writer.patch_u16(start_ + kHeaderSize, static_cast<std::uint16_t>(out_.size() - start_ - kHeaderSize - 2));
        writer.u16(0);
    } else if (!in_body_) {
        writer.patch_u16(mp_length_at_, static_cast<std::uint16_t>(out_.size() - mp_length_at_ - 2));
        append(out_, path_);
        writer.patch_u16(attributes_at_, static_cast<std::uint16_t>(out_.size() - attributes_at_ - 2));
    }
    finish_message(out_, start_);
    ++messages_;
}

bool UpdateWriter::add(const net::Prefix& prefix) {
    std::array<std::uint8_t, 17> encoded{prefix.length()};
    const std::size_t size = encoded_size(prefix);
    std::copy_n(prefix.address().bytes().begin(), size - 1, encoded.begin() + 1);
    return add(ByteView(encoded).first(size));
}

/// In the message at hand, for so many octets of prefixes.
bool UpdateWriter::has_room(std::size_t size) const noexcept {
    // What still follows the prefixes: the attributes behind MP_REACH_NLRI, or the empty attribute section.
    const std::size_t tail = in_body_ ? (run_ == Run::withdraw ? 2 : 0) : path_.size();
    return out_.size() - start_ + size + tail <= context_.max_message;
}

bool UpdateWriter::add_together(ByteView encoded) {
    if (!open_) {
        return add(encoded);
    }
    if (!has_room(encoded.size())) {
        return false;
    }
    append(out_, encoded);
    return true;
}

bool UpdateWriter::add(ByteView encoded) {
    if (open_ && !has_room(encoded.size())) {
        end_update();
    }
    if (!open_) {
        begin_update();
        if (!has_room(encoded.size())) {
            out_.resize(start_);
            open_ = false;
            return false;
        }
    }
    append(out_, encoded);
    return true;
}

void UpdateWriter::finish() {
    if (open_) {
        end_update();
    }
    run_ = Run::none;
}

void UpdateWriter::end_of_rib(net::Family family) {
    withdraw(family);
    begin_update();
    finish();
}

bool encode_announcement(Bytes& out, const WriteContext& context, const NextHop& next_hop, ByteView attributes,
                         std::span<const net::Prefix> prefixes) {
    if (prefixes.empty()) {
        return true;
    }
    UpdateWriter writer(out, context);
    writer.announce(prefixes.front().family(), next_hop, attributes);
    bool fits = true;
    for (const net::Prefix& prefix : prefixes) {
        fits = writer.add(prefix) && fits;
    }
    writer.finish();
    return fits;
}

void encode_withdrawal(Bytes& out, const WriteContext& context, std::span<const net::Prefix> prefixes) {
    if (prefixes.empty()) {
        return;
    }
    UpdateWriter writer(out, context);
    writer.withdraw(prefixes.front().family());
    for (const net::Prefix& prefix : prefixes) {
        static_cast<void>(writer.add(prefix));  // a lone prefix always fits
    }
    writer.finish();
}

}  // namespace manul::bgp::wire
