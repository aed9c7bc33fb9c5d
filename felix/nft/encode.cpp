#include "felix/nft/encode.hpp"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/overloaded.hpp"
#include "felix/nft/expression.hpp"
#include "felix/nft/tracker.hpp"
#include "felix/nft/wire.hpp"
#include "felix/render/ruleset.hpp"
#include "net/ip.hpp"
#include "net/netlink/message.hpp"

namespace manul::felix::nft {

namespace {

using netlink::RequestBuffer;
using render::Field;
using render::Hook;
using render::Rule;

/// The kernel reads a list of elements into one attribute of at most 64 KiB.
constexpr std::size_t kElementListLimit = 60'000;

std::uint16_t type_number(std::uint16_t message) {
    return static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8U | message);
}

std::uint8_t family_number(net::Family family) { return family == net::Family::v4 ? NFPROTO_IPV4 : NFPROTO_IPV6; }

class Encoder {
public:
    Encoder(Batch& batch, std::optional<std::uint32_t> generation, bool own_tables)
        : batch_(batch), out_(batch.buffer), own_tables_(own_tables) {
        begin_raw(NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, Batch::kNoCommand);
        if (generation) {
            put_u32(out_, NFNL_BATCH_GENID, *generation);
        }
        out_.end();
    }

    void finish() {
        batch_.acknowledged = static_cast<std::uint32_t>(batch_.command_of.size() - 1);
        ask(message_at_, NLM_F_ACK);
        for (const auto& [table, made] : made_) {
            if (made.last_rule_at != 0) {
                ask(made.first_rule_at, NLM_F_ECHO);
                ask(made.last_rule_at, NLM_F_ECHO);
            }
        }
        begin_raw(NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, Batch::kNoCommand);
        out_.end();
    }

    /// A table of no meaning, made and removed.
    void probe() {
        constexpr std::string_view kName = "manul_probe";
        for (const auto kind : {NFT_MSG_NEWTABLE, NFT_MSG_DELTABLE}) {
            const bool make = kind == NFT_MSG_NEWTABLE;
            begin_raw(type_number(static_cast<std::uint16_t>(kind)), make ? NLM_F_CREATE : 0, NFPROTO_IPV4, 0,
                      Batch::kNoCommand);
            out_.text(NFTA_TABLE_NAME, kName);
            if (make) {
                put_u32(out_, NFTA_TABLE_FLAGS, kOwnedTable);
            }
            out_.end();
        }
    }

    void encode(const Command& command, std::size_t index) {
        command_ = index;
        std::visit([this](const auto& c) { add(c); }, command);
    }

private:
    void begin_raw(std::uint16_t type, std::uint16_t flags, std::uint8_t family, std::uint16_t resource,
                   std::size_t command) {
        message_at_ = out_.view().size();
        const nfgenmsg fixed{family, NFNETLINK_V0, htons(resource)};
        out_.begin(type, static_cast<std::uint16_t>(NLM_F_REQUEST | flags), fixed);
        const auto sequence = static_cast<std::uint32_t>(batch_.command_of.size());
        std::memcpy(out_.mutable_view().data() + message_at_ + offsetof(nlmsghdr, nlmsg_seq), &sequence,
                    sizeof(sequence));
        batch_.command_of.push_back(command);
    }
    /// Sets a flag of a message that is already there.
    void ask(std::size_t message_at, std::uint16_t flag) {
        nlmsghdr message{};
        const auto header = out_.mutable_view().subspan(message_at, sizeof(message));
        std::memcpy(&message, header.data(), sizeof(message));
        message.nlmsg_flags = static_cast<std::uint16_t>(message.nlmsg_flags | flag);
        std::memcpy(header.data(), &message, sizeof(message));
    }
    void begin(std::uint16_t message, std::uint16_t flags, const TableKey& table) {
        begin_raw(type_number(message), flags, family_number(table.family), 0, command_);
    }

    void add(const AddTable& c) {
        begin(NFT_MSG_NEWTABLE, NLM_F_CREATE, c.table);
        out_.text(NFTA_TABLE_NAME, name(c.table.id));
        put_u32(out_, NFTA_TABLE_FLAGS, own_tables_ && is_owned(c.table.id) ? kOwnedTable : 0);
        out_.end();
    }
    void add(const DeleteTable& c) {
        begin(NFT_MSG_DELTABLE, 0, c.table);
        out_.text(NFTA_TABLE_NAME, name(c.table.id));
        out_.end();
    }

    void add(const AddChain& c) {
        begin(NFT_MSG_NEWCHAIN, NLM_F_CREATE, c.table);
        ++made_[c.table].objects;
        out_.text(NFTA_CHAIN_TABLE, name(c.table.id));
        out_.text(NFTA_CHAIN_NAME, c.name);
        if (const auto& hook = c.chain->hook()) {
            const auto nest = out_.open(NFTA_CHAIN_HOOK);
            put_u32(out_, NFTA_HOOK_HOOKNUM, static_cast<std::uint32_t>(hook->point));
            put_u32(out_, NFTA_HOOK_PRIORITY, static_cast<std::uint32_t>(hook->priority));
            out_.close(nest);
            put_u32(out_, NFTA_CHAIN_POLICY, NF_ACCEPT);
            out_.text(NFTA_CHAIN_TYPE, hook->type == Hook::Type::nat ? "nat" : "filter");
        }
        out_.end();
    }
    void add(const DeleteChain& c) {
        begin(NFT_MSG_DELCHAIN, 0, c.table);
        out_.text(NFTA_CHAIN_TABLE, name(c.table.id));
        out_.text(NFTA_CHAIN_NAME, c.name);
        out_.end();
    }
    void add(const FlushChain& c) {
        begin(NFT_MSG_DELRULE, 0, c.table);
        out_.text(NFTA_RULE_TABLE, name(c.table.id));
        out_.text(NFTA_RULE_CHAIN, c.name);
        out_.end();
    }
    void add(const FillChain& c) {
        for (std::size_t i = 0; i < c.chain->rules().size(); ++i) {
            add_rule(c, i, 0);
        }
    }
    void add(const EditChain& c) {
        for (const std::uint64_t handle : c.remove) {
            begin(NFT_MSG_DELRULE, 0, c.table);
            out_.text(NFTA_RULE_TABLE, name(c.table.id));
            out_.text(NFTA_RULE_CHAIN, c.name);
            put_u64(out_, NFTA_RULE_HANDLE, handle);
            out_.end();
        }
        for (const EditChain::Insertion& added : c.insert) {
            add_rule(c, added.rule, added.before);
        }
    }

    /// `c`: a FillChain or EditChain. `before`: handle of a rule; 0: at the end.
    template <class Change>
    void add_rule(const Change& c, std::size_t index, std::uint64_t before) {
        const Rule& rule = c.chain->rules()[index];
        // Lists of values become sets of their own, which live and die with the rule. They come first in the batch.
        std::vector<std::uint32_t> anonymous;
        for (const render::Match& match : rule.matches) {
            if (const auto list = value_list(c.table.family, match)) {
                anonymous.push_back(add_anonymous_set(c.table, *list));
            }
        }
        // Without APPEND the rule comes before the one at the position.
        begin(NFT_MSG_NEWRULE, static_cast<std::uint16_t>(NLM_F_CREATE | (before == 0 ? NLM_F_APPEND : 0)), c.table);
        note_rule(c.table, index);
        out_.text(NFTA_RULE_TABLE, name(c.table.id));
        out_.text(NFTA_RULE_CHAIN, c.name);
        if (before != 0) {
            put_u64(out_, NFTA_RULE_POSITION, before);
        }
        const auto expressions = out_.open(NFTA_RULE_EXPRESSIONS);
        write_expressions(out_, c.table.family, rule, anonymous,
                          c.counters.empty() ? CounterValue{} : c.counters[index]);
        out_.close(expressions);
        out_.bytes(NFTA_RULE_USERDATA, comment_userdata(rule.id, c.chain->fingerprints()[index]));
        out_.end();
    }

    void note_rule(const TableKey& table, std::size_t index) {
        Made& made = made_[table];
        made.first_rule_at = made.first_rule_at == 0 ? message_at_ : made.first_rule_at;
        made.last_rule_at = message_at_;
        batch_.new_rules[table].push_back(
            {command_, index, static_cast<std::uint32_t>(batch_.command_of.size() - 1), ++made.objects});
    }

    std::uint32_t add_anonymous_set(const TableKey& table, const ValueList& list) {
        const std::uint32_t id = ++set_id_;
        const std::uint32_t flags =
            NFT_SET_ANONYMOUS | NFT_SET_CONSTANT | (list.ranges ? std::uint32_t{NFT_SET_INTERVAL} : 0U);
        begin_set(table, kAnonymousSetName, id, flags, list.type, list.key_length);
        const auto description = out_.open(NFTA_SET_DESC);
        put_u32(out_, NFTA_SET_DESC_SIZE, static_cast<std::uint32_t>(list.elements.size() * (list.ranges ? 2 : 1)));
        out_.close(description);
        out_.end();
        const SetType type{{}, list.ranges ? SetType::Shape::ranges : SetType::Shape::members};
        element_messages(NFT_MSG_NEWSETELEM, table, kAnonymousSetName, id, type, list.elements);
        return id;
    }

    void begin_set(const TableKey& table, std::string_view set, std::uint32_t id, std::uint32_t flags,
                   std::uint32_t type, std::uint32_t length) {
        begin(NFT_MSG_NEWSET, NLM_F_CREATE, table);
        ++made_[table].objects;
        out_.text(NFTA_SET_TABLE, name(table.id));
        out_.text(NFTA_SET_NAME, set);
        put_u32(out_, NFTA_SET_FLAGS, flags);
        put_u32(out_, NFTA_SET_KEY_TYPE, type);
        put_u32(out_, NFTA_SET_KEY_LEN, length);
        put_u32(out_, NFTA_SET_ID, id);
    }

    void add(const AddSet& c) {
        const bool map = c.type.shape == SetType::Shape::verdicts;
        const std::uint32_t flags = map                                      ? std::uint32_t{NFT_SET_MAP}
                                    : c.type.shape == SetType::Shape::ranges ? std::uint32_t{NFT_SET_INTERVAL}
                                                                             : 0U;
        begin_set(c.table, c.name, ++set_id_, flags, key_type(c.table.family, c.type.fields),
                  key_length(c.table.family, c.type.fields));
        if (map) {
            put_u32(out_, NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT);
            put_u32(out_, NFTA_SET_DATA_LEN, 0);
        }
        out_.bytes(NFTA_SET_USERDATA, byte_order_userdata(c.type.fields));
        out_.end();
    }
    void add(const DeleteSet& c) {
        begin(NFT_MSG_DELSET, 0, c.table);
        out_.text(NFTA_SET_TABLE, name(c.table.id));
        out_.text(NFTA_SET_NAME, c.name);
        out_.end();
    }
    void add(const FlushSet& c) {
        begin(NFT_MSG_DELSETELEM, 0, c.table);
        out_.text(NFTA_SET_ELEM_LIST_TABLE, name(c.table.id));
        out_.text(NFTA_SET_ELEM_LIST_SET, c.name);
        out_.end();
    }
    void add(const AddElements& c) {
        element_messages(NFT_MSG_NEWSETELEM, c.table, c.set, std::nullopt, c.type, c.elements);
        if (c.members) {
            member_messages(c.table, c.set, *c.members);
        }
    }
    void add(const DeleteElements& c) {
        element_messages(NFT_MSG_DELSETELEM, c.table, c.set, std::nullopt, c.type, c.elements);
    }

    /// All keys of a plain set have one length, so that its elements differ in their last bytes alone.
    void member_messages(const TableKey& table, std::string_view set, const render::Members& members) {
        RequestBuffer first;
        Bytes element;
        for (auto next = members.begin(); next != members.end();) {
            begin(NFT_MSG_NEWSETELEM, NLM_F_CREATE, table);
            out_.text(NFTA_SET_ELEM_LIST_TABLE, name(table.id));
            out_.text(NFTA_SET_ELEM_LIST_SET, set);
            const auto list = out_.open(NFTA_SET_ELEM_LIST_ELEMENTS);
            const std::size_t start = out_.view().size();
            for (; next != members.end() && out_.view().size() - start < kElementListLimit; ++next) {
                const ByteView key = next->bytes();
                if (element.empty()) {
                    put_value(first, NFTA_SET_ELEM_KEY, key);
                    element.assign(first.view().begin(), first.view().end());
                }
                std::ranges::copy(key, element.end() - static_cast<std::ptrdiff_t>(netlink::aligned(key.size())));
                out_.bytes(NFTA_LIST_ELEM | NLA_F_NESTED, element);
            }
            out_.close(list);
            out_.end();
        }
    }

    void element_messages(std::uint16_t message, const TableKey& table, std::string_view set,
                          std::optional<std::uint32_t> set_id, const SetType& type,
                          const std::vector<Element>& elements) {
        std::size_t next = 0;
        while (next < elements.size()) {
            begin(message, message == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0, table);
            out_.text(NFTA_SET_ELEM_LIST_TABLE, name(table.id));
            out_.text(NFTA_SET_ELEM_LIST_SET, set);
            if (set_id) {
                put_u32(out_, NFTA_SET_ELEM_LIST_SET_ID, *set_id);
            }
            const auto list = out_.open(NFTA_SET_ELEM_LIST_ELEMENTS);
            const std::size_t start = out_.view().size();
            while (next < elements.size() && out_.view().size() - start < kElementListLimit) {
                write_element(type, elements[next++], message == NFT_MSG_NEWSETELEM);
            }
            out_.close(list);
            out_.end();
        }
    }

    void write_element(const SetType& type, const Element& element, bool with_data) {
        const auto nest = out_.open(NFTA_LIST_ELEM);
        put_value(out_, NFTA_SET_ELEM_KEY, element.key.bytes());
        if (with_data && type.shape == SetType::Shape::verdicts) {
            const auto data = out_.open(NFTA_SET_ELEM_DATA);
            put_verdict(out_, element.verdict);
            out_.close(data);
        }
        out_.close(nest);
        if (type.shape != SetType::Shape::ranges) {
            return;
        }
        // A range is two elements: its first key, and the key after its last with a flag; no second one at the very
        // end.
        if (const auto after = element.end.next()) {
            const auto end = out_.open(NFTA_LIST_ELEM);
            put_value(out_, NFTA_SET_ELEM_KEY, after->bytes());
            put_u32(out_, NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
            out_.close(end);
        }
    }

    struct Made {
        std::uint32_t objects = 0;      ///< that have handles
        std::size_t first_rule_at = 0;  ///< offset of its message; 0: there is none
        std::size_t last_rule_at = 0;
    };

    Batch& batch_;
    RequestBuffer& out_;
    bool own_tables_;
    std::map<TableKey, Made> made_;
    std::size_t message_at_ = 0;
    std::size_t command_ = Batch::kNoCommand;
    std::uint32_t set_id_ = 0;
};

std::string object(const TableKey& table, std::string_view kind, std::string_view name_of_object) {
    std::string text = "table ";
    text += table.family == net::Family::v4 ? "ip " : "ip6 ";
    text += name(table.id);
    if (!kind.empty()) {
        text.append(", ").append(kind).append(" ").append(name_of_object);
    }
    return text;
}

}  // namespace

bool is_owned(render::TableId table) noexcept { return table != render::TableId::egress; }

Batch encode(const Transaction& transaction, std::optional<std::uint32_t> generation, bool own_tables) {
    Batch batch;
    Encoder encoder(batch, generation, own_tables);
    for (std::size_t i = 0; i < transaction.size(); ++i) {
        encoder.encode(transaction[i], i);
    }
    encoder.finish();
    return batch;
}

Batch encode_owner_probe() {
    Batch batch;
    Encoder encoder(batch, std::nullopt, true);
    encoder.probe();
    encoder.finish();
    return batch;
}

std::vector<RuleHandle> number_rules(const Batch& batch,
                                     const std::unordered_map<std::uint32_t, std::uint64_t>& answered) {
    std::vector<RuleHandle> handles;
    for (const auto& [table, rules] : batch.new_rules) {
        const Batch::NewRule& first = rules.front();
        const Batch::NewRule& last = rules.back();
        const auto low = answered.find(first.message);
        const auto high = answered.find(last.message);
        if (low == answered.end() || high == answered.end() ||
            high->second - low->second != last.made_until - first.made_until) {
            continue;  // they can still be read
        }
        handles.reserve(handles.size() + rules.size());
        for (const Batch::NewRule& rule : rules) {
            handles.push_back({rule.command, rule.rule, low->second + (rule.made_until - first.made_until)});
        }
    }
    return handles;
}

std::string describe(const Command& command) {
    return std::visit(
        overloaded{
            [](const AddTable& c) { return "create " + object(c.table, {}, {}); },
            [](const DeleteTable& c) { return "delete " + object(c.table, {}, {}); },
            [](const AddChain& c) { return "create " + object(c.table, "chain", c.name); },
            [](const DeleteChain& c) { return "delete " + object(c.table, "chain", c.name); },
            [](const FlushChain& c) { return "empty " + object(c.table, "chain", c.name); },
            [](const FillChain& c) { return "fill " + object(c.table, "chain", c.name); },
            [](const EditChain& c) { return "edit " + object(c.table, "chain", c.name); },
            [](const AddSet& c) { return "create " + object(c.table, "set", c.name); },
            [](const DeleteSet& c) { return "delete " + object(c.table, "set", c.name); },
            [](const FlushSet& c) { return "empty " + object(c.table, "set", c.name); },
            [](const AddElements& c) { return "add elements to " + object(c.table, "set", c.set); },
            [](const DeleteElements& c) { return "remove elements from " + object(c.table, "set", c.set); },
        },
        command);
}

std::string describe(const ObjectName& name) {
    return object(name.table, name.kind == ObjectName::Kind::chain ? "chain" : "set", name.name);
}

}  // namespace manul::felix::nft
