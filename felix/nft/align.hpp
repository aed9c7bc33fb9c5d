#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "felix/nft/verify.hpp"
#include "felix/render/ruleset.hpp"

/// A renderer edits the chain of a tier's list, and of a class, in place: it keeps the name of its birth while its
/// rules change. So a kernel may hold exactly what a renderer wants that starts from nothing, under other names.
namespace manul::felix::nft {

/// The kernel's names of wanted chains, by the wanted names; where both are the same nothing is said.
using Aliases = std::map<render::TableKey, std::map<std::string, std::string>>;

/// Finds chains by their rules' comments, which only say where to look: `verify` judges by what rules do. Which of
/// several classes with the same rules is which, links tell: `held_groups` are their groups, by those that are wanted.
[[nodiscard]] Aliases find_aliases(const render::Ruleset& wanted, const KernelContents& kernel,
                                   const std::map<std::uint32_t, std::uint32_t>& held_groups = {});

/// Calls the chains, and the maps of the lists among them, wherever they are named, as the kernel does.
void rename_chains(render::Ruleset& wanted, const Aliases& aliases);

}  // namespace manul::felix::nft
