#include "ctl/policy/cluster_view.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "base/overloaded.hpp"
#include "base/try.hpp"
#include "config/codec/felix_settings.hpp"
#include "config/codec/json.hpp"
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
    ClusterView view(std::move(events));
    // Whoever may read policies but not reports does without: few daemons are started with settings.
    const auto reports = store.list({model::Kind::node_report, std::nullopt, {}});
    for (const store::Object& object : reports ? reports->items : std::vector<store::Object>{}) {
        const codec::Decoded decoded = codec::decode(object.key.kind, *object.document, codec::Mode::lenient);
        if (const auto* report = decoded.resource ? model::as<model::NodeReport>(*decoded.resource) : nullptr) {
            view.override_settings(*report);
        }
    }
    return view;
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
    ClusterView changed_view(std::move(events));
    changed_view.interfaces_ = interfaces_;
    changed_view.routes_ = routes_;
    changed_view.last_good_ = last_good_;
    changed_view.overrides_ = overrides_;
    return changed_view;
}

void ClusterView::tell_interfaces(const std::string& node, felix::InterfaceAddresses interfaces, FindRoute find_route) {
    interfaces_.insert_or_assign(node, std::move(interfaces));
    routes_.insert_or_assign(node, std::move(find_route));
    nodes_.erase(node);
}

std::string ClusterView::interface_towards(const std::string& node, const net::Ip& other, const net::Ip& own) const {
    if (const auto routes = routes_.find(node); routes != routes_.end() && routes->second) {
        if (auto interface = routes->second(other)) {
            return *std::move(interface);
        }
    }
    const felix::InterfaceAddresses known = interfaces(node);
    const auto holder = [&known](const net::Ip& address) {
        return std::ranges::find_if(known.addresses,
                                    [&address](const auto& entry) { return entry.second.contains(address); });
    };
    if (const auto found = holder(own); found != known.addresses.end()) {
        return found->first;
    }
    for (const auto& object : all<model::Node>()) {
        if (object->metadata.name != node) {
            continue;
        }
        for (const net::Ip& address : felix::addresses_of(*object)) {
            if (const auto found = holder(address);
                address.family() == other.family() && found != known.addresses.end()) {
                return found->first;
            }
        }
    }
    return kUnknownInterface;
}

felix::InterfaceAddresses ClusterView::interfaces(const std::string& node) const {
    if (const auto told = interfaces_.find(node); told != interfaces_.end()) {
        return told->second;
    }
    felix::InterfaceAddresses guess;
    std::set<net::Ip> placed;
    const auto place = [&](const std::string& interface, const net::Ip& address) {
        if (placed.insert(address).second) {
            guess.addresses[interface].insert(address);
        }
    };
    std::vector<net::Ip> own;
    for (const auto& object : all<model::Node>()) {
        if (object->metadata.name == node) {
            for (const model::NodeInterface& interface : object->spec.interfaces) {
                for (const net::Ip& address : interface.addresses) {
                    place(interface.name, address);
                }
            }
            own = felix::addresses_of(*object);
        }
    }
    std::set<std::string> named;
    std::vector<std::shared_ptr<const model::HostEndpoint>> nameless;
    for (const auto& host : all<model::HostEndpoint>()) {
        const std::string& name = host->spec.interface_name;
        if (host->spec.node != node || name == "*") {
            continue;
        }
        if (name.empty()) {
            nameless.push_back(host);
            continue;
        }
        named.insert(name);
        for (const net::Ip& address : host->spec.expected_ips) {
            place(name, address);
        }
    }
    for (const auto& host : nameless) {
        for (const net::Ip& address : host->spec.expected_ips) {
            place("(interface of " + host->spec.expected_ips.front().to_string() + ")", address);
        }
    }
    // The only interface that anything names is taken for the one that everything goes through.
    const std::string rest = guess.addresses.empty() && named.size() == 1 ? *named.begin() : kUnknownInterface;
    for (const net::Ip& address : own) {
        place(rest, address);
    }
    return guess;
}

const ClusterView::NodeState& ClusterView::state(const std::string& name) {
    const auto known = nodes_.find(name);
    if (known != nodes_.end()) {
        return known->second;
    }
    felix::Graph graph({name, overrides_[name]});
    for (const model::ResourcePtr& resource : last_good_[name]) {
        graph.restore(resource);
    }
    for (const felix::Event& event : events_) {
        graph.handle(event);
    }
    graph.handle(interfaces(name));
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

void ClusterView::override_settings(const model::NodeReport& report) {
    if (report.spec.daemon != model::ReportDaemon::felix) {
        return;
    }
    for (const model::SettingOverride& setting : report.spec.overrides) {
        // What it cannot read here, a felix of another version could.
        (void)codec::set_from_environment(overrides_[report.spec.node], setting.field, setting.value);
    }
    nodes_.erase(report.spec.node);
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
