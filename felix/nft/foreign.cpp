#include "felix/nft/foreign.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.hpp"
#include "felix/nft/wire.hpp"

namespace manul::felix::nft {

namespace {

using netlink::AttributeWalk;
using netlink::find_payload;

std::string text(ByteView attributes, std::uint16_t type) {
    const auto found = netlink::find_attribute(attributes, type);
    return found ? std::string(found->text()) : std::string{};
}

/// The attributes of a message of this kind; nothing for others.
std::optional<ByteView> attributes_of(const netlink::MessageView& message, std::uint8_t kind) {
    if (message.type != (NFNL_SUBSYS_NFTABLES << 8U | kind) || message.payload.size() < sizeof(nfgenmsg)) {
        return std::nullopt;
    }
    return message.payload.subspan(sizeof(nfgenmsg));
}

std::string_view family_name(std::uint8_t family) {
    switch (family) {
        case NFPROTO_IPV4:
            return "ip";
        case NFPROTO_IPV6:
            return "ip6";
        case NFPROTO_ARP:
            return "arp";
        default:
            return "inet";
    }
}

bool is_drop(ByteView immediate) {
    const ByteView verdict = find_payload(find_payload(immediate, NFTA_IMMEDIATE_DATA), NFTA_DATA_VERDICT);
    const ByteView code = find_payload(verdict, NFTA_VERDICT_CODE);
    return code.size() == 4 && big_endian_u32(code) == NF_DROP;
}

}  // namespace

std::string ForeignChain::to_string() const { return std::string(family_name(family)) + " " + table + " " + name; }

void request_base_chains(netlink::RequestBuffer& out) {
    const nfgenmsg fixed{NFPROTO_UNSPEC, NFNETLINK_V0, 0};
    out.begin(NFNL_SUBSYS_NFTABLES << 8U | NFT_MSG_GETCHAIN, NLM_F_REQUEST | NLM_F_DUMP, fixed);
    out.end();
}

std::optional<ForeignChain> decode_foreign_chain(const netlink::MessageView& message) {
    const auto attributes = attributes_of(message, NFT_MSG_NEWCHAIN);
    if (!attributes) {
        return std::nullopt;
    }
    ForeignChain chain;
    chain.family = message.payload[0];
    chain.table = text(*attributes, NFTA_CHAIN_TABLE);
    chain.name = text(*attributes, NFTA_CHAIN_NAME);
    const ByteView hook = find_payload(*attributes, NFTA_CHAIN_HOOK);
    const bool of_ip = chain.family == NFPROTO_IPV4 || chain.family == NFPROTO_IPV6 || chain.family == NFPROTO_INET;
    if (hook.empty() || !of_ip || text(*attributes, NFTA_CHAIN_TYPE) != "filter" || render::find_table(chain.table)) {
        return std::nullopt;
    }
    chain.hook = static_cast<render::Hook::Point>(big_endian_u32(find_payload(hook, NFTA_HOOK_HOOKNUM)));
    chain.priority = static_cast<std::int32_t>(big_endian_u32(find_payload(hook, NFTA_HOOK_PRIORITY)));
    const ByteView policy = find_payload(*attributes, NFTA_CHAIN_POLICY);
    chain.drops_by_policy = policy.size() == 4 && big_endian_u32(policy) == NF_DROP;
    return chain;
}

std::optional<std::string> decode_calico_table(const netlink::MessageView& message) {
    const auto attributes = attributes_of(message, NFT_MSG_NEWCHAIN);
    if (!attributes) {
        return std::nullopt;
    }
    const std::string table = text(*attributes, NFTA_CHAIN_TABLE);
    const bool made =
        table == "calico" || table == "calico-arp" || text(*attributes, NFTA_CHAIN_NAME).starts_with("cali-");
    return made ? std::optional(std::string(family_name(message.payload[0])) + " " + table) : std::nullopt;
}

void request_ip_sets(netlink::RequestBuffer& out) {
    const nfgenmsg fixed{NFPROTO_IPV4, NFNETLINK_V0, 0};
    out.begin(NFNL_SUBSYS_IPSET << 8U | IPSET_CMD_LIST, NLM_F_REQUEST | NLM_F_DUMP, fixed);
    out.u8(IPSET_ATTR_PROTOCOL, IPSET_PROTOCOL);
    put_u32(out, IPSET_ATTR_FLAGS | NLA_F_NET_BYTEORDER, IPSET_FLAG_LIST_SETNAME);
    out.end();
}

std::optional<std::string> decode_ip_set(const netlink::MessageView& message) {
    if (message.type != (NFNL_SUBSYS_IPSET << 8U | IPSET_CMD_LIST) || message.payload.size() < sizeof(nfgenmsg)) {
        return std::nullopt;
    }
    std::string name = text(message.payload.subspan(sizeof(nfgenmsg)), IPSET_ATTR_SETNAME);
    return name.empty() ? std::nullopt : std::optional(std::move(name));
}

void request_rules(netlink::RequestBuffer& out, const ForeignChain& chain) {
    const nfgenmsg fixed{chain.family, NFNETLINK_V0, 0};
    out.begin(NFNL_SUBSYS_NFTABLES << 8U | NFT_MSG_GETRULE, NLM_F_REQUEST | NLM_F_DUMP, fixed);
    out.text(NFTA_RULE_TABLE, chain.table);
    out.text(NFTA_RULE_CHAIN, chain.name);
    out.end();
}

bool denies_everything(const netlink::MessageView& message) {
    const auto attributes = attributes_of(message, NFT_MSG_NEWRULE);
    if (!attributes) {
        return false;
    }
    AttributeWalk walk(find_payload(*attributes, NFTA_RULE_EXPRESSIONS));
    while (const auto element = walk.next()) {
        const std::string name = text(element->payload, NFTA_EXPR_NAME);
        if (name == "reject") {
            return true;
        }
        if (name == "immediate") {
            return is_drop(find_payload(element->payload, NFTA_EXPR_DATA));
        }
        if (name != "counter" && name != "log") {
            return false;  // a condition
        }
    }
    return false;
}

}  // namespace manul::felix::nft
