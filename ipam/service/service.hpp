#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "config/model/workload_endpoint.hpp"
#include "config/store/store.hpp"
#include "ipam/core/endpoint.hpp"
#include "ipam/core/garbage.hpp"
#include "ipam/core/history.hpp"
#include "ipam/core/mtu.hpp"
#include "ipam/core/tunnels.hpp"
#include "ipam/local/protocol.hpp"
#include "ipam/service/knowledge.hpp"
#include "ipam/service/store_source.hpp"
#include "ipam/service/transaction.hpp"

/// Addresses and endpoints of one node: requests in, answers out, everything in between in the datastore. Blocking;
/// one thread at a time, the one that owns the Store. Knows nothing of sockets, links and clocks.
///
/// Invariant: an answer to an ADD is given only after the commit that holds its addresses, its handle and its
/// endpoint; an address is freed only together with its endpoint, and only by a caller that knows the link to be gone.
namespace manul::ipam {

/// A pod as allocations name it in their attributes; for a bare container its id.
struct PodName {
    std::string ns;
    std::string name;

    [[nodiscard]] bool empty() const noexcept { return name.empty(); }
    auto operator<=>(const PodName&) const = default;
};
[[nodiscard]] PodName pod_of(const model::WorkloadEndpoint& endpoint);

/// An attachment whose link is gone (or was never made).
struct Release {
    std::string network;  ///< empty: as the endpoint says
    Attachment attachment;
    /// Set where the attachment is known from the Pod alone, in which its owner may write any container's id: then only
    /// what was allocated for that pod is freed.
    PodName pod;

    auto operator<=>(const Release&) const = default;
};

/// The outcome of an ADD.
struct AddResult {
    Answer answer;
    /// The handle of an older attachment of the same pod, whose endpoint was taken over: its addresses are freed by
    /// release_handles() when its link is gone.
    std::optional<std::string> replaced_handle;
    std::vector<HistoryEntry> given;  ///< addresses that this ADD took
};

/// One attachment of this node, as lookups return it.
struct KnownAttachment {
    std::string network;
    Attachment attachment;
    std::string interface_name;
    bool of_this_boot = true;
    bool policy_only = false;  ///< its link is another plugin's
    PodName pod;               ///< on Kubernetes
};

class Service {
public:
    /// `store` outlives the service.
    Service(store::Store& store, HostIdentity host);

    /// Reads what people configure and begins to watch it. To be called until it succeeds; other calls fail before.
    [[nodiscard]] Outcome<void> start();
    [[nodiscard]] bool started() const noexcept { return watch_ != nullptr; }
    /// Readable when take_changes() has work; -1 before start.
    [[nodiscard]] int watch_fd() const noexcept;
    struct Changes {
        bool any = false;
        bool restarted = false;         ///< the watch began anew: watch_fd() is another one
        bool own_node_removed = false;  ///< to be written back
        bool pools_changed = false;     ///< or what else sync_tunnels() depends on
        std::size_t endpoints_synced = 0;
        std::vector<std::string> refused;  ///< Pods whose endpoints could not follow them, and why
    };
    /// Applies what changed in the store; endpoints follow their Pods in one transaction.
    [[nodiscard]] Outcome<Changes> take_changes();

    /// The node's links, for the MTU of pods.
    void set_uplinks(std::vector<Uplink> uplinks);
    /// Addresses of pods of this node that have no endpoint, and their links: nobody else gets them.
    void set_unrecorded(std::map<net::Ip, std::string> addresses) { knowledge_.set_unrecorded(std::move(addresses)); }

    /// All requests in as few transactions as possible. `now` is the wall clock, for records.
    [[nodiscard]] std::vector<AddResult> add(std::span<const Request> requests, WallTime now);
    [[nodiscard]] Answer check(const Request& request);
    /// Would an ADD with this configuration get its addresses?
    [[nodiscard]] Answer status(const Request& request, WallTime now);

    /// Neither endpoint nor address of it: a release would do nothing. False also where that cannot be told.
    [[nodiscard]] bool is_unknown(const Release& release);

    /// Removes endpoints and frees their addresses. Each result: true when something was there.
    [[nodiscard]] std::vector<Outcome<bool>> release(std::span<const Release> releases, WallTime now);
    [[nodiscard]] std::vector<Outcome<bool>> release_handles(std::span<const std::string> handles, WallTime now);

    /// All attachments of this node that have an endpoint.
    [[nodiscard]] Outcome<std::vector<KnownAttachment>> attachments();
    [[nodiscard]] Outcome<std::optional<KnownAttachment>> find(const Attachment& attachment);
    /// The attachment whose endpoint an ADD would take over: same pod and interface, another container.
    [[nodiscard]] Outcome<std::optional<KnownAttachment>> predecessor_of(const Request& request);
    /// Whether all that the handle holds was allocated for the pod of this request. False also where that cannot be
    /// told.
    [[nodiscard]] bool owns_handle(const std::string& handle, const Request& request);

    /// Brings the addresses of this node's tunnel ends, and the Node that says them, in step with the pools. Returns
    /// what changed, for people.
    [[nodiscard]] Outcome<std::vector<std::string>> sync_tunnels(WallTime now);

    /// Who was given which address and who gave it back since the last call, in order of the commits.
    [[nodiscard]] std::vector<HistoryEntry> take_history() { return std::exchange(history_, {}); }

    /// Gives up empty blocks, frees leaked handles. `busy`: handles that wait for their link to go. `everywhere`: also
    /// looks for leaks in other nodes' blocks, which means reading them all.
    struct Tidied {
        std::size_t blocks = 0;
        std::size_t handles = 0;
    };
    [[nodiscard]] Outcome<Tidied> tidy(const std::set<std::string>& busy,
                                       const std::optional<std::set<std::string>>& containers, bool everywhere,
                                       SteadyTime steady, WallTime now);

    [[nodiscard]] const Knowledge& knowledge() const noexcept { return knowledge_; }
    [[nodiscard]] const Committer& committer() const noexcept { return committer_; }
    [[nodiscard]] StoreSource& source() noexcept { return source_; }

private:
    /// Adds what add_one() is going to read of this request.
    void append_read_by(const Request& request, std::vector<model::Key>& keys) const;
    struct Add;
    [[nodiscard]] Outcome<Add> begin_add(Transaction& transaction, const Request& request, WallTime now) const;
    [[nodiscard]] bool keep_addresses(Add& add) const;
    [[nodiscard]] Outcome<void> replace_former(Transaction& transaction, Add& add, WallTime now) const;
    [[nodiscard]] Outcome<void> give_addresses(Transaction& transaction, Add& add, WallTime now) const;
    [[nodiscard]] static Outcome<void> finish_add(Transaction& transaction, Add& add);
    [[nodiscard]] Outcome<AddResult> add_one(Transaction& transaction, const Request& request, WallTime now) const;
    [[nodiscard]] Outcome<bool> release_one(Transaction& transaction, const Release& release, WallTime now,
                                            std::vector<HistoryEntry>& freed);
    [[nodiscard]] Outcome<std::string> sync_tunnel(Transaction& transaction, Tunnel tunnel, WallTime now);
    /// Blocks as tidy() finds them: of this node, and (where it looks everywhere) all others in the pools.
    struct Blocks {
        std::vector<BlockPtr> own;
        std::vector<BlockPtr> others;
    };
    [[nodiscard]] Outcome<Blocks> look_at_blocks(bool everywhere);
    [[nodiscard]] Outcome<std::set<std::string>> handles_in_use(const Blocks& blocks,
                                                                const std::set<std::string>& busy);
    [[nodiscard]] Outcome<std::vector<std::string>> leaked_handles(
        const Blocks& blocks, const std::set<std::string>& in_use,
        const std::optional<std::set<std::string>>& containers, bool everywhere, SteadyTime steady);
    [[nodiscard]] std::size_t give_up_empty(const Blocks& blocks, SteadyTime steady, WallTime now);
    /// On Kubernetes: the Pod is there, is this node's and has a network of its own.
    [[nodiscard]] Outcome<void> check_scheduled(const Request& request, const model::Pod* pod, bool has_endpoint) const;
    void note_pod(const store::Object& object);
    [[nodiscard]] Outcome<std::size_t> sync_pods();
    [[nodiscard]] std::optional<Failure> not_ready() const;
    [[nodiscard]] KnownAttachment describe(const model::WorkloadEndpoint& endpoint) const;
    [[nodiscard]] static Outcome<bool> is_of_pod(Transaction& transaction, const std::string& handle,
                                                 const PodName& pod);

    store::Store& store_;
    HostIdentity host_;
    Knowledge knowledge_;
    StoreSource source_;
    Committer committer_;
    std::unique_ptr<store::Watch> watch_;
    EmptyBlocks empty_blocks_;
    Leaks leaks_;           ///< in own blocks
    Leaks borrowed_leaks_;  ///< in blocks of others
    std::vector<HistoryEntry> history_;
    std::vector<std::string> refused_;
    std::vector<Uplink> uplinks_;
    std::optional<std::uint32_t> mtu_;                                  ///< of pods; nothing: to be worked out again
    std::map<model::Key, std::shared_ptr<const model::Pod>> unsynced_;  ///< whose endpoints may be behind
};

}  // namespace manul::ipam
