#include "felix/model/policy.hpp"

#include <algorithm>
#include <vector>

#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::felix {

namespace {

bool absent_or_has(const std::vector<net::Prefix>& nets, net::Family family) noexcept {
    return nets.empty() || std::ranges::any_of(nets, [family](const auto& net) { return net.family() == family; });
}

bool holds_everything(const std::vector<net::Prefix>& nets, net::Family family) noexcept {
    return std::ranges::any_of(nets, [family](const auto& net) { return net.family() == family && net.length() == 0; });
}

bool end_can_match(const EntityMatch& match, net::Family family) noexcept {
    return absent_or_has(match.nets, family) && absent_or_has(match.not_nets, family) &&
           !holds_everything(match.not_nets, family);
}

}  // namespace

bool Rule::can_match(net::Family wanted) const noexcept {
    return !never && (!family || *family == wanted) && end_can_match(source, wanted) &&
           end_can_match(destination, wanted);
}

}  // namespace manul::felix
