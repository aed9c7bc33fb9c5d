#include "ipam/io/status.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "ipam/core/allocator.hpp"

namespace manul::ipam {

namespace json = boost::json;

json::value status_json(Service& service, const DaemonState& state) {
    json::object out{{"version", MANUL_VERSION},
                     {"node", state.node},
                     {"inSync", state.in_sync},
                     {"waitingAdds", state.waiting_adds},
                     {"waitingDeletes", state.waiting_deletes},
                     {"pools", service.knowledge().world().pools.size()},
                     {"commits", service.committer().commits()},
                     {"conflicts", service.committer().conflicts()}};
    if (!state.problem.empty()) {
        out["problem"] = state.problem;
    }
    if (const auto known = service.attachments()) {
        out["endpoints"] = known->size();
    }
    json::array refused;
    for (const model::NotInForce& one : service.knowledge().not_in_force()) {
        refused.push_back(json::object{{"kind", one.kind}, {"name", one.name}, {"reason", one.reason}});
    }
    out["notInForce"] = std::move(refused);
    return out;
}

json::value show_json(Service& service, WallTime now) {
    json::array pools;
    Draft draft(service.source());  // only read
    for (const Pool& pool : service.knowledge().world().pools) {
        json::object row{{"name", pool.name}, {"cidr", pool.cidr.to_string()}, {"disabled", pool.disabled}};
        if (const auto usage = usage_of(draft, service.knowledge().world(), pool, now)) {
            row["total"] = usage->total;
            row["inUse"] = usage->in_use;
            row["coolingDown"] = usage->cooling;
            row["reserved"] = usage->reserved_free;
            row["freeInOwnBlocks"] = usage->free_in_own;
            row["nodes"] = usage->nodes;
        }
        pools.push_back(std::move(row));
    }
    json::array blocks;
    if (const auto own = draft.blocks_of(service.knowledge().world().node)) {
        for (const net::Prefix& cidr : *own) {
            const auto block = draft.block(cidr);
            if (block && *block) {
                blocks.push_back(json::object{{"cidr", cidr.to_string()},
                                              {"size", (*block)->size()},
                                              {"inUse", (*block)->in_use_count()},
                                              {"free", (*block)->free_count()}});
            }
        }
    }
    service.source().end();
    json::array unrecorded;
    for (const auto& [address, link] : service.knowledge().world().unrecorded) {
        unrecorded.push_back(json::object{{"address", address.to_string()}, {"link", link}});
    }
    return json::object{
        {"pools", std::move(pools)}, {"blocks", std::move(blocks)}, {"unrecorded", std::move(unrecorded)}};
}

}  // namespace manul::ipam
