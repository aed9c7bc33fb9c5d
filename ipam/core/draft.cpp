#include "ipam/core/draft.hpp"

#include <algorithm>
#include <set>

#include "base/try.hpp"

namespace manul::ipam {

Outcome<std::vector<net::Prefix>> Source::odd_blocks(const net::Prefix& range, std::uint8_t block_size) {
    MANUL_TRY(const auto affinities, affinities_in(range));
    std::vector<net::Prefix> odd;
    for (const Affinity& affinity : affinities) {
        if (affinity.cidr.length() != block_size) {
            odd.push_back(affinity.cidr);
        }
    }
    return odd;
}

Outcome<const Draft::Blocks::Entry*> Draft::load_block(const net::Prefix& cidr) {
    if (const auto* entry = blocks_.find(cidr)) {
        return entry;
    }
    MANUL_TRY(auto base, source_.block(cidr));
    return &blocks_.load(cidr, std::move(base));
}

Outcome<const Draft::Affinities::Entry*> Draft::load_affinity(const AffinityId& id) {
    if (const auto* entry = affinities_.find(id)) {
        return entry;
    }
    MANUL_TRY(auto base, source_.affinity(id.first, id.second));
    return &affinities_.load(id, std::move(base));
}

Outcome<const Draft::Handles::Entry*> Draft::load_handle(const std::string& id) {
    if (const auto* entry = handles_.find(id)) {
        return entry;
    }
    MANUL_TRY(auto base, source_.handle(id));
    return &handles_.load(id, std::move(base));
}

Outcome<std::shared_ptr<const Block>> Draft::block(const net::Prefix& cidr) {
    MANUL_TRY(const auto* entry, load_block(cidr));
    return entry->now;
}

Outcome<bool> Draft::block_exists(const net::Prefix& cidr) {
    MANUL_TRY(const auto* entry, load_block(cidr));
    return entry->now != nullptr || !entry->base.problem.empty();
}

Outcome<std::shared_ptr<const Affinity>> Draft::affinity(const std::string& node, const net::Prefix& cidr) {
    MANUL_TRY(const auto* entry, load_affinity({node, cidr}));
    return entry->now;
}

Outcome<std::shared_ptr<const Handle>> Draft::handle(const std::string& id) {
    MANUL_TRY(const auto* entry, load_handle(id));
    return entry->now;
}

std::set<net::Prefix> Draft::with_changed_affinities(std::set<net::Prefix> found, const std::string& node) const {
    for (const auto& [id, entry] : affinities_.entries()) {
        if (id.first != node || !entry.is_changed()) {
            continue;
        }
        if (entry.now) {
            found.insert(id.second);
        } else {
            found.erase(id.second);
        }
    }
    return found;
}

Outcome<std::vector<net::Prefix>> Draft::blocks_of(const std::string& node) {
    MANUL_TRY(const auto stored, source_.blocks_of(node));
    const auto found = with_changed_affinities({stored.begin(), stored.end()}, node);
    return std::vector<net::Prefix>(found.begin(), found.end());
}

Outcome<std::vector<net::Prefix>> Draft::roomy_blocks_of(const std::string& node) {
    MANUL_TRY(const auto stored, source_.roomy_blocks_of(node));
    auto found = with_changed_affinities({stored.begin(), stored.end()}, node);
    for (const auto& [cidr, entry] : blocks_.entries()) {  // a release of this draft may have made room
        if (entry.is_changed() && entry.now && entry.now->affinity() == host_affinity(node)) {
            found.insert(cidr);
        }
    }
    return std::vector<net::Prefix>(found.begin(), found.end());
}

Outcome<std::vector<Affinity>> Draft::affinities_in(const net::Prefix& range) {
    MANUL_TRY(auto found, source_.affinities_in(range));
    std::erase_if(found, [&](const Affinity& a) { return affinities_.find({a.node, a.cidr}) != nullptr; });
    for (const auto& [id, entry] : affinities_.entries()) {
        if (entry.now && range.overlaps(id.second)) {
            found.push_back(*entry.now);
        }
    }
    return found;
}

Outcome<std::vector<net::Prefix>> Draft::blocks_in(const net::Prefix& range) {
    MANUL_TRY(const auto stored, source_.blocks_in(range));
    std::set<net::Prefix> found(stored.begin(), stored.end());
    for (const auto& [cidr, entry] : blocks_.entries()) {
        if (!range.overlaps(cidr)) {
            continue;
        }
        if (entry.now) {
            found.insert(cidr);
        } else {
            found.erase(cidr);
        }
    }
    return std::vector<net::Prefix>(found.begin(), found.end());
}

Outcome<std::vector<AddressInUse>> Draft::in_use(const net::Prefix& range) {
    MANUL_TRY(auto found, source_.in_use(range));
    std::vector<AddressInUse> out;
    for (AddressInUse& one : found) {
        bool freed = false;
        // The handle that exists stands first; where none does, they were deleted together with the block.
        for (std::size_t i = 0; i < one.handles.size(); ++i) {
            MANUL_TRY(const auto* entry, load_handle(one.handles[i]));
            freed = freed || (entry->base.exists() && !entry->now);
            if (entry->now) {
                std::swap(one.handles[0], one.handles[i]);
                break;
            }
        }
        if (!freed) {
            out.push_back(std::move(one));
        }
    }
    return out;
}

Outcome<void> Draft::put_block(const net::Prefix& cidr, std::shared_ptr<const Block> block) {
    MANUL_TRY([[maybe_unused]] const auto* entry, load_block(cidr));
    blocks_.set(cidr, std::move(block));
    return {};
}

Outcome<void> Draft::put_affinity(const std::string& node, const net::Prefix& cidr,
                                  std::shared_ptr<const Affinity> affinity) {
    const AffinityId id(node, cidr);
    MANUL_TRY([[maybe_unused]] const auto* entry, load_affinity(id));
    affinities_.set(id, std::move(affinity));
    return {};
}

Outcome<void> Draft::put_handle(const std::string& id, std::shared_ptr<const Handle> handle) {
    MANUL_TRY([[maybe_unused]] const auto* entry, load_handle(id));
    handles_.set(id, std::move(handle));
    return {};
}

Draft::Savepoint Draft::savepoint() const noexcept {
    return {blocks_.savepoint(), affinities_.savepoint(), handles_.savepoint()};
}

void Draft::roll_back(const Savepoint& to) {
    blocks_.roll_back(to.blocks);
    affinities_.roll_back(to.affinities);
    handles_.roll_back(to.handles);
}

std::size_t Draft::changed_count() const noexcept {
    const auto count = [](const auto& overlay) {
        return static_cast<std::size_t>(
            std::ranges::count_if(overlay.entries(), [](const auto& pair) { return pair.second.is_changed(); }));
    };
    return count(blocks_) + count(affinities_) + count(handles_);
}

}  // namespace manul::ipam
