#include "ctl/policy/cluster_view.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <unordered_set>
#include <utility>
#include <variant>

#include "base/overloaded.hpp"
#include "base/try.hpp"
#include "config/model/host_endpoint.hpp"
#include "config/model/node.hpp"
#include "config/model/workload_endpoint.hpp"
#include "felix/calc/graph.hpp"
#include "felix/io/store_events.hpp"

namespace manul::ctl {

namespace {

std::optional<model::Key> key_of(const felix::Event& event) {
    return std::visit(overloaded{
                          [](const felix::ResourcePut& put) { return std::optional(put.resource->key()); },
                          [](const felix::ResourceRefused& refused) { return std::optional(refused.key); },
                          [](const felix::ResourceRemoved& removed) { return std::optional(removed.key); },
                          [](const auto&) { return std::optional<model::Key>(); },
                      },
                      event);
}

}  // namespace

store::StoreResult<ClusterView> ClusterView::read(store::Store& store) {
    MANUL_TRY(std::vector<felix::Event> events, felix::io::read_everything(store));
    return ClusterView(std::move(events));
}

ClusterView::ClusterView(std::vector<felix::Event> events) : events_(std::move(events)) {
    for (const felix::Event& event : events_) {
        names_.handle(event);
    }
}

ClusterView ClusterView::with(const std::vector<felix::Event>& changes) const {
    std::unordered_set<model::Key> changed;
    for (const felix::Event& change : changes) {
        if (const auto key = key_of(change)) {
            changed.insert(*key);
        }
    }
    std::vector<felix::Event> events;
    for (const felix::Event& event : events_) {
        if (const auto key = key_of(event); key && !changed.contains(*key)) {
            events.push_back(event);
        }
    }
    std::ranges::copy_if(changes, std::back_inserter(events), [](const felix::Event& change) {
        return !std::holds_alternative<felix::ResourceRemoved>(change);
    });
    events.emplace_back(felix::StoreInSync{});
    return ClusterView(std::move(events));
}

const ClusterView::NodeState& ClusterView::state(const std::string& name) {
    const auto known = nodes_.find(name);
    if (known != nodes_.end()) {
        return known->second;
    }
    felix::Graph graph({name, {}});
    for (const model::ResourcePtr& resource : last_good_[name]) {
        graph.restore(resource);
    }
    for (const felix::Event& event : events_) {
        graph.handle(event);
    }
    NodeState& state = nodes_[name];
    state.batch = graph.flush();
    for (const felix::Update& update : state.batch) {
        state.snapshot.apply(update);
    }
    state.reports = graph.reports();
    return state;
}

void ClusterView::restore(const std::string& node, std::vector<model::ResourcePtr> last_good) {
    last_good_[node] = std::move(last_good);
    nodes_.erase(node);
}

const felix::Batch& ClusterView::batch(const std::string& name) { return state(name).batch; }

const felix::Snapshot& ClusterView::node(const std::string& name) { return state(name).snapshot; }

const std::vector<felix::Report>& ClusterView::reports(const std::string& name) { return state(name).reports; }

std::vector<std::string> ClusterView::node_names() const {
    std::set<std::string> names;
    for (const auto& node : all<model::Node>()) {
        names.insert(node->metadata.name);
    }
    for (const auto& endpoint : all<model::WorkloadEndpoint>()) {
        names.insert(endpoint->spec.node);
    }
    for (const auto& endpoint : all<model::HostEndpoint>()) {
        names.insert(endpoint->spec.node);
    }
    names.erase("");
    return {names.begin(), names.end()};
}

}  // namespace manul::ctl
