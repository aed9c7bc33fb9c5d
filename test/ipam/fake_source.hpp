#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ipam/core/draft.hpp"
#include "ipam/core/pool.hpp"

namespace manul::ipam::test {

/// A store for drafts: objects with revisions in maps, compare-and-swap of single objects. commit() can stop after
/// any number of writes, which is how the failure windows are made.
class FakeSource final : public Source {
public:
    std::map<net::Prefix, Versioned<Block>> blocks;
    std::map<Draft::AffinityId, Versioned<Affinity>> affinities;
    std::map<std::string, Versioned<Handle>> handles;
    std::uint64_t revision = 100;
    std::size_t block_reads = 0;

    Outcome<Versioned<Block>> block(const net::Prefix& cidr) override {
        ++block_reads;
        return get(blocks, cidr);
    }
    Outcome<Versioned<Affinity>> affinity(const std::string& node, const net::Prefix& cidr) override {
        return get(affinities, Draft::AffinityId(node, cidr));
    }
    Outcome<Versioned<Handle>> handle(const std::string& id) override { return get(handles, id); }
    Outcome<std::vector<net::Prefix>> blocks_of(const std::string& node) override {
        std::vector<net::Prefix> found;
        for (const auto& [id, affinity] : affinities) {
            if (id.first == node) {
                found.push_back(id.second);
            }
        }
        return found;
    }
    Outcome<std::vector<Affinity>> affinities_in(const net::Prefix& range) override {
        std::vector<Affinity> found;
        for (const auto& [id, affinity] : affinities) {
            if (range.overlaps(id.second)) {
                found.push_back(*affinity.value);
            }
        }
        return found;
    }
    Outcome<std::vector<net::Prefix>> blocks_in(const net::Prefix& range) override {
        std::vector<net::Prefix> found;
        for (const auto& [cidr, block] : blocks) {
            if (range.overlaps(cidr)) {
                found.push_back(cidr);
            }
        }
        return found;
    }
    Outcome<std::uint64_t> next_sequence() override { return revision; }

    /// All or nothing. False when somebody else changed an object since the draft read it.
    bool commit(const Draft& draft) {
        if (!unchanged(blocks, draft.blocks()) || !unchanged(affinities, draft.affinities()) ||
            !unchanged(handles, draft.handles())) {
            return false;
        }
        ++revision;
        for (const auto& [cidr, entry] : draft.blocks().entries()) {
            if (entry.is_changed()) {
                store_block(cidr, entry.now);
            }
        }
        store_all(affinities, draft.affinities());
        store_all(handles, draft.handles());
        return true;
    }

    /// Precondition: nobody else writes. One object after the other in the order that a store without transactions
    /// needs (affinity pending, handle, block, affinity confirmed; for a release the block first), at most `writes` of
    /// them. Returns how many writes the whole draft takes.
    std::size_t commit_some(const Draft& draft, std::size_t writes) {
        std::size_t done = 0;
        const auto step = [&](auto&& write) {
            if (done++ < writes) {
                ++revision;
                write();
            }
        };
        for (const auto& [id, entry] : draft.affinities().entries()) {
            if (entry.is_changed() && entry.now && !entry.base.value) {
                Affinity pending = *entry.now;
                pending.state = model::AffinityState::pending;
                step([&] { store(affinities, id, std::make_shared<const Affinity>(pending)); });
            } else if (entry.is_changed() && !entry.now) {
                Affinity leaving = *entry.base.value;
                leaving.state = model::AffinityState::pending_deletion;
                step([&] { store(affinities, id, std::make_shared<const Affinity>(leaving)); });
            }
        }
        for (const auto& [id, entry] : draft.handles().entries()) {
            if (entry.is_changed() && entry.now) {
                step([&] { store(handles, id, entry.now); });
            }
        }
        for (const auto& [cidr, entry] : draft.blocks().entries()) {
            if (entry.is_changed()) {
                step([&] { store_block(cidr, entry.now); });
            }
        }
        for (const auto& [id, entry] : draft.affinities().entries()) {
            if (entry.is_changed()) {
                step([&] { store(affinities, id, entry.now); });
            }
        }
        for (const auto& [id, entry] : draft.handles().entries()) {
            if (entry.is_changed() && !entry.now) {
                step([&] { store(handles, id, entry.now); });
            }
        }
        return done;
    }

private:
    template <class Id, class T>
    static Versioned<T> get(const std::map<Id, Versioned<T>>& from, const Id& id) {
        const auto at = from.find(id);
        return at == from.end() ? Versioned<T>{} : at->second;
    }
    template <class Id, class T>
    static bool unchanged(const std::map<Id, Versioned<T>>& stored, const Overlay<Id, T>& overlay) {
        return std::ranges::all_of(overlay.entries(), [&](const auto& pair) {
            return !pair.second.is_changed() || get(stored, pair.first).revision == pair.second.base.revision;
        });
    }
    template <class Id, class T>
    void store(std::map<Id, Versioned<T>>& into, const Id& id, std::shared_ptr<const T> value) {
        if (value) {
            into[id] = Versioned<T>{std::move(value), std::to_string(revision), {}};
        } else {
            into.erase(id);
        }
    }
    template <class Id, class T>
    void store_all(std::map<Id, Versioned<T>>& into, const Overlay<Id, T>& overlay) {
        for (const auto& [id, entry] : overlay.entries()) {
            if (entry.is_changed()) {
                store(into, id, entry.now);
            }
        }
    }
    void store_block(const net::Prefix& cidr, const std::shared_ptr<const Block>& value) {
        if (!value) {
            blocks.erase(cidr);
            return;
        }
        auto written = std::make_shared<Block>(*value);
        written->count_write();
        store<net::Prefix, Block>(blocks, cidr, std::move(written));
    }
};

inline net::Prefix prefix(std::string_view text) { return *net::Prefix::parse(text); }
inline net::Ip ip(std::string_view text) { return *net::Ip::parse(text); }

inline OwnerPtr owner(std::string handle, model::StringMap attributes) {
    Owner out;
    out.handle = std::move(handle);
    out.attributes = std::move(attributes);
    return std::make_shared<const Owner>(std::move(out));
}
inline OwnerPtr pod_owner(const std::string& handle, const std::string& node = "n1") {
    return owner(handle, {{"node", node}, {"pod", handle}, {"namespace", "default"}});
}

inline Pool make_pool(std::string name, std::string_view cidr, std::uint8_t block_size) {
    Pool pool;
    pool.name = std::move(name);
    pool.cidr = prefix(cidr);
    pool.block_size = block_size;
    pool.uses = {model::AllowedUse::workload, model::AllowedUse::tunnel};
    return pool;
}

}  // namespace manul::ipam::test
