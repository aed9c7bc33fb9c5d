#include "bgpd/policy/import_rules.hpp"

#include <algorithm>

namespace manul::bgp::policy {

const char* to_string(Refusal refusal) noexcept {
    switch (refusal) {
        case Refusal::none:
            return "accepted";
        case Refusal::martian:
            return "martian prefix";
        case Refusal::own_address:
            return "own address";
        case Refusal::as_loop:
            return "own AS in the path";
        case Refusal::originator_loop:
            return "own originator id";
        case Refusal::cluster_loop:
            return "own cluster id in the cluster list";
        case Refusal::wrong_first_as:
            return "path does not start with the peer's AS";
        case Refusal::own_next_hop:
            return "next hop is an own address";
        case Refusal::invalid_next_hop:
            return "invalid next hop";
        case Refusal::as_set:
            return "AS set in the path";
        case Refusal::route_leak:
            return "route leak (OTC)";
        case Refusal::filtered:
            return "rejected by an import filter";
    }
    return "refused";
}

OwnAddresses::OwnAddresses(std::vector<net::Ip> addresses) : all_(std::move(addresses)) {
    std::sort(all_.begin(), all_.end());
    all_.erase(std::unique(all_.begin(), all_.end()), all_.end());
    for (const net::Ip& ip : all_) {
        if (ip.is_v4()) {
            v4_.push_back(net::PrefixKey4::host(ip));
        } else {
            v6_.push_back(net::PrefixKey6::host(ip));
        }
    }
}

bool OwnAddresses::contains(const net::Ip& address) const noexcept {
    return std::binary_search(all_.begin(), all_.end(), address);
}
bool OwnAddresses::contains(const net::PrefixKey4& key) const noexcept {
    return std::binary_search(v4_.begin(), v4_.end(), key);
}
bool OwnAddresses::contains(const net::PrefixKey6& key) const noexcept {
    return std::binary_search(v6_.begin(), v6_.end(), key);
}

namespace {

bool in_cluster_list(ByteView list, std::uint32_t cluster) noexcept {
    ByteReader reader(list);
    while (auto id = reader.u32()) {
        if (*id == cluster) {
            return true;
        }
    }
    return false;
}

Refusal judge_next_hop(const wire::NextHop& next_hop, const OwnAddresses& own) noexcept {
    const net::Ip& address = next_hop.address;
    if (address.is_unspecified() || address.is_loopback() || address.is_multicast()) {
        return Refusal::invalid_next_hop;
    }
    return own.contains(address) ? Refusal::own_next_hop : Refusal::none;
}

/// RFC 9234 section 5, ingress 1 and 2.
bool is_leak(const ImportContext& context, const wire::AttributeFacts& facts) noexcept {
    if (!facts.only_to_customer || !context.role) {
        return false;
    }
    switch (*context.role) {
        case wire::Role::provider:
        case wire::Role::route_server:
            return true;
        case wire::Role::peer:
            return *facts.only_to_customer != context.remote_as.number();
        case wire::Role::customer:
        case wire::Role::route_server_client:
            return false;
    }
    return false;
}

}  // namespace

bool gets_otc(const ImportContext& context, const wire::AttributeFacts& facts) noexcept {
    return context.external && !facts.only_to_customer &&
           (context.role == wire::Role::customer || context.role == wire::Role::peer ||
            context.role == wire::Role::route_server_client);
}

Refusal judge_attributes(const ImportContext& context, const wire::AttributeFacts& facts, const wire::NextHop& next_hop,
                         const OwnAddresses& own) noexcept {
    if (facts.as_path.has_set()) {
        return Refusal::as_set;
    }
    std::uint32_t own_as = facts.as_path.count(context.node_as);
    if (context.local_as != context.node_as) {
        own_as += facts.as_path.count(context.local_as);
    }
    if (own_as > context.allowed_own_as) {
        return Refusal::as_loop;
    }
    if (context.external) {
        // A route server leaves itself out of the path (RFC 7947 section 2.2.2.1).
        if (facts.neighbour_as != context.remote_as.number() && context.role != wire::Role::route_server_client) {
            return Refusal::wrong_first_as;
        }
        if (is_leak(context, facts)) {
            return Refusal::route_leak;
        }
    } else {
        if (facts.originator_id == context.router_id.value()) {
            return Refusal::originator_loop;
        }
        if (context.cluster_id && in_cluster_list(facts.cluster_list, *context.cluster_id)) {
            return Refusal::cluster_loop;
        }
    }
    return judge_next_hop(next_hop, own);
}

}  // namespace manul::bgp::policy
