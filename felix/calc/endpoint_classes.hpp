#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "felix/calc/interned.hpp"
#include "felix/calc/label_index.hpp"
#include "felix/calc/sequencer.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/policy_id.hpp"

namespace manul::felix {

/// Workloads of this node that the same policies select, and that have the same profiles, have their lists in common: a
/// policy that selects all of a class changes the class, whatever the number of its members.
///
/// Invariant: after a flush the members of a class, and nobody else, have its profiles and match exactly its selectors,
/// and the dataplane was told its lists for every member that it knows.
class EndpointClasses {
public:
    explicit EndpointClasses(const LabelIndex& index) noexcept : index_(index) {}

    /// The item is a workload with these profiles. To be called before its first note().
    void put(ItemId item, const std::vector<std::string>& profiles);
    /// It starts or stops to match something.
    void note(ItemId item);
    void remove(ItemId item);
    /// The lists of all items that match the selector may have changed.
    void touch(SelectorId selector) { touched_.push_back(selector); }
    void touch_everything() noexcept { everything_ = true; }

    using MakeLists = std::function<EndpointLists(std::span<const SelectorId>)>;
    using Moved = std::function<void(ItemId)>;
    /// Sends the lists that whole classes changed to, and calls `moved` for all other items that may have others now.
    void flush(const MakeLists& make, Sequencer& sequencer, const Moved& moved);
    /// As of the last flush. The object changes when the class is updated as a whole.
    [[nodiscard]] std::shared_ptr<const EndpointLists> lists(ItemId item) const {
        return classes_[*members_[item.value()].number].lists;
    }

private:
    using Number = std::uint32_t;
    using Profiles = std::shared_ptr<const std::vector<std::string>>;  ///< interned

    /// What distinguishes a class from others.
    struct Kind {
        std::vector<SelectorId> matches;
        Profiles profiles;
        bool operator==(const Kind&) const = default;
    };
    struct Class {
        Kind kind;
        std::vector<ItemId> items;
        std::shared_ptr<EndpointLists> lists;  ///< null: new
        std::size_t changed = 0;               ///< of `items`, since the last flush
        bool dirty = false;
    };
    struct Member {
        std::optional<Number> number;  ///< of its class
        std::size_t slot = 0;          ///< in the items of the class
        bool changed = false;
        Profiles profiles;
    };
    struct KindHash {
        std::size_t operator()(const Kind& kind) const {  // not noexcept: tables keep it
            std::size_t hash = std::hash<Profiles>{}(kind.profiles);
            for (const SelectorId selector : kind.matches) {
                hash = (hash ^ selector.value()) * 0x9e3779b97f4a7c15ULL;
            }
            return hash;
        }
    };
    /// A list that a class has in a direction, told from others by its address. Of equal lists of classes with other
    /// profiles each may change alone: the dataplane has chains of its own for them.
    struct Listed {
        const void* lists = nullptr;
        Profiles profiles;
        bool operator==(const Listed&) const = default;
    };
    struct ListedHash {
        std::size_t operator()(const Listed& listed) const noexcept {
            return std::hash<const void*>{}(listed.lists) * 31 + std::hash<Profiles>{}(listed.profiles);
        }
    };
    struct Orphan {
        std::shared_ptr<EndpointLists> lists;
        Profiles profiles;
    };
    struct Plan {
        Number number;
        EndpointLists now;
    };

    void settle(const Moved& moved);
    [[nodiscard]] bool move_whole(Number number);
    void move(ItemId item);
    void join(ItemId item, Number number);
    void leave(ItemId item);
    void remove_class(Number number);
    void mark(Number number);
    void mark_touched();
    [[nodiscard]] std::vector<Plan> make_plans(const MakeLists& make);
    void replace_whole_lists(Direction direction, const std::vector<Plan>& plans, Sequencer& sequencer);
    void set_lists(Class& one, EndpointLists lists);
    void count(const Class& one, bool added);

    const LabelIndex& index_;
    std::vector<Member> members_;  ///< by item
    std::vector<Class> classes_;
    std::vector<Number> free_;
    std::unordered_map<Kind, Number, KindHash> by_kind_;
    Interned<std::vector<std::string>> profiles_;
    /// How many classes have a list, by direction.
    std::array<std::unordered_map<Listed, std::size_t, ListedHash>, 2> users_;

    // Since the last flush.
    std::vector<ItemId> changed_;
    std::vector<Number> dirty_;
    std::vector<SelectorId> touched_;
    bool everything_ = false;
    std::vector<Orphan> orphans_;  ///< of removed classes; the dataplane may still know members
};

}  // namespace manul::felix
