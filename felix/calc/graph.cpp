#include "felix/calc/graph.hpp"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.hpp"
#include "base/overloaded.hpp"
#include "base/try.hpp"
#include "config/model/bgp_configuration.hpp"
#include "config/model/block_affinity.hpp"
#include "config/model/felix_configuration.hpp"
#include "config/model/host_endpoint.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/kind.hpp"
#include "config/model/node.hpp"
#include "config/model/profile.hpp"
#include "config/model/resource.hpp"
#include "config/model/service.hpp"
#include "config/model/tier.hpp"
#include "config/model/workload_endpoint.hpp"
#include "felix/calc/event.hpp"
#include "felix/calc/identity.hpp"
#include "felix/calc/last_good.hpp"
#include "felix/calc/policy_source.hpp"
#include "felix/model/update.hpp"

namespace manul::felix {

namespace {

/// Policy can select it, or count it among peers.
bool has_labels(model::Kind kind) noexcept {
    return kind == model::Kind::workload_endpoint || kind == model::Kind::host_endpoint ||
           kind == model::Kind::network_set || kind == model::Kind::global_network_set;
}

}  // namespace

Graph::Graph(GraphOptions options)
    : node_name_(options.node_name),
      profiles_(sets_,
                [this](const std::string& profile, const model::StringMap& labels) {
                    policies_.set_parent_labels(profile, labels);
                    sets_.set_parent_labels(profile, labels);
                }),
      config_(options.node_name, std::move(options.overrides)),
      overlay_(std::move(options.node_name)) {}

// --- which version is in force ---------------------------------------------------------------------------------------

void Graph::restore(const model::ResourcePtr& last_good) {
    if (put(last_good)) {
        last_good_.restore(*last_good);
    }
}

void Graph::handle(const Event& event) {
    std::visit(overloaded{
                   [this](const ResourcePut& e) { offer(e.resource); },
                   [this](const ResourceRefused& e) { refuse(e); },
                   [this](const ResourceRemoved& e) {
                       if (last_good_.remove(e.key)) {
                           remove(e.key);
                       }
                   },
                   [this](const StoreInSync&) {
                       for (const model::Key& key : last_good_.confirm()) {
                           remove(key);
                       }
                       sequencer_.set_in_sync();
                   },
                   [this](const InterfaceAddresses& e) { hosts_.set_interfaces(e); },
               },
               event);
}

void Graph::offer(const model::ResourcePtr& resource) {
    if (last_good_.is_known(*resource)) {
        return;  // listed again
    }
    if (const auto done = put(resource); !done) {
        refuse({resource->key(), resource->metadata.resource_version, done.error().message, nullptr});
    } else {
        last_good_.accept(*resource);
    }
}

void Graph::refuse(const ResourceRefused& event) {
    const LastGood::Verdict verdict = last_good_.refuse(event);
    if (verdict.action == LastGood::Verdict::Action::put) {
        if (const auto done = put(verdict.resource); !done) {
            remove(event.key);  // not readable after all
        }
    } else if (verdict.action == LastGood::Verdict::Action::remove) {
        remove(event.key);
    }
}

// --- dispatch by kind ------------------------------------------------------------------------------------------------

Result<void> Graph::put(const model::ResourcePtr& resource) {
    const model::Key key = resource->key();
    if (policy_kind(key.kind)) {
        MANUL_CHECK(policies_.put_policy(resource));
    } else if (has_labels(key.kind)) {
        put_labelled(resource);
    }
    switch (key.kind) {
        case model::Kind::tier:
            policies_.put_tier(key.name, model::as<model::Tier>(*resource)->spec);
            break;
        case model::Kind::profile:
            profiles_.put_profile(key.name, model::as<model::Profile>(*resource)->spec);
            break;
        case model::Kind::namespace_:
            profiles_.put_namespace(key.name, resource->metadata.labels);
            break;
        case model::Kind::service_account:
            profiles_.put_account(key.ns, key.name, resource->metadata.labels);
            break;
        case model::Kind::ip_pool:
            config_.put(*model::as<model::IpPool>(*resource));
            overlay_.put(*model::as<model::IpPool>(*resource));
            break;
        case model::Kind::felix_configuration:
            config_.put(model::as<model::FelixConfiguration>(resource));
            break;
        case model::Kind::bgp_configuration:
            config_.put(*model::as<model::BgpConfiguration>(*resource));
            break;
        case model::Kind::endpoint_slice:
            put_slice(*model::as<model::EndpointSlice>(*resource));
            break;
        case model::Kind::node:
            config_.put(*model::as<model::Node>(*resource));
            overlay_.put(*model::as<model::Node>(*resource));
            break;
        case model::Kind::block_affinity:
            overlay_.put(*model::as<model::BlockAffinity>(*resource));
            break;
        case model::Kind::workload_endpoint:
            overlay_.put(*model::as<model::WorkloadEndpoint>(*resource));
            break;
        default:
            break;  // done above, or policy and routes do not depend on it
    }
    enter_namespace(key);
    return {};
}

void Graph::remove(const model::Key& key) {
    if (const auto policy = policy_kind(key.kind)) {
        policies_.remove_policy(policy_id(key, *policy));
    } else if (has_labels(key.kind)) {
        remove_labelled(key);
    }
    switch (key.kind) {
        case model::Kind::tier:
            policies_.remove_tier(key.name);
            break;
        case model::Kind::profile:
            profiles_.remove_profile(key.name);
            break;
        case model::Kind::namespace_:
            profiles_.remove_namespace(key.name);
            break;
        case model::Kind::service_account:
            profiles_.remove_account(key.ns, key.name);
            break;
        case model::Kind::ip_pool:
            config_.remove_pool(key.name);
            overlay_.remove_pool(key.name);
            break;
        case model::Kind::felix_configuration:
            config_.remove_configuration(key.name);
            break;
        case model::Kind::bgp_configuration:
            config_.remove_bgp_configuration(key.name);
            break;
        case model::Kind::endpoint_slice:
            sets_.remove_item(key);
            break;
        case model::Kind::node:
            config_.remove_node(key.name);
            overlay_.remove_node(key.name);
            break;
        case model::Kind::block_affinity:
            overlay_.remove_affinity(key.name);
            break;
        case model::Kind::workload_endpoint:
            overlay_.remove_workload(key);
            break;
        default:
            break;
    }
    leave_namespace(key);
}

void Graph::enter_namespace(const model::Key& key) {
    if (!key.ns.empty() && in_namespaces_.insert(key).second) {
        profiles_.enter_namespace(key.ns);
    }
}

void Graph::leave_namespace(const model::Key& key) {
    if (in_namespaces_.erase(key) != 0) {
        profiles_.leave_namespace(key.ns);
    }
}

// --- what selectors select -------------------------------------------------------------------------------------------

void Graph::put_labelled(const model::ResourcePtr& resource) {
    const model::Key key = resource->key();
    const std::optional<Identity> who = identity(*resource);
    if (!who) {
        remove_labelled(key);
        return;
    }
    const bool local = is_local(*resource);
    Labelled& known = labelled_[key];
    profiles_.use(who->parents, local);
    profiles_.release(known.profiles, known.local);
    if (known.local && !local) {
        remove_local(key);
    }
    known = Labelled{who->parents, local};
    sets_.put_item(key, *who);
    if (local) {
        put_local(resource, *who);
    }
}

void Graph::remove_labelled(const model::Key& key) {
    const auto known = labelled_.find(key);
    if (known == labelled_.end()) {
        return;
    }
    sets_.remove_item(key);
    if (known->second.local) {
        remove_local(key);
    }
    profiles_.release(known->second.profiles, known->second.local);
    labelled_.erase(known);
}

void Graph::put_slice(const model::EndpointSlice& slice) {
    if (const std::optional<Identity> backs = identity(slice)) {
        sets_.put_item(slice.key(), *backs);
    } else {
        sets_.remove_item(slice.key());
    }
}

bool Graph::is_local(const model::Resource& resource) const {
    if (const auto* workload = model::as<model::WorkloadEndpoint>(resource)) {
        return workload->spec.node == node_name_ && !workload->spec.interface_name.empty();
    }
    const auto* host = model::as<model::HostEndpoint>(resource);
    return host != nullptr && host->spec.node == node_name_;
}

void Graph::put_local(const model::ResourcePtr& resource, const Identity& who) {
    policies_.put_endpoint(resource->key(), who);
    if (const auto workload = model::as<model::WorkloadEndpoint>(resource)) {
        endpoints_.put(workload);
    } else {
        hosts_.put(model::as<model::HostEndpoint>(resource));
    }
}

void Graph::remove_local(const model::Key& key) {
    policies_.remove_endpoint(key);
    if (key.kind == model::Kind::host_endpoint) {
        hosts_.remove(key);
    } else {
        endpoints_.remove(key);
    }
}

// --- output ----------------------------------------------------------------------------------------------------------

Batch Graph::flush() {
    config_.flush(sequencer_);
    overlay_.flush(config_.current(), sequencer_);
    hosts_.set_names(config_.current().interface_prefixes, config_.current().excluded_interfaces);
    endpoints_.translate_floating(config_.current().floating_addresses);
    std::set<model::Key> changed = policies_.flush(sequencer_);
    hosts_.flush(changed, policies_, sequencer_);
    std::erase_if(changed, [](const model::Key& key) { return key.kind == model::Kind::host_endpoint; });
    endpoints_.flush(std::move(changed), policies_, sequencer_);
    profiles_.flush(sequencer_);
    return sequencer_.take_batch(sets_.take_delta());
}

Snapshot Graph::snapshot() const {
    Snapshot out = sequencer_.snapshot();
    out.sets = sets_.snapshot();
    return out;
}

std::vector<Report> Graph::reports() const {
    std::multimap<model::Key, Report> sorted;  // keeps the order of notes about one object
    const auto add = [&sorted](const model::Key& key, const std::string& reason) {
        sorted.emplace(key, Report{key, Report::Effect::partly, reason, {}, {}});
    };
    std::set<model::Key> closed;  // what is in force of them was not written by anybody
    for (Report& report : last_good_.reports()) {
        if (report.effect == Report::Effect::denies) {
            closed.insert(report.key);
        }
        sorted.emplace(report.key, std::move(report));
    }
    for (const auto& [id, notes] : policies_.notes()) {
        const model::Key key{resource_kind(id.kind), id.ns, id.name};
        for (const std::string& note : notes) {
            if (!closed.contains(key)) {
                add(key, note);
            }
        }
    }
    for (const auto& [name, notes] : profiles_.notes()) {
        for (const std::string& note : notes) {
            add(model::Key{model::Kind::profile, {}, name}, note);
        }
    }
    for (const auto& [name, clash] : profiles_.clashes()) {
        add(model::Key{model::Kind::profile, {}, name}, clash);
    }
    for (const auto& [key, reason] : endpoints_.conflicts()) {
        add(key, reason);
    }
    for (const auto& [key, reason] : hosts_.conflicts()) {
        add(key, reason);
    }
    std::vector<Report> out;
    out.reserve(sorted.size());
    for (auto& [key, report] : sorted) {
        out.push_back(std::move(report));
    }
    return out;
}

}  // namespace manul::felix
