#include "felix/render/dscp.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "felix/render/rule.hpp"

namespace manul::felix::render {

namespace {

constexpr const char* kChain = "dscp";
constexpr std::int32_t kMangle = -150;

}  // namespace

void DscpChains::put(const EndpointKey& key, std::optional<std::uint8_t> value, const std::vector<net::Ip>& addresses) {
    const auto known = wishes_.find(key);
    if (!value) {
        dirty_ = dirty_ || known != wishes_.end();
        wishes_.erase(key);
        return;
    }
    Wish wish{*value, addresses};
    if (known == wishes_.end() || known->second != wish) {
        wishes_.insert_or_assign(key, std::move(wish));
        dirty_ = true;
    }
}

ChainPtr DscpChains::wanted(net::Family family, const std::vector<net::Prefix>& inside) const {
    std::map<std::uint8_t, std::vector<net::Prefix>> sources;
    for (const auto& [key, wish] : wishes_) {
        for (const net::Ip& address : wish.addresses) {
            if (address.family() == family) {
                sources[wish.value].push_back(net::Prefix::host(address));
            }
        }
    }
    if (sources.empty()) {
        return nullptr;
    }
    std::vector<Rule> rules;
    if (auto spared = normalized(inside, family); !spared.empty()) {
        rules.push_back({{MatchAddress{Side::destination, std::move(spared)}}, {accept()}});
    }
    for (auto& [value, addresses] : sources) {
        rules.push_back({{MatchAddress{Side::source, normalized(addresses, family)}}, {SetDscp{value}, accept()}});
    }
    return Chain::make(family, std::move(rules), Hook{Hook::Type::filter, Hook::Point::postrouting, kMangle});
}

void DscpChains::render(const std::vector<IpPoolInfo>& pools, const Tunnels& tunnels, std::vector<Change>& out) {
    if (wishes_.empty() && !dirty_) {
        return;
    }
    std::vector<net::Prefix> inside = tunnels.peers;
    std::ranges::transform(pools, std::back_inserter(inside), &IpPoolInfo::cidr);
    if (!std::exchange(dirty_, false) && inside == inside_) {
        return;
    }
    inside_ = std::move(inside);
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        const TableKey table{family, TableId::raw};
        ChainPtr& given = given_[static_cast<std::size_t>(family == net::Family::v6)];
        ChainPtr chain = wanted(family, inside_);
        if (chain == nullptr && given != nullptr) {
            out.emplace_back(RemoveChain{table, kChain});
        } else if (chain != nullptr && (given == nullptr || !(*given == *chain))) {
            out.emplace_back(PutChain{table, kChain, chain});
        }
        given = std::move(chain);
    }
}

}  // namespace manul::felix::render
