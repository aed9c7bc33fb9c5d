#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/model/host_endpoint.hpp"
#include "config/model/kind.hpp"
#include "config/model/kube_controllers_configuration.hpp"
#include "config/store/store.hpp"
#include "ipam/core/draft.hpp"
#include "ipam/core/garbage.hpp"

/// The cluster's chore that makes HostEndpoints for nodes where KubeControllersConfiguration asks for them, and removes
/// them again. One process at a time; blocking, on the store's thread.
namespace manul::ipam {

class HostEndpoints {
public:
    /// `store` outlives this object.
    explicit HostEndpoints(store::Store& store) : store_(&store) {}

    /// Kinds whose changes may ask for work.
    [[nodiscard]] static std::vector<model::Kind> kinds();

    /// Whether a change asks for work. Most changes of a Node (of its status, say) do not, nor do our own writes.
    [[nodiscard]] bool concerns(const store::Event& event) const;

    /// Acts when something `changed`, and each minute. Returns how many were written or removed.
    [[nodiscard]] Outcome<std::size_t> run(bool changed, SteadyTime steady);

private:
    [[nodiscard]] Outcome<void> work_out();
    [[nodiscard]] bool concerns_node(const store::Event& event) const;
    [[nodiscard]] bool concerns_endpoint(const store::Event& event) const;

    store::Store* store_;
    std::optional<SteadyTime> last_;
    model::AutoHostEndpoint configuration_;
    std::map<std::string, model::HostEndpoint> wanted_;  ///< by name
    std::map<std::string, std::size_t> of_node_;         ///< how many of them each node has
};

}  // namespace manul::ipam
