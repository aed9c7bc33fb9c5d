#include "felix/calc/route_plan.hpp"

#include <string>
#include <utility>
#include <vector>

#include "config/model/kind.hpp"
#include "felix/calc/sequencer.hpp"
#include "felix/model/route.hpp"
#include "net/prefix.hpp"

namespace manul::felix {

void RoutePlan::set(const model::Key& endpoint, const std::string& interface,
                    const std::vector<net::Prefix>& addresses) {
    remove(endpoint);
    for (const net::Prefix& prefix : addresses) {
        claimants_[prefix].insert(endpoint);
        dirty_.insert(prefix);
    }
    claims_.insert_or_assign(endpoint, Claim{interface, addresses});
}

void RoutePlan::remove(const model::Key& endpoint) {
    const auto found = claims_.find(endpoint);
    if (found == claims_.end()) {
        return;
    }
    for (const net::Prefix& prefix : found->second.addresses) {
        const auto claimants = claimants_.find(prefix);
        if (claimants == claimants_.end()) {
            continue;  // listed twice by the endpoint
        }
        claimants->second.erase(endpoint);
        if (claimants->second.empty()) {
            claimants_.erase(claimants);
        }
        dirty_.insert(prefix);
    }
    claims_.erase(found);
}

void RoutePlan::flush(Sequencer& sequencer) {
    for (const net::Prefix& prefix : std::exchange(dirty_, {})) {
        const auto claimants = claimants_.find(prefix);
        if (claimants == claimants_.end()) {
            sequencer.drop_route(prefix);
        } else {
            sequencer.set_route(WorkloadRoute{prefix, claims_.at(*claimants->second.begin()).interface});
        }
    }
}

std::vector<net::Prefix> RoutePlan::lost(const model::Key& endpoint) const {
    std::vector<net::Prefix> lost;
    const auto claim = claims_.find(endpoint);
    if (claim != claims_.end()) {
        for (const net::Prefix& prefix : claim->second.addresses) {
            if (*claimants_.at(prefix).begin() != endpoint) {
                lost.push_back(prefix);
            }
        }
    }
    return lost;
}

}  // namespace manul::felix
