#pragma once

#include <map>
#include <string>

#include "ctl/policy/cluster_view.hpp"
#include "ctl/policy/trace.hpp"
#include "felix/eval/packet.hpp"
#include "test/felix/verdict/site.hpp"

namespace manul::felix::test {

/// What `manulctl policy trace` says about packets of the site's node, worked out from the stored objects alone.
class Traced {
public:
    explicit Traced(const Site& site);
    /// Which nodes a packet from outside to outside crosses is not known from objects.
    [[nodiscard]] static bool can_tell(const Party& from, const Party& to);
    /// Nobody but the node and its pods is an object of the cluster here, so that no other node judges.
    [[nodiscard]] ctl::Trace trace(const Party& from, const Party& to, const Packet& packet);

private:
    [[nodiscard]] ctl::End end(const Party& party, const net::Ip& address);

    ctl::ClusterView view_;
    std::map<std::string, ctl::End> known_;
};

}  // namespace manul::felix::test
