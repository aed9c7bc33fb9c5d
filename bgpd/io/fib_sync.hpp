#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bgpd/io/nexthop_objects.hpp"
#include "bgpd/io/route_writer.hpp"
#include "bgpd/speaker/action.hpp"
#include "bgpd/wire/message.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/encode.hpp"
#include "net/netlink/socket.hpp"
#include "net/prefix.hpp"

/// What the speaker wants to be in the kernel -> netlink batches.
namespace manul::bgp::io {

inline constexpr std::uint32_t kLearnedMetric = 1024;
inline constexpr std::uint32_t kBlackholeMetric = 1032;  ///< own blocks: lose against every workload route

/// Keeps the kernel's main table in line with FibGroup and FibBatch actions. Routes carry protocol 176 and lead to the
/// NexthopObjects of their groups. Work is done in slices; changes to a prefix that still waits replace each other.
/// Many routes at once go to the kernel on a thread of their own (RouteWriter); a route that is under way there is not
/// planned again, renamed or compared before its outcome is known. Everything else asks the kernel directly, and waits
/// until nothing is under way.
///
/// Another owner's route is never touched: routes are added exclusively, replaced only when ours is known to be there,
/// and deleted by protocol and metric. Routes of an earlier run stay until `complete`; those that were named by then
/// are replaced in place, without a gap.
///
/// The kernel drops routes and nexthop objects when a link goes down, and does not say so: a resync reads back what is
/// left and programs the rest again. What other programs do to our routes is told by `noticed_change` and
/// `noticed_removal`, and repaired at once.
class FibSync {
public:
    explicit FibSync(netlink::Socket socket) : writer_(std::move(socket)) {}

    /// Begins to take into account which of our routes the kernel has: those of an earlier run, or those that are left
    /// after a link event. `found` follows with all routes of protocol 176 in the main table, in any number of pieces,
    /// then `end_resync`. Nothing is programmed meanwhile. Beginning anew forgets what was found.
    [[nodiscard]] netlink::SocketResult<void> begin_resync();
    void found(std::span<const netlink::Route> own);
    void end_resync();
    /// Somebody else added or replaced this route.
    void noticed_change(const netlink::Route& route) { notice(route, false); }
    /// Somebody else removed it.
    void noticed_removal(const netlink::Route& route) { notice(route, true); }

    void define(const speaker::FibGroup& group);
    void change(const speaker::FibBatch& batch);
    /// Everything wanted has been named: what an earlier run left besides may go.
    void complete();

    /// Sends at most about `budget` routes to the kernel. True when more is waiting that can be done now; false also
    /// while the kernel is busy: `fd` becomes readable when it has done something.
    bool work(std::size_t budget);
    [[nodiscard]] int fd() const noexcept { return writer_.fd(); }
    /// Nothing waits and nothing is under way.
    [[nodiscard]] bool settled() const noexcept {
        return queue_.empty() && deferred_.empty() && under_way_.empty() && orphans_.empty();
    }
    /// Routes that the kernel refused are tried again.
    void retry();
    [[nodiscard]] bool has_refused() const noexcept { return !refused_.empty(); }
    /// The connection to the kernel failed in the middle of something.
    [[nodiscard]] bool needs_resync() const noexcept { return needs_resync_ || writer_.has_failed(); }
    /// The first resync has ended: it is known what an earlier run left.
    [[nodiscard]] bool loaded() const noexcept { return loaded_; }
    [[nodiscard]] std::uint32_t port() const noexcept { return writer_.port(); }
    /// Routes lead over this interface.
    [[nodiscard]] bool uses(std::uint32_t ifindex) const { return objects_.uses(ifindex); }

    struct Counts {
        std::size_t routes = 0;   ///< in the kernel
        std::size_t waiting = 0;  ///< to be programmed
        std::size_t refused = 0;
        std::size_t stale = 0;  ///< of an earlier run, not named yet
    };
    [[nodiscard]] Counts counts() const noexcept;
    /// Families of which the kernel holds routes of ours, of whichever run.
    [[nodiscard]] wire::FamilySet families() noexcept;

private:
    /// What the kernel has of ours for one prefix.
    struct InKernel {
        bool learned = false;
        bool blackhole = false;
        std::uint32_t metric = kLearnedMetric;  ///< of the learned route

        [[nodiscard]] bool any() const noexcept { return learned || blackhole; }
    };
    struct Entry {
        net::Prefix prefix;
        speaker::FibGroupId wanted;
        std::uint32_t metric = kLearnedMetric;  ///< wanted
        InKernel has;
        NexthopObjects::Id object = NexthopObjects::kNone;  ///< that the learned route in the kernel leads to
        bool queued = false;
        bool under_way = false;  ///< in a batch whose outcome is not known yet
        bool named = false;      ///< the slot has a prefix
    };
    /// What the kernel was found to have for a prefix.
    struct Found {
        InKernel has;
        NexthopObjects::Id object = NexthopObjects::kNone;
    };
    /// Something that another program did where a route of ours may be.
    struct Notice {
        bool removed = false;
        std::uint32_t metric = 0;
        bool own_protocol = false;
    };
    enum class Resync : std::uint8_t { none, reading, comparing };
    static constexpr std::uint8_t kFamilies = 2;
    struct SlotRef {
        std::uint8_t family = 0;
        std::uint32_t slot = 0;
        auto operator<=>(const SlotRef&) const = default;
    };
    enum class Step : std::uint8_t { put_learned, put_blackhole, delete_learned, delete_blackhole };
    struct Sent {
        SlotRef ref;
        Step step;
        bool exclusive = false;
        NexthopObjects::Id object = NexthopObjects::kNone;
        std::uint32_t metric = 0;
    };

    [[nodiscard]] Entry& at(SlotRef ref) { return entries_[ref.family][ref.slot]; }
    void enqueue(SlotRef ref);
    void enqueue_users(speaker::FibGroupId group);
    void rename(SlotRef ref, const net::Prefix& prefix);
    void plan(SlotRef ref);
    void put(SlotRef ref, Step step, netlink::Write how, NexthopObjects::Id object);
    void delete_moved();
    void send_planned();
    void settle(const RouteWriter::Outcome& outcome);
    void finish();
    void apply(const std::vector<Sent>& sent, std::span<const netlink::RefusedRequest> refused);
    void done(const Sent& sent);
    [[nodiscard]] bool add_again(const Sent& sent);
    void delete_left(std::unordered_map<net::Prefix, Found>& left, std::size_t budget);
    void compare(std::size_t budget);
    void notice(const netlink::Route& route, bool removed);
    void heed_notices();
    void heed(SlotRef ref, const Notice& notice);
    void report_refusals();

    void set_object(Entry& entry, NexthopObjects::Id object);

    RouteWriter writer_;
    NexthopObjects objects_{writer_};
    netlink::RequestBuffer requests_;
    std::vector<Sent> sent_;
    std::deque<std::vector<Sent>> under_way_;            ///< batches whose outcome is not known yet
    std::array<std::vector<Entry>, kFamilies> entries_;  ///< by family and slot
    std::deque<SlotRef> queue_;
    std::vector<SlotRef> deferred_;  ///< out of the queue until their batch is done
    std::set<SlotRef> refused_;
    std::array<std::size_t, 2> in_kernel_{};                    ///< prefixes by family
    std::unordered_map<net::Prefix, Found> stale_;              ///< of an earlier run, not named yet
    std::unordered_map<net::Prefix, Found> orphans_;            ///< to be deleted; their slots have new prefixes
    std::unordered_map<net::Prefix, Found> found_;              ///< by a resync, not compared yet
    std::vector<std::pair<net::Prefix, std::uint32_t>> moved_;  ///< learned routes that have come to another metric
    std::set<std::uint32_t> metrics_{kLearnedMetric};           ///< that learned routes ever had
    Resync resync_ = Resync::none;
    wire::FamilySet families_;  ///< as last known for certain
    SlotRef compared_to_;
    std::unordered_map<net::Prefix, std::vector<Notice>> notices_;
    wire::FamilySet stale_families_;  ///< of stale_, while it is not empty
    bool loaded_ = false;
    bool needs_resync_ = false;
    bool sweeping_ = false;
    std::size_t swept_ = 0;
    std::size_t refusals_ = 0;  ///< since the queue was last empty
    std::size_t planned_ = 0;
    std::string first_refusal_;
    std::string first_reason_;
};

}  // namespace manul::bgp::io
