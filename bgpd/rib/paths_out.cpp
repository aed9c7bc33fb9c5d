#include "bgpd/rib/paths_out.hpp"

#include <algorithm>
#include <utility>

namespace manul::bgp::rib {

template <class Key>
PathsOut<Key>::~PathsOut() {
    for (const auto& [slot, prefix] : told_) {
        for (const Told& told : prefix.paths) {
            core_.attributes.release(told.attributes);
        }
    }
}

template <class Key>
std::uint32_t PathsOut<Key>::unused_id(const Prefix& prefix) noexcept {
    std::uint32_t id = 1;
    while (std::ranges::find(prefix.paths, id, &Told::id) != prefix.paths.end()) {
        ++id;
    }
    return id;
}

template <class Key>
void PathsOut<Key>::withdraw(Slot slot, const Told& told) {
    const bool reads_itself = core_.sources[told.source].groups[family_index(Key::kFamily)] == group_;
    packer_.withdraw(slot, reads_itself ? Chunk::Audience::all_but : Chunk::Audience::everybody, told.source, told.id);
}

template <class Key>
void PathsOut<Key>::bring_in_line(Slot slot, Say say) {
    auto known = told_.find(slot);
    if (known == told_.end()) {
        if (wanted_.empty()) {
            return;
        }
        known = told_.try_emplace(slot).first;
    }
    Prefix& prefix = known->second;
    const auto same_path = [](const Told& a, const Told& b) {
        return a.source == b.source && a.received_id == b.received_id;
    };
    std::erase_if(prefix.paths, [&](const Told& told) {
        if (std::ranges::any_of(wanted_, [&](const Told& each) { return same_path(each, told); })) {
            return false;
        }
        if (say != Say::nothing) {
            withdraw(slot, told);
        }
        core_.attributes.release(told.attributes);
        return true;
    });
    for (Told& path : wanted_) {
        const auto told = std::ranges::find_if(prefix.paths, [&](const Told& each) { return same_path(each, path); });
        const bool is_new = told == prefix.paths.end();
        const bool same_treatment = !is_new && told->treatment == path.treatment &&
                                    (path.treatment == policy::Treatment{} || say != Say::other_rules);
        if (same_treatment && told->attributes == path.attributes) {
            continue;
        }
        path.id = is_new ? unused_id(prefix) : told->id;
        core_.attributes.add_reference(path.attributes);
        if (is_new) {
            prefix.paths.push_back(path);
            prefix.highest_id = std::max(prefix.highest_id, path.id);
        } else {
            core_.attributes.release(told->attributes);
            *told = path;
        }
        if (say != Say::nothing) {
            packer_.announce(slot, path.attributes, path.source, path.treatment, path.id);
        }
    }
    if (prefix.paths.empty()) {
        empty_.push_back(slot);
    }
}

template <class Key>
void PathsOut<Key>::repeat(Slot slot) {
    if (const auto known = told_.find(slot); known != told_.end()) {
        for (const Told& told : known->second.paths) {
            packer_.announce(slot, told.attributes, told.source, told.treatment, told.id);
        }
    }
}

template <class Key>
void PathsOut<Key>::state(Slot slot, SourceId reader) {
    const auto known = told_.find(slot);
    if (known == told_.end()) {
        return;
    }
    const Prefix& prefix = known->second;
    for (std::uint32_t id = 1; id <= prefix.highest_id; ++id) {
        const auto told = std::ranges::find(prefix.paths, id, &Told::id);
        if (told != prefix.paths.end() && told->source != reader) {
            packer_.announce(slot, told->attributes, told->source, told->treatment, id);
        } else {
            packer_.withdraw(slot, Chunk::Audience::everybody, kLocalSource, id);
        }
    }
}

template <class Key>
HighestIds PathsOut<Key>::highest_ids() const {
    HighestIds ids;
    ids.reserve(told_.size());
    for (const auto& [slot, prefix] : told_) {
        ids.emplace_back(slot, prefix.highest_id);
    }
    return ids;
}

template <class Key>
void PathsOut<Key>::expect(const HighestIds& told) {
    for (const auto& [slot, highest] : told) {
        Prefix& prefix = told_[slot];
        prefix.highest_id = std::max(prefix.highest_id, highest);
        if (prefix.paths.empty()) {
            empty_.push_back(slot);
        }
    }
}

template <class Key>
void PathsOut<Key>::forget_empty() {
    for (const Slot slot : std::exchange(empty_, {})) {
        if (const auto known = told_.find(slot); known != told_.end() && known->second.paths.empty()) {
            told_.erase(known);
        }
    }
}

template class PathsOut<net::PrefixKey4>;
template class PathsOut<net::PrefixKey6>;

}  // namespace manul::bgp::rib
