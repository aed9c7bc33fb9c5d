#pragma once

#include <cstdint>
#include <span>

#include "bgpd/policy/export_rules.hpp"
#include "bgpd/rib/chunk.hpp"
#include "bgpd/rib/loc_rib.hpp"
#include "bgpd/rib/paths_out.hpp"
#include "bgpd/rib/update_packer.hpp"

namespace manul::bgp::rib {

/// The Adj-RIB-Out of an update group (RFC 4271 section 3.2). It holds no routes: what the group's readers have been
/// told about a prefix follows from the path that was selected, the group's target and the reader's own number. So a
/// turn's Changes, which hold the path before and the path after, are enough to say what to send, and a reader that
/// fell behind only has to remember which prefixes it missed.
template <class Key>
class AdjRibOut {
public:
    AdjRibOut(RibCore& core, const LocRib<Key>& rib, UpdatePacker<Key>& packer, GroupId group,
              policy::ExportTarget target, const wire::WriteContext& context);

    [[nodiscard]] const policy::ExportTarget& target() const noexcept { return target_; }
    [[nodiscard]] const wire::WriteContext& context() const noexcept { return context_; }

    /// What the readers must be told after a turn; null: nothing.
    [[nodiscard]] ChunkPtr turn(std::span<const Change> changes);
    /// The readers get every path, not the selected one alone (RFC 7911); then this takes the place of turn().
    [[nodiscard]] bool uses_add_path() const noexcept { return paths_ != nullptr; }
    [[nodiscard]] ChunkPtr turn_of_paths(std::span<const typename LocRib<Key>::LogEntry> touched);
    /// The path identifiers that readers may have been told, for the group that one of them goes to.
    [[nodiscard]] HighestIds told_ids() const { return paths_ ? paths_->highest_ids() : HighestIds(); }
    /// The opposite: a reader comes from a group that told it these.
    void expect(const HighestIds& told) {
        if (paths_) {
            paths_->expect(told);
        }
    }
    /// No reader has missed anything.
    void nobody_behind() {
        if (paths_) {
            paths_->forget_empty();
        }
    }
    /// Everything selected in a range of slots, for readers that have been told nothing yet; null: nothing.
    [[nodiscard]] ChunkPtr dump(Slot from, Slot count, bool end_of_rib);
    /// What the readers have been told of a range of slots, as one would tell another reader; null: nothing.
    [[nodiscard]] ChunkPtr told(Slot from, Slot count);
    /// The present state of these prefixes, for one reader that may have been told anything about them.
    [[nodiscard]] ChunkPtr state(SourceId reader, std::span<const Slot> slots, bool end_of_rib);

    /// Other ranges may be relayed, or the markings or the filter say something else, now. Until retargeted() has gone
    /// over all slots, and finish_retarget(), readers may have been told what was allowed before.
    void retarget(std::shared_ptr<const net::PrefixRanges> relayable, std::shared_ptr<const policy::Markings> markings,
                  policy::FilterPtr filter);
    /// The ways to next hops have changed, and the filter asks for interfaces: as after retarget().
    void judge_again();
    /// What the new rules change for the slots; null: nothing.
    [[nodiscard]] ChunkPtr retargeted(Slot from, Slot count);
    void finish_retarget() noexcept {
        before_.reset();
        before_unknown_ = false;
    }
    [[nodiscard]] bool retargeting() const noexcept { return before_ != nullptr; }
    /// What the rules say about a path now, for people, too.
    [[nodiscard]] policy::ExportVerdict verdict(AttributeId attributes, SourceId source, const Key& key) const {
        return judge(attributes, source, key, target_);
    }

private:
    [[nodiscard]] policy::ExportVerdict judge(AttributeId attributes, SourceId source, const Key& key,
                                              const policy::ExportTarget& target) const;
    [[nodiscard]] bool may_have_been_exported(AttributeId attributes, SourceId source, const Key& key) const;
    [[nodiscard]] policy::Treatment effective(policy::Treatment treatment) const;
    void announce(Slot slot, AttributeId attributes, SourceId source, policy::ExportVerdict verdict);
    void update_paths(Slot slot, typename PathsOut<Key>::Say say);
    void pack_all(Slot from, Slot count, bool bring_paths_in_line);
    [[nodiscard]] bool is_reader(SourceId source) const noexcept {
        return core_.sources[source].groups[family_index(Key::kFamily)] == group_;
    }

    RibCore& core_;
    const LocRib<Key>& rib_;
    UpdatePacker<Key>& packer_;
    GroupId group_;
    policy::ExportTarget target_;
    wire::WriteContext context_;
    std::unique_ptr<PathsOut<Key>> paths_;
    std::unique_ptr<policy::ExportTarget> before_;  ///< while retargeting
    bool before_unknown_ = false;                   ///< readers may have been told anything
};

extern template class AdjRibOut<net::PrefixKey4>;
extern template class AdjRibOut<net::PrefixKey6>;

}  // namespace manul::bgp::rib
