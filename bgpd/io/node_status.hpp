#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/daemon.hpp"
#include "bgpd/speaker/speaker.hpp"
#include "config/model/calico_node_status.hpp"
#include "config/store/store.hpp"

namespace boost::asio {
class io_context;
}

namespace manul::bgp::io {

/// What a status says besides sessions and routes.
struct AgentFacts {
    bool ready = false;
    std::string router_id;
    std::string started;       ///< RFC 3339
    std::string reconfigured;  ///< RFC 3339
};

/// The status that a CalicoNodeStatus with these classes asks for.
[[nodiscard]] model::CalicoNodeStatusStatus make_node_status(const speaker::Speaker& speaker, const AgentFacts& facts,
                                                             const std::vector<model::NodeStatusClass>& classes,
                                                             std::string now);

/// Fills the CalicoNodeStatus objects that ask about this node, each as often as it says; with period 0 once a life of
/// this process. Writes on the worker.
class NodeStatusWriter {
public:
    using Requests = std::vector<std::shared_ptr<const model::CalicoNodeStatus>>;
    using Make = std::function<model::CalicoNodeStatusStatus(const std::vector<model::NodeStatusClass>& classes)>;

    NodeStatusWriter(boost::asio::io_context& io, Worker& worker, store::Store& store, Make make);

    /// The objects that exist now.
    void set_requests(Requests requests);

private:
    void write_due();

    Worker& worker_;
    store::Store& store_;
    Make make_;
    Requests requests_;
    std::map<std::string, std::chrono::steady_clock::time_point> written_;  ///< when, by name and uid
    Timer timer_;
};

}  // namespace manul::bgp::io
