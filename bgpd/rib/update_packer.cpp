#include "bgpd/rib/update_packer.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

namespace manul::bgp::rib {

template <class Key>
void UpdatePacker<Key>::begin(const policy::ExportTarget& target, const wire::WriteContext& context, GroupId group) {
    target_ = target;
    context_ = context;
    group_ = group;
}

template <class Key>
void UpdatePacker<Key>::announce(Slot slot, AttributeId attributes, SourceId source, policy::Treatment treatment,
                                 std::uint32_t path_id) {
    const bool reads_itself = group_ != 0 && core_.sources[source].groups[family_index(Key::kFamily)] == group_;
    add(slot, path_id,
        {attributes, source, reads_itself ? Chunk::Audience::all_but : Chunk::Audience::everybody, treatment});
}

template <class Key>
void UpdatePacker<Key>::withdraw(Slot slot, Chunk::Audience audience, SourceId peer, std::uint32_t path_id) {
    add(slot, path_id, {kNoAttributes, audience == Chunk::Audience::everybody ? kLocalSource : peer, audience});
}

template <class Key>
void UpdatePacker<Key>::add(Slot slot, std::uint32_t path_id, const Bucket& wanted) {
    if (last_bucket_ >= buckets_.size() || !same(buckets_[last_bucket_], wanted)) {
        last_bucket_ = find_bucket(wanted);
    }
    Bucket& bucket = buckets_[last_bucket_];
    items_.push_back({slot, path_id, 0});
    const auto number = static_cast<std::uint32_t>(items_.size());
    (bucket.last == 0 ? bucket.first : items_[bucket.last - 1].next) = number;
    bucket.last = number;
}

namespace {

std::size_t cell_of(AttributeId attributes, SourceId source, Chunk::Audience audience, policy::Treatment treatment,
                    std::size_t cells) noexcept {
    const std::uint64_t treated = std::uint64_t{treatment.marking} << 32U | treatment.rule;
    const std::uint64_t key = std::uint64_t{attributes.value()} << 32U | std::uint64_t{source.value()} << 8U |
                              static_cast<std::uint64_t>(audience);
    return static_cast<std::size_t>(net::mix(key ^ 0x9e37'79b9'7f4a'7c15U ^ treated, 0xd6e8'feb8'6659'fd93U)) &
           (cells - 1);
}

}  // namespace

namespace {

constexpr std::size_t kPathIdSize = 4;
constexpr std::size_t kLongestKey = 17;

void write_word(std::uint32_t word, std::uint8_t* out) noexcept {
    const std::array<std::uint8_t, 4> octets = {static_cast<std::uint8_t>(word >> 24U),
                                                static_cast<std::uint8_t>(word >> 16U),
                                                static_cast<std::uint8_t>(word >> 8U), static_cast<std::uint8_t>(word)};
    std::memcpy(out, octets.data(), octets.size());
}

/// Writes the prefix as it stands in an UPDATE; returns its size. Up to kLongestKey octets are written over.
std::size_t write_key(const net::PrefixKey4& key, std::uint8_t* out) noexcept {
    out[0] = key.length;
    write_word(key.address, out + 1);
    return 1 + (std::size_t{key.length} + 7) / 8;
}
std::size_t write_key(const net::PrefixKey6& key, std::uint8_t* out) noexcept {
    out[0] = key.length;
    for (std::size_t i = 0; i < 4; ++i) {
        write_word(key.address[i], out + 1 + 4 * i);
    }
    return 1 + (std::size_t{key.length} + 7) / 8;
}

/// Prefixes in a row, into messages as full as they can be. False: there is no room for even one of them in a message.
bool add_one_by_one(wire::UpdateWriter& writer, ByteView prefixes, std::size_t path_id_size) {
    while (!prefixes.empty()) {
        const std::size_t size = path_id_size + 1 + (std::size_t{prefixes[path_id_size]} + 7) / 8;
        if (!writer.add(prefixes.first(size))) {
            return false;
        }
        prefixes = prefixes.subspan(size);
    }
    return true;
}

}  // namespace

/// The number of the bucket, made when absent.
template <class Key>
std::uint32_t UpdatePacker<Key>::find_bucket(const Bucket& wanted) {
    if ((buckets_.size() + 1) * 2 > cells_.size()) {
        grow_cells();
    }
    std::size_t at = cell_of(wanted.attributes, wanted.source, wanted.audience, wanted.treatment, cells_.size());
    for (; cells_[at] != 0; at = (at + 1) & (cells_.size() - 1)) {
        if (same(buckets_[cells_[at] - 1], wanted)) {
            return cells_[at] - 1;
        }
    }
    buckets_.push_back(wanted);
    cells_[at] = static_cast<std::uint32_t>(buckets_.size());
    return cells_[at] - 1;
}

template <class Key>
void UpdatePacker<Key>::grow_cells() {
    cells_.assign(std::max<std::size_t>(16, cells_.size() * 2), 0);
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
        const Bucket& bucket = buckets_[i];
        std::size_t at = cell_of(bucket.attributes, bucket.source, bucket.audience, bucket.treatment, cells_.size());
        while (cells_[at] != 0) {
            at = (at + 1) & (cells_.size() - 1);
        }
        cells_[at] = static_cast<std::uint32_t>(i + 1);
    }
}

/// The prefixes of the bucket, many at a time. False: one does not fit in any message.
template <class Key>
bool UpdatePacker<Key>::write_prefixes(wire::UpdateWriter& writer, const Bucket& bucket) const {
    const std::size_t path_id_size = context_.path_ids ? kPathIdSize : 0;
    std::array<std::uint8_t, 256> encoded;  // NOLINT(cppcoreguidelines-pro-type-member-init): written below
    std::size_t size = 0;
    const auto flush = [&] {
        const ByteView prefixes = ByteView(encoded).first(std::exchange(size, 0));
        return writer.add_together(prefixes) || add_one_by_one(writer, prefixes, path_id_size);
    };
    for (std::uint32_t item = bucket.first; item != 0; item = items_[item - 1].next) {
        const Item& one = items_[item - 1];
        if (size + path_id_size + kLongestKey > encoded.size() && !flush()) {
            return false;
        }
        if (path_id_size != 0) {
            write_word(one.path_id, encoded.data() + size);
        }
        size += path_id_size;
        size += write_key(rib_[one.slot].key(), encoded.data() + size);
    }
    return flush();
}

template <class Key>
void UpdatePacker<Key>::write_withdrawals(wire::UpdateWriter& writer, const Bucket& bucket) {
    writer.withdraw(Key::kFamily);
    static_cast<void>(write_prefixes(writer, bucket));  // a lone prefix always fits
    writer.finish();
}

template <class Key>
void UpdatePacker<Key>::write_announcements(wire::UpdateWriter& writer, const Bucket& bucket) {
    const AttributeSet& set = core_.attributes[bucket.attributes];
    const Source& source = core_.sources[bucket.source];
    attributes_.clear();
    if (const auto operations = policy::operations_of(target_, bucket.treatment); operations.any()) {
        policy::export_attributes(target_, source.traits, source.router_id,
                                  policy::with_operations(operations, set.canonical()), attributes_);
    } else {
        policy::export_attributes(target_, source.traits, source.router_id, set.canonical(), attributes_);
    }
    writer.announce(Key::kFamily,
                    policy::export_next_hop(target_, source.traits, core_.next_hops[set.next_hop].next_hop),
                    attributes_);
    const bool fits = write_prefixes(writer, bucket);
    writer.finish();
    if (!fits) {
        write_withdrawals(writer, bucket);  // RFC 4271 section 9.2: what cannot be said must not be left as it was
    }
}

/// Marks what was written since the part before as this bucket's.
template <class Key>
void UpdatePacker<Key>::end_part(const Bucket& bucket, std::uint32_t messages) {
    const std::uint32_t added = messages - std::exchange(chunk_.messages, messages);
    const auto end = static_cast<std::uint32_t>(chunk_.bytes.size());
    auto& parts = chunk_.parts;
    const SourceId peer = bucket.audience == Chunk::Audience::everybody ? kLocalSource : bucket.source;
    if (!parts.empty() && parts.back().audience == bucket.audience && parts.back().peer == peer) {
        parts.back().end = end;
        parts.back().messages += added;
    } else if (parts.empty() ? end > 0 : end > parts.back().end) {
        parts.push_back({end, bucket.audience, peer, added});
    }
}

template <class Key>
ChunkPtr UpdatePacker<Key>::finish(bool end_of_rib) {
    if (buckets_.empty() && !end_of_rib) {
        return nullptr;
    }
    chunk_.bytes.reserve(std::max<std::size_t>(256, items_.size() * 4 + buckets_.size() * 100));
    wire::UpdateWriter writer(chunk_.bytes, context_);
    chunk_.messages = 0;
    for (const bool withdrawing : {true, false}) {
        for (const Bucket& bucket : buckets_) {
            if ((bucket.attributes == kNoAttributes) == withdrawing) {
                if (withdrawing) {
                    write_withdrawals(writer, bucket);
                } else {
                    write_announcements(writer, bucket);
                }
                end_part(bucket, writer.messages());
            }
        }
    }
    if (end_of_rib) {
        writer.end_of_rib(Key::kFamily);
        end_part(Bucket{}, writer.messages());
    }
    if (chunk_.parts.size() == 1 && chunk_.parts[0].audience == Chunk::Audience::everybody) {
        chunk_.parts.clear();
    }
    items_.clear();
    buckets_.clear();
    cells_.clear();
    last_bucket_ = 0;
    return std::make_shared<const Chunk>(std::exchange(chunk_, Chunk{}));
}

template class UpdatePacker<net::PrefixKey4>;
template class UpdatePacker<net::PrefixKey6>;

}  // namespace manul::bgp::rib
