#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bgpd/rib/loc_rib.hpp"
#include "bgpd/rib/update_packer.hpp"
#include "bgpd/speaker/action.hpp"
#include "bgpd/speaker/fib.hpp"
#include "bgpd/speaker/update_group.hpp"

namespace manul::bgp::speaker {

/// What a walk over the tables decides again: prefixes with paths of lost sources or through changed next hops, or all.
enum class Sweep : std::uint8_t { affected, everything };

/// Everything about one address family: tables, kernel routes, update groups. A turn runs through it in this order:
///
///   sweep slice -> decide -> kernel routes -> update groups (one encoding each) -> dumps and other long work -> free
template <class Key>
class Family {
public:
    Family(rib::RibCore& core, FibGroups& fib_groups) : core_(core), rib_(core), fib_(core, rib_, fib_groups) {}

    [[nodiscard]] rib::LocRib<Key>& rib() noexcept { return rib_; }
    [[nodiscard]] const rib::LocRib<Key>& rib() const noexcept { return rib_; }

    /// Adds a session's outlet to the group with this target, which is made when there is none; from another group it
    /// changes over.
    void join(Outlet& outlet, const policy::ExportTarget& target, const wire::WriteContext& context);
    void leave(const Outlet& outlet);
    void repeat(const Outlet& outlet);
    /// Gives every group the ranges, the markings and what `rules_of` (its filters' names) says, where that differs.
    void retarget(const std::shared_ptr<const net::PrefixRanges>& relayable,
                  const std::shared_ptr<const policy::Markings>& markings,
                  const std::function<policy::FilterPtr(const std::vector<std::string>&)>& rules_of);
    /// For groups whose filters ask for interfaces.
    void judge_exports_again();
    /// The group that the source is a reader of; null: none.
    [[nodiscard]] const UpdateGroup<Key>* group_of(rib::SourceId source) const noexcept {
        return find(core_.sources[source].groups[rib::family_index(Key::kFamily)]);
    }
    /// What decide() has just changed.
    [[nodiscard]] std::span<const rib::Change> changes() const noexcept { return changes_; }
    /// Calls `f(UpdateGroup&)` for each group.
    template <class F>
    void each_group(F&& f) {
        std::ranges::for_each(groups_, [&](const Numbered& each) { f(*each.group); });
    }
    void set_kernel(bool program, net::PrefixRanges kept) {
        program_kernel_ = program;
        kept_from_kernel_ = std::move(kept);
    }

    /// Routes are neither selected nor told to anybody while held; what arrives is kept (RFC 4724 section 4.1).
    void hold(bool on) noexcept { held_ = on; }

    /// Begins, or begins again, to look at every slot.
    void start_sweep(Sweep what) noexcept {
        sweeping_ = true;
        sweep_next_ = 0;
        sweep_all_ = sweep_all_ || what == Sweep::everything;
    }
    /// Anything may still refer to lost sessions: paths, or prefixes that wait for their decision.
    [[nodiscard]] bool unswept() const noexcept { return sweeping_ || rib_.undecided(); }

    /// First half of a turn: decisions; appends kernel routes.
    void decide(std::vector<FibChange>& fib);
    /// Second half: messages. True when there is work that can be done at once.
    [[nodiscard]] bool send(std::vector<Action>& actions);

private:
    struct Numbered {
        rib::GroupId number;
        std::unique_ptr<UpdateGroup<Key>> group;
    };

    [[nodiscard]] UpdateGroup<Key>* find(rib::GroupId number) const noexcept;
    [[nodiscard]] rib::GroupId unused_number() const noexcept;
    void sweep_slice();

    rib::RibCore& core_;
    rib::LocRib<Key> rib_;
    rib::UpdatePacker<Key> packer_{core_, rib_};
    FibTable<Key> fib_;
    std::vector<Numbered> groups_;
    std::vector<rib::Change> changes_;
    net::PrefixRanges kept_from_kernel_;
    bool program_kernel_ = true;
    bool held_ = false;
    bool sweeping_ = false;
    bool sweep_all_ = false;
    rib::Slot sweep_next_ = 0;
};

extern template class Family<net::PrefixKey4>;
extern template class Family<net::PrefixKey6>;

}  // namespace manul::bgp::speaker
