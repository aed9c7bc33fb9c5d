#include "felix/io/show.hpp"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/error.hpp"
#include "felix/eval/explain.hpp"
#include "felix/io/rule_counts.hpp"
#include "felix/model/rule_id.hpp"

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
                        {"storeLost", datastore.is_lost()},
                        {"storeProblem", datastore.problem()},
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

std::uint64_t parse_id(const json::object& request, std::string_view name) {
    const auto* value = request.if_contains(name);
    std::uint64_t id = 0;
    if (value != nullptr && value->is_string()) {
        const auto& text = value->get_string();
        std::from_chars(text.data(), text.data() + text.size(), id, 16);
    }
    return id;
}

json::object counter_entry(std::uint64_t id, const RuleCounts::Sum& sum, const RuleCounts& counts) {
    json::object entry{{"id", fmt::format("{:016x}", id)}, {"packets", sum.packets}, {"bytes", sum.bytes}};
    if (const auto origin = counts.origins.find(id); origin != counts.origins.end()) {
        entry["owner"] = origin->second.owner;
        entry["tier"] = origin->second.tier;
        entry["direction"] = to_string(origin->second.direction);
        entry["rule"] = origin->second.index;
        entry["action"] = to_string(origin->second.action);
    } else if (const auto reason = built_in_reason(RuleId(id))) {
        entry["reason"] = *reason;
    }
    return entry;
}

/// In order of the ids, a page at a time: an answer may not exceed 1 MiB. `after` is the last id of the page before.
json::value counters(Dataplane& dataplane, const json::object& request) {
    constexpr std::size_t kPage = 3000;
    const auto counts = rule_counts(dataplane);
    if (!counts) {
        return json::object{{"error", counts.error().message}};
    }
    json::array list;
    auto at = request.contains("after") ? counts->sums.upper_bound(parse_id(request, "after")) : counts->sums.begin();
    for (; at != counts->sums.end() && list.size() < kPage; ++at) {
        list.emplace_back(counter_entry(at->first, at->second, *counts));
    }
    return json::object{{"counters", std::move(list)}, {"more", at != counts->sums.end()}};
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
                reply(counters(dataplane, request));
            } else {
                reply(json::object{{"error", "unknown op; known are status, endpoints and counters"}});
            }
        });
}

}  // namespace manul::felix::io
