#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <boost/json/fwd.hpp>

#include "base/control.hpp"
#include "base/daemon.hpp"
#include "base/error.hpp"
#include "config/settings.hpp"
#include "ipam/io/attachment_tracker.hpp"
#include "ipam/io/deleter.hpp"
#include "ipam/io/host_links.hpp"
#include "ipam/io/host_service.hpp"
#include "ipam/io/journal.hpp"
#include "ipam/io/metrics.hpp"

namespace manul::ipam {

/// Answers the CNI plugin on `<run_dir>/cni.sock`. Lives on the io_context's thread, which only moves requests and
/// answers; whatever blocks is done by workers: one owns the store, one renames links, one flushes the log of DELs.
///
/// While the store worker commits, ADDs accumulate, and the next job takes all of them: group commit without a timer.
/// A DEL is answered as soon as it is in the log on this node's disk, and carried out by the Deleter. What DELs the
/// plugin left in files while no manul-ipamd ran is read at the start, and every few seconds.
class CniServer {
public:
    struct Parts {
        Worker& store_worker;
        HostService& host;  ///< of the store worker
        Worker& link_worker;
        HostLinks& links;  ///< of the link worker
        Metrics& metrics;
        /// ADDs were committed. What changed in the store, if that was read meanwhile.
        std::function<void(std::optional<HostService::Taken>)> committed;
    };
    /// `settings` and what `parts` refers to outlive this object.
    CniServer(boost::asio::io_context& io, const config::Settings& settings, Parts parts);

    /// Listens, and takes up the DELs that an earlier run left in the log. Fails where another one listens, before
    /// anything is touched.
    [[nodiscard]] Result<void> open();
    /// Takes up the DELs that the plugin left, now and from now on.
    void read_journal();
    /// Removes the sockets of plugins that were killed.
    void remove_abandoned();

    [[nodiscard]] std::size_t waiting_adds() const noexcept { return awaited_.size(); }
    [[nodiscard]] std::size_t waiting_dels() const noexcept { return deleter_->waiting(); }
    /// Handles whose addresses still wait for their link.
    [[nodiscard]] std::set<std::string> busy_handles() const { return deleter_->busy_handles(); }

private:
    using Reply = control::Reply;
    struct WaitingAdd {
        Request request;
        Reply reply;
        bool way_is_clear = false;  ///< no link with the wanted name is in the way any more
        /// Handle of an earlier container of the pod whose link is gone; released when this ADD has succeeded.
        std::optional<std::string> former_handle;
        unsigned tries = 0;  ///< how often it was retried for lack of an address while deletions were under way
    };
    using AddPtr = std::shared_ptr<WaitingAdd>;
    /// What the store worker made of a batch of ADDs.
    struct AddBatch {
        std::vector<std::pair<AddPtr, KnownAttachment>> blocked;  ///< by the link of an older container
        std::vector<AddPtr> adds;
        std::vector<AddResult> results;  ///< of `adds`
        std::optional<HostService::Taken> taken;
    };
    struct WaitingDel {
        Request request;
        std::function<void(const Answer&)> answer;
        std::string journal_file;  ///< removed once the request is in the log
    };

    void on_request(const boost::json::object& object, Reply reply);
    [[nodiscard]] std::string journal_directory() const { return settings_.state_dir + "/cni-journal"; }

    void on_add(Request request, Reply reply);
    void run_adds();
    /// On the store worker.
    [[nodiscard]] AddBatch commit_adds(const std::vector<AddPtr>& adds);
    void finish_adds(AddBatch batch);
    [[nodiscard]] bool waits_for_room(const AddPtr& add, const Answer& answer);
    void try_again_for_room();
    void answer_add(WaitingAdd& add, const Answer& answer);
    void refuse_waiting(const Attachment& attachment, const std::string& why);
    void clear_way(const AddPtr& add, const KnownAttachment& old);

    void on_question(Request request, Reply reply);
    void on_gc(const Request& request, Reply reply);
    void release_all_but(const Request& request, const std::vector<KnownAttachment>& known,
                         std::function<void(const Answer&)> answer);

    void on_del(Request request, Reply reply);
    void look_up_del(Request request, std::function<void(const Answer&)> answer);
    void begin_journaled_del(const Request& request);
    void enqueue_del(WaitingDel del);
    void log_dels();
    void finish_logging(const std::vector<WaitingDel>& dels, const Result<std::vector<std::uint64_t>>& ids);
    void carry_out_unlogged(const WaitingDel& del, const std::string& why);
    void on_del_settled(const Release& release, const std::string& problem);

    boost::asio::io_context& io_;
    const config::Settings& settings_;
    Parts parts_;
    AttachmentTracker attachments_;

    std::vector<AddPtr> adds_;
    bool adds_running_ = false;
    std::multiset<std::string> awaited_;  ///< host ends of ADDs under way
    /// ADDs whose attachment is ending: runtimes may use an id again.
    std::multimap<Attachment, AddPtr> held_;
    /// ADDs that found no address while others were being freed.
    std::multimap<Attachment, AddPtr> without_room_;

    std::vector<WaitingDel> dels_;
    bool dels_running_ = false;
    std::unique_ptr<DeleteLog> log_;  ///< of the journal worker
    std::unique_ptr<Deleter> deleter_;
    Timer journal_timer_;
    std::unique_ptr<control::Server> server_;
    Worker journal_worker_;  // last: its thread ends before what it works on
};

}  // namespace manul::ipam
