#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/json/fwd.hpp>

#include "base/control.hpp"
#include "base/daemon.hpp"
#include "base/error.hpp"
#include "base/http_status.hpp"
#include "base/unique_fd.hpp"
#include "config/report.hpp"
#include "config/settings.hpp"
#include "config/store/store.hpp"
#include "ipam/io/chores_loop.hpp"
#include "ipam/io/cni_server.hpp"
#include "ipam/io/host_links.hpp"
#include "ipam/io/host_service.hpp"
#include "ipam/io/metrics.hpp"

/// manul-ipamd: the CNI plugin's requests on one side, the datastore and this node's links on the other.
///
///   plugin --> CniServer ------> HostService (store worker) --> store
///                 |   links          ^
///                 +--> Deleter ------+        ChoresLoop (own worker) --> store
///
/// The io_context's thread only moves requests and answers. Workers do everything that blocks: one owns the store, one
/// the netlink socket (deleting links takes tens of milliseconds), one the log of DELs, one the cluster's chores.
namespace manul::ipam {

/// Keeps the parts together: follows the datastore, does this node's periodic work, and answers manulctl, Prometheus
/// and probes.
class Ipamd {
public:
    /// `daemon` and `settings` outlive this object.
    Ipamd(Daemon& daemon, const config::Settings& settings, std::unique_ptr<store::Store> store);
    ~Ipamd();
    Ipamd(const Ipamd&) = delete;
    Ipamd& operator=(const Ipamd&) = delete;

    /// Opens sockets and files, then begins to reach for the datastore.
    [[nodiscard]] Result<void> open();

private:
    // The datastore.
    void connect();
    void on_unreachable(const std::string& problem);
    void on_connected(HostService::Connected connected);
    void watch_store(UniqueFd readable);
    void watch_store_again();
    void take_changes();
    void on_changes(HostService::Taken taken);

    // Periodic work.
    void check_presence();
    void tidy();
    void give_back(bool everywhere, const std::optional<std::set<std::string>>& containers);
    void sync_tunnels();
    void write_history_soon();
    void write_history();

    // What it says of itself.
    void on_control_request(const boost::json::object& request, control::Reply reply);
    [[nodiscard]] Result<void> open_status_servers();
    [[nodiscard]] std::string exposition();
    void update_report();
    void report(model::NodeReportSpec content, std::size_t nodes);

    Daemon& daemon_;
    const config::Settings& settings_;
    std::unique_ptr<store::Store> store_;
    HostService host_;                  ///< of the store worker
    std::unique_ptr<HostLinks> links_;  ///< of the link worker
    Metrics metrics_;

    bool in_sync_ = false;
    bool taking_changes_ = false;
    bool node_missing_ = false;  ///< the Node was deleted while this daemon runs, and it cannot write it back
    std::string last_problem_;
    std::string last_tunnel_problem_;
    std::vector<model::NotInForce> known_refusals_;
    UniqueFd store_readable_;
    std::unique_ptr<ReadableWatch> store_watch_;  // after the descriptor: stops watching before it is closed

    std::chrono::steady_clock::time_point tidy_everywhere_at_;
    std::chrono::steady_clock::time_point sync_tunnels_at_;
    Timer connect_timer_;
    Timer presence_timer_;
    Timer tidy_timer_;
    Timer history_timer_;

    std::unique_ptr<control::Server> control_server_;
    std::vector<std::unique_ptr<http_status::Server>> status_servers_;
    std::unique_ptr<CniServer> cni_server_;
    ChoresLoop chores_;
    // Last: their threads end before what they work on.
    Worker store_worker_;
    Worker link_worker_;
    config::ReportWriter report_;
};

}  // namespace manul::ipam
