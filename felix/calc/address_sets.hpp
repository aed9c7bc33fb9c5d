#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/flat_table.hpp"
#include "config/model/kind.hpp"
#include "config/model/resource.hpp"
#include "felix/calc/identity.hpp"
#include "felix/calc/label_index.hpp"
#include "felix/calc/rule_scanner.hpp"
#include "felix/model/address_set.hpp"
#include "felix/model/snapshot.hpp"
#include "felix/model/update.hpp"
#include "net/prefix.hpp"

namespace manul::felix {

/// Members of one set with the number of objects behind each: an address stays until the last of them is removed.
/// Remembers the net change since the delta was last taken.
template <class Member>
class CountedMembers {
public:
    void add(const Member& member) {
        if (counts_[member]++ == 0 && sent_) {
            touched_.try_emplace(member, false);
        }
    }
    void remove(const Member& member) {
        if (--*counts_.find(member) == 0) {
            counts_.erase(member);
            if (sent_) {
                touched_.try_emplace(member, true);
            }
        }
    }
    void reserve(std::size_t more) { counts_.reserve(counts_.size() + more); }
    /// Calls `added(member)` or `removed(member)` for what differs from the last call.
    template <class Added, class Removed>
    void take_delta(const Added& added, const Removed& removed) {
        if (!std::exchange(sent_, true)) {
            for (const auto& [member, count] : counts_) {
                added(member);
            }
            return;
        }
        for (const auto& [member, was_there] : touched_) {
            const bool is_there = counts_.contains(member);
            if (is_there && !was_there) {
                added(member);
            } else if (!is_there && was_there) {
                removed(member);
            }
        }
        touched_.clear();
    }

    /// All of them, if nothing changed since the last delta.
    [[nodiscard]] const FlatMap<Member, std::uint32_t>& counts() const noexcept { return counts_; }

private:
    bool sent_ = false;
    FlatMap<Member, std::uint32_t> counts_;
    std::unordered_map<Member, bool> touched_;  ///< and whether it was a member at the last delta
};

/// Membership of every address set that an active policy looks addresses up in, over all objects of the cluster.
class AddressSets {
public:
    /// Counted: a set stays until it has been unwanted as often as it was wanted. A set that is unwanted and wanted
    /// again between two deltas stays as it is.
    void want(const SetSpec& spec);
    void unwant(const SetId& id);

    void put_item(const model::Key& key, const Identity& identity);
    void remove_item(const model::Key& key);
    void set_parent_labels(const std::string& parent, const model::StringMap& labels);

    struct Delta {
        std::vector<SetAdded> added;
        std::vector<SetMembersChanged> changed;
        std::vector<SetRemoved> removed;
    };
    /// What changed since the last call, each list sorted by id.
    [[nodiscard]] Delta take_delta();
    /// Every set as of the last delta.
    [[nodiscard]] std::map<SetId, SetSnapshot> snapshot() const;

private:
    struct Pool;
    struct WantedSet {
        SetSpec spec;
        SelectorId selector;
        std::uint32_t references = 0;
        bool announced = false;
        CountedMembers<net::Prefix> nets;
        CountedMembers<PortMember> ports;
    };

    void apply(Pool& pool, const MatchChanges& changes);
    void add_members(WantedSet& set, const Contribution& contribution);
    void remove_members(WantedSet& set, const Contribution& contribution);
    [[nodiscard]] static SetMembersChanged members_delta(WantedSet& set);

    /// Objects and the selectors that look at them.
    struct Pool {
        LabelIndex index;
        std::unordered_map<model::Key, ItemId> ids;
        std::vector<Contribution> contributions;  // by item number
        std::unordered_map<SelectorId, WantedSet*> by_selector;
    };
    [[nodiscard]] Pool& pool_of(const SetSpec& spec) { return spec.of_service ? slices_ : endpoints_; }
    [[nodiscard]] Pool& pool_of(const model::Key& key) {
        return key.kind == model::Kind::endpoint_slice ? slices_ : endpoints_;
    }

    Pool endpoints_;  // and network sets
    Pool slices_;     // of services
    std::unordered_map<SetId, std::unique_ptr<WantedSet>> sets_;
    std::set<SetId> dirty_;
};

}  // namespace manul::felix
