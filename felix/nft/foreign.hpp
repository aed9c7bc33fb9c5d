#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "felix/render/ruleset.hpp"
#include "net/netlink/message.hpp"

/// What others have hung into the kernel's packet path. An accept of ours ends our own chain alone: a chain of somebody
/// else on the same hook may still drop the packet.
namespace manul::felix::nft {

struct ForeignChain {
    std::uint8_t family = 0;  ///< NFPROTO_*
    std::string table;
    std::string name;
    render::Hook::Point hook = render::Hook::Point::forward;
    std::int32_t priority = 0;
    bool drops_by_policy = false;
    bool drops_at_end = false;  ///< has a rule that drops or rejects whatever comes to it

    /// "ip filter FORWARD", "inet firewalld filter_FORWARD".
    [[nodiscard]] std::string to_string() const;
};

/// All base chains of filters, of every table of every family.
void request_base_chains(netlink::RequestBuffer& out);
/// Nothing for chains that hang nowhere, for other types than filter, for bridges and devices, and for our own.
[[nodiscard]] std::optional<ForeignChain> decode_foreign_chain(const netlink::MessageView& message);

/// The table of a chain that Calico made, "ip filter" (iptables-nft), "ip calico" or "arp calico-arp"; nothing for
/// other messages.
[[nodiscard]] std::optional<std::string> decode_calico_table(const netlink::MessageView& message);

/// The names of all sets of ipset.
void request_ip_sets(netlink::RequestBuffer& out);
[[nodiscard]] std::optional<std::string> decode_ip_set(const netlink::MessageView& message);

/// The rules of one chain.
void request_rules(netlink::RequestBuffer& out, const ForeignChain& chain);
/// Whether the dumped rule drops or rejects every packet that comes to it.
[[nodiscard]] bool denies_everything(const netlink::MessageView& message);

}  // namespace manul::felix::nft
