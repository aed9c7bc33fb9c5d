#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "felix/nft/wire.hpp"
#include "felix/render/ruleset.hpp"
#include "net/netlink/message.hpp"

/// Whether the kernel holds what is wanted: object by object, rule by rule (their expressions, not only their comments)
/// and element by element. The tracker trusts what it wrote; this trusts nothing.
namespace manul::felix::nft {

/// One rule as the kernel tells it.
struct KernelRule {
    std::uint64_t handle = 0;
    std::optional<RuleMark> mark;
    Bytes expressions;  ///< content of NFTA_RULE_EXPRESSIONS
};

/// Everything that the kernel holds of one of our tables.
struct KernelContent {
    struct Chain {
        std::optional<render::Hook> hook;
        std::vector<KernelRule> rules;
    };
    struct Set {
        render::SetType::Shape shape = render::SetType::Shape::members;
        std::uint32_t key_type = 0;
        bool anonymous = false;
        bool read = false;  ///< false: the elements were left out
        std::map<render::ElementKey, render::Verdict> elements;
        std::set<render::ElementKey> ends;  ///< of ranges: the first key behind each
    };
    std::map<std::string, Chain, std::less<>> chains;
    std::map<std::string, Set, std::less<>> sets;
};
using KernelContents = std::map<render::TableKey, KernelContent>;

/// Adds a dumped chain, rule, set or list of elements; others are passed over.
void decode_content(const netlink::MessageView& message, KernelContents& contents);

/// One thing in which the two sides differ.
struct Difference {
    render::TableKey table;
    std::string object;    ///< "chain p_np_default_web, rule 2"; empty: the table itself
    std::string problem;   ///< in words
    std::uint64_t id = 0;  ///< of the wanted rule that is not there; 0: none
    std::string wanted;    ///< that rule as text
};

/// What differs, in the order of tables and names. Elements of sets that were not read are not compared.
[[nodiscard]] std::vector<Difference> verify(const render::Ruleset& wanted, const KernelContents& kernel);

/// How much was compared.
struct Extent {
    std::size_t tables = 0;
    std::size_t chains = 0;
    std::size_t rules = 0;
    std::size_t sets = 0;
    std::size_t elements = 0;
    std::size_t sets_not_read = 0;
};
[[nodiscard]] Extent extent(const render::Ruleset& wanted, const KernelContents& kernel);

}  // namespace manul::felix::nft
