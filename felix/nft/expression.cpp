#include "felix/nft/expression.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "felix/nft/wire.hpp"
#include "felix/render/ruleset.hpp"
#include "net/ip.hpp"
#include "net/netlink/message.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

namespace manul::felix::nft {

namespace {

using netlink::RequestBuffer;
using render::Element;
using render::ElementKey;
using render::Field;
using render::Match;
using render::MatchInterface;
using render::Side;

// nft(8)'s type numbers for anonymous sets, beside those of key fields.
constexpr std::uint32_t kIcmpType = 14;
constexpr std::uint32_t kIcmpv6Type = 29;

constexpr std::uint32_t kIcmpHeaderTypeAndCode = 2;  // bytes: type and code stand first and side by side
constexpr std::uint32_t kTcpFlagsOffset = 13;
constexpr std::uint8_t kTcpSyn = 2;

template <class T>
std::array<std::uint8_t, sizeof(T)> host_bytes(T value) {
    return std::bit_cast<std::array<std::uint8_t, sizeof(T)>>(value);
}

std::array<std::uint8_t, 2> port_bytes(std::uint16_t port) {
    return {static_cast<std::uint8_t>(port >> 8U), static_cast<std::uint8_t>(port)};
}

/// Labels are a field of 128 bits, counted from the first byte's lowest.
constexpr std::size_t kLabelSize = 16;
std::array<std::uint8_t, kLabelSize> label_bytes(std::uint8_t bit) {
    std::array<std::uint8_t, kLabelSize> bytes{};
    bytes[bit / 8U] = static_cast<std::uint8_t>(1U << bit % 8U);
    return bytes;
}

Element port_element(const net::PortRange& range) {
    return {ElementKey::from_bytes(port_bytes(range.first())), ElementKey::from_bytes(port_bytes(range.last())), {}};
}

ValueList address_list(net::Family family, const render::MatchAddress& match) {
    const std::vector<Field> field{Field::source_address};
    ValueList list{key_type(family, field), key_length(family, field), false, {}};
    list.ranges = !std::ranges::all_of(match.prefixes, [](const net::Prefix& p) { return p.is_host(); });
    if (list.ranges) {
        list.elements = render::ranges_of(match.prefixes);
    } else {
        for (const net::Prefix& host : match.prefixes) {
            list.elements.push_back({ElementKey(host.address()), {}, {}});
        }
    }
    return list;
}

ValueList port_list(net::Family family, const render::MatchPort& match) {
    const std::vector<Field> field{Field::source_port};
    ValueList list{key_type(family, field), key_length(family, field), false, {}};
    list.ranges = !std::ranges::all_of(match.ports, [](const net::PortRange& r) { return r.first() == r.last(); });
    std::ranges::transform(match.ports, std::back_inserter(list.elements), port_element);
    return list;
}

ValueList icmp_list(net::Family family, const render::MatchIcmpTypes& match) {
    ValueList list{family == net::Family::v4 ? kIcmpType : kIcmpv6Type, 1, false, {}};
    for (const std::uint8_t type : match.types) {
        list.elements.push_back({ElementKey::from_bytes(std::array{type}), {}, {}});
    }
    return list;
}

/// Writes one rule's expressions. Single fields go through the first 16-byte register, as nft(8) does; parts of a
/// concatenation through the four-byte registers that overlay it.
class Writer {
public:
    Writer(RequestBuffer& out, net::Family family, std::span<const std::uint32_t> anonymous,
           const CounterValue& counted)
        : out_(out), family_(family), anonymous_(anonymous), counted_(counted) {}

    void write(const Match& match) {
        std::visit([this](const auto& m) { add(m); }, match);
    }
    void write(const render::Action& action) {
        std::visit([this](const auto& a) { add(a); }, action);
    }

private:
    template <class Content>
    void expression(std::string_view expression_name, Content content) {
        const auto element = out_.open(NFTA_LIST_ELEM);
        out_.text(NFTA_EXPR_NAME, expression_name);
        const auto data = out_.open(NFTA_EXPR_DATA);
        content();
        out_.close(data);
        out_.close(element);
    }
    void u32(std::uint16_t type, std::uint32_t value) { put_u32(out_, type, value); }

    void meta(std::uint32_t key, std::uint32_t target = NFT_REG_1) {
        expression("meta", [&] {
            u32(NFTA_META_KEY, key);
            u32(NFTA_META_DREG, target);
        });
    }
    void payload(std::uint32_t base, std::uint32_t offset, std::uint32_t length, std::uint32_t target = NFT_REG_1) {
        expression("payload", [&] {
            u32(NFTA_PAYLOAD_DREG, target);
            u32(NFTA_PAYLOAD_BASE, base);
            u32(NFTA_PAYLOAD_OFFSET, offset);
            u32(NFTA_PAYLOAD_LEN, length);
        });
    }
    void compare(bool negated, ByteView value) {
        expression("cmp", [&] {
            u32(NFTA_CMP_SREG, NFT_REG_1);
            u32(NFTA_CMP_OP, negated ? NFT_CMP_NEQ : NFT_CMP_EQ);
            put_value(out_, NFTA_CMP_DATA, value);
        });
    }
    void mask(ByteView keep) {
        const std::vector<std::uint8_t> no_change(keep.size());
        expression("bitwise", [&] {
            u32(NFTA_BITWISE_SREG, NFT_REG_1);
            u32(NFTA_BITWISE_DREG, NFT_REG_1);
            u32(NFTA_BITWISE_LEN, static_cast<std::uint32_t>(keep.size()));
            put_value(out_, NFTA_BITWISE_MASK, keep);
            put_value(out_, NFTA_BITWISE_XOR, no_change);
        });
    }
    void lookup(std::string_view set, bool negated, std::optional<std::uint32_t> id, bool verdict = false) {
        expression("lookup", [&] {
            out_.text(NFTA_LOOKUP_SET, set);
            u32(NFTA_LOOKUP_SREG, NFT_REG_1);
            if (verdict) {
                u32(NFTA_LOOKUP_DREG, NFT_REG_VERDICT);
            }
            if (id) {
                u32(NFTA_LOOKUP_SET_ID, *id);
            }
            if (negated) {
                u32(NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
            }
        });
    }
    void lookup_values(bool negated) {
        lookup(kAnonymousSetName, negated, anonymous_.front());
        anonymous_ = anonymous_.subspan(1);
    }
    void ct(std::uint32_t key) {
        expression("ct", [&] {
            u32(NFTA_CT_KEY, key);
            u32(NFTA_CT_DREG, NFT_REG_1);
        });
    }
    void fib(std::uint32_t result, std::uint32_t flags) {
        expression("fib", [&] {
            u32(NFTA_FIB_DREG, NFT_REG_1);
            u32(NFTA_FIB_RESULT, result);
            u32(NFTA_FIB_FLAGS, flags);
        });
    }
    void immediate(std::uint32_t target, ByteView value) {
        expression("immediate", [&] {
            u32(NFTA_IMMEDIATE_DREG, target);
            put_value(out_, NFTA_IMMEDIATE_DATA, value);
        });
    }

    [[nodiscard]] std::uint32_t address_offset(Side side) const {
        if (family_ == net::Family::v4) {
            return side == Side::source ? 12 : 16;
        }
        return side == Side::source ? 8 : 24;
    }
    void load(Field field, std::uint32_t target) {
        switch (field) {
            case Field::source_address:
                return payload(NFT_PAYLOAD_NETWORK_HEADER, address_offset(Side::source), field_length(family_, field),
                               target);
            case Field::destination_address:
                return payload(NFT_PAYLOAD_NETWORK_HEADER, address_offset(Side::destination),
                               field_length(family_, field), target);
            case Field::protocol:
                return meta(NFT_META_L4PROTO, target);
            case Field::source_port:
                return payload(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, target);
            case Field::destination_port:
                return payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, target);
            case Field::in_interface:
                return meta(NFT_META_IIFNAME, target);
            case Field::out_interface:
                return meta(NFT_META_OIFNAME, target);
            case Field::in_group:
                return meta(NFT_META_IIFGROUP, target);
            case Field::out_group:
                return meta(NFT_META_OIFGROUP, target);
        }
    }
    void load(const std::vector<Field>& fields) {
        std::uint32_t used = 0;
        for (const Field field : fields) {
            load(field, used == 0 ? std::uint32_t{NFT_REG_1} : NFT_REG32_00 + used);
            used += (field_length(family_, field) + 3U) / 4U;
        }
    }

    void add(const render::MatchAddress& match) {
        const auto field = match.side == Side::source ? Field::source_address : Field::destination_address;
        if (match.prefixes.size() > 1) {
            load(field, NFT_REG_1);
            return lookup_values(match.negated);
        }
        const net::Prefix& prefix = match.prefixes.front();
        const net::Ip address = prefix.address();
        const auto bytes = address.bytes();
        if (prefix.length() % 8 == 0 && prefix.length() != 0) {  // whole bytes: load and compare only these
            const std::size_t length = prefix.length() / 8U;
            payload(NFT_PAYLOAD_NETWORK_HEADER, address_offset(match.side), static_cast<std::uint32_t>(length));
            return compare(match.negated, bytes.first(length));
        }
        load(field, NFT_REG_1);
        std::array<std::uint8_t, 16> keep{};
        for (std::size_t bit = 0; bit < prefix.length(); ++bit) {
            keep[bit / 8] = static_cast<std::uint8_t>(keep[bit / 8] | 0x80U >> bit % 8);
        }
        mask(std::span(keep).first(bytes.size()));
        compare(match.negated, bytes);
    }
    void add(const render::MatchProtocol& match) {
        meta(NFT_META_L4PROTO);
        compare(match.negated, std::array{match.protocol});
    }
    void add(const render::MatchPort& match) {
        load(match.side == Side::source ? Field::source_port : Field::destination_port, NFT_REG_1);
        if (match.ports.size() > 1) {
            return lookup_values(match.negated);
        }
        const net::PortRange range = match.ports.front();
        if (range.first() == range.last()) {
            return compare(match.negated, port_bytes(range.first()));
        }
        expression("range", [&] {
            u32(NFTA_RANGE_SREG, NFT_REG_1);
            u32(NFTA_RANGE_OP, match.negated ? NFT_RANGE_NEQ : NFT_RANGE_EQ);
            put_value(out_, NFTA_RANGE_FROM_DATA, port_bytes(range.first()));
            put_value(out_, NFTA_RANGE_TO_DATA, port_bytes(range.last()));
        });
    }
    void add(const render::MatchIcmp& match) {
        payload(NFT_PAYLOAD_TRANSPORT_HEADER, 0, match.code ? kIcmpHeaderTypeAndCode : 1);
        if (match.code) {
            return compare(match.negated, std::array{match.type, *match.code});
        }
        compare(match.negated, std::array{match.type});
    }
    void add(const render::MatchIcmpTypes& /*match*/) {
        payload(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1);
        lookup_values(false);
    }
    void add(const MatchInterface& match) {
        load(match.way == MatchInterface::Way::in ? Field::in_interface : Field::out_interface, NFT_REG_1);
        std::array<std::uint8_t, 16> padded{};
        const std::size_t length = std::min(match.name.size(), padded.size() - 1);
        std::copy_n(match.name.begin(), length, padded.begin());
        compare(match.negated, std::span(padded).first(match.prefix ? length : padded.size()));
    }
    void add(const render::MatchSet& match) {
        load(match.fields);
        lookup(match.set, match.negated, std::nullopt);
    }
    void add(const render::MatchMidStream& /*match*/) {
        payload(NFT_PAYLOAD_TRANSPORT_HEADER, kTcpFlagsOffset, 1);
        mask(std::array{kTcpSyn});
        compare(false, std::array{std::uint8_t{0}});
    }
    void add(const render::MatchCtState& match) {
        ct(NFT_CT_STATE);
        mask(host_bytes(match.bits));
        compare(true, host_bytes(std::uint32_t{0}));
    }
    void add(const render::MatchCtStatus& match) {
        ct(NFT_CT_STATUS);
        mask(host_bytes(match.bits));
        compare(true, host_bytes(std::uint32_t{0}));
    }
    void add(const render::MatchCtLabel& match) {
        ct(NFT_CT_LABELS);
        mask(label_bytes(match.bit));
        compare(true, std::array<std::uint8_t, kLabelSize>{});
    }
    void add(const render::MatchFromNode& /*match*/) {
        meta(NFT_META_IIF);
        compare(false, host_bytes(std::uint32_t{0}));
    }
    void add(const render::MatchWorkloadGroup& match) {
        meta(match.way == render::MatchInterface::Way::in ? NFT_META_IIFGROUP : NFT_META_OIFGROUP);
        mask(host_bytes(render::kGroupMask));
        compare(match.negated, host_bytes(render::kOurGroups));
    }
    void add(const render::MatchLocalDestination& /*match*/) {
        fib(NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR);
        compare(false, host_bytes(std::uint32_t{RTN_LOCAL}));
    }
    void add(const render::MatchOwnSourceElsewhere& /*match*/) {
        fib(NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_SADDR | NFTA_FIB_F_OIF);
        compare(true, host_bytes(std::uint32_t{RTN_LOCAL}));
        fib(NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_SADDR);
        compare(false, host_bytes(std::uint32_t{RTN_LOCAL}));
    }
    void add(const render::MatchSpoofed& /*match*/) {
        fib(NFT_FIB_RESULT_OIF, NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF | NFTA_FIB_F_PRESENT);
        compare(false, host_bytes(std::uint32_t{0}));
    }

    void add(const render::Count& /*action*/) {
        expression("counter", [&] {
            if (counted_ != CounterValue{}) {
                put_u64(out_, NFTA_COUNTER_BYTES, counted_.bytes);
                put_u64(out_, NFTA_COUNTER_PACKETS, counted_.packets);
            }
        });
    }
    void add(const render::Log& action) {
        expression("log", [&] {
            const std::array group{static_cast<std::uint8_t>(action.group >> 8U),
                                   static_cast<std::uint8_t>(action.group)};
            out_.bytes(NFTA_LOG_GROUP, group);
            out_.text(NFTA_LOG_PREFIX, action.prefix);
            u32(NFTA_LOG_SNAPLEN, render::kLogSnapLength);
        });
    }
    void add(const render::Limit& action) {
        expression("limit", [&] {
            put_u64(out_, NFTA_LIMIT_RATE, action.packets);
            put_u64(out_, NFTA_LIMIT_UNIT, action.seconds);
            u32(NFTA_LIMIT_BURST, action.burst);
            u32(NFTA_LIMIT_TYPE, NFT_LIMIT_PKTS);
            if (action.over) {
                u32(NFTA_LIMIT_FLAGS, NFT_LIMIT_F_INV);
            }
        });
    }
    void add(const render::ConnectionsOver& action) {
        expression("connlimit", [&] {
            u32(NFTA_CONNLIMIT_COUNT, action.connections);
            u32(NFTA_CONNLIMIT_FLAGS, NFT_CONNLIMIT_F_INV);
        });
    }
    void add(const render::SetCtMark& action) {
        immediate(NFT_REG_1, host_bytes(action.value));
        expression("ct", [&] {
            u32(NFTA_CT_KEY, NFT_CT_MARK);
            u32(NFTA_CT_SREG, NFT_REG_1);
        });
    }
    void add(const render::SetCtLabel& action) {
        immediate(NFT_REG_1, label_bytes(action.bit));
        expression("ct", [&] {
            u32(NFTA_CT_KEY, NFT_CT_LABELS);
            u32(NFTA_CT_SREG, NFT_REG_1);
        });
    }
    void add(const render::Notrack& /*action*/) {
        expression("notrack", [] {});
    }
    void load_ports(const std::optional<net::PortRange>& ports) {
        if (ports) {
            immediate(NFT_REG_2, port_bytes(ports->first()));
            immediate(NFT_REG_3, port_bytes(ports->last()));
        }
    }
    void add(const render::Masquerade& action) {
        load_ports(action.ports);
        expression("masq", [&] {
            // Unlike for "nat", the kernel does not see by the registers that ports are given.
            u32(NFTA_MASQ_FLAGS, NF_NAT_RANGE_PROTO_RANDOM_FULLY | (action.ports ? NF_NAT_RANGE_PROTO_SPECIFIED : 0U));
            if (action.ports) {
                u32(NFTA_MASQ_REG_PROTO_MIN, NFT_REG_2);
                u32(NFTA_MASQ_REG_PROTO_MAX, NFT_REG_3);
            }
        });
    }
    void add(const render::Snat& action) {
        immediate(NFT_REG_1, action.address.bytes());
        load_ports(action.ports);
        expression("nat", [&] {
            u32(NFTA_NAT_TYPE, NFT_NAT_SNAT);
            u32(NFTA_NAT_FAMILY, family_ == net::Family::v4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
            u32(NFTA_NAT_REG_ADDR_MIN, NFT_REG_1);
            if (action.ports) {
                u32(NFTA_NAT_REG_PROTO_MIN, NFT_REG_2);
                u32(NFTA_NAT_REG_PROTO_MAX, NFT_REG_3);
            }
            u32(NFTA_NAT_FLAGS, NF_NAT_RANGE_PROTO_RANDOM_FULLY);
        });
    }
    void add(const render::Dnat& action) {
        immediate(NFT_REG_1, action.address.bytes());
        if (action.port) {
            immediate(NFT_REG_2, port_bytes(*action.port));
        }
        expression("nat", [&] {
            u32(NFTA_NAT_TYPE, NFT_NAT_DNAT);
            u32(NFTA_NAT_FAMILY, family_ == net::Family::v4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
            u32(NFTA_NAT_REG_ADDR_MIN, NFT_REG_1);
            if (action.port) {
                u32(NFTA_NAT_REG_PROTO_MIN, NFT_REG_2);
            }
        });
    }
    /// The code point lies across the first two bytes of an IPv6 header, and in the second of an IPv4 one.
    void add(const render::SetDscp& action) {
        constexpr std::uint32_t kHeadSize = 2;
        constexpr std::uint32_t kChecksumAt = 10;  // of IPv4
        const bool v4 = family_ == net::Family::v4;
        const auto keep = v4 ? port_bytes(0xff03) : port_bytes(0xf03f);
        const auto value = port_bytes(static_cast<std::uint16_t>(action.value << (v4 ? 2U : 6U)));
        payload(NFT_PAYLOAD_NETWORK_HEADER, 0, kHeadSize);
        expression("bitwise", [&] {
            u32(NFTA_BITWISE_SREG, NFT_REG_1);
            u32(NFTA_BITWISE_DREG, NFT_REG_1);
            u32(NFTA_BITWISE_LEN, kHeadSize);
            put_value(out_, NFTA_BITWISE_MASK, keep);
            put_value(out_, NFTA_BITWISE_XOR, value);
        });
        expression("payload", [&] {
            u32(NFTA_PAYLOAD_SREG, NFT_REG_1);
            u32(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
            u32(NFTA_PAYLOAD_OFFSET, 0);
            u32(NFTA_PAYLOAD_LEN, kHeadSize);
            u32(NFTA_PAYLOAD_CSUM_TYPE, v4 ? NFT_PAYLOAD_CSUM_INET : NFT_PAYLOAD_CSUM_NONE);
            u32(NFTA_PAYLOAD_CSUM_OFFSET, v4 ? kChecksumAt : 0);
        });
    }
    void add(const render::Reject& action) {
        constexpr std::uint8_t kPortUnreachable4 = 3;  // ICMP destination unreachable, code
        constexpr std::uint8_t kPortUnreachable6 = 4;  // ICMPv6 destination unreachable, code
        expression("reject", [&] {
            if (action.tcp_reset) {
                u32(NFTA_REJECT_TYPE, NFT_REJECT_TCP_RST);
                return;
            }
            u32(NFTA_REJECT_TYPE, NFT_REJECT_ICMP_UNREACH);
            out_.u8(NFTA_REJECT_ICMP_CODE, family_ == net::Family::v4 ? kPortUnreachable4 : kPortUnreachable6);
        });
    }
    void add(const render::LookupVerdict& action) {
        load(action.fields);
        lookup(action.map, false, std::nullopt, true);
    }
    void add(const render::Verdict& verdict) {
        expression("immediate", [&] {
            u32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
            const auto data = out_.open(NFTA_IMMEDIATE_DATA);
            put_verdict(out_, verdict);
            out_.close(data);
        });
    }

    RequestBuffer& out_;
    net::Family family_;
    std::span<const std::uint32_t> anonymous_;
    CounterValue counted_;
};

}  // namespace

std::optional<ValueList> value_list(net::Family family, const Match& match) {
    if (const auto* address = std::get_if<render::MatchAddress>(&match); address && address->prefixes.size() > 1) {
        return address_list(family, *address);
    }
    if (const auto* port = std::get_if<render::MatchPort>(&match); port && port->ports.size() > 1) {
        return port_list(family, *port);
    }
    if (const auto* icmp = std::get_if<render::MatchIcmpTypes>(&match)) {
        return icmp_list(family, *icmp);
    }
    return std::nullopt;
}

void write_expressions(RequestBuffer& out, net::Family family, const render::Rule& rule,
                       std::span<const std::uint32_t> anonymous, const CounterValue& counted) {
    Writer writer(out, family, anonymous, counted);
    for (const Match& match : rule.matches) {
        writer.write(match);
    }
    for (const render::Action& action : rule.actions) {
        writer.write(action);
    }
}

}  // namespace manul::felix::nft
