#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "felix/nft/tracker.hpp"
#include "net/netlink/message.hpp"

/// Reading our tables back, for a restart and after somebody else changed them. The requests are dumps of whole object
/// kinds filtered by table; tables of other owners are never asked for.
namespace manul::felix::nft {

enum class DumpKind : std::uint8_t { tables, chains, rules, sets, elements };

/// One dump request; `table` is unused for tables. `object` is the set of elements, or the one chain whose rules are
/// asked for (empty: all of the table).
void request_dump(netlink::RequestBuffer& out, DumpKind kind, const TableKey& table, const std::string& object);
/// Asks for the generation of the namespace's ruleset.
void request_generation(netlink::RequestBuffer& out);

/// What one dumped message says. Nothing when it is damaged or about a table that is not ours.
[[nodiscard]] std::optional<TableKey> decode_table(const netlink::MessageView& message);
/// Of a dumped table: it persists, and its owner is gone.
[[nodiscard]] bool decode_orphan(const netlink::MessageView& message);
/// Adds the keys of a dumped element list.
void decode_members(const netlink::MessageView& message, render::Members& members);
/// Adds a chain, rule, set or element list to the state.
void decode_object(const netlink::MessageView& message, KernelState& state);
[[nodiscard]] std::optional<std::uint32_t> decode_generation(const netlink::MessageView& message);

/// A change that the nf_tables multicast group tells. A commit is a number of objects, then its generation with the
/// process that made it.
struct Notice {
    std::optional<TableKey> ours;  ///< an object in one of our tables
    std::optional<std::uint32_t> generation;
    std::uint32_t process = 0;  ///< of a generation
    std::string process_name;
};
[[nodiscard]] Notice decode_notice(const netlink::MessageView& message);

/// Packets and bytes that a rule with an id has seen.
struct RuleCounter {
    std::uint64_t id = 0;
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
    std::string chain;
    std::uint64_t handle = 0;  ///< of the rule
};
/// Of a dumped rule; nothing when it has no id or no counter.
[[nodiscard]] std::optional<RuleCounter> decode_counter(const netlink::MessageView& message);
/// A rule that was dumped, or that a transaction made.
[[nodiscard]] std::optional<KernelChain::Rule> decode_rule(const netlink::MessageView& message);

}  // namespace manul::felix::nft
