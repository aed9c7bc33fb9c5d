#include "bgpd/wire/path_attributes.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "bgpd/wire/as_path.hpp"
#include "bgpd/wire/attribute.hpp"
#include "bgpd/wire/community.hpp"
#include "net/asn.hpp"
#include "net/ip.hpp"

namespace manul::bgp::wire {
namespace {

namespace type = attribute_type;

/// Most octets of a value that something is still added to: its length has 16 bits, and more is added on the way out.
constexpr std::size_t kMostOctets = 65'000;

/// Reads from validated bytes: a value that is there by construction.
class Words {
public:
    explicit Words(ByteView bytes) : reader_(bytes) {}
    [[nodiscard]] bool empty() const { return reader_.empty(); }
    std::uint32_t u32() { return *reader_.u32(); }
    std::uint64_t u64() { return *reader_.u64(); }

private:
    ByteReader reader_;
};

void put_u32(std::uint8_t type, std::uint32_t value, Bytes& out) {
    Bytes bytes;
    ByteWriter(bytes).u32(value);
    encode_attribute(attribute_info(type)->flags, type, bytes, out);
}

/// Writes what is known in ascending order of types, with the opaque ones in between.
class Writer {
public:
    Writer(const std::vector<OpaqueAttribute>& others, Bytes& out)
        : out_(out), next_(others.begin()), end_(others.end()) {}

    void opaque_before(std::uint8_t type) {
        while (next_ != end_ && next_->type < type) {
            encode_attribute(next_->flags, next_->type, next_->value, out_);
            ++next_;
        }
    }
    void put(std::uint8_t type, ByteView value) {
        opaque_before(type);
        encode_attribute(attribute_info(type)->flags, type, value, out_);
    }
    void put(std::uint8_t type, std::uint32_t value) {
        opaque_before(type);
        put_u32(type, value, out_);
    }
    void rest() {
        for (; next_ != end_; ++next_) {
            encode_attribute(next_->flags, next_->type, next_->value, out_);
        }
    }

private:
    Bytes& out_;
    std::vector<OpaqueAttribute>::const_iterator next_;
    std::vector<OpaqueAttribute>::const_iterator end_;
};

}  // namespace

void PathAttributes::prepend(net::Asn as, std::size_t times) {
    Bytes longer;
    prepend_as(path(), as, times, longer);
    if (longer.size() <= kMostOctets) {
        as_path = std::move(longer);
    }
}

bool PathAttributes::has(Community wanted) const noexcept {
    return std::ranges::find(communities, wanted) != communities.end();
}

void PathAttributes::add(Community community) {
    if (!has(community) && 4 * communities.size() < kMostOctets) {
        communities.push_back(community);
    }
}

void PathAttributes::add(LargeCommunity community) {
    if (std::ranges::find(large_communities, community) == large_communities.end() &&
        12 * large_communities.size() < kMostOctets) {
        large_communities.push_back(community);
    }
}

PathAttributes decode_attributes(ByteView canonical) {
    PathAttributes result;
    for (const Attribute& attribute : AttributeRange(canonical)) {
        const ByteView value = attribute.value;
        Words words(value);
        // The partial bit says that some router on the way did not know the attribute; a struct member has no place for
        // it, so such attributes stay as they are.
        const bool plain = (attribute.flags & attribute_flag::kPartial) == 0;
        switch (plain ? attribute.type : 0) {
            case type::kOrigin:
                result.origin = static_cast<Origin>(value[0]);
                break;
            case type::kAsPath:
                result.as_path.assign(value.begin(), value.end());
                break;
            case type::kMed:
                result.med = words.u32();
                break;
            case type::kLocalPref:
                result.local_pref = words.u32();
                break;
            case type::kAtomicAggregate:
                result.atomic_aggregate = true;
                break;
            case type::kAggregator: {
                const std::uint32_t as = words.u32();
                result.aggregator = Aggregator{as, net::Ip4(words.u32())};
                break;
            }
            case type::kCommunities:
                while (!words.empty()) {
                    result.communities.push_back({words.u32()});
                }
                break;
            case type::kOriginatorId:
                result.originator_id = words.u32();
                break;
            case type::kClusterList:
                while (!words.empty()) {
                    result.cluster_list.push_back(words.u32());
                }
                break;
            case type::kExtendedCommunities:
                while (!words.empty()) {
                    result.extended_communities.push_back({words.u64()});
                }
                break;
            case type::kLargeCommunities:
                while (!words.empty()) {
                    const std::uint32_t global = words.u32();
                    const std::uint32_t local1 = words.u32();
                    result.large_communities.push_back({global, local1, words.u32()});
                }
                break;
            default:
                result.others.push_back({static_cast<std::uint8_t>(attribute.flags & ~attribute_flag::kExtendedLength),
                                         attribute.type, Bytes(value.begin(), value.end())});
                break;
        }
    }
    return result;
}

void encode_attributes(const PathAttributes& attributes, Bytes& out) {
    Writer writer(attributes.others, out);
    Bytes value;
    const auto list = [&](std::uint8_t type, const auto& items, auto&& put) {
        if (!items.empty()) {
            value.clear();
            ByteWriter bytes(value);
            for (const auto& item : items) {
                put(bytes, item);
            }
            writer.put(type, value);
        }
    };
    const auto origin = static_cast<std::uint8_t>(attributes.origin);
    writer.put(type::kOrigin, ByteView(&origin, 1));
    writer.put(type::kAsPath, ByteView(attributes.as_path));
    if (attributes.med) {
        writer.put(type::kMed, *attributes.med);
    }
    if (attributes.local_pref) {
        writer.put(type::kLocalPref, *attributes.local_pref);
    }
    if (attributes.atomic_aggregate) {
        writer.put(type::kAtomicAggregate, ByteView());
    }
    if (attributes.aggregator) {
        value.clear();
        ByteWriter(value).u32(attributes.aggregator->as);
        ByteWriter(value).u32(attributes.aggregator->address.value());
        writer.put(type::kAggregator, ByteView(value));
    }
    list(type::kCommunities, attributes.communities, [](ByteWriter& to, Community item) { to.u32(item.value); });
    if (attributes.originator_id) {
        writer.put(type::kOriginatorId, *attributes.originator_id);
    }
    list(type::kClusterList, attributes.cluster_list, [](ByteWriter& to, std::uint32_t item) { to.u32(item); });
    list(type::kExtendedCommunities, attributes.extended_communities,
         [](ByteWriter& to, ExtendedCommunity item) { to.u64(item.value); });
    list(type::kLargeCommunities, attributes.large_communities, [](ByteWriter& to, const LargeCommunity& item) {
        to.u32(item.global);
        to.u32(item.local1);
        to.u32(item.local2);
    });
    writer.rest();
}

}  // namespace manul::bgp::wire
