#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "bgpd/wire/as_path.hpp"
#include "bgpd/wire/community.hpp"
#include "bgpd/wire/error.hpp"

/// Path attributes: the table of those we know, and the canonical byte form in which they are kept.
///
/// Canonical attributes are whole attributes (flags, type, length, value) in ascending order of type, each once, with
/// the flags that the RFCs give (plus the partial bit as received), the extended length bit only where needed, AS
/// numbers of four octets (AS_PATH, AGGREGATOR; AS4_PATH and AS4_AGGREGATOR are merged and gone), and without NEXT_HOP,
/// MP_REACH_NLRI and MP_UNREACH_NLRI. Two sets are equal exactly when their bytes are.
namespace manul::bgp::wire {

namespace attribute_type {
inline constexpr std::uint8_t kOrigin = 1;
inline constexpr std::uint8_t kAsPath = 2;
inline constexpr std::uint8_t kNextHop = 3;
inline constexpr std::uint8_t kMed = 4;
inline constexpr std::uint8_t kLocalPref = 5;
inline constexpr std::uint8_t kAtomicAggregate = 6;
inline constexpr std::uint8_t kAggregator = 7;
inline constexpr std::uint8_t kCommunities = 8;
inline constexpr std::uint8_t kOriginatorId = 9;
inline constexpr std::uint8_t kClusterList = 10;
inline constexpr std::uint8_t kMpReach = 14;
inline constexpr std::uint8_t kMpUnreach = 15;
inline constexpr std::uint8_t kExtendedCommunities = 16;
inline constexpr std::uint8_t kAs4Path = 17;
inline constexpr std::uint8_t kAs4Aggregator = 18;
inline constexpr std::uint8_t kIpv6ExtendedCommunities = 25;  // RFC 5701
inline constexpr std::uint8_t kLargeCommunities = 32;
inline constexpr std::uint8_t kOnlyToCustomer = 35;  // RFC 9234
}  // namespace attribute_type

namespace attribute_flag {
inline constexpr std::uint8_t kOptional = 0x80;
inline constexpr std::uint8_t kTransitive = 0x40;
inline constexpr std::uint8_t kPartial = 0x20;
inline constexpr std::uint8_t kExtendedLength = 0x10;
}  // namespace attribute_flag

enum class Origin : std::uint8_t { igp = 0, egp = 1, incomplete = 2 };

/// What the walk over an UPDATE needs to know about a type.
struct AttributeInfo {
    std::uint8_t type = 0;
    std::uint8_t flags = 0;  ///< required values of the optional and transitive bits
    std::string_view name;   ///< in the RFC's letters: "AS_PATH"
    std::uint8_t unit = 0;   ///< the length is a multiple of this; 0 = any length
    std::uint8_t most = 0;   ///< at most so many units; 0 = no limit
    bool must_be_empty = false;
    bool may_be_empty = false;
    bool internal_only = false;  ///< discarded when an external peer sends it (RFC 7606 sections 7.5, 7.9, 7.10)
    Verdict verdict = Verdict::treat_as_withdraw;  ///< of a wrong length or value
};

/// The table's row; nothing for types that we do not know.
[[nodiscard]] const AttributeInfo* attribute_info(std::uint8_t type) noexcept;
/// "ORIGIN", or "attribute 99".
[[nodiscard]] std::string attribute_name(std::uint8_t type);

/// One attribute of a canonical set.
struct Attribute {
    std::uint8_t flags = 0;
    std::uint8_t type = 0;
    ByteView value;
    ByteView whole;  ///< with flags, type and length
};

/// Walks canonical attributes; the bytes have been validated, so there is no error path.
class AttributeRange {
public:
    class Iterator {
    public:
        constexpr explicit Iterator(ByteView rest) noexcept : rest_(rest) {}
        [[nodiscard]] Attribute operator*() const noexcept {
            const bool extended = (rest_[0] & attribute_flag::kExtendedLength) != 0;
            const std::size_t head = extended ? 4 : 3;
            const std::size_t length = extended ? std::size_t{rest_[2]} << 8U | rest_[3] : rest_[2];
            return {rest_[0], rest_[1], rest_.subspan(head, length), rest_.first(head + length)};
        }
        Iterator& operator++() noexcept {
            rest_ = rest_.subspan((**this).whole.size());
            return *this;
        }
        bool operator==(const Iterator& other) const noexcept { return rest_.size() == other.rest_.size(); }

    private:
        ByteView rest_;
    };

    constexpr explicit AttributeRange(ByteView canonical) noexcept : bytes_(canonical) {}
    [[nodiscard]] Iterator begin() const noexcept { return Iterator(bytes_); }
    [[nodiscard]] Iterator end() const noexcept { return Iterator(bytes_.last(0)); }
    /// Value of the first attribute of the type; nothing if absent.
    [[nodiscard]] std::optional<ByteView> find(std::uint8_t type) const noexcept;

private:
    ByteView bytes_;
};

/// What the decision process and the export rules ask of every route, read in one pass over canonical attributes.
struct AttributeFacts {
    Origin origin = Origin::incomplete;
    AsPathView as_path;
    std::uint32_t as_path_length = 0;
    std::uint32_t neighbour_as = 0;  ///< leftmost AS of a leading sequence; 0 = none (a local or internal route)
    std::optional<std::uint32_t> med;
    std::optional<std::uint32_t> local_pref;
    std::optional<std::uint32_t> originator_id;
    ByteView cluster_list;  ///< 4 octets each
    ByteView communities;   ///< 4 octets each
    ByteView extended_communities;
    ByteView large_communities;
    std::optional<std::uint32_t> only_to_customer;  ///< RFC 9234
    bool no_export = false;                         ///< NO_EXPORT or NO_EXPORT_SUBCONFED
    bool no_advertise = false;                      ///< NO_ADVERTISE
    bool graceful_shutdown = false;                 ///< RFC 8326
    bool llgr_stale = false;                        ///< RFC 9494
    bool no_llgr = false;                           ///< RFC 9494
};
[[nodiscard]] AttributeFacts attribute_facts(ByteView canonical) noexcept;

/// Appends canonical attributes with this community added (also to a COMMUNITIES attribute marked as partial).
void encode_with_community(ByteView canonical, Community community, Bytes& out);
/// Appends canonical attributes with one more, of a type that they do not have.
void encode_with_attribute(ByteView canonical, std::uint8_t flags, std::uint8_t type, ByteView value, Bytes& out);

/// Appends an AS_PATH with `as` put in front of `path`.
void encode_prepended(std::uint8_t flags, AsPathView path, net::Asn as, Bytes& out);
/// Appends one attribute; sets or clears the extended length bit as the value needs.
void encode_attribute(std::uint8_t flags, std::uint8_t type, ByteView value, Bytes& out);

}  // namespace manul::bgp::wire
