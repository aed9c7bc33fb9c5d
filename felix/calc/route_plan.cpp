#include "felix/calc/route_plan.hpp"

#include <iterator>
#include <set>
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
        std::set<model::Key>& claimants = claimants_[prefix];
        claimants.insert(endpoint);
        if (claimants.size() > 1) {
            contested_.insert(prefix);
        }
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
        if (claimants->second.size() < 2) {
            contested_.erase(prefix);
        }
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

std::vector<RoutePlan::Loser> RoutePlan::losers() const {
    std::vector<Loser> out;
    for (const net::Prefix& prefix : contested_) {
        const std::set<model::Key>& claimants = claimants_.at(prefix);
        for (auto loser = std::next(claimants.begin()); loser != claimants.end(); ++loser) {
            out.push_back({*loser, prefix});
        }
    }
    return out;
}

}  // namespace manul::felix
