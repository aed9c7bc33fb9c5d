#include "serve/audit.hpp"

#include <cstdint>
#include <string>

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "config/codec/secret.hpp"
#include "config/model/kind.hpp"
#include "config/store/document.hpp"

namespace manul::serve {

namespace json = boost::json;

namespace {

constexpr std::int64_t kMicrosecondsASecond = 1'000'000;
constexpr std::size_t kLongestTarget = 2048;

std::string micro_time(std::int64_t now_us) {
    std::string text = store::format_timestamp(now_us / kMicrosecondsASecond);
    text.pop_back();
    return fmt::format("{}.{:06}Z", text, now_us % kMicrosecondsASecond);
}

std::string shown(const model::Key& key, const std::string& document) {
    if (key.kind != model::Kind::secret) {
        return document;
    }
    return codec::masked_secret(document).value_or("(not shown)");
}

}  // namespace

std::string audit_line(const AuditEntry& entry, const Request& request, const Caller& caller, const std::string& id,
                       std::int64_t now_us) {
    const model::KindInfo& info = model::info(entry.key.kind);
    json::array groups;
    for (const std::string& group : caller.groups) {
        groups.push_back(json::string(group));
    }
    json::object reference{{"resource", info.plural}, {"name", entry.key.name}, {"apiVersion", info.version}};
    if (!entry.key.ns.empty()) {
        reference["namespace"] = entry.key.ns;
    }
    if (!info.group.empty()) {
        reference["apiGroup"] = info.group;
    }
    if (!entry.subresource.empty()) {
        reference["subresource"] = entry.subresource;
    }
    json::object annotations;
    if (!entry.before.empty()) {
        annotations["manul.io/before"] = shown(entry.key, entry.before);
    }
    if (!entry.after.empty()) {
        annotations["manul.io/after"] = shown(entry.key, entry.after);
    }
    json::object status{{"metadata", json::object{}}, {"code", entry.code}};
    if (!entry.message.empty()) {
        status["status"] = "Failure";
        status["message"] = entry.message;
    }
    const std::string when = micro_time(now_us);
    return json::serialize(json::object{
        {"kind", "Event"},
        {"apiVersion", "audit.k8s.io/v1"},
        {"level", "RequestResponse"},
        {"auditID", id},
        {"stage", "ResponseComplete"},
        {"requestURI", request.target.substr(0, kLongestTarget)},
        {"verb", entry.verb},
        {"user", json::object{{"username", caller.user}, {"uid", caller.uid}, {"groups", std::move(groups)}}},
        {"sourceIPs", json::array{json::string(request.source)}},
        {"userAgent", request.user_agent.substr(0, kLongestTarget)},
        {"objectRef", std::move(reference)},
        {"responseStatus", std::move(status)},
        {"requestReceivedTimestamp", when},
        {"stageTimestamp", when},
        {"annotations", std::move(annotations)}});
}

}  // namespace manul::serve
