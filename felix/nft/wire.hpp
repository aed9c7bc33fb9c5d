#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "felix/render/ruleset.hpp"
#include "net/netlink/message.hpp"

/// Small parts of nf_tables messages, shared by the encoder and the importer. Integers of nf_tables attributes are in
/// network byte order, values in registers and keys as the register holds them.
namespace manul::felix::nft {

/// The kernel replaces %d by a free number.
inline constexpr std::string_view kAnonymousSetName = "__set%d";

void put_u32(netlink::RequestBuffer& out, std::uint16_t type, std::uint32_t value);
void put_u64(netlink::RequestBuffer& out, std::uint16_t type, std::uint64_t value);
/// A nest of `type` with the bytes as NFTA_DATA_VALUE.
void put_value(netlink::RequestBuffer& out, std::uint16_t type, ByteView value);
/// NFTA_DATA_VERDICT with code and chain.
void put_verdict(netlink::RequestBuffer& out, const render::Verdict& verdict);

[[nodiscard]] std::uint32_t big_endian_u32(ByteView bytes) noexcept;

/// nft(8)'s numbers of key types, for its listing; a concatenation has six bits a part.
[[nodiscard]] std::uint32_t key_type(net::Family family, const std::vector<render::Field>& fields) noexcept;
/// Bytes of the whole key, each part padded to four.
[[nodiscard]] std::uint32_t key_length(net::Family family, const std::vector<render::Field>& fields) noexcept;
/// Bytes of one part, without padding.
[[nodiscard]] std::uint32_t field_length(net::Family family, render::Field field) noexcept;

/// Set userdata that tells nft(8) the byte order of the key.
[[nodiscard]] Bytes byte_order_userdata(const std::vector<render::Field>& fields);
/// Rule userdata that nft(8) shows as a comment: `<id> <fingerprint>`, or the fingerprint alone for id 0; 16
/// hexadecimal digits each.
[[nodiscard]] Bytes comment_userdata(std::uint64_t id, std::uint64_t fingerprint);
struct RuleMark {
    std::uint64_t id = 0;
    std::uint64_t fingerprint = 0;
    bool operator==(const RuleMark&) const = default;
};
/// Nothing when the userdata is not of our making.
[[nodiscard]] std::optional<RuleMark> parse_comment_userdata(ByteView userdata) noexcept;

}  // namespace manul::felix::nft
