#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/model/felix_configuration.hpp"
#include "config/model/node_report.hpp"
#include "config/model/resource.hpp"
#include "config/store/store.hpp"
#include "felix/calc/address_names.hpp"
#include "felix/calc/event.hpp"
#include "felix/calc/last_good.hpp"
#include "felix/model/snapshot.hpp"
#include "felix/model/update.hpp"
#include "net/ip.hpp"

namespace manul::ctl {

/// Stands for an interface of another node whose name is not known here.
inline constexpr const char* kUnknownInterface = "(unknown)";

/// Everything that policy depends on, read once; what each node must enforce is worked out on demand by felix's own
/// calculation.
class ClusterView {
public:
    [[nodiscard]] static store::StoreResult<ClusterView> read(store::Store& store);
    explicit ClusterView(std::vector<felix::Event> events);

    /// The same cluster with these objects put or removed.
    [[nodiscard]] ClusterView with(const std::vector<felix::Event>& changes) const;

    /// The last valid versions that this node remembers; they are in force where the stored version is not. To be
    /// called before the first question about the node.
    void restore(const std::string& node, std::vector<model::ResourcePtr> last_good);

    /// Settings that the node's felix was started with (FELIX_...), from its report. To be called first, likewise.
    void override_settings(const model::NodeReport& report);

    /// The interface through which a node reaches an address; nothing when it has no route.
    using FindRoute = std::function<std::optional<std::string>(const net::Ip&)>;
    /// The real addresses of the node's interfaces; otherwise they are guessed from Node and HostEndpoints. To be
    /// called before the first question about the node.
    void tell_interfaces(const std::string& node, felix::InterfaceAddresses interfaces, FindRoute find_route = {});
    /// As given or guessed. An address of the node whose interface is not known is listed under `kUnknownInterface`.
    [[nodiscard]] felix::InterfaceAddresses interfaces(const std::string& node) const;
    /// The interface through which the node exchanges packets with `other`, as far as that is known: from its routes if
    /// they were given, else the one with the address `own`, else the one with the node's first address of that family.
    [[nodiscard]] std::string interface_towards(const std::string& node, const net::Ip& other,
                                                const net::Ip& own) const;

    /// What the node must enforce.
    [[nodiscard]] const felix::Snapshot& node(const std::string& name);
    /// The same as the one batch that leads there.
    [[nodiscard]] const felix::Batch& batch(const std::string& name);
    /// Objects that are not in force as stored, on that node.
    [[nodiscard]] const std::vector<felix::Report>& reports(const std::string& name);
    [[nodiscard]] const felix::AddressNames& names() const noexcept { return names_; }
    /// The objects of a type, in the order of the store.
    template <class T>
    [[nodiscard]] std::vector<std::shared_ptr<const T>> all() const {
        std::vector<std::shared_ptr<const T>> out;
        for (const felix::Event& event : events_) {
            if (const auto* put = std::get_if<felix::ResourcePut>(&event)) {
                if (auto object = model::as<T>(put->resource)) {
                    out.push_back(std::move(object));
                }
            }
        }
        return out;
    }
    /// Nodes that have endpoints or a Node object.
    [[nodiscard]] std::vector<std::string> node_names() const;
    [[nodiscard]] const std::vector<felix::Event>& events() const noexcept { return events_; }

private:
    struct NodeState {
        felix::Batch batch;
        felix::Snapshot snapshot;
        std::vector<felix::Report> reports;
    };
    [[nodiscard]] const NodeState& state(const std::string& name);

    std::vector<felix::Event> events_;
    felix::AddressNames names_;
    std::map<std::string, NodeState> nodes_;
    std::map<std::string, model::FelixConfigurationSpec> overrides_;
    std::map<std::string, std::vector<model::ResourcePtr>> last_good_;
    std::map<std::string, felix::InterfaceAddresses> interfaces_;  ///< as given
    std::map<std::string, FindRoute> routes_;
};

}  // namespace manul::ctl
