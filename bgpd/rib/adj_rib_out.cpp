#include "bgpd/rib/adj_rib_out.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace manul::bgp::rib {

template <class Key>
AdjRibOut<Key>::AdjRibOut(RibCore& core, const LocRib<Key>& rib, UpdatePacker<Key>& packer, GroupId group,
                          policy::ExportTarget target, const wire::WriteContext& context)
    : core_(core), rib_(rib), packer_(packer), group_(group), target_(std::move(target)), context_(context) {
    if (context.path_ids) {
        paths_ = std::make_unique<PathsOut<Key>>(core, rib, packer, group);
    }
}

template <class Key>
policy::ExportVerdict AdjRibOut<Key>::judge(AttributeId attributes, SourceId source, const Key& key,
                                            const policy::ExportTarget& target) const {
    if (attributes == kNoAttributes) {
        return {};
    }
    return policy::judge_export(target, core_.sources[source].traits, core_.attributes[attributes].marks, key,
                                [&] { return core_.filter_route(attributes, source); });
}

template <class Key>
bool AdjRibOut<Key>::may_have_been_exported(AttributeId attributes, SourceId source, const Key& key) const {
    if (attributes == kNoAttributes) {
        return false;
    }
    // An interface that a filter asks for can have been another one when the route was told.
    return before_unknown_ || (target_.filter && target_.filter->asks_for_interface()) ||
           judge(attributes, source, key, target_).accepted ||
           (before_ && judge(attributes, source, key, *before_).accepted);
}

/// Routes that no operation changes are packed together, whatever let them out.
template <class Key>
policy::Treatment AdjRibOut<Key>::effective(policy::Treatment treatment) const {
    if (policy::operations_of(target_, treatment).of_rule == nullptr) {
        treatment.rule = 0;
    }
    return treatment;
}

template <class Key>
void AdjRibOut<Key>::announce(Slot slot, AttributeId attributes, SourceId source, policy::ExportVerdict verdict) {
    packer_.announce(slot, attributes, source, effective(verdict.treatment));
}

template <class Key>
void AdjRibOut<Key>::update_paths(Slot slot, typename PathsOut<Key>::Say say) {
    paths_->update(slot, say, [this](AttributeId attributes, SourceId source, const Key& key) {
        policy::ExportVerdict now = verdict(attributes, source, key);
        now.treatment = effective(now.treatment);
        return now;
    });
}

template <class Key>
ChunkPtr AdjRibOut<Key>::turn_of_paths(std::span<const typename LocRib<Key>::LogEntry> touched) {
    packer_.begin(target_, context_, group_);
    for (const auto& entry : touched) {
        update_paths(entry.slot, PathsOut<Key>::Say::differences);
    }
    return packer_.finish();
}

template <class Key>
ChunkPtr AdjRibOut<Key>::turn(std::span<const Change> changes) {
    constexpr std::size_t kAhead = 8;  // changes whose memory is on its way
    packer_.begin(target_, context_, group_);
    for (std::size_t i = 0; i < changes.size(); ++i) {
        if (i + kAhead < changes.size()) {
            const Change& ahead = changes[i + kAhead];
            const Change& before = changes[i + kAhead - 1];
            rib_.prefetch_slot(ahead.slot);
            if (ahead.old_attributes != before.old_attributes) {
                core_.attributes.prefetch_marks(ahead.old_attributes);
            }
            if (ahead.new_attributes != before.new_attributes) {
                core_.attributes.prefetch_marks(ahead.new_attributes);
            }
        }
        const Change& change = changes[i];
        const Key key = rib_[change.slot].key();
        const bool told = may_have_been_exported(change.old_attributes, change.old_source, key);
        const bool not_told_to_source = is_reader(change.old_source);  // split horizon, then
        const auto verdict = judge(change.new_attributes, change.new_source, key, target_);
        if (!verdict.accepted) {
            if (told) {
                packer_.withdraw(change.slot,
                                 not_told_to_source ? Chunk::Audience::all_but : Chunk::Audience::everybody,
                                 change.old_source);
            }
            continue;
        }
        announce(change.slot, change.new_attributes, change.new_source, verdict);
        if (told && change.new_source != change.old_source && is_reader(change.new_source)) {
            // Its own path is never announced to it, but the one before was.
            packer_.withdraw(change.slot, Chunk::Audience::only, change.new_source);
        }
    }
    return packer_.finish();
}

template <class Key>
ChunkPtr AdjRibOut<Key>::dump(Slot from, Slot count, bool end_of_rib) {
    pack_all(from, count, true);
    return packer_.finish(end_of_rib);
}

template <class Key>
ChunkPtr AdjRibOut<Key>::told(Slot from, Slot count) {
    pack_all(from, count, false);
    return packer_.finish();
}

template <class Key>
void AdjRibOut<Key>::pack_all(Slot from, Slot count, bool bring_paths_in_line) {
    packer_.begin(target_, context_, group_);
    const Slot last = std::min(from + count, rib_.end());
    for (Slot slot = from; slot < last; ++slot) {
        if (paths_) {
            if (bring_paths_in_line) {
                update_paths(slot, PathsOut<Key>::Say::nothing);
            }
            paths_->repeat(slot);
            continue;
        }
        const auto& entry = rib_[slot];
        if (entry.is_unused() || !entry.has_selected()) {
            continue;
        }
        if (const auto now = verdict(entry.attributes, entry.source, entry.key()); now.accepted) {
            announce(slot, entry.attributes, entry.source, now);
        }
    }
}

template <class Key>
ChunkPtr AdjRibOut<Key>::state(SourceId reader, std::span<const Slot> slots, bool end_of_rib) {
    packer_.begin(target_, context_, 0);
    for (const Slot slot : slots) {
        if (paths_) {
            update_paths(slot, PathsOut<Key>::Say::nothing);
            paths_->state(slot, reader);
            continue;
        }
        const auto& entry = rib_[slot];
        if (entry.is_unused()) {
            continue;
        }
        policy::ExportVerdict now;
        if (entry.has_selected() && entry.source != reader) {
            now = verdict(entry.attributes, entry.source, entry.key());
        }
        if (now.accepted) {
            announce(slot, entry.attributes, entry.source, now);
        } else {
            packer_.withdraw(slot, Chunk::Audience::everybody, kLocalSource);
        }
    }
    return packer_.finish(end_of_rib);
}

template <class Key>
void AdjRibOut<Key>::retarget(std::shared_ptr<const net::PrefixRanges> relayable,
                              std::shared_ptr<const policy::Markings> markings, policy::FilterPtr filter) {
    if (!before_) {
        before_ = std::make_unique<policy::ExportTarget>(target_);
    } else {
        before_unknown_ = true;  // changed again before all was said
    }
    target_.relayable = std::move(relayable);
    target_.markings = std::move(markings);
    target_.filter = std::move(filter);
}

template <class Key>
void AdjRibOut<Key>::judge_again() {
    if (!before_) {
        before_ = std::make_unique<policy::ExportTarget>(target_);
    }
    before_unknown_ = true;
}

template <class Key>
ChunkPtr AdjRibOut<Key>::retargeted(Slot from, Slot count) {
    packer_.begin(target_, context_, group_);
    const Slot last = std::min(from + count, rib_.end());
    for (Slot slot = from; slot < last; ++slot) {
        if (paths_) {
            update_paths(slot, PathsOut<Key>::Say::other_rules);
            continue;
        }
        const auto& entry = rib_[slot];
        if (entry.is_unused() || !entry.has_selected()) {
            continue;
        }
        const auto before = judge(entry.attributes, entry.source, entry.key(), *before_);
        const auto now = verdict(entry.attributes, entry.source, entry.key());
        if (now.accepted) {
            const bool same = before.accepted && !before_unknown_ &&
                              policy::same_operations(policy::operations_of(*before_, before.treatment),
                                                      policy::operations_of(target_, now.treatment));
            if (!same) {
                announce(slot, entry.attributes, entry.source, now);
            }
        } else if (before.accepted || before_unknown_) {
            packer_.withdraw(slot, Chunk::Audience::everybody, kLocalSource);
        }
    }
    return packer_.finish();
}

template class AdjRibOut<net::PrefixKey4>;
template class AdjRibOut<net::PrefixKey6>;

}  // namespace manul::bgp::rib
