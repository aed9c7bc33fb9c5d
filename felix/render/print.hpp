#pragma once

#include <cstdint>
#include <string>

#include "felix/render/ruleset.hpp"

/// Ruleset values as text that `nft -f` loads: for golden files, for people and for fingerprints. The text is
/// canonical: equal values print alike, different values differ.
namespace manul::felix::render {

[[nodiscard]] std::string print(net::Family family, const Rule& rule);
[[nodiscard]] std::string print(const Verdict& verdict);
[[nodiscard]] std::string print(const TableKey& key, const Table& table);
/// Tables in order, sets before chains, elements sorted.
[[nodiscard]] std::string print(const Ruleset& ruleset);

/// 64-bit FNV-1a of the rule's text. Tells a rule that an earlier run left in the kernel from another one; nothing that
/// must hold against an adversary rests on it (while felix runs it compares the values themselves).
[[nodiscard]] std::uint64_t fingerprint(net::Family family, const Rule& rule);

/// 64-bit FNV-1a of any text.
[[nodiscard]] std::uint64_t fnv1a(std::string_view text) noexcept;

}  // namespace manul::felix::render
