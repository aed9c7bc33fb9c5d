#include "bgpd/rib/adj_rib_out.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace manul::bgp::rib {

template <class Key>
AdjRibOut<Key>::AdjRibOut(const RibCore& core, const LocRib<Key>& rib, UpdatePacker<Key>& packer, GroupId group,
                          policy::ExportTarget target, const wire::WriteContext& context)
    : core_(core), rib_(rib), packer_(packer), group_(group), target_(std::move(target)), context_(context) {}

template <class Key>
bool AdjRibOut<Key>::exported(AttributeId attributes, SourceId source, const Key& key,
                              const policy::ExportTarget& target) const noexcept {
    return attributes != kNoAttributes &&
           policy::may_export(target, core_.sources[source].traits, core_.attributes[attributes].marks, key);
}

template <class Key>
bool AdjRibOut<Key>::may_have_been_exported(AttributeId attributes, SourceId source, const Key& key) const noexcept {
    return exported(attributes, source, key, target_) || (before_ && exported(attributes, source, key, *before_));
}

template <class Key>
ChunkPtr AdjRibOut<Key>::turn(std::span<const Change> changes) {
    packer_.begin(target_, context_, group_);
    for (const Change& change : changes) {
        const Key key = rib_[change.slot].key();
        const bool told = may_have_been_exported(change.old_attributes, change.old_source, key);
        const bool not_told_to_source = is_reader(change.old_source);  // split horizon, then
        if (!exported(change.new_attributes, change.new_source, key, target_)) {
            if (told) {
                packer_.withdraw(change.slot,
                                 not_told_to_source ? Chunk::Audience::all_but : Chunk::Audience::everybody,
                                 change.old_source);
            }
            continue;
        }
        packer_.announce(change.slot, change.new_attributes, change.new_source);
        if (told && change.new_source != change.old_source && is_reader(change.new_source)) {
            // Its own path is never announced to it, but the one before was.
            packer_.withdraw(change.slot, Chunk::Audience::only, change.new_source);
        }
    }
    return packer_.finish();
}

template <class Key>
ChunkPtr AdjRibOut<Key>::dump(Slot from, Slot count, bool end_of_rib) {
    packer_.begin(target_, context_, group_);
    const Slot last = std::min(from + count, rib_.end());
    for (Slot slot = from; slot < last; ++slot) {
        const auto& entry = rib_[slot];
        if (!entry.is_unused() && entry.has_selected() &&
            exported(entry.attributes, entry.source, entry.key(), target_)) {
            packer_.announce(slot, entry.attributes, entry.source);
        }
    }
    return packer_.finish(end_of_rib);
}

template <class Key>
ChunkPtr AdjRibOut<Key>::state(SourceId reader, std::span<const Slot> slots, bool end_of_rib) {
    packer_.begin(target_, context_, 0);
    for (const Slot slot : slots) {
        const auto& entry = rib_[slot];
        if (entry.is_unused()) {
            continue;
        }
        if (entry.has_selected() && entry.source != reader &&
            exported(entry.attributes, entry.source, entry.key(), target_)) {
            packer_.announce(slot, entry.attributes, entry.source);
        } else {
            packer_.withdraw(slot, Chunk::Audience::everybody, kLocalSource);
        }
    }
    return packer_.finish(end_of_rib);
}

template <class Key>
void AdjRibOut<Key>::retarget(std::shared_ptr<const net::PrefixRanges> relayable) {
    if (!before_) {
        before_ = std::make_unique<policy::ExportTarget>(target_);
    } else {
        // Changed again before all was said: what was allowed at any time since may have been told.
        before_->relayable = std::make_shared<const net::PrefixRanges>(before_->relayable->joined(*target_.relayable));
    }
    target_.relayable = std::move(relayable);
}

template <class Key>
ChunkPtr AdjRibOut<Key>::retargeted(Slot from, Slot count) {
    packer_.begin(target_, context_, group_);
    const Slot last = std::min(from + count, rib_.end());
    for (Slot slot = from; slot < last; ++slot) {
        const auto& entry = rib_[slot];
        if (entry.is_unused() || !entry.has_selected()) {
            continue;
        }
        const bool before = exported(entry.attributes, entry.source, entry.key(), *before_);
        const bool now = exported(entry.attributes, entry.source, entry.key(), target_);
        if (now) {
            packer_.announce(slot, entry.attributes, entry.source);
        } else if (before) {
            packer_.withdraw(slot, Chunk::Audience::everybody, kLocalSource);
        }
    }
    return packer_.finish();
}

template class AdjRibOut<net::PrefixKey4>;
template class AdjRibOut<net::PrefixKey6>;

}  // namespace manul::bgp::rib
