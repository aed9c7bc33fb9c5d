#include "felix/render/limits.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "felix/model/rule_id.hpp"
#include "felix/render/skeleton.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"

namespace manul::felix::render {

namespace {

constexpr std::uint8_t kTcp = 6;
constexpr const char* kRefuse = "count_refuse";

bool is_limited(const TrafficLimits& limits) { return limits.packet_rate || limits.max_connections; }

}  // namespace

struct LimitChains::Place {
    std::string_view name;
    bool from_workload;
    bool rate;
    Hook hook;

    [[nodiscard]] const TrafficLimits& of(const Limited& endpoint) const {
        return from_workload ? endpoint.from_workload : endpoint.to_workload;
    }
    [[nodiscard]] SetType map_type() const {
        return {{from_workload ? Field::in_interface : Field::out_interface}, SetType::Shape::verdicts};
    }
    void render(LimitChains& chains, net::Family family, std::vector<Change>& out) const;
};

void LimitChains::put(const Endpoint& endpoint) {
    const bool was = endpoints_.erase(endpoint.key) != 0;
    const bool is = is_limited(endpoint.to_workload) || is_limited(endpoint.from_workload);
    if (is) {
        endpoints_.emplace(endpoint.key, Limited{endpoint.interface, endpoint.to_workload, endpoint.from_workload});
    }
    dirty_ = dirty_ || was || is;
}

void LimitChains::remove(const EndpointKey& key) { dirty_ = endpoints_.erase(key) != 0 || dirty_; }

std::map<std::string, ChainPtr> LimitChains::wanted(const Place& place, net::Family family) const {
    std::map<std::string, ChainPtr> chains;
    for (const auto& [key, endpoint] : endpoints_) {
        const TrafficLimits& limits = place.of(endpoint);
        Rule rule;
        if (place.rate && limits.packet_rate) {
            rule = {{},
                    {Limit{*limits.packet_rate, 1, limits.packet_burst, true}, Count{}, drop()},
                    packet_rate_id().value()};
        } else if (!place.rate && limits.max_connections) {
            rule = {{}, {ConnectionsOver{*limits.max_connections}, go_to(kRefuse)}};
        } else {
            continue;
        }
        chains.insert_or_assign(endpoint.interface, Chain::make(family, {std::move(rule)}));
    }
    return chains;
}

/// The base chain of a place with its map, and the chains that the map leads to; each before what names it, and removed
/// after.
void LimitChains::Place::render(LimitChains& chains, net::Family family, std::vector<Change>& out) const {
    const TableKey table{family, TableId::raw};
    const std::string base(name);
    const std::string map = base + "_map";
    const auto chain_of = [&base](const std::string& interface) { return base + "_" + interface; };
    const auto now = chains.wanted(*this, family);
    auto& before = chains.given_[{table, base}];
    if (before.empty() && !now.empty()) {
        out.emplace_back(PutSet{table, map, map_type()});
    }
    ChangeElements change{table, map, {}, {}};
    for (const auto& [interface, chain] : now) {
        const auto old = before.find(interface);
        if (old == before.end() || !(*old->second == *chain)) {
            out.emplace_back(PutChain{table, chain_of(interface), chain});
        }
        if (old == before.end()) {
            change.add.push_back({ElementKey::interface(interface), {}, go_to(chain_of(interface))});
        }
    }
    for (const auto& [interface, chain] : before) {
        if (!now.contains(interface)) {
            change.remove.push_back(ElementKey::interface(interface));
        }
    }
    if (!now.empty() && (!change.add.empty() || !change.remove.empty())) {
        out.emplace_back(change);
    }
    if (before.empty() && !now.empty()) {
        std::vector<Rule> rules;
        if (!rate) {
            rules.push_back(established());
        }
        rules.push_back({{}, {LookupVerdict{map_type().fields, map}}});
        out.emplace_back(PutChain{table, base, Chain::make(family, std::move(rules), hook)});
    } else if (!before.empty() && now.empty()) {
        out.emplace_back(RemoveChain{table, base});
        out.emplace_back(RemoveSet{table, map});
    }
    for (const auto& [interface, chain] : before) {
        if (!now.contains(interface)) {
            out.emplace_back(RemoveChain{table, chain_of(interface)});
        }
    }
    before = now;
}

void LimitChains::render(std::vector<Change>& out) {
    static constexpr std::array<Place, 4> kPlaces{{
        {"rate_from", true, true, {Hook::Type::filter, Hook::Point::prerouting, -298}},
        {"rate_to", false, true, {Hook::Type::filter, Hook::Point::forward, -299}},
        {"count_from", true, false, {Hook::Type::filter, Hook::Point::prerouting, -91}},
        {"count_to", false, false, {Hook::Type::filter, Hook::Point::forward, -1}},
    }};
    if (!std::exchange(dirty_, false)) {
        return;
    }
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        const TableKey table{family, TableId::raw};
        std::size_t counting = 0;
        std::size_t counted = 0;
        for (const Place& place : kPlaces) {
            counting += place.rate ? 0 : wanted(place, family).size();
            const auto known = given_.find({table, std::string(place.name)});
            counted += place.rate || known == given_.end() ? 0 : known->second.size();
        }
        if (counting != 0 && counted == 0) {
            out.emplace_back(PutChain{
                table, kRefuse,
                Chain::make(family, {{{MatchProtocol{kTcp}}, {Count{}, Reject{true}}, connection_limit_id().value()},
                                     {{}, {Count{}, drop()}, connection_limit_id().value()}})});
        }
        for (const Place& place : kPlaces) {
            place.render(*this, family, out);
        }
        if (counting == 0 && counted != 0) {
            out.emplace_back(RemoveChain{table, kRefuse});
        }
    }
}

}  // namespace manul::felix::render
