#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/model/block_affinity.hpp"
#include "ipam/core/block.hpp"
#include "ipam/local/protocol.hpp"
#include "net/prefix.hpp"

/// What the allocator works on: the stored objects as they were read, and the changes it wants, as values. A Draft is a
/// plan of writes under construction; nothing is written before somebody commits `changed()` with the recorded
/// revisions as preconditions. Failed requests are rolled back to a savepoint, so a plan holds whole requests only.
namespace manul::ipam {

template <class T>
using Outcome = std::expected<T, Failure>;

/// The request failed for lack of a free address.
[[nodiscard]] inline std::unexpected<Failure> no_room(std::string msg, std::string details = {}) {
    return std::unexpected(
        Failure{static_cast<std::uint16_t>(ErrorCode::try_again), std::move(msg), std::move(details), true});
}

[[nodiscard]] inline std::unexpected<Failure> refuse(ErrorCode code, std::string msg, std::string details = {}) {
    return std::unexpected(Failure{static_cast<std::uint16_t>(code), std::move(msg), std::move(details)});
}

/// A stored object as read. Absent: neither value nor problem.
template <class T>
struct Versioned {
    std::shared_ptr<const T> value;
    std::string revision;
    std::string problem;  ///< set: the object is there, but cannot be understood; nobody may touch it

    [[nodiscard]] bool exists() const noexcept { return value != nullptr || !problem.empty(); }
};

/// A node's claim on a block.
struct Affinity {
    std::string node;
    net::Prefix cidr;
    model::AffinityState state = model::AffinityState::pending;
    model::AffinityType type = model::AffinityType::host;

    [[nodiscard]] bool is_confirmed() const noexcept {
        return state == model::AffinityState::confirmed || state == model::AffinityState::unset;
    }
    bool operator==(const Affinity&) const = default;
};

/// All addresses of one attachment.
struct Handle {
    std::string id;
    std::map<net::Prefix, std::uint32_t> blocks;  ///< number of addresses by block

    bool operator==(const Handle&) const = default;
};

/// An address that an endpoint of this node has.
struct AddressInUse {
    net::Ip address;
    std::vector<std::string> handles;  ///< it was allocated under one of them, most likely the first
    model::StringMap attributes;       ///< node, pod, namespace
};

/// Where a Draft reads. Answers may come from a cache: a stale one makes the commit fail, never succeed wrongly.
class Source {
public:
    virtual ~Source() = default;

    [[nodiscard]] virtual Outcome<Versioned<Block>> block(const net::Prefix& cidr) = 0;
    [[nodiscard]] virtual Outcome<Versioned<Affinity>> affinity(const std::string& node, const net::Prefix& cidr) = 0;
    [[nodiscard]] virtual Outcome<Versioned<Handle>> handle(const std::string& id) = 0;
    /// The blocks that a node has an affinity for, in any state, ascending.
    [[nodiscard]] virtual Outcome<std::vector<net::Prefix>> blocks_of(const std::string& node) = 0;
    /// Those that may have a free address: all except those known to be confirmed and full.
    [[nodiscard]] virtual Outcome<std::vector<net::Prefix>> roomy_blocks_of(const std::string& node) {
        return blocks_of(node);
    }
    /// All affinities whose blocks overlap `range`. O(blocks of the cluster) of small objects.
    [[nodiscard]] virtual Outcome<std::vector<Affinity>> affinities_in(const net::Prefix& range) = 0;
    /// Blocks in `range` that somebody claims and that are not of this size: an earlier pool's. They can only become
    /// fewer while the pools stay as they are, so an answer may be as old as the pools.
    [[nodiscard]] virtual Outcome<std::vector<net::Prefix>> odd_blocks(const net::Prefix& range,
                                                                       std::uint8_t block_size);
    /// All blocks that overlap `range`, ascending. O(blocks of the cluster): only when nothing is free otherwise.
    [[nodiscard]] virtual Outcome<std::vector<net::Prefix>> blocks_in(const net::Prefix& range) = 0;
    /// What this node's endpoints have of `range`.
    [[nodiscard]] virtual Outcome<std::vector<AddressInUse>> in_use(const net::Prefix& /*range*/) {
        return std::vector<AddressInUse>();
    }
    /// A number that no block which existed before has reached.
    [[nodiscard]] virtual Outcome<std::uint64_t> next_sequence() = 0;
};

/// Objects of one kind: as read, as wanted now, and how to roll back.
template <class Id, class T>
class Overlay {
public:
    struct Entry {
        Versioned<T> base;
        std::shared_ptr<const T> now;

        [[nodiscard]] bool is_changed() const noexcept { return now != base.value; }
    };

    [[nodiscard]] const Entry* find(const Id& id) const {
        const auto at = entries_.find(id);
        return at == entries_.end() ? nullptr : &at->second;
    }
    const Entry& load(const Id& id, Versioned<T> base) {
        auto now = base.value;
        return entries_.insert_or_assign(id, Entry{std::move(base), std::move(now)}).first->second;
    }
    /// Precondition: loaded. Null removes the object.
    void set(const Id& id, std::shared_ptr<const T> value) {
        Entry& entry = entries_.at(id);
        undo_.emplace_back(id, std::exchange(entry.now, std::move(value)));
    }
    [[nodiscard]] const std::map<Id, Entry>& entries() const noexcept { return entries_; }
    [[nodiscard]] std::size_t savepoint() const noexcept { return undo_.size(); }
    void roll_back(std::size_t savepoint) {
        while (undo_.size() > savepoint) {
            auto& [id, before] = undo_.back();
            entries_.at(id).now = std::move(before);
            undo_.pop_back();
        }
    }

private:
    std::map<Id, Entry> entries_;
    std::vector<std::pair<Id, std::shared_ptr<const T>>> undo_;
};

class Draft {
public:
    using AffinityId = std::pair<std::string, net::Prefix>;
    using Blocks = Overlay<net::Prefix, Block>;
    using Affinities = Overlay<AffinityId, Affinity>;
    using Handles = Overlay<std::string, Handle>;
    struct Savepoint {
        std::size_t blocks = 0;
        std::size_t affinities = 0;
        std::size_t handles = 0;
    };

    /// `source` outlives the draft.
    explicit Draft(Source& source) noexcept : source_(source) {}

    // As wanted now; null when absent or (blocks) not to be understood: see block_exists().
    [[nodiscard]] Outcome<std::shared_ptr<const Block>> block(const net::Prefix& cidr);
    [[nodiscard]] Outcome<bool> block_exists(const net::Prefix& cidr);
    [[nodiscard]] Outcome<std::shared_ptr<const Affinity>> affinity(const std::string& node, const net::Prefix& cidr);
    [[nodiscard]] Outcome<std::shared_ptr<const Handle>> handle(const std::string& id);
    [[nodiscard]] Outcome<std::vector<net::Prefix>> blocks_of(const std::string& node);
    /// Those that may have a free address: blocks that are known to be full are skipped.
    [[nodiscard]] Outcome<std::vector<net::Prefix>> roomy_blocks_of(const std::string& node);
    [[nodiscard]] Outcome<std::vector<Affinity>> affinities_in(const net::Prefix& range);
    [[nodiscard]] Outcome<std::vector<net::Prefix>> blocks_in(const net::Prefix& range);
    [[nodiscard]] Outcome<std::vector<net::Prefix>> odd_blocks(const net::Prefix& range, std::uint8_t block_size) {
        return source_.odd_blocks(range, block_size);
    }
    /// What this node's endpoints have of `range`, but for what this draft has freed.
    [[nodiscard]] Outcome<std::vector<AddressInUse>> in_use(const net::Prefix& range);
    [[nodiscard]] Outcome<std::uint64_t> next_sequence() { return source_.next_sequence(); }

    // Null removes.
    [[nodiscard]] Outcome<void> put_block(const net::Prefix& cidr, std::shared_ptr<const Block> block);
    [[nodiscard]] Outcome<void> put_affinity(const std::string& node, const net::Prefix& cidr,
                                             std::shared_ptr<const Affinity> affinity);
    [[nodiscard]] Outcome<void> put_handle(const std::string& id, std::shared_ptr<const Handle> handle);

    [[nodiscard]] Savepoint savepoint() const noexcept;
    void roll_back(const Savepoint& to);

    [[nodiscard]] const Blocks& blocks() const noexcept { return blocks_; }
    [[nodiscard]] const Affinities& affinities() const noexcept { return affinities_; }
    [[nodiscard]] const Handles& handles() const noexcept { return handles_; }
    /// The number of objects that a commit would write.
    [[nodiscard]] std::size_t changed_count() const noexcept;

private:
    [[nodiscard]] std::set<net::Prefix> with_changed_affinities(std::set<net::Prefix> found,
                                                                const std::string& node) const;
    [[nodiscard]] Outcome<const Blocks::Entry*> load_block(const net::Prefix& cidr);
    [[nodiscard]] Outcome<const Affinities::Entry*> load_affinity(const AffinityId& id);
    [[nodiscard]] Outcome<const Handles::Entry*> load_handle(const std::string& id);

    Source& source_;
    Blocks blocks_;
    Affinities affinities_;
    Handles handles_;
};

}  // namespace manul::ipam
