#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "bgpd/rib/adj_rib_out.hpp"
#include "bgpd/speaker/action.hpp"
#include "bgpd/wire/route_refresh.hpp"

/// Peers that are told the same, and how far each has got.
namespace manul::bgp::speaker {

/// Where chunks for a peer go. Belongs to the session; readers of both families refer to it.
struct Outlet {
    ConnectionId connection;
    rib::SourceId source;
    std::size_t backlog = 0;                    ///< bytes that the kernel has not taken, as last reported
    std::uint64_t bytes_out = 0;                ///< handed over so far
    std::uint64_t messages_out = 0;             ///< the same
    std::array<bool, 2> end_of_rib{};           ///< handed over, by family_index
    bool marks_refresh = false;                 ///< a repeated table has marks around it (RFC 7313)
    std::array<rib::HighestIds, 2> told_ids{};  ///< between two groups, by family_index: what the one before told
};

/// More bytes than this wait for a peer: it leaves the shared stream, remembers which prefixes it missed (one bit a
/// prefix), and gets their newest state when it has read what waits.
inline constexpr std::size_t kDetachBacklog = std::size_t{1} << 20U;
inline constexpr std::size_t kResumeBacklog = std::size_t{64} << 10U;
/// A table dump waits while more than this is unread.
inline constexpr std::size_t kDumpBacklog = std::size_t{512} << 10U;
/// Slots that one turn goes over for one piece of long work.
inline constexpr rib::Slot kSlotsPerTurn = 8192;

/// What a reader that joins a group may have been told before.
enum class ToldBefore : std::uint8_t { nothing, anything };

/// An update group of one family: a target, its readers, and the work that is left for some of them.
template <class Key>
class UpdateGroup {
public:
    UpdateGroup(rib::RibCore& core, const rib::LocRib<Key>& rib, rib::UpdatePacker<Key>& packer, rib::GroupId number,
                const policy::ExportTarget& target, const wire::WriteContext& context)
        : rib_(rib), out_(core, rib, packer, number, target, context) {}

    [[nodiscard]] const rib::AdjRibOut<Key>& out() const noexcept { return out_; }
    [[nodiscard]] rib::AdjRibOut<Key>& out() noexcept { return out_; }
    [[nodiscard]] bool empty() const noexcept { return readers_.empty(); }
    /// Calls `f(const Outlet&)` for each reader.
    template <class F>
    void each_reader(F&& f) const {
        std::ranges::for_each(readers_, [&](const Reader& reader) { f(*reader.outlet); });
    }

    /// Adds a reader and gives it the whole table, with End-of-RIB behind it; who may have been told anything gets
    /// the state of every prefix, withdrawals too.
    void join(Outlet& outlet, ToldBefore told);
    void leave(const Outlet& outlet);
    /// Gives the reader the whole table again (route refresh).
    void repeat(const Outlet& outlet);
    void retarget(std::shared_ptr<const net::PrefixRanges> relayable, std::shared_ptr<const policy::Markings> markings,
                  policy::FilterPtr filter);
    /// The ways to next hops have changed, and the filter asks for them.
    void judge_again();

    /// Tells the readers what a turn changed; `touched` are all prefixes that it looked at.
    void turn(std::span<const rib::Change> changes, std::span<const typename rib::LocRib<Key>::LogEntry> touched,
              std::vector<Action>& actions);
    /// Does one slice of dumps, catching up and retargeting. True when there is more that can be done at once.
    [[nodiscard]] bool work(std::vector<Action>& actions);
    /// A reader has yet to be told about this slot.
    [[nodiscard]] bool awaits(rib::Slot slot) const noexcept;
    [[nodiscard]] bool anybody_behind() const noexcept { return behind_ > 0; }

private:
    /// What stands behind a table.
    enum class Ending : std::uint8_t { none, end_of_rib, end_of_refresh };
    struct Reader {
        Outlet* outlet = nullptr;
        bool detached = false;
        Ending owes = Ending::none;         ///< while detached
        std::vector<std::uint64_t> missed;  ///< one bit a slot, while detached
        std::size_t cursor = 0;             ///< word of `missed` to look at next
    };
    /// A walk over the whole table for readers that joined in the same turn.
    struct Dump {
        std::vector<rib::SourceId> readers;
        Ending ending = Ending::end_of_rib;
        rib::Slot next = 0;
    };

    [[nodiscard]] Reader* find(rib::SourceId source) noexcept;
    void detach(Reader& reader);
    void attach(Reader& reader);
    static void miss(Reader& reader, rib::Slot slot);
    void miss_rest(Reader& reader, rib::Slot from);
    void send(const rib::ChunkPtr& chunk, Reader& reader, std::vector<Action>& actions);
    void send_mark(Reader& reader, wire::RouteRefresh::Kind kind, std::vector<Action>& actions);
    void start_refreshes(std::vector<Action>& actions);
    [[nodiscard]] bool dump_slice(Dump& dump, std::vector<Action>& actions);
    [[nodiscard]] bool catch_up(Reader& reader, std::vector<Action>& actions);
    [[nodiscard]] bool retarget_slice(std::vector<Action>& actions);

    const rib::LocRib<Key>& rib_;
    rib::AdjRibOut<Key> out_;
    std::vector<Reader> readers_;
    std::vector<Dump> dumps_;
    std::vector<rib::SourceId> joining_;
    std::vector<rib::SourceId> refreshing_;
    rib::Slot retarget_next_ = 0;
    std::size_t behind_ = 0;  ///< detached readers
    std::vector<rib::Slot> slots_;
};

extern template class UpdateGroup<net::PrefixKey4>;
extern template class UpdateGroup<net::PrefixKey6>;

}  // namespace manul::bgp::speaker
