#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/daemon.hpp"
#include "ipam/io/host_links.hpp"
#include "ipam/io/journal.hpp"
#include "ipam/io/teardown.hpp"
#include "ipam/service/service.hpp"

namespace manul::ipam {

/// The background half of DEL. Requests are collected for a moment; then all their links are deleted with one message
/// (one grace period of the kernel instead of one each), and only once they are verified to be gone are endpoints and
/// addresses freed, in one transaction. Whatever fails stays queued and is retried.
///
/// The kernel answers a deletion when the last reference to the links is gone, tens of milliseconds after it has taken
/// them down and released its lock. The next batch does not wait for that: there are several lanes.
///
/// Lives on the io_context's thread; store, links and log are touched on their workers only.
class Deleter {
public:
    struct Parts {
        Worker& store_worker;
        Service& service;
        std::vector<HostLinks> links;  ///< one for each lane
        Worker& journal_worker;
        DeleteLog& log;
    };
    static constexpr std::size_t kLanes = 4;
    static constexpr std::int64_t kGatherUs = 5'000;
    static constexpr std::int64_t kRetryUs = 1'000'000;

    struct Hooks {
        /// Names of host ends that ADDs under way are about to make.
        std::function<std::set<std::string>()> awaited;
        /// A DEL was carried out (empty text), or has to be tried again.
        std::function<void(const Release&, const std::string& problem)> settled;
        /// Some of the queued requests were processed: addresses may have become free.
        std::function<void()> tried;
        std::function<WallTime()> now;
    };
    Deleter(boost::asio::io_context& io, Parts parts, Hooks hooks);

    /// A DEL that is in the log under `id`.
    void add(std::uint64_t id, const Request& request);
    /// A DEL that could not be written to the log. It is tried once; `done` gets the error, empty on success.
    void try_once(const Request& request, std::function<void(const std::string& problem)> done);
    /// A link that was renamed out of the way; its attachment's handle is freed when it is gone. `index` 0: it is.
    void add_aside(std::uint32_t index, std::string container_id, std::string handle);

    [[nodiscard]] std::size_t waiting() const noexcept { return queue_.size() + under_way_; }
    /// Handles whose addresses still wait for their link.
    [[nodiscard]] std::set<std::string> busy_handles() const;

private:
    struct Item {
        std::optional<std::uint64_t> log_id;
        std::function<void(const std::string&)> done_once;  ///< it is not in the log
        Deletion deletion;
        std::uint32_t aside_index = 0;
        std::optional<std::string> aside_handle;
        bool links_gone = false;
        bool done = false;
    };
    struct Batch {
        std::vector<Item> items;
        bool search = false;  ///< some link is not known by name
        LinkClaims claims;    ///< to search by
        std::string problem;
    };
    using BatchPtr = std::shared_ptr<Batch>;
    /// A thread that deletes links. One batch at a time.
    struct Lane {
        Lane(boost::asio::io_context& io, HostLinks own) : links(std::move(own)), worker(io) {}
        HostLinks links;
        bool busy = false;
        Worker worker;  // last: it ends before what it works on
    };

    void enqueue(Item item);
    void run();
    // In this order, each on its worker.
    void look_up(Batch& batch);
    static void delete_links(Batch& batch, HostLinks& links);
    [[nodiscard]] static Result<std::vector<netlink::Link>> candidates(const Batch& batch, HostLinks& links);
    void free_addresses(Batch& batch);
    void finish(const BatchPtr& batch);
    void run_soon(std::int64_t delay_us);

    Parts parts_;
    std::vector<std::unique_ptr<Lane>> lanes_;
    Hooks hooks_;
    Timer timer_;
    std::vector<Item> queue_;
    std::size_t under_way_ = 0;
    std::set<std::string> busy_;
    std::string last_problem_;
};

}  // namespace manul::ipam
