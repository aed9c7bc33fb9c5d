#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "felix/nft/verify.hpp"
#include "felix/render/ruleset.hpp"

/// A renderer edits the chain of a tier's list, and of a class, in place: the chain keeps its original name while its
/// rules change. So a kernel may hold exactly what a newly started renderer wants, under different names.
namespace manul::felix::nft {

/// The kernel's names of wanted chains, by the wanted names; equal names are left out.
using Aliases = std::map<render::TableKey, std::map<std::string, std::string>>;

/// Finds chains by their rules' comments, which only say where to look: `verify` judges by what rules do. Classes with
/// the same rules are told apart by their links: `held_groups` are the links' groups, by the wanted groups.
[[nodiscard]] Aliases find_aliases(const render::Ruleset& wanted, const KernelContents& kernel,
                                   const std::map<std::uint32_t, std::uint32_t>& held_groups = {});

/// Renames the chains, and the maps of lists among them, to the kernel's names wherever they are referred to.
void rename_chains(render::Ruleset& wanted, const Aliases& aliases);

}  // namespace manul::felix::nft
