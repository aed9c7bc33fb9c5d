#include "felix/nft/compare.hpp"

#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "felix/nft/expression.hpp"
#include "felix/nft/wire.hpp"
#include "net/netlink/message.hpp"

namespace manul::felix::nft {

namespace {

using netlink::Attribute;
using netlink::AttributeWalk;

// In NFTA_NAT_FLAGS the kernel notes that addresses and ports are given (NF_NAT_RANGE_MAP_IPS,
// NF_NAT_RANGE_PROTO_SPECIFIED). In NFTA_MASQ_FLAGS it does not: there the writer says so.
constexpr std::uint32_t kNatGiven = 3;

struct Expression {
    std::string_view name;
    ByteView data;
};

std::vector<Attribute> attributes_of(ByteView bytes) {
    std::vector<Attribute> list;
    AttributeWalk walk(bytes);
    while (const auto attribute = walk.next()) {
        list.push_back(*attribute);
    }
    return list;
}

const Attribute* find(const std::vector<Attribute>& list, std::uint16_t type) {
    const auto found = std::ranges::find(list, type, &Attribute::type);
    return found == list.end() ? nullptr : &*found;
}

std::vector<Expression> expressions_of(ByteView bytes) {
    std::vector<Expression> list;
    for (const Attribute& element : attributes_of(bytes)) {
        Expression& expression = list.emplace_back();
        for (const Attribute& part : attributes_of(element.payload)) {
            if (part.type == NFTA_EXPR_NAME) {
                expression.name = part.text();
            } else if (part.type == NFTA_EXPR_DATA) {
                expression.data = part.payload;
            }
        }
    }
    return list;
}

bool is_zero(ByteView bytes) {
    return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

/// The number of the first four-byte register: both ways of naming registers overlay each other.
std::uint32_t word_register(ByteView value) {
    const std::uint32_t number = big_endian_u32(value);
    return number >= NFT_REG32_00 ? number - NFT_REG32_00 + 4 : number * 4;
}

bool is_target_register(std::string_view expression, std::uint16_t type) {
    static_assert(NFTA_META_DREG == 1 && NFTA_PAYLOAD_DREG == 1);
    return type == 1 && (expression == "meta" || expression == "payload");
}

bool is_nat_flags(std::string_view expression, std::uint16_t type) {
    return expression == "nat" && type == NFTA_NAT_FLAGS;
}

/// Upper bounds that the kernel repeats from the lower ones.
bool is_repeated_bound(std::string_view expression, const Attribute& extra, const std::vector<Attribute>& kernel) {
    struct Bound {
        std::string_view expression;
        std::uint16_t upper;
        std::uint16_t lower;
    };
    static constexpr Bound kBounds[] = {
        {"nat", NFTA_NAT_REG_ADDR_MAX, NFTA_NAT_REG_ADDR_MIN},
        {"nat", NFTA_NAT_REG_PROTO_MAX, NFTA_NAT_REG_PROTO_MIN},
        {"masq", NFTA_MASQ_REG_PROTO_MAX, NFTA_MASQ_REG_PROTO_MIN},
    };
    return std::ranges::any_of(kBounds, [&](const Bound& bound) {
        const Attribute* lower = find(kernel, bound.lower);
        return bound.expression == expression && bound.upper == extra.type && lower != nullptr &&
               std::ranges::equal(lower->payload, extra.payload);
    });
}

/// Values and verdicts stand in nests, whose attributes may be told in another order.
bool same_data(ByteView wanted, ByteView kernel) {
    if (std::ranges::equal(wanted, kernel)) {
        return true;
    }
    const auto mine = attributes_of(wanted);
    const auto theirs = attributes_of(kernel);
    const bool nested =
        !mine.empty() && (mine.front().type == NFTA_DATA_VALUE || mine.front().type == NFTA_DATA_VERDICT);
    if (!nested || mine.size() != 1 || theirs.size() != 1 || mine.front().type != theirs.front().type) {
        return false;
    }
    if (mine.front().type == NFTA_DATA_VALUE) {
        return std::ranges::equal(mine.front().payload, theirs.front().payload);
    }
    const auto verdict = attributes_of(mine.front().payload);
    const auto other = attributes_of(theirs.front().payload);
    return std::ranges::all_of(verdict, [&other](const Attribute& part) {
        const Attribute* same = find(other, part.type);
        return same != nullptr && (part.type == NFTA_VERDICT_CHAIN ? part.text() == same->text()
                                                                   : std::ranges::equal(part.payload, same->payload));
    });
}

bool same_attribute(std::string_view expression, const Attribute& wanted, const Attribute& kernel) {
    if (is_target_register(expression, wanted.type)) {
        return word_register(wanted.payload) == word_register(kernel.payload);
    }
    if (is_nat_flags(expression, wanted.type)) {
        return (big_endian_u32(wanted.payload) | kNatGiven) == (big_endian_u32(kernel.payload) | kNatGiven);
    }
    if ((expression == "log" && wanted.type == NFTA_LOG_PREFIX) ||
        (expression == "lookup" && wanted.type == NFTA_LOOKUP_SET)) {
        return wanted.text() == kernel.text();
    }
    return same_data(wanted.payload, kernel.payload);
}

bool same_expression(const Expression& wanted, const Expression& kernel, std::vector<std::string>& anonymous) {
    if (wanted.name != kernel.name) {
        return false;
    }
    if (wanted.name == "counter") {
        return true;
    }
    const auto mine = attributes_of(wanted.data);
    const auto theirs = attributes_of(kernel.data);
    const Attribute* set = find(mine, NFTA_LOOKUP_SET);
    const bool values = wanted.name == "lookup" && set != nullptr && set->text() == kAnonymousSetName;
    for (const Attribute& attribute : mine) {
        const Attribute* other = find(theirs, attribute.type);
        if (values && attribute.type == NFTA_LOOKUP_SET_ID) {
            continue;  // a name within one batch
        }
        if (values && attribute.type == NFTA_LOOKUP_SET) {
            if (other == nullptr) {
                return false;
            }
            anonymous.emplace_back(other->text());
            continue;
        }
        if (other == nullptr ? !is_zero(attribute.payload) : !same_attribute(wanted.name, attribute, *other)) {
            return false;
        }
    }
    return std::ranges::all_of(theirs, [&](const Attribute& extra) {
        return find(mine, extra.type) != nullptr || is_zero(extra.payload) ||
               is_repeated_bound(wanted.name, extra, theirs) ||
               (is_nat_flags(wanted.name, extra.type) && (big_endian_u32(extra.payload) & ~kNatGiven) == 0);
    });
}

}  // namespace

std::optional<std::vector<std::string>> match_expressions(net::Family family, const render::Rule& wanted,
                                                          ByteView kernel) {
    // Anonymous sets are compared by their elements, so any number does here.
    const std::vector<std::uint32_t> any_ids(wanted.matches.size(), 1);
    netlink::RequestBuffer encoded;
    encoded.begin(0, 0, std::uint32_t{0});
    const std::size_t start = encoded.view().size();
    write_expressions(encoded, family, wanted, any_ids, {});
    const auto mine = expressions_of(encoded.view().subspan(start));
    const auto theirs = expressions_of(kernel);
    std::vector<std::string> anonymous;
    const bool same = std::ranges::equal(mine, theirs, [&anonymous](const Expression& a, const Expression& b) {
        return same_expression(a, b, anonymous);
    });
    return same ? std::optional(std::move(anonymous)) : std::nullopt;
}

}  // namespace manul::felix::nft
