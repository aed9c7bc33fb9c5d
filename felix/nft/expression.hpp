#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "felix/nft/transaction.hpp"
#include "felix/render/ruleset.hpp"
#include "net/netlink/message.hpp"

/// Matches and actions as the kernel's expressions: loads into registers, comparisons, lookups, verdicts.
namespace manul::felix::nft {

/// Several values of one field: an anonymous set that its rule looks up.
struct ValueList {
    std::uint32_t type = 0;        ///< nft(8)'s number
    std::uint32_t key_length = 0;  ///< bytes
    bool ranges = false;
    std::vector<render::Element> elements;
};

/// What `match` needs as an anonymous set; nothing when a comparison does.
[[nodiscard]] std::optional<ValueList> value_list(net::Family family, const render::Match& match);

/// Appends the rule's expressions. `anonymous` holds the set ids of those matches that need a set, in order. Its
/// counter begins with `counted`.
void write_expressions(netlink::RequestBuffer& out, net::Family family, const render::Rule& rule,
                       std::span<const std::uint32_t> anonymous, const CounterValue& counted);

}  // namespace manul::felix::nft
