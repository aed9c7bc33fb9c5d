#pragma once

#include <string>
#include <vector>

#include "bgpd/rib/loc_rib.hpp"
#include "bgpd/wire/path_attributes.hpp"

/// Short ways to make routes for tests.
namespace manul::test {

/// Attributes of a route as a test names them.
struct RouteSpec {
    std::vector<std::uint32_t> as_path = {65001};
    std::string next_hop = "192.0.2.1";
    std::optional<std::uint32_t> local_pref;
    std::optional<std::uint32_t> med;
    bgp::wire::Origin origin = bgp::wire::Origin::igp;
    std::optional<std::uint32_t> originator_id;
    std::vector<std::uint32_t> cluster_list;
    std::vector<bgp::wire::Community> communities;
};

[[nodiscard]] inline Bytes canonical(const RouteSpec& spec) {
    bgp::wire::PathAttributes attributes;
    attributes.origin = spec.origin;
    for (auto as = spec.as_path.rbegin(); as != spec.as_path.rend(); ++as) {
        attributes.prepend(*net::Asn::make(*as));
    }
    attributes.local_pref = spec.local_pref;
    attributes.med = spec.med;
    attributes.originator_id = spec.originator_id;
    attributes.cluster_list = spec.cluster_list;
    attributes.communities = spec.communities;
    Bytes out;
    bgp::wire::encode_attributes(attributes, out);
    return out;
}

[[nodiscard]] inline bgp::rib::AttributeId intern(bgp::rib::RibCore& core, const RouteSpec& spec) {
    return core.attributes.intern(canonical(spec), {*net::Ip::parse(spec.next_hop), std::nullopt});
}

[[nodiscard]] inline bgp::rib::SourceId add_source(bgp::rib::RibCore& core, bgp::policy::SourceKind kind,
                                                   const std::string& address, std::uint32_t router_id = 0) {
    bgp::rib::Source source;
    source.traits.kind = kind;
    source.address = *net::Ip::parse(address);
    source.router_id = router_id != 0 ? router_id : source.address.v4().value();
    return *core.sources.add(source);
}

[[nodiscard]] inline net::PrefixKey4 key4(const std::string& text) {
    return net::PrefixKey4::from(*net::Prefix::parse(text));
}

}  // namespace manul::test
