#include "test/felix/verdict/traced.hpp"

#include <optional>

#include <catch2/catch.hpp>

#include "ctl/policy/ends.hpp"
#include "test/felix/builders.hpp"

namespace manul::felix::test {

Traced::Traced(const Site& site) : view_(site.events()) {
    std::map<net::Ip, std::string> behind;
    for (const auto& [name, party] : site.parties()) {
        behind[party.v4] = behind[party.v6] = party.interface;
    }
    view_.tell_interfaces(kNode, site.interfaces(), [behind](const net::Ip& address) {
        const auto found = behind.find(address);
        return found == behind.end() ? std::nullopt : std::optional(found->second);
    });
}

ctl::End Traced::end(const Party& party, const net::Ip& address) {
    ctl::End outside{ctl::End::Kind::outside, {}, {}, {}, party.name, {address}};
    if (party.name == Lab::kNode) {
        outside.kind = ctl::End::Kind::node;
        outside.node = kNode;
        return outside;
    }
    if (!party.interface.starts_with("cali")) {
        return outside;
    }
    if (!known_.contains(party.name)) {
        const auto found = ctl::find_end(view_, address.to_string());
        REQUIRE(found);
        known_.emplace(party.name, *found);
    }
    return known_.at(party.name);
}

bool Traced::can_tell(const Party& from, const Party& to) {
    const auto is_inside = [](const Party& party) {
        return party.name == Lab::kNode || party.interface.starts_with("cali");
    };
    return is_inside(from) || is_inside(to);
}

ctl::Trace Traced::trace(const Party& from, const Party& to, const Packet& packet) {
    ctl::Trace trace = ctl::make_trace(end(from, packet.source), end(to, packet.destination), packet);
    if (trace.source.node.empty() && trace.destination.node.empty()) {
        trace.through = kNode;
    }
    ctl::judge(view_, trace);
    return trace;
}

}  // namespace manul::felix::test
