#include "felix/calc/expectations.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace manul::felix {

void Expectations::expect(const model::WorkloadEndpoint& endpoint, Document document, std::int64_t now_us) {
    expected_.insert_or_assign(endpoint.key(), Expected{endpoint.metadata.resource_version, std::move(document),
                                                        endpoint.spec.ip_networks, now_us + kBoundUs});
}

Expectations::Seen Expectations::see(const model::Key& key, const std::string& revision, const std::string& document) {
    const auto found = expected_.find(key);
    if (found == expected_.end()) {
        return Seen::not_expected;
    }
    const bool same = found->second.revision == revision && *found->second.document == document;
    expected_.erase(found);
    return same ? Seen::confirmed : Seen::overridden;
}

std::vector<model::Key> Expectations::override_by(const model::WorkloadEndpoint& endpoint) {
    std::vector<model::Key> out;
    const model::Key own = endpoint.key();
    for (auto at = expected_.begin(); at != expected_.end();) {
        const bool shared =
            at->first != own &&
            std::ranges::find_first_of(at->second.addresses, endpoint.spec.ip_networks) != at->second.addresses.end();
        if (shared) {
            out.push_back(at->first);
        }
        at = shared ? expected_.erase(at) : std::next(at);
    }
    return out;
}

bool Expectations::withdraw(const model::Key& key, const std::string& revision) {
    const auto found = expected_.find(key);
    if (found == expected_.end() || found->second.revision != revision) {
        return false;
    }
    expected_.erase(found);
    return true;
}

std::vector<model::Key> Expectations::take_expired(std::int64_t now_us) {
    std::vector<model::Key> out;
    std::erase_if(expected_, [&](const auto& entry) {
        const bool late = entry.second.until_us <= now_us;
        if (late) {
            out.push_back(entry.first);
        }
        return late;
    });
    return out;
}

}  // namespace manul::felix
