#include "ipam/core/check_report.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include <fmt/core.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <boost/system/error_code.hpp>

#include "base/json_fields.hpp"
#include "base/try.hpp"

namespace manul::ipam {

namespace {

namespace json = boost::json;

json::value optional_number(const std::optional<std::uint64_t>& number) {
    return number ? json::value(*number) : json::value(nullptr);
}

void put(json::object& out, const model::StringMap& attributes, std::string_view attribute, std::string_view key) {
    if (const auto at = attributes.find(attribute); at != attributes.end()) {
        out[key] = at->second;
    }
}

json::object allocation_object(const Allocation& allocation, bool leaked) {
    json::object out{{"block", allocation.block.to_string()},
                     {"handle", allocation.handle},
                     {"sequenceNumber", optional_number(allocation.sequence)},
                     {"inUse", !leaked}};
    put(out, allocation.attributes, "pod", "pod");
    put(out, allocation.attributes, "namespace", "namespace");
    put(out, allocation.attributes, "node", "node");
    put(out, allocation.attributes, "type", "type");
    put(out, allocation.attributes, "timestamp", "creationTimestamp");
    if (allocation.borrowed) {
        out["borrowed"] = true;
    }
    if (!allocation.users.empty()) {
        out["users"] = json::array(allocation.users.begin(), allocation.users.end());
    }
    return out;
}

}  // namespace

std::string print_report(const ReportHeader& header, const CheckResult& result) {
    std::set<net::Ip> leaked;
    json::array findings;
    for (const Finding& finding : result.findings) {
        if (finding.problem == Problem::leaked_address) {
            leaked.insert(*finding.address);
        }
        json::object one{{"problem", name_of(finding.problem)}, {"subject", finding.subject}, {"text", finding.text}};
        if (!finding.repair.empty()) {
            one["repair"] = finding.repair;
        }
        findings.push_back(std::move(one));
    }
    json::object allocations;
    for (const Allocation& allocation : result.allocations) {
        json::value& list = allocations[allocation.address.to_string()];
        if (!list.is_array()) {
            list.emplace_array();
        }
        list.get_array().push_back(allocation_object(allocation, leaked.contains(allocation.address)));
    }
    json::array handles;
    for (const LeakedHandle& handle : result.leaked_handles) {
        handles.push_back(json::object{{"id", handle.id}, {"revision", handle.revision}});
    }
    const json::object out{{"version", header.version},
                           {"clusterGUID", header.cluster_guid},
                           {"clusterInformationRevision", header.cluster_revision},
                           {"datastoreLocked", header.datastore_locked},
                           {"summary", json::object{{"problems", result.findings.size()},
                                                    {"allocations", result.allocations.size()},
                                                    {"coolingDown", result.cooling},
                                                    {"leakedAddresses", result.count(Problem::leaked_address)},
                                                    {"leakedHandles", result.leaked_handles.size()}}},
                           {"allocations", std::move(allocations)},
                           {"leakedHandles", std::move(handles)},
                           {"findings", std::move(findings)}};
    return json::serialize(out) + "\n";
}

Result<LeakReport> parse_report(std::string_view text) {
    boost::system::error_code failed;
    const json::value document = json::parse(text, failed);
    if (failed || !document.is_object()) {
        return fail("is no JSON object");
    }
    LeakReport out;
    std::string error;
    const JsonFields fields(document.get_object(), error);
    fields.read("version", out.header.version);
    fields.read("clusterGUID", out.header.cluster_guid);
    fields.read("clusterInformationRevision", out.header.cluster_revision);
    fields.read("datastoreLocked", out.header.datastore_locked);
    fields.read_object("allocations", [&](const JsonFields& allocations) {
        for (const auto& [key, list] : allocations.object()) {
            const auto address = net::Ip::parse(key);
            if (!address) {
                allocations.wrong(key, nullptr, "an IP address");
                continue;
            }
            allocations.read_objects(key, [&](const JsonFields& item) {
                bool in_use = true;
                LeakedAddress leaked{*address, {}, std::nullopt};
                item.read("inUse", in_use);
                item.read("handle", leaked.handle);
                if (const json::value* number = item.find("sequenceNumber"); number != nullptr && !number->is_null()) {
                    item.read("sequenceNumber", leaked.sequence.emplace());
                }
                if (!in_use) {
                    out.addresses.push_back(std::move(leaked));
                }
            });
        }
    });
    fields.read_objects("leakedHandles", [&](const JsonFields& item) {
        LeakedHandle& handle = out.handles.emplace_back();
        item.read("id", handle.id);
        item.read("revision", handle.revision);
    });
    if (!error.empty()) {
        return fail(error);
    }
    if (out.header.cluster_guid.empty()) {
        return fail("has no clusterGUID: is it a report of `ipam check`?");
    }
    return out;
}

Result<LeakReport> common_leaks(const std::vector<LeakReport>& reports) {
    LeakReport out = reports.front();
    for (const LeakReport& other : reports) {
        if (other.header.cluster_guid != out.header.cluster_guid) {
            return fail(fmt::format("the reports are of different clusters ({} and {})", out.header.cluster_guid,
                                    other.header.cluster_guid));
        }
        const std::set<LeakedAddress> addresses(other.addresses.begin(), other.addresses.end());
        std::erase_if(out.addresses, [&](const LeakedAddress& one) { return !addresses.contains(one); });
        const std::set<LeakedHandle> handles(other.handles.begin(), other.handles.end());
        std::erase_if(out.handles, [&](const LeakedHandle& one) { return !handles.contains(one); });
    }
    return out;
}

}  // namespace manul::ipam
