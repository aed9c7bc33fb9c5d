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
#include "config/model/felix_configuration.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/kind.hpp"
#include "config/model/profile.hpp"
#include "config/model/resource.hpp"
#include "config/model/tier.hpp"
#include "config/model/workload_endpoint.hpp"
#include "felix/calc/event.hpp"
#include "felix/calc/identity.hpp"
#include "felix/calc/last_good.hpp"
#include "felix/calc/policy_source.hpp"
#include "felix/model/update.hpp"

namespace manul::felix {

Graph::Graph(GraphOptions options)
    : node_name_(options.node_name),
      profiles_(sets_,
                [this](const std::string& profile, const model::StringMap& labels) {
                    policies_.set_parent_labels(profile, labels);
                    sets_.set_parent_labels(profile, labels);
                }),
      config_(options.node_name, std::move(options.overrides)) {}

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
    switch (key.kind) {
        case model::Kind::network_policy:
        case model::Kind::global_network_policy:
        case model::Kind::kubernetes_network_policy:
            MANUL_CHECK(policies_.put_policy(resource));
            break;
        case model::Kind::tier:
            policies_.put_tier(key.name, model::as<model::Tier>(*resource)->spec);
            break;
        case model::Kind::workload_endpoint:
        case model::Kind::host_endpoint:
        case model::Kind::network_set:
        case model::Kind::global_network_set:
            put_labelled(resource);
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
            break;
        case model::Kind::felix_configuration:
            config_.put(model::as<model::FelixConfiguration>(resource));
            break;
        case model::Kind::node:
            if (key.name == node_name_) {
                config_.set_node_labels(resource->metadata.labels);
            }
            break;
        default:
            break;  // kinds that policy and routes do not depend on
    }
    enter_namespace(key);
    return {};
}

void Graph::remove(const model::Key& key) {
    switch (key.kind) {
        case model::Kind::network_policy:
        case model::Kind::global_network_policy:
        case model::Kind::kubernetes_network_policy:
            policies_.remove_policy(policy_id(key, *policy_kind(key.kind)));
            break;
        case model::Kind::tier:
            policies_.remove_tier(key.name);
            break;
        case model::Kind::workload_endpoint:
        case model::Kind::host_endpoint:
        case model::Kind::network_set:
        case model::Kind::global_network_set:
            remove_labelled(key);
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
            break;
        case model::Kind::felix_configuration:
            config_.remove_configuration(key.name);
            break;
        case model::Kind::node:
            if (key.name == node_name_) {
                config_.set_node_labels({});
            }
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
    const auto endpoint = model::as<model::WorkloadEndpoint>(resource);
    const bool local = endpoint && endpoint->spec.node == node_name_ && !endpoint->spec.interface_name.empty();

    Labelled& known = labelled_[key];
    profiles_.use(who->parents, local);
    profiles_.release(known.profiles, known.local);
    if (known.local && !local) {
        remove_local(key);
    }
    known = Labelled{who->parents, local};
    sets_.put_item(key, *who);
    if (local) {
        put_local(endpoint, *who);
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

void Graph::put_local(const std::shared_ptr<const model::WorkloadEndpoint>& endpoint, const Identity& who) {
    policies_.put_endpoint(endpoint->key(), who);
    endpoints_.put(endpoint);
}

void Graph::remove_local(const model::Key& key) {
    policies_.remove_endpoint(key);
    endpoints_.remove(key);
}

// --- output ----------------------------------------------------------------------------------------------------------

Batch Graph::flush() {
    std::set<model::Key> changed = policies_.flush(sequencer_);
    endpoints_.flush(std::move(changed), policies_, sequencer_);
    profiles_.flush(sequencer_);
    config_.flush(sequencer_);
    return sequencer_.take_batch(sets_.take_delta());
}

std::vector<Report> Graph::reports() const {
    std::multimap<model::Key, Report> sorted;  // keeps the order of notes about one object
    const auto add = [&sorted](const model::Key& key, const std::string& reason) {
        sorted.emplace(key, Report{key, Report::Effect::partly, reason, {}, {}});
    };
    for (Report& report : last_good_.reports()) {
        sorted.emplace(report.key, std::move(report));
    }
    for (const auto& [id, notes] : policies_.notes()) {
        for (const std::string& note : notes) {
            add(model::Key{resource_kind(id.kind), id.ns, id.name}, note);
        }
    }
    for (const auto& [name, notes] : profiles_.notes()) {
        for (const std::string& note : notes) {
            add(model::Key{model::Kind::profile, {}, name}, note);
        }
    }
    for (const auto& [key, reason] : endpoints_.conflicts()) {
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
