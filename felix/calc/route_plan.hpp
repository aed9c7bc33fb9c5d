#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "config/model/kind.hpp"
#include "felix/calc/sequencer.hpp"
#include "net/prefix.hpp"

namespace manul::felix {

/// Host routes to the workloads of this node. An address that two endpoints claim goes to the one with the lower key.
class RoutePlan {
public:
    void set(const model::Key& endpoint, const std::string& interface, const std::vector<net::Prefix>& addresses);
    void remove(const model::Key& endpoint);

    /// Tells routes that changed since the last call.
    void flush(Sequencer& sequencer);
    struct Loser {
        model::Key endpoint;
        net::Prefix prefix;
    };
    /// Endpoints that have an address whose route leads to another one. Costs what it finds, however many there are.
    [[nodiscard]] std::vector<Loser> losers() const;

private:
    struct Claim {
        std::string interface;
        std::vector<net::Prefix> addresses;
    };

    std::map<model::Key, Claim> claims_;
    std::map<net::Prefix, std::set<model::Key>> claimants_;
    std::set<net::Prefix> contested_;  ///< prefixes with several claimants
    std::set<net::Prefix> dirty_;
};

}  // namespace manul::felix
