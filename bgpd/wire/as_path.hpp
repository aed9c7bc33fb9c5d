#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "net/asn.hpp"

namespace manul::bgp::wire {

enum class SegmentType : std::uint8_t { set = 1, sequence = 2, confed_sequence = 3, confed_set = 4 };

/// A view on an AS_PATH value with 4-octet numbers, as it stands in canonical attributes. The bytes have been
/// validated.
class AsPathView {
public:
    constexpr AsPathView() noexcept = default;
    constexpr explicit AsPathView(ByteView bytes) noexcept : bytes_(bytes) {}

    [[nodiscard]] constexpr ByteView bytes() const noexcept { return bytes_; }
    [[nodiscard]] constexpr bool empty() const noexcept { return bytes_.empty(); }
    /// Length for the decision process: a set counts 1, confederation segments 0 (RFC 4271 9.1.2.2, RFC 5065).
    [[nodiscard]] std::uint32_t length() const noexcept;
    /// How often `as` occurs: the loop check (RFC 4271 section 9), with room for "allowas-in".
    [[nodiscard]] std::uint32_t count(net::Asn as) const noexcept;
    /// The leftmost number when the path starts with a sequence: the neighbour that sent the route.
    [[nodiscard]] std::optional<net::Asn> first() const noexcept;
    [[nodiscard]] bool has_set() const noexcept;
    /// All numbers from left to right, sets included.
    [[nodiscard]] std::vector<std::uint32_t> numbers() const;
    /// "64512 64513 {64514 64515}".
    [[nodiscard]] std::string to_string() const;

private:
    ByteView bytes_;
};

/// Appends `path` with `as` put in front `times` times, as a sequence of at most 255 numbers a segment.
void prepend_as(AsPathView path, net::Asn as, std::size_t times, Bytes& out);

/// Checks segments with numbers of `as_size` (2 or 4) octets: known type, count not 0, no overrun, no AS 0 (RFC 7607),
/// no confederation segments (we are in none). RFC 7606 section 7.2. Those of an AS4_PATH are allowed, since they are
/// left out (RFC 6793 section 6).
enum class Confederations : bool { refused, allowed };
[[nodiscard]] bool valid_as_path(ByteView bytes, std::size_t as_size,
                                 Confederations confederations = Confederations::refused) noexcept;

/// Whether a validated AS4_PATH has numbers without order, inside a confederation or not (RFC 9774).
[[nodiscard]] bool has_any_set(ByteView as4_path) noexcept;

/// Appends a 2-octet path as a 4-octet one. With `as4_path` (a validated AS4_PATH value) the numbers that did not fit
/// are taken from it, as RFC 6793 section 4.2.3 says; its confederation segments are left out, and it is ignored when
/// it is longer than the path.
void widen_as_path(ByteView two_octet, ByteView as4_path, Bytes& out);

/// Appends the path with 2-octet numbers, AS_TRANS for those that do not fit. True when there were any: then the peer
/// also needs an AS4_PATH, which holds the whole path as it is.
bool narrow_as_path(AsPathView path, Bytes& out);

}  // namespace manul::bgp::wire
