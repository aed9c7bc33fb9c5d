#pragma once

#include <cstdint>
#include <vector>

#include "bgpd/policy/export_rules.hpp"
#include "bgpd/rib/chunk.hpp"
#include "bgpd/rib/loc_rib.hpp"
#include "bgpd/wire/update_writer.hpp"

namespace manul::bgp::rib {

/// Collects routes for the readers of one update group and encodes them once: withdrawals first, then announcements,
/// prefixes with one attribute set together however shuffled they came. Announcements of a path are marked as not for
/// the peer that it came from.
template <class Key>
class UpdatePacker {
public:
    UpdatePacker(const RibCore& core, const LocRib<Key>& rib) : core_(core), rib_(rib) {}

    /// Begins a chunk for peers with this target. `group`: peers of it never see their own paths; 0 = the chunk is for
    /// a single reader, whom the caller has already taken into account.
    void begin(const policy::ExportTarget& target, const wire::WriteContext& context, GroupId group);
    /// `treatment`: whose operations change the attributes.
    void announce(Slot slot, AttributeId attributes, SourceId source, policy::Treatment treatment = {},
                  std::uint32_t path_id = 0);
    void withdraw(Slot slot, Chunk::Audience audience, SourceId peer, std::uint32_t path_id = 0);
    /// The chunk; null when nothing was collected and no End-of-RIB is wanted.
    [[nodiscard]] ChunkPtr finish(bool end_of_rib = false);

private:
    /// Routes that can share messages.
    struct Bucket {
        AttributeId attributes;  ///< kNoAttributes: withdrawals
        SourceId source;         ///< of the path; for withdrawals the peer of the audience
        Chunk::Audience audience = Chunk::Audience::everybody;
        policy::Treatment treatment;
        std::uint32_t first = 0;  ///< item, plus 1
        std::uint32_t last = 0;
    };
    struct Item {
        Slot slot;
        std::uint32_t path_id;
        std::uint32_t next;  ///< plus 1
    };

    void add(Slot slot, std::uint32_t path_id, const Bucket& wanted);
    [[nodiscard]] std::uint32_t find_bucket(const Bucket& wanted);
    [[nodiscard]] static bool same(const Bucket& a, const Bucket& b) noexcept {
        return a.attributes == b.attributes && a.source == b.source && a.audience == b.audience &&
               a.treatment == b.treatment;
    }
    void grow_cells();
    void write_withdrawals(wire::UpdateWriter& writer, const Bucket& bucket);
    void write_announcements(wire::UpdateWriter& writer, const Bucket& bucket);
    void end_part(const Bucket& bucket, std::uint32_t messages);
    [[nodiscard]] bool write_prefixes(wire::UpdateWriter& writer, const Bucket& bucket) const;

    const RibCore& core_;
    const LocRib<Key>& rib_;
    policy::ExportTarget target_;
    wire::WriteContext context_;
    GroupId group_ = 0;
    std::vector<Item> items_;
    std::vector<Bucket> buckets_;
    std::vector<std::uint32_t> cells_;  ///< hash index of buckets, number plus 1
    std::uint32_t last_bucket_ = 0;
    Chunk chunk_;
    Bytes attributes_;
};

extern template class UpdatePacker<net::PrefixKey4>;
extern template class UpdatePacker<net::PrefixKey6>;

}  // namespace manul::bgp::rib
