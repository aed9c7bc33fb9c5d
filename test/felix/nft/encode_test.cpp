#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "base/bytes.hpp"
#include "felix/nft/encode.hpp"
#include "felix/nft/import.hpp"
#include "felix/nft/wire.hpp"
#include "net/ip.hpp"
#include "net/netlink/message.hpp"
#include "net/prefix.hpp"
#include "test/felix/render/cases.hpp"

namespace manul::felix::test {

namespace {

using netlink::MessageView;
using netlink::MessageWalk;
using render::Chain;
using render::ElementKey;
using render::Rule;
using render::TableId;
using render::TableKey;

const TableKey kEgress{net::Family::v4, TableId::egress};

std::vector<MessageView> messages(const nft::Batch& batch) {
    std::vector<MessageView> found;
    MessageWalk walk(batch.buffer.view());
    while (const auto message = walk.next()) {
        found.push_back(*message);
    }
    CHECK_FALSE(walk.damaged());
    return found;
}

std::uint8_t kind(const MessageView& message) { return static_cast<std::uint8_t>(message.type); }

nft::Transaction elements(std::size_t count) {
    nft::AddElements add{kEgress, "s", {{render::Field::source_address}}, {}};
    for (std::size_t i = 0; i < count; ++i) {
        add.elements.push_back({ElementKey(*ip("10.0.0.0").plus(i)), {}, {}});
    }
    return {add};
}

}  // namespace

TEST_CASE("the first and the last rule of a table are told, and those between are numbered by them") {
    const auto rules = [](std::size_t count) {
        std::vector<Rule> list;
        for (std::size_t i = 0; i < count; ++i) {
            list.push_back(
                {{render::MatchAddress{render::Side::source,
                                       {*net::Prefix::parse("10.0.0.0/8"), *net::Prefix::parse("12.0.0.0/8")}}},
                 {render::drop()},
                 i + 1});
        }
        return Chain::make(net::Family::v4, std::move(list));
    };
    const TableKey other{net::Family::v4, TableId::ingress};
    // In the order of the kernel's numbers: chain a, set, rule, set, rule; in the other table a chain, a set and a
    // rule.
    const nft::Transaction transaction{nft::AddChain{kEgress, "a", rules(2)}, nft::AddChain{other, "c", rules(1)},
                                       nft::FillChain{kEgress, "a", rules(2)}, nft::FillChain{other, "c", rules(1)},
                                       nft::EditChain{kEgress, "b", rules(3), {7}, false, {{2, 9}}, {}}};
    const nft::Batch batch = nft::encode(transaction, std::nullopt);
    std::vector<std::uint32_t> told;
    for (const MessageView& message : messages(batch)) {
        if ((message.flags & NLM_F_ECHO) != 0) {
            CHECK(kind(message) == NFT_MSG_NEWRULE);
            told.push_back(message.sequence);
        }
    }
    REQUIRE(told.size() == 3);  // the other table has one rule, which is its first and last
    const auto numbers = [&](std::uint64_t first, std::uint64_t single, std::uint64_t last) {
        std::vector<std::uint64_t> all;
        for (const nft::RuleHandle& rule :
             nft::number_rules(batch, {{told[0], first}, {told[1], single}, {told[2], last}})) {
            all.push_back(rule.handle);
        }
        return all;
    };
    // Rules 0 and 1 of command 2, rule 2 of command 4, then rule 0 of command 3; a set comes before each rule.
    CHECK(numbers(100, 55, 104) == std::vector<std::uint64_t>{100, 102, 104, 55});
    // Numbered otherwise than expected: nothing is known of that table.
    CHECK(numbers(100, 55, 105) == std::vector<std::uint64_t>{55});
}

TEST_CASE("a batch is framed, numbered, and acknowledged once") {
    const nft::Transaction transaction{nft::AddTable{kEgress}, nft::DeleteTable{{net::Family::v6, TableId::raw}}};
    const nft::Batch batch = nft::encode(transaction, 7);
    const auto found = messages(batch);
    REQUIRE(found.size() == 4);
    CHECK(found[0].type == NFNL_MSG_BATCH_BEGIN);
    CHECK(kind(found[1]) == NFT_MSG_NEWTABLE);
    CHECK(kind(found[2]) == NFT_MSG_DELTABLE);
    CHECK(found[3].type == NFNL_MSG_BATCH_END);
    for (std::size_t i = 0; i < found.size(); ++i) {
        CHECK(found[i].sequence == i);
        CHECK(((found[i].flags & NLM_F_ACK) != 0) == (i == 2));
    }
    CHECK(batch.acknowledged == 2);
    CHECK(batch.command_of == std::vector<std::size_t>{nft::Batch::kNoCommand, 0, 1, nft::Batch::kNoCommand});
    CHECK(nft::describe(transaction[1]) == "delete table ip6 manul_raw");
}

TEST_CASE("long lists of elements are split so that each fits one attribute") {
    const auto found = messages(nft::encode(elements(10'000), std::nullopt));
    CHECK(found.size() > 4);
    for (const MessageView& message : found) {
        CHECK(message.payload.size() < 65'536);
    }
}

TEST_CASE("a dump of elements is read back as they were written") {
    nft::AddElements add{kEgress, "class", {{render::Field::in_group}, render::SetType::Shape::verdicts}, {}};
    add.elements.push_back({ElementKey::group(0x6d000001), {}, render::go_to("c_1")});
    add.elements.push_back({ElementKey::group(0x6d000002), {}, render::jump("c_2")});
    add.elements.push_back({ElementKey::group(0x6d000003), {}, render::drop()});
    nft::KernelState state;
    state[kEgress].sets["class"].shape = render::SetType::Shape::verdicts;
    for (const MessageView& message : messages(nft::encode({add}, std::nullopt))) {
        nft::decode_object(message, state);
    }
    const auto& verdicts = state[kEgress].sets["class"].verdicts;
    REQUIRE(verdicts.size() == 3);
    for (const render::Element& element : add.elements) {
        CHECK(verdicts.at(element.key) == element.verdict);
    }
}

TEST_CASE("chains, rules and sets are read back with hooks, fingerprints and shapes") {
    const auto chain =
        Chain::make(net::Family::v4, {Rule{{}, {render::accept()}, 0}, Rule{{}, {render::drop()}, 0x1f2e}},
                    render::Hook{render::Hook::Type::filter, render::Hook::Point::prerouting, -90});
    const nft::Transaction transaction{
        nft::AddChain{kEgress, "pre", chain}, nft::FillChain{kEgress, "pre", chain},
        nft::AddSet{kEgress, "n_1", {{render::Field::source_address}, render::SetType::Shape::ranges}}};
    nft::KernelState state;
    for (const MessageView& message : messages(nft::encode(transaction, std::nullopt))) {
        nft::decode_object(message, state);
    }
    CHECK(state[kEgress].chains["pre"].hook == chain->hook());
    CHECK(state[kEgress].chains["pre"].holds(*chain));
    CHECK(state[kEgress].sets["n_1"].shape == render::SetType::Shape::ranges);
    CHECK(state[kEgress].sets["n_1"].key_type == nft::key_type(net::Family::v4, {render::Field::source_address}));
}

TEST_CASE("comments of others are not taken for ours") {
    CHECK(nft::parse_comment_userdata(nft::comment_userdata(0, 5)) == nft::RuleMark{0, 5});
    CHECK(nft::parse_comment_userdata(nft::comment_userdata(9, 5)) == nft::RuleMark{9, 5});
    const auto comment = [](const std::string& text) {
        Bytes data{0, static_cast<std::uint8_t>(text.size() + 1)};
        data.insert(data.end(), text.begin(), text.end());
        data.push_back(0);
        return data;
    };
    CHECK_FALSE(nft::parse_comment_userdata(comment("allow ssh")));
    CHECK_FALSE(nft::parse_comment_userdata(comment("zzzzzzzzzzzzzzzz")));
    CHECK_FALSE(nft::parse_comment_userdata({}));
    Bytes cut = nft::comment_userdata(9, 5);
    cut.resize(10);
    CHECK_FALSE(nft::parse_comment_userdata(cut));
}

TEST_CASE("damaged or foreign dump messages change nothing") {
    const nft::Batch batch = nft::encode(elements(3), std::nullopt);
    nft::KernelState state;
    for (const MessageView& message : messages(batch)) {
        for (std::size_t length = 0; length < message.payload.size(); ++length) {
            MessageView cut = message;
            cut.payload = message.payload.first(length);
            nft::decode_object(cut, state);
            (void)nft::decode_notice(cut);
            (void)nft::decode_counter(cut);
            (void)nft::decode_generation(cut);
        }
    }
    for (const auto& [key, table] : state) {
        CHECK(table.sets.empty());
        CHECK(table.chains.empty());
    }
}

TEST_CASE("ranges are joined where they overlap or touch") {
    struct Row {
        std::string name;
        std::vector<std::string_view> prefixes;
        std::vector<std::pair<std::string_view, std::string_view>> ranges;
    };
    const auto row = GENERATE(values<Row>({
        {"apart", {"10.0.0.0/25", "10.0.1.0/24"}, {{"10.0.0.0", "10.0.0.127"}, {"10.0.1.0", "10.0.1.255"}}},
        {"touching", {"10.0.0.0/25", "10.0.0.128/25"}, {{"10.0.0.0", "10.0.0.255"}}},
        {"inside", {"10.0.0.0/8", "10.1.0.0/16", "11.0.0.0/8"}, {{"10.0.0.0", "11.255.255.255"}}},
        {"to the end", {"128.0.0.0/1", "255.0.0.0/8"}, {{"128.0.0.0", "255.255.255.255"}}},
        {"everything", {"0.0.0.0/1", "128.0.0.0/1"}, {{"0.0.0.0", "255.255.255.255"}}},
        {"nothing", {}, {}},
    }));
    CAPTURE(row.name);
    std::vector<net::Prefix> prefixes;
    for (const std::string_view prefix : row.prefixes) {
        prefixes.push_back(net(prefix));
    }
    std::vector<render::Element> wanted;
    for (const auto& [first, last] : row.ranges) {
        wanted.push_back({ElementKey(ip(first)), ElementKey(ip(last)), {}});
    }
    CHECK(render::ranges_of(prefixes) == wanted);
}

}  // namespace manul::felix::test
