#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "bgpd/wire/as_path.hpp"
#include "bgpd/wire/attribute.hpp"
#include "bgpd/wire/community.hpp"
#include "net/asn.hpp"
#include "net/ip.hpp"

namespace manul::bgp::wire {

/// RFC 4271 section 5.1.7.
struct Aggregator {
    std::uint32_t as = 0;
    net::Ip4 address;
    bool operator==(const Aggregator&) const = default;
};

/// One that we do not interpret but may have to pass on.
struct OpaqueAttribute {
    std::uint8_t flags = 0;  ///< without the extended length bit
    std::uint8_t type = 0;
    Bytes value;
    bool operator==(const OpaqueAttribute&) const = default;
};

/// Canonical attributes as a value that can be changed: for policy, origination and display, not for the path of a
/// received route. `encode_attributes(decode_attributes(x)) == x` for canonical x.
struct PathAttributes {
    Origin origin = Origin::igp;
    Bytes as_path;  ///< segments with 4-octet numbers, see AsPathView
    std::optional<std::uint32_t> med;
    std::optional<std::uint32_t> local_pref;
    bool atomic_aggregate = false;
    std::optional<Aggregator> aggregator;
    std::vector<Community> communities;
    std::optional<std::uint32_t> originator_id;
    std::vector<std::uint32_t> cluster_list;
    std::vector<ExtendedCommunity> extended_communities;
    std::vector<LargeCommunity> large_communities;
    std::vector<OpaqueAttribute> others;  ///< ascending types

    [[nodiscard]] AsPathView path() const noexcept { return AsPathView(as_path); }
    void prepend(net::Asn as, std::size_t times = 1);
    [[nodiscard]] bool has(Community wanted) const noexcept;
    /// Adds what is not there yet.
    void add(Community community);
    void add(LargeCommunity community);

    bool operator==(const PathAttributes&) const = default;
};

[[nodiscard]] PathAttributes decode_attributes(ByteView canonical);
/// Appends the canonical form. AS_PATH and ORIGIN are always written.
void encode_attributes(const PathAttributes& attributes, Bytes& out);

}  // namespace manul::bgp::wire
