#include "felix/io/show.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/error.hpp"

namespace manul::felix::io {

namespace {

namespace json = boost::json;

json::value status(const Dataplane& dataplane, const Datastore& datastore) {
    const Dataplane::Status status = dataplane.status();
    json::array problems;
    for (const std::string& problem : status.problems) {
        problems.emplace_back(problem);
    }
    return json::object{{"version", MANUL_VERSION},
                        {"inSync", status.in_sync},
                        {"storeConnected", datastore.connected()},
                        {"commitPending", status.commit_pending},
                        {"problems", std::move(problems)},
                        {"commits", status.commits},
                        {"lastCommitMicroseconds", status.last_commit_us},
                        {"endpoints", status.endpoints},
                        {"routes", status.routes}};
}

json::value endpoints(const Dataplane& dataplane) {
    json::array list;
    for (const Dataplane::EndpointStatus& endpoint : dataplane.endpoints()) {
        json::array addresses;
        for (const std::string& address : endpoint.addresses) {
            addresses.emplace_back(address);
        }
        json::object entry{{"namespace", endpoint.ns},
                           {"name", endpoint.name},
                           {"interface", endpoint.interface},
                           {"addresses", std::move(addresses)},
                           {"programmed", endpoint.programmed}};
        if (endpoint.group) {
            entry["group"] = *endpoint.group;
        }
        list.emplace_back(std::move(entry));
    }
    return json::object{{"endpoints", std::move(list)}};
}

/// Sums over both families and all chains that hold the rule.
json::value counters(Dataplane& dataplane) {
    const auto found = dataplane.counters();
    if (!found) {
        return json::object{{"error", found.error().message}};
    }
    std::map<std::uint64_t, nft::RuleCounter> sums;
    for (const nft::RuleCounter& counter : *found) {
        nft::RuleCounter& sum = sums[counter.id];
        sum.packets += counter.packets;
        sum.bytes += counter.bytes;
    }
    json::array list;
    for (const auto& [id, sum] : sums) {
        json::object entry{{"id", fmt::format("{:016x}", id)}, {"packets", sum.packets}, {"bytes", sum.bytes}};
        if (const auto origin = dataplane.renderer().origin(id)) {
            entry["owner"] = origin->owner;
            entry["tier"] = origin->tier;
            entry["direction"] = to_string(origin->direction);
            entry["rule"] = origin->index;
        }
        list.emplace_back(std::move(entry));
    }
    return json::object{{"counters", std::move(list)}};
}

}  // namespace

Result<std::unique_ptr<control::Server>> serve_show(boost::asio::io_context& io, const std::string& run_dir,
                                                    Dataplane& dataplane, const Datastore& datastore) {
    return control::Server::listen(
        io, run_dir + "/felix.sock", [&dataplane, &datastore](const json::object& request, control::Reply reply) {
            const auto* op = request.if_contains("op");
            const std::string name = op != nullptr && op->is_string() ? std::string(op->as_string()) : std::string{};
            if (name == "status") {
                reply(status(dataplane, datastore));
            } else if (name == "endpoints") {
                reply(endpoints(dataplane));
            } else if (name == "counters") {
                reply(counters(dataplane));
            } else {
                reply(json::object{{"error", "unknown op; known are status, endpoints and counters"}});
            }
        });
}

}  // namespace manul::felix::io
