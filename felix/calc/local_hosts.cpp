#include "felix/calc/local_hosts.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/model/dscp.hpp"
#include "config/model/host_endpoint.hpp"
#include "config/model/kind.hpp"
#include "felix/calc/active_policy.hpp"
#include "felix/calc/local_endpoints.hpp"
#include "felix/calc/sequencer.hpp"
#include "felix/model/host_endpoint.hpp"
#include "net/ip.hpp"

namespace manul::felix {

namespace {

constexpr const char* kEveryInterface = "*";

bool is_wildcard(const model::HostEndpoint& endpoint) { return endpoint.spec.interface_name == kEveryInterface; }

/// Nothing for what is no pattern.
std::optional<std::regex> compile(const std::string& pattern) {
    try {
        return std::regex(pattern, std::regex::ECMAScript | std::regex::nosubs);
    } catch (const std::regex_error&) {
        return std::nullopt;
    }
}

bool expects_any(const model::HostEndpoint& endpoint, const std::set<net::Ip>& addresses) {
    return std::ranges::any_of(endpoint.spec.expected_ips,
                               [&addresses](const net::Ip& address) { return addresses.contains(address); });
}

}  // namespace

void LocalHosts::put(const Resource& resource) {
    endpoints_.insert_or_assign(resource->key(), resource);
    dirty_.insert(resource->key());
    must_assign_ = true;
}

void LocalHosts::remove(const model::Key& key) {
    if (endpoints_.erase(key) != 0) {
        dirty_.insert(key);
        must_assign_ = true;
    }
}

void LocalHosts::set_interfaces(InterfaceAddresses interfaces) {
    addresses_ = std::move(interfaces.addresses);
    must_assign_ = true;
}

void LocalHosts::set_names(const std::vector<std::string>& workload_prefixes,
                           const std::vector<std::string>& excluded) {
    if (workload_prefixes == workload_prefixes_ && excluded == excluded_texts_) {
        return;
    }
    workload_prefixes_ = workload_prefixes;
    excluded_texts_ = excluded;
    excluded_names_.clear();
    excluded_patterns_.clear();
    for (const std::string& text : excluded) {
        if (text.size() < 2 || !text.starts_with('/') || !text.ends_with('/')) {
            excluded_names_.insert(text);
        } else if (auto pattern = compile(text.substr(1, text.size() - 2))) {
            excluded_patterns_.push_back(*std::move(pattern));
        }
    }
    must_assign_ = true;
}

bool LocalHosts::is_excluded(const std::string& interface) const {
    return excluded_names_.contains(interface) ||
           std::ranges::any_of(excluded_patterns_, [&interface](const std::regex& pattern) {
               return std::regex_search(interface, pattern);
           });
}

bool LocalHosts::is_workload(const std::string& interface) const {
    return std::ranges::any_of(workload_prefixes_,
                               [&interface](const std::string& prefix) { return interface.starts_with(prefix); });
}

/// Endpoints come in the order of their names, so the first that may have an interface has it.
LocalHosts::Assignment LocalHosts::assign() const {
    Assignment out;
    for (const auto& [key, endpoint] : endpoints_) {
        const std::string& name = endpoint->spec.interface_name;
        if (is_wildcard(*endpoint)) {
            out.wildcard = out.wildcard.value_or(key);
        } else if (!name.empty()) {
            if (!is_workload(name) && !is_excluded(name)) {
                out.by_interface.try_emplace(name, key);
            }
        } else {
            for (const auto& [interface, addresses] : addresses_) {
                if (!is_workload(interface) && !is_excluded(interface) && expects_any(*endpoint, addresses)) {
                    out.by_interface.try_emplace(interface, key);
                }
            }
        }
    }
    return out;
}

void LocalHosts::flush(const std::set<model::Key>& changed, ActivePolicies& policies, Sequencer& sequencer) {
    if (std::exchange(must_assign_, false)) {
        assignment_ = assign();
        for (const auto& [key, endpoint] : endpoints_) {
            dirty_.insert(key);  // few, and what does not differ is not told
        }
    }
    std::set<model::Key> judged = std::exchange(dirty_, {});
    std::ranges::copy_if(changed, std::inserter(judged, judged.end()),
                         [](const model::Key& key) { return key.kind == model::Kind::host_endpoint; });
    for (const model::Key& key : judged) {
        const auto found = endpoints_.find(key);
        HostEndpoint endpoint;
        endpoint.key = endpoint_key(key);
        endpoint.wildcard = assignment_.wildcard == key;
        for (const auto& [interface, owner] : assignment_.by_interface) {
            if (owner == key) {
                endpoint.interfaces.push_back(interface);
            }
        }
        if (found == endpoints_.end() || (endpoint.interfaces.empty() && !endpoint.wildcard)) {
            sequencer.drop_host_endpoint(endpoint.key);
            without_untracked_.erase(key);
            continue;
        }
        endpoint.stages = policies.host_lists(key);
        without_untracked_.erase(key);
        if (endpoint.wildcard) {
            HostEndpoint::Lists& untracked = endpoint.stages[static_cast<std::size_t>(HostStage::untracked)];
            if (!untracked.ingress->empty() || !untracked.egress->empty()) {
                without_untracked_.insert(key);
            }
            untracked = {};
        }
        endpoint.profiles = found->second->spec.profiles;
        const model::StringMap& annotations = found->second->metadata.annotations;
        if (const auto text = annotations.find(model::kDscpAnnotation); text != annotations.end()) {
            endpoint.dscp = model::dscp_of_text(text->second);
            if (endpoint.dscp) {
                endpoint.addresses = found->second->spec.expected_ips;
            }
        }
        sequencer.set_host_endpoint(std::move(endpoint));
    }
}

std::map<model::Key, std::string> LocalHosts::conflicts() const {
    std::map<model::Key, std::string> out;
    for (const auto& [key, endpoint] : endpoints_) {
        const std::string& name = endpoint->spec.interface_name;
        if (is_wildcard(*endpoint)) {
            if (assignment_.wildcard != key) {
                out.emplace(key, "all interfaces belong to " + assignment_.wildcard.value_or(key).to_string());
            }
        } else if (!name.empty()) {
            const auto owner = assignment_.by_interface.find(name);
            if (owner == assignment_.by_interface.end()) {
                out.emplace(
                    key, "interface " + name +
                             (is_excluded(name) ? " is left out by interfaceExclude" : " is a workload's by its name"));
            } else if (owner->second != key) {
                out.emplace(key, "interface " + name + " belongs to " + owner->second.to_string());
            }
        } else if (std::ranges::none_of(assignment_.by_interface,
                                        [&key](const auto& entry) { return entry.second == key; })) {
            out.emplace(key, "no interface of this node has one of its expectedIPs, or another endpoint has it");
        }
    }
    for (const model::Key& key : without_untracked_) {
        out.emplace(key, "untracked policies select it, but have no effect on an endpoint of all interfaces");
    }
    return out;
}

}  // namespace manul::felix
