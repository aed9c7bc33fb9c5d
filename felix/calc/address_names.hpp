#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "config/model/kind.hpp"
#include "config/model/node.hpp"
#include "config/model/resource.hpp"
#include "config/model/workload_endpoint.hpp"
#include "felix/calc/event.hpp"
#include "net/ip.hpp"

/// Who has an address, anywhere in the cluster: for log lines and traces, which name endpoints rather than addresses.
namespace manul::felix {

class AddressNames {
public:
    struct Holder {
        model::Key key;     ///< of a WorkloadEndpoint, HostEndpoint or Node
        std::string node;   ///< that it is on
        std::string label;  ///< "pod default/web-1", "workload cni/1f2e...", "host endpoint eth0", "node n1"
    };

    void handle(const Event& event);

    /// Null when no holder is known. A workload takes precedence over a host endpoint, and that over a Node.
    [[nodiscard]] const Holder* find(const net::Ip& address) const;
    /// The holder and the address, "pod default/web-1 (10.65.0.2)", or the address alone.
    [[nodiscard]] std::string describe(const net::Ip& address) const;

private:
    void put(const model::Resource& resource);
    void remove(const model::Key& key);

    struct Held {
        std::shared_ptr<const Holder> holder;
        std::vector<net::Ip> addresses;
    };
    std::unordered_map<model::Key, Held> held_;
    std::map<net::Ip, std::map<std::pair<int, model::Key>, std::shared_ptr<const Holder>>> by_address_;
};

/// "pod NAMESPACE/NAME" of an endpoint that belongs to a pod, else "workload NAMESPACE/NAME".
[[nodiscard]] std::string workload_label(const model::WorkloadEndpoint& endpoint);
/// All addresses that the Node declares as its own.
[[nodiscard]] std::vector<net::Ip> addresses_of(const model::Node& node);

}  // namespace manul::felix
