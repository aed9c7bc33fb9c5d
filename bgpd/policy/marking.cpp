#include "bgpd/policy/marking.hpp"

#include <algorithm>

namespace manul::bgp::policy {

Markings::Markings(std::span<const Marking> markings) {
    std::vector<net::Prefix> prefixes;
    for (const Marking& marking : markings) {
        prefixes.push_back(marking.within);
    }
    std::ranges::sort(prefixes, [](const net::Prefix& a, const net::Prefix& b) {
        return a.length() != b.length() ? a.length() > b.length() : a < b;
    });
    const auto doubles = std::ranges::unique(prefixes);
    prefixes.erase(doubles.begin(), doubles.end());
    for (const net::Prefix& prefix : prefixes) {
        auto& operations = operations_.emplace_back();
        for (const Marking& marking : markings) {
            if (marking.within.contains(prefix)) {
                operations.insert(operations.end(), marking.operations.begin(), marking.operations.end());
            }
        }
        const auto number = static_cast<std::uint16_t>(operations_.size());
        if (prefix.family() == net::Family::v4) {
            v4_.push_back({net::PrefixKey4::from(prefix), number});
        } else {
            v6_.push_back({net::PrefixKey6::from(prefix), number});
        }
    }
}

}  // namespace manul::bgp::policy
