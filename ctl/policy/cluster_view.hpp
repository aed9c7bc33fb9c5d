#pragma once

#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "config/model/resource.hpp"
#include "config/store/store.hpp"
#include "felix/calc/address_names.hpp"
#include "felix/calc/event.hpp"
#include "felix/calc/last_good.hpp"
#include "felix/model/snapshot.hpp"
#include "felix/model/update.hpp"

namespace manul::ctl {

/// Everything that policy depends on, read once; what each node must enforce is worked out on demand by felix's own
/// calculation.
class ClusterView {
public:
    [[nodiscard]] static store::StoreResult<ClusterView> read(store::Store& store);
    explicit ClusterView(std::vector<felix::Event> events);

    /// The same cluster with these objects put or removed.
    [[nodiscard]] ClusterView with(const std::vector<felix::Event>& changes) const;

    /// What that node remembers of versions that were valid: in force where the stored one is not. Before it is asked
    /// about.
    void restore(const std::string& node, std::vector<model::ResourcePtr> last_good);

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
    std::map<std::string, std::vector<model::ResourcePtr>> last_good_;
};

}  // namespace manul::ctl
