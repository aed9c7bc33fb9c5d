#include "felix/nft/wire.hpp"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "felix/render/ruleset.hpp"
#include "net/ip.hpp"
#include "net/netlink/message.hpp"

namespace manul::felix::nft {

namespace {

using render::ElementKey;
using render::Field;
using render::Verdict;

// Userdata is a list of type, length, value of one byte each (libnftnl's udata).
constexpr std::uint8_t kRuleComment = 0;
constexpr std::uint8_t kSetKeyByteOrder = 0;
constexpr std::uint32_t kHostOrder = 1;
constexpr std::uint32_t kNetworkOrder = 2;

std::int32_t verdict_code(Verdict::Kind kind) {
    switch (kind) {
        case Verdict::Kind::accept:
            return NF_ACCEPT;
        case Verdict::Kind::drop:
            return NF_DROP;
        case Verdict::Kind::return_to_caller:
            return NFT_RETURN;
        case Verdict::Kind::jump:
            return NFT_JUMP;
        case Verdict::Kind::go_to:
            return NFT_GOTO;
    }
    return NF_DROP;
}

std::uint32_t type_of(net::Family family, Field field) noexcept {
    switch (field) {
        case Field::source_address:
        case Field::destination_address:
            return family == net::Family::v4 ? 7 : 8;
        case Field::protocol:
            return 12;
        case Field::source_port:
        case Field::destination_port:
            return 13;
        case Field::in_interface:
        case Field::out_interface:
            return 41;
        case Field::in_group:
        case Field::out_group:
            return 35;
    }
    return 0;
}

bool in_host_order(Field field) {
    return field == Field::in_group || field == Field::out_group || field == Field::in_interface ||
           field == Field::out_interface;
}

std::optional<std::uint64_t> parse_hex(std::string_view text) noexcept {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

}  // namespace

void put_u32(netlink::RequestBuffer& out, std::uint16_t type, std::uint32_t value) { out.u32(type, htonl(value)); }

void put_u64(netlink::RequestBuffer& out, std::uint16_t type, std::uint64_t value) {
    std::array<std::uint8_t, 8> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<std::uint8_t>(value >> (56U - 8U * i));
    }
    out.bytes(type, bytes);
}

void put_value(netlink::RequestBuffer& out, std::uint16_t type, ByteView value) {
    const auto nest = out.open(type);
    out.bytes(NFTA_DATA_VALUE, value);
    out.close(nest);
}

void put_verdict(netlink::RequestBuffer& out, const Verdict& verdict) {
    const auto nest = out.open(NFTA_DATA_VERDICT);
    put_u32(out, NFTA_VERDICT_CODE, static_cast<std::uint32_t>(verdict_code(verdict.kind)));
    if (!verdict.chain.empty()) {
        out.text(NFTA_VERDICT_CHAIN, verdict.chain);
    }
    out.close(nest);
}

std::uint32_t big_endian_u32(ByteView bytes) noexcept {
    std::uint32_t value = 0;
    for (const std::uint8_t byte : bytes.first(std::min<std::size_t>(bytes.size(), 4))) {
        value = value << 8U | byte;
    }
    return value;
}

std::uint32_t key_type(net::Family family, const std::vector<Field>& fields) noexcept {
    std::uint32_t type = 0;
    for (const Field field : fields) {
        type = type << 6U | type_of(family, field);
    }
    return type;
}

std::uint32_t key_length(net::Family family, const std::vector<Field>& fields) noexcept {
    if (fields.size() == 1) {
        return field_length(family, fields.front());
    }
    std::uint32_t length = 0;
    for (const Field field : fields) {
        length += (field_length(family, field) + 3U) & ~3U;
    }
    return length;
}

std::uint32_t field_length(net::Family family, Field field) noexcept {
    switch (field) {
        case Field::source_address:
        case Field::destination_address:
            return family == net::Family::v4 ? 4 : 16;
        case Field::protocol:
            return 1;
        case Field::source_port:
        case Field::destination_port:
            return 2;
        case Field::in_interface:
        case Field::out_interface:
            return 16;
        case Field::in_group:
        case Field::out_group:
            return 4;
    }
    return 0;
}

Bytes byte_order_userdata(const std::vector<Field>& fields) {
    const std::uint32_t order = in_host_order(fields.front()) ? kHostOrder : kNetworkOrder;
    Bytes data{kSetKeyByteOrder, sizeof(order), 0, 0, 0, 0};
    std::memcpy(data.data() + 2, &order, sizeof(order));
    return data;
}

Bytes comment_userdata(std::uint64_t id, std::uint64_t fingerprint) {
    const std::string text =
        id == 0 ? fmt::format("{:016x}", fingerprint) : fmt::format("{:016x} {:016x}", id, fingerprint);
    Bytes data{kRuleComment, static_cast<std::uint8_t>(text.size() + 1)};
    data.insert(data.end(), text.begin(), text.end());
    data.push_back(0);
    return data;
}

std::optional<RuleMark> parse_comment_userdata(ByteView userdata) noexcept {
    if (userdata.size() < 3 || userdata[0] != kRuleComment || userdata.size() < 2U + userdata[1] || userdata[1] == 0) {
        return std::nullopt;
    }
    const std::string_view text(reinterpret_cast<const char*>(userdata.data() + 2), userdata[1] - 1U);
    if (text.size() == 16) {
        const auto mark = parse_hex(text);
        return mark ? std::optional(RuleMark{0, *mark}) : std::nullopt;
    }
    if (text.size() != 33 || text[16] != ' ') {
        return std::nullopt;
    }
    const auto id = parse_hex(text.substr(0, 16));
    const auto mark = parse_hex(text.substr(17));
    return id && mark ? std::optional(RuleMark{*id, *mark}) : std::nullopt;
}

}  // namespace manul::felix::nft
