#include "felix/nft/import.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "felix/nft/tracker.hpp"
#include "felix/nft/verify.hpp"
#include "felix/nft/wire.hpp"
#include "felix/render/names.hpp"
#include "felix/render/ruleset.hpp"
#include "net/ip.hpp"
#include "net/netlink/message.hpp"

namespace manul::felix::nft {

namespace {

using netlink::Attribute;
using netlink::AttributeWalk;
using netlink::find_attribute;
using netlink::MessageView;
using render::Hook;

struct Message {
    std::uint8_t kind = 0;  // NFT_MSG_*
    net::Family family = net::Family::v4;
    ByteView attributes;
};

/// The fixed part of an nf_tables message; nothing for other subsystems and families.
std::optional<Message> open_message(const MessageView& message) {
    const auto header = netlink::host_struct<nfgenmsg>(message.payload);
    if (!header || message.type >> 8U != NFNL_SUBSYS_NFTABLES) {
        return std::nullopt;
    }
    Message opened{static_cast<std::uint8_t>(message.type), net::Family::v4, message.payload.subspan(sizeof(nfgenmsg))};
    if (header->nfgen_family == NFPROTO_IPV6) {
        opened.family = net::Family::v6;
    } else if (header->nfgen_family != NFPROTO_IPV4 && header->nfgen_family != NFPROTO_UNSPEC) {
        return std::nullopt;
    }
    return opened;
}

std::uint32_t find_u32(ByteView attributes, std::uint16_t type) {
    const auto attribute = find_attribute(attributes, type);
    return attribute ? big_endian_u32(attribute->payload) : 0;
}

std::string find_text(ByteView attributes, std::uint16_t type) {
    const auto attribute = find_attribute(attributes, type);
    return attribute ? std::string(attribute->text()) : std::string{};
}

ByteView find_nest(ByteView attributes, std::uint16_t type) {
    const auto attribute = find_attribute(attributes, type);
    return attribute ? attribute->payload : ByteView{};
}

std::uint64_t find_u64(ByteView attributes, std::uint16_t type) {
    const ByteView bytes = find_nest(attributes, type);
    return bytes.size() < 8 ? 0 : std::uint64_t{big_endian_u32(bytes)} << 32U | big_endian_u32(bytes.subspan(4));
}

std::optional<TableKey> our_table(const Message& message, std::uint16_t attribute) {
    const auto id = render::find_table(find_text(message.attributes, attribute));
    return id ? std::optional(TableKey{message.family, *id}) : std::nullopt;
}

/// Every kind of object names its table in its first attribute, except that a table's own name stands there too.
std::optional<TableKey> table_of(const Message& message) {
    static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 && NFTA_SET_TABLE == 1 &&
                  NFTA_SET_ELEM_LIST_TABLE == 1);
    return our_table(message, NFTA_TABLE_NAME);
}

std::optional<Hook> read_hook(const Message& message) {
    const ByteView hook = find_nest(message.attributes, NFTA_CHAIN_HOOK);
    if (hook.empty()) {
        return std::nullopt;
    }
    return Hook{
        find_text(message.attributes, NFTA_CHAIN_TYPE) == "nat" ? Hook::Type::nat : Hook::Type::filter,
        static_cast<Hook::Point>(find_u32(hook, NFTA_HOOK_HOOKNUM)),
        static_cast<std::int32_t>(find_u32(hook, NFTA_HOOK_PRIORITY)),
    };
}

SetType::Shape shape_of(std::uint32_t flags) {
    return (flags & NFT_SET_MAP) != 0        ? SetType::Shape::verdicts
           : (flags & NFT_SET_INTERVAL) != 0 ? SetType::Shape::ranges
                                             : SetType::Shape::members;
}

void add_chain(const Message& message, KernelTable& table) {
    table.chains[find_text(message.attributes, NFTA_CHAIN_NAME)].hook = read_hook(message);
}

KernelChain::Rule rule_of(ByteView attributes) {
    const auto mark = parse_comment_userdata(find_nest(attributes, NFTA_RULE_USERDATA));
    return {mark ? mark->fingerprint : 0, find_u64(attributes, NFTA_RULE_HANDLE), mark && mark->id != 0};
}

void add_rule(const Message& message, KernelTable& table) {
    table.chains[find_text(message.attributes, NFTA_RULE_CHAIN)].rules.push_back(rule_of(message.attributes));
}

void add_set(const Message& message, KernelTable& table) {
    const std::uint32_t flags = find_u32(message.attributes, NFTA_SET_FLAGS);
    if ((flags & NFT_SET_ANONYMOUS) != 0) {
        return;  // part of a rule
    }
    KernelSet& set = table.sets[find_text(message.attributes, NFTA_SET_NAME)];
    set.key_type = find_u32(message.attributes, NFTA_SET_KEY_TYPE);
    set.shape = shape_of(flags);
}

Verdict read_verdict(ByteView data) {
    const ByteView verdict = find_nest(data, NFTA_DATA_VERDICT);
    const std::string chain = find_text(verdict, NFTA_VERDICT_CHAIN);
    switch (static_cast<std::int32_t>(find_u32(verdict, NFTA_VERDICT_CODE))) {
        case NF_ACCEPT:
            return render::accept();
        case NFT_RETURN:
            return render::return_to_caller();
        case NFT_JUMP:
            return render::jump(chain);
        case NFT_GOTO:
            return render::go_to(chain);
        default:
            return render::drop();
    }
}

void add_elements(const Message& message, KernelTable& table) {
    const auto set = table.sets.find(find_text(message.attributes, NFTA_SET_ELEM_LIST_SET));
    if (set == table.sets.end()) {
        return;
    }
    AttributeWalk walk(find_nest(message.attributes, NFTA_SET_ELEM_LIST_ELEMENTS));
    while (const auto element = walk.next()) {
        const ByteView key = find_nest(find_nest(element->payload, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE);
        const ByteView data = find_nest(element->payload, NFTA_SET_ELEM_DATA);
        set->second.verdicts.emplace(ElementKey::from_bytes(key), read_verdict(data));
    }
}

void add_rule(const Message& message, KernelContent& content) {
    const ByteView expressions = find_nest(message.attributes, NFTA_RULE_EXPRESSIONS);
    content.chains[find_text(message.attributes, NFTA_RULE_CHAIN)].rules.push_back(
        {find_u64(message.attributes, NFTA_RULE_HANDLE),
         parse_comment_userdata(find_nest(message.attributes, NFTA_RULE_USERDATA)),
         Bytes(expressions.begin(), expressions.end())});
}

void add_set(const Message& message, KernelContent& content) {
    KernelContent::Set& set = content.sets[find_text(message.attributes, NFTA_SET_NAME)];
    const std::uint32_t flags = find_u32(message.attributes, NFTA_SET_FLAGS);
    set.shape = shape_of(flags);
    set.key_type = find_u32(message.attributes, NFTA_SET_KEY_TYPE);
    set.anonymous = (flags & NFT_SET_ANONYMOUS) != 0;
}

void add_elements(const Message& message, KernelContent& content) {
    const auto set = content.sets.find(find_text(message.attributes, NFTA_SET_ELEM_LIST_SET));
    if (set == content.sets.end()) {
        return;
    }
    AttributeWalk walk(find_nest(message.attributes, NFTA_SET_ELEM_LIST_ELEMENTS));
    while (const auto element = walk.next()) {
        const auto key =
            ElementKey::from_bytes(find_nest(find_nest(element->payload, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE));
        if ((find_u32(element->payload, NFTA_SET_ELEM_FLAGS) & NFT_SET_ELEM_INTERVAL_END) != 0) {
            set->second.ends.insert(key);
        } else {
            set->second.elements.emplace(key, set->second.shape == SetType::Shape::verdicts
                                                  ? read_verdict(find_nest(element->payload, NFTA_SET_ELEM_DATA))
                                                  : Verdict{});
        }
    }
}

}  // namespace

void request_dump(netlink::RequestBuffer& out, DumpKind kind, const TableKey& table, const std::string& object) {
    struct Request {
        std::uint8_t message;
        std::uint16_t table_attribute;
    };
    constexpr std::array<Request, 5> kRequests{{{NFT_MSG_GETTABLE, 0},
                                                {NFT_MSG_GETCHAIN, NFTA_CHAIN_TABLE},
                                                {NFT_MSG_GETRULE, NFTA_RULE_TABLE},
                                                {NFT_MSG_GETSET, NFTA_SET_TABLE},
                                                {NFT_MSG_GETSETELEM, NFTA_SET_ELEM_LIST_TABLE}}};
    const Request& request = kRequests[static_cast<std::size_t>(kind)];
    const nfgenmsg fixed{static_cast<std::uint8_t>(table.family == net::Family::v4 ? NFPROTO_IPV4 : NFPROTO_IPV6),
                         NFNETLINK_V0, 0};
    out.begin(static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8U | request.message), NLM_F_REQUEST | NLM_F_DUMP,
              fixed);
    if (request.table_attribute != 0) {
        out.text(request.table_attribute, name(table.id));
    }
    if (kind == DumpKind::elements) {
        out.text(NFTA_SET_ELEM_LIST_SET, object);
    } else if (kind == DumpKind::rules && !object.empty()) {
        out.text(NFTA_RULE_CHAIN, object);
    }
    out.end();
}

void request_generation(netlink::RequestBuffer& out) {
    const nfgenmsg fixed{NFPROTO_UNSPEC, NFNETLINK_V0, 0};
    out.begin(NFNL_SUBSYS_NFTABLES << 8U | NFT_MSG_GETGEN, NLM_F_REQUEST, fixed);
    out.end();
}

std::optional<TableKey> decode_table(const MessageView& view) {
    const auto message = open_message(view);
    return message && message->kind == NFT_MSG_NEWTABLE ? our_table(*message, NFTA_TABLE_NAME) : std::nullopt;
}

bool decode_orphan(const MessageView& view) {
    constexpr std::uint32_t kOwner = 0x2;    // NFT_TABLE_F_OWNER
    constexpr std::uint32_t kPersist = 0x4;  // NFT_TABLE_F_PERSIST, Linux 6.9
    const auto message = open_message(view);
    return message && (find_u32(message->attributes, NFTA_TABLE_FLAGS) & (kOwner | kPersist)) == kPersist;
}

void decode_members(const MessageView& view, render::Members& members) {
    const auto message = open_message(view);
    if (!message || message->kind != NFT_MSG_NEWSETELEM) {
        return;
    }
    AttributeWalk walk(find_nest(message->attributes, NFTA_SET_ELEM_LIST_ELEMENTS));
    while (const auto element = walk.next()) {
        const ByteView key = find_nest(find_nest(element->payload, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE);
        members.insert(ElementKey::from_bytes(key));
    }
}

void decode_object(const MessageView& view, KernelState& state) {
    const auto message = open_message(view);
    const auto key = message ? table_of(*message) : std::nullopt;
    if (!key) {
        return;
    }
    KernelTable& table = state[*key];
    switch (message->kind) {
        case NFT_MSG_NEWCHAIN:
            return add_chain(*message, table);
        case NFT_MSG_NEWRULE:
            return add_rule(*message, table);
        case NFT_MSG_NEWSET:
            return add_set(*message, table);
        case NFT_MSG_NEWSETELEM:
            return add_elements(*message, table);
        default:
            return;
    }
}

void decode_content(const MessageView& view, KernelContents& contents) {
    const auto message = open_message(view);
    const auto key = message ? table_of(*message) : std::nullopt;
    if (!key) {
        return;
    }
    KernelContent& content = contents[*key];
    switch (message->kind) {
        case NFT_MSG_NEWCHAIN:
            content.chains[find_text(message->attributes, NFTA_CHAIN_NAME)].hook = read_hook(*message);
            return;
        case NFT_MSG_NEWRULE:
            return add_rule(*message, content);
        case NFT_MSG_NEWSET:
            return add_set(*message, content);
        case NFT_MSG_NEWSETELEM:
            return add_elements(*message, content);
        default:
            return;
    }
}

std::optional<std::uint32_t> decode_generation(const MessageView& view) {
    const auto message = open_message(view);
    if (!message || message->kind != NFT_MSG_NEWGEN) {
        return std::nullopt;
    }
    return find_u32(message->attributes, NFTA_GEN_ID);
}

Notice decode_notice(const MessageView& view) {
    Notice notice;
    const auto message = open_message(view);
    if (!message) {
        return notice;
    }
    if (message->kind == NFT_MSG_NEWGEN) {
        notice.generation = find_u32(message->attributes, NFTA_GEN_ID);
        notice.process = find_u32(message->attributes, NFTA_GEN_PROC_PID);
        notice.process_name = find_text(message->attributes, NFTA_GEN_PROC_NAME);
    } else {
        notice.ours = table_of(*message);
    }
    return notice;
}

std::optional<KernelChain::Rule> decode_rule(const MessageView& view) {
    const auto message = open_message(view);
    if (!message || message->kind != NFT_MSG_NEWRULE || !table_of(*message)) {
        return std::nullopt;
    }
    return rule_of(message->attributes);
}

std::optional<RuleCounter> decode_counter(const MessageView& view) {
    const auto message = open_message(view);
    if (!message || message->kind != NFT_MSG_NEWRULE || !table_of(*message)) {
        return std::nullopt;
    }
    const auto mark = parse_comment_userdata(find_nest(message->attributes, NFTA_RULE_USERDATA));
    if (!mark || mark->id == 0) {
        return std::nullopt;
    }
    AttributeWalk expressions(find_nest(message->attributes, NFTA_RULE_EXPRESSIONS));
    while (const auto expression = expressions.next()) {
        if (find_text(expression->payload, NFTA_EXPR_NAME) == "counter") {
            const ByteView data = find_nest(expression->payload, NFTA_EXPR_DATA);
            return RuleCounter{mark->id, find_u64(data, NFTA_COUNTER_PACKETS), find_u64(data, NFTA_COUNTER_BYTES),
                               find_text(message->attributes, NFTA_RULE_CHAIN),
                               find_u64(message->attributes, NFTA_RULE_HANDLE)};
        }
    }
    return std::nullopt;
}

std::vector<std::pair<std::pair<std::string, std::string>, std::uint32_t>> class_groups(const KernelState& kernel) {
    const auto classes = [&kernel](render::TableId table) {
        std::map<std::uint32_t, std::string> chains;
        const auto found = kernel.find({net::Family::v4, table});
        if (found == kernel.end()) {
            return chains;
        }
        const auto map = found->second.sets.find(render::names::kClassMap);
        if (map == found->second.sets.end()) {
            return chains;
        }
        for (const auto& [key, verdict] : map->second.verdicts) {
            chains[key.group_number()] = verdict.chain;
        }
        return chains;
    };
    const auto egress = classes(render::TableId::egress);
    const auto ingress = classes(render::TableId::ingress);
    std::vector<std::pair<std::pair<std::string, std::string>, std::uint32_t>> groups;
    for (const auto& [group, chain] : egress) {
        if (const auto other = ingress.find(group); other != ingress.end()) {
            groups.push_back({{chain, other->second}, group});
        }
    }
    return groups;
}

}  // namespace manul::felix::nft
