#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <boost/json/value.hpp>

#include "base/control.hpp"
#include "base/daemon.hpp"
#include "base/error.hpp"
#include "base/http_status.hpp"
#include "base/metrics.hpp"
#include "base/unique_fd.hpp"
#include "config/report.hpp"
#include "config/settings.hpp"
#include "config/store/store.hpp"
#include "ipam/io/deleter.hpp"
#include "ipam/io/history_file.hpp"
#include "ipam/io/host_links.hpp"
#include "ipam/io/journal.hpp"
#include "ipam/io/teardown.hpp"
#include "ipam/service/chores.hpp"
#include "ipam/service/service.hpp"

/// manul-ipamd: the CNI plugin's requests on one side, the datastore and this node's links on the other.
///
/// The io_context's thread only moves requests and answers. Workers do everything that blocks: one owns the store, one
/// the netlink socket (deleting links takes tens of milliseconds), one the log of DELs. While the store worker commits,
/// requests accumulate, and the next job takes all of them: group commit without a timer.
namespace manul::ipam {

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
    /// An attachment together with its network: the same container id and interface in another network is a different
    /// attachment.
    using OfNetwork = std::pair<Attachment, std::string>;
    using Reply = control::Reply;
    struct WaitingAdd {
        Request request;
        Reply reply;
        bool way_is_clear = false;  ///< no link with the wanted name is in the way any more
        /// Handle of an earlier container of the pod whose link is gone; released when this ADD has succeeded.
        std::optional<std::string> former_handle;
        unsigned tries = 0;  ///< how often it was retried for lack of an address while deletions were under way
    };
    /// Written by several threads, read by the one that answers.
    struct Metrics {
        metrics::Registry registry;
        metrics::Counter& adds = registry.counter("manul_ipamd_adds_total", "ADDs by result", {{"result", "ok"}});
        metrics::Counter& adds_failed =
            registry.counter("manul_ipamd_adds_total", "ADDs by result", {{"result", "failed"}});
        metrics::Counter& dels = registry.counter("manul_ipamd_dels_total", "DELs that were carried out");
        metrics::Counter& dels_delayed =
            registry.counter("manul_ipamd_dels_delayed_total", "times that a DEL has to be tried again");
        metrics::Counter& blocks_given_up =
            registry.counter("manul_ipamd_blocks_given_up_total", "empty blocks that this node gave back");
        metrics::Counter& leaks_freed =
            registry.counter("manul_ipamd_leaks_freed_total", "handles that nobody used; a steady rate is a leak");
        metrics::Gauge& endpoints = registry.gauge("manul_ipamd_endpoints", "endpoints of this node");
        metrics::Counter& commits = registry.counter("manul_ipamd_commits_total", "transactions");
        metrics::Counter& conflicts =
            registry.counter("manul_ipamd_conflicts_total", "transactions that another writer spoiled");
        metrics::Gauge& waiting_adds = registry.gauge("manul_ipamd_waiting_adds", "ADDs that are not answered yet");
        metrics::Gauge& waiting_dels = registry.gauge("manul_ipamd_waiting_dels", "DELs that are not carried out yet");
        metrics::Gauge& in_sync = registry.gauge("manul_ipamd_in_sync", "1 while the datastore can be used");
        metrics::Gauge& does_chores =
            registry.gauge("manul_ipamd_does_chores", "1 on the node that works for the whole cluster");
        metrics::Histogram& commit_seconds =
            registry.histogram("manul_ipamd_add_commit_seconds", "time of the transactions of ADDs",
                               {0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5});
    };
    struct WaitingDel {
        Request request;
        std::function<void(const Answer&)> answer;
        std::string journal_file;  ///< removed once the request is in the log
    };

    /// On the store worker: why the datastore cannot be written. For a file on this host its present state, for others
    /// the reason of a recent refusal of an ADD. Empty if no reason is known.
    [[nodiscard]] std::string why_not_writable() const;

    // Requests of the plugin.
    void on_plugin_request(const boost::json::object& object, Reply reply);
    void begin_journaled_del(const Request& request);
    void run_adds();
    /// On the store worker.
    [[nodiscard]] std::optional<KnownAttachment> predecessor_of(const Request& request);
    struct Added {
        std::vector<AddResult> results;                    ///< one for each request
        std::optional<Outcome<Service::Changes>> changes;  ///< of the store, if they were read meanwhile
        UniqueFd readable;                                 ///< where the watch began anew
    };
    /// On the store worker.
    [[nodiscard]] Added add_all(const std::vector<Request>& requests);
    [[nodiscard]] bool waits_for_room(const std::shared_ptr<WaitingAdd>& add, const Answer& answer);
    void try_again_for_room();
    void answer_add(WaitingAdd& add, const Answer& answer);
    void clear_way(std::shared_ptr<WaitingAdd> add, const KnownAttachment& old);
    void on_gc(const Request& request, Reply reply);
    void on_question(Request request, Reply reply);
    void on_del(Request request, Reply reply);
    void remember_ended(const OfNetwork& named);
    void refuse_held(const Attachment& attachment, const std::string& why);
    void log_dels();
    void carry_out_unlogged(const WaitingDel& del, const std::string& why);
    void enqueue_del(WaitingDel del);
    void on_del_settled(const Release& release, const std::string& problem);
    // Requests of manulctl.
    void on_control_request(const boost::json::object& request, Reply reply);

    // The datastore.
    void connect();
    /// On the store worker: a descriptor that is readable when the service has changes to take.
    [[nodiscard]] UniqueFd duplicate_watch() const;
    void watch_store(UniqueFd readable);
    void watch_store_again();
    void take_changes();
    /// `readable` comes with changes after which the watch began anew.
    void on_changes(const Outcome<Service::Changes>& changes, UniqueFd readable);
    [[nodiscard]] std::string journal_directory() const { return settings_.state_dir + "/cni-journal"; }
    // Periodic work.
    void read_journal();
    void check_presence();
    /// On the store worker.
    void look_for_unrecorded();
    void record_history();
    void write_history();
    void tidy();
    void give_back(bool everywhere, const std::optional<std::set<std::string>>& containers);
    void sync_tunnels();
    void run_chores();
    void watch_for_chores();
    void on_chores(const Outcome<Chores::Done>& done);
    void update_report();
    // What Prometheus and probes ask.
    [[nodiscard]] Result<void> open_status_servers();
    [[nodiscard]] std::string exposition();
    void report(model::NodeReportSpec content, std::size_t nodes);

    Daemon& daemon_;
    const config::Settings& settings_;
    HostIdentity host_;
    std::unique_ptr<store::Store> store_;
    Service service_;
    std::unique_ptr<HostLinks> links_;
    std::unique_ptr<HostLinks> lookout_;  ///< of the store worker
    std::size_t unrecorded_ = 0;          ///< of the store worker: addresses that have been reported
    /// Of the store worker. Only a write shows whether writing works again, so a refusal is forgotten after a while.
    std::chrono::steady_clock::time_point write_refused_at_;
    static constexpr std::chrono::seconds kWriteRefused{30};
    std::unique_ptr<DeleteLog> log_;
    Presence presence_;

    std::vector<std::shared_ptr<WaitingAdd>> adds_;
    std::multiset<std::string> awaited_;  ///< host ends of ADDs under way
    bool adds_running_ = false;
    std::vector<WaitingDel> dels_;
    std::multiset<Attachment> adding_;  ///< attachments of ADDs under way
    /// Answered ADDs of this run, and their networks; others are asked of the store.
    std::map<Attachment, std::string> known_;
    std::multiset<Attachment> ending_;  ///< attachments whose DEL is not carried out yet
    std::set<OfNetwork> durable_;       ///< DELs that are in the log, of attachments in ending_
    std::set<OfNetwork> ended_;         ///< the latest DELs that were carried out: a repeated one finds nothing to do
    std::deque<OfNetwork> ended_order_;
    std::map<OfNetwork, Request> repeated_;  ///< DELs repeated while the first one is being carried out
    /// ADDs of attachments in ending_: runtimes may reuse an id.
    std::multimap<Attachment, std::shared_ptr<WaitingAdd>> held_;
    /// ADDs that found no address while others were being freed.
    std::multimap<Attachment, std::shared_ptr<WaitingAdd>> without_room_;
    static constexpr unsigned kMostTries = 8;  ///< more than there are batches of deletions at a time
    bool dels_running_ = false;
    bool taking_changes_ = false;
    bool started_ = false;
    bool node_missing_ = false;  ///< the Node was deleted while this daemon runs, and it cannot write it back
    static constexpr std::int64_t kTidyUs = 30'000'000;
    static constexpr std::int64_t kChoresUs = 5'000'000;
    /// Changes that come together are worked on together; where they never end, this seldom.
    static constexpr std::chrono::milliseconds kGatherChanges{50};
    static constexpr std::chrono::milliseconds kBetweenChores{1000};
    std::chrono::steady_clock::time_point chores_ended_;
    std::chrono::steady_clock::time_point look_everywhere_at_;
    std::chrono::steady_clock::time_point sync_tunnels_at_;
    std::string last_problem_;
    std::vector<model::NotInForce> known_refusals_;

    UniqueFd store_readable_;
    std::unique_ptr<ReadableWatch> store_watch_;  // after the descriptor: stops watching before it is closed
    UniqueFd chores_readable_;
    std::unique_ptr<ReadableWatch> chores_watch_;
    std::unique_ptr<Deleter> deleter_;
    std::unique_ptr<control::Server> plugin_server_;
    std::unique_ptr<control::Server> control_server_;
    Timer connect_timer_;
    Timer journal_timer_;
    Timer presence_timer_;
    Timer tidy_timer_;
    Timer chores_timer_;
    Timer history_timer_;
    HistoryFile history_;  ///< on the store's thread
    Metrics metrics_;
    bool does_chores_ = false;
    std::set<std::string> nearly_full_;  ///< pools that were reported
    std::string last_chores_problem_;
    std::string last_tunnel_problem_;
    std::vector<std::unique_ptr<http_status::Server>> status_servers_;
    // On the chores' thread: lists of the whole cluster must not keep pods waiting.
    std::unique_ptr<store::Store> chores_store_;
    std::unique_ptr<Chores> chores_;
    // Last: their threads end before what they work on.
    Worker store_worker_;
    Worker link_worker_;
    Worker journal_worker_;
    Worker chores_worker_;
    config::ReportWriter report_;
};

[[nodiscard]] WallTime wall_now();

/// All links except those of pods.
[[nodiscard]] std::vector<Uplink> uplinks_of(const std::vector<netlink::Link>& links);

/// The running kernel's boot id; empty when it cannot be read.
[[nodiscard]] std::string read_boot_id();

}  // namespace manul::ipam
