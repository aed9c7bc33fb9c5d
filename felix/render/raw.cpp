#include "felix/render/raw.hpp"

#include <utility>
#include <vector>

#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/model/shared.hpp"
#include "felix/render/by_family.hpp"
#include "felix/render/inputs.hpp"
#include "felix/render/ruleset.hpp"
#include "felix/render/ruleset_writer.hpp"
#include "felix/render/skeleton.hpp"
#include "net/ip.hpp"

namespace manul::felix::render {

void RawChains::put(const Shared<Endpoint>& endpoint) {
    if (endpoint->allowed_source_prefixes.empty()) {
        remove(endpoint->key);
    } else {
        endpoints_.insert_or_assign(endpoint->key, endpoint);
        dirty_ = true;
    }
}

void RawChains::remove(const EndpointKey& key) { dirty_ = endpoints_.erase(key) != 0 || dirty_; }

void RawChains::render(const Inputs& inputs, RulesetWriter& writer) {
    if (!std::exchange(dirty_, false)) {
        return;
    }
    std::vector<SpoofExemption> exemptions;
    if (inputs.config->allow_spoofed_sources) {
        for (const auto& [key, endpoint] : endpoints_) {
            exemptions.push_back({endpoint->interface, endpoint->allowed_source_prefixes});
        }
    }
    for (const net::Family family : kFamilies) {
        const TableKey table{family, TableId::raw};
        writer.put_chain(table, "pre", spoofing_chain(family, *inputs.config, inputs.tunnels, exemptions));
        if (inputs.tunnels.vxlan(family)) {
            writer.put_chain(table, kTunnelOut, untracked_tunnels(family, *inputs.config));
        } else {
            writer.remove_chain(table, kTunnelOut);
        }
    }
}

}  // namespace manul::felix::render
