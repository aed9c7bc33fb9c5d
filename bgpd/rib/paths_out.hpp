#pragma once

#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bgpd/rib/chunk.hpp"
#include "bgpd/rib/loc_rib.hpp"
#include "bgpd/rib/update_packer.hpp"

namespace manul::bgp::rib {

/// The highest identifier that may have been told of each prefix.
using HighestIds = std::vector<std::pair<Slot, std::uint32_t>>;

/// What the readers of an update group were told where they get every usable path of a prefix, each with an identifier
/// (RFC 7911). Unlike a single path it does not follow from the tables, so it is kept: identifiers are the smallest
/// unused ones of the prefix, and a path keeps its own for as long as its peer has it.
template <class Key>
class PathsOut {
public:
    PathsOut(RibCore& core, const LocRib<Key>& rib, UpdatePacker<Key>& packer, GroupId group)
        : core_(core), rib_(rib), packer_(packer), group_(group) {}
    ~PathsOut();
    PathsOut(const PathsOut&) = delete;
    PathsOut& operator=(const PathsOut&) = delete;

    /// Who is told how a prefix is brought in line: nobody, everybody of what differs, or everybody of that and of what
    /// operations change, since the rules have changed and the number may be another rule's.
    enum class Say : std::uint8_t { nothing, differences, other_rules };
    /// Brings a prefix in line with the tables. `judge(attributes, source, key)` says whether a path is sent, and by
    /// which operations.
    template <class Judge>
    void update(Slot slot, Say say, Judge&& judge) {
        wanted_.clear();
        if (!rib_[slot].is_unused()) {
            const Key key = rib_[slot].key();
            rib_.each_path(slot, [&](const Path& path) {
                if (!rib_.usable(path)) {
                    return;
                }
                if (const auto verdict = judge(path.attributes, path.source, key); verdict.accepted) {
                    const std::uint32_t received = core_.attributes[path.attributes].path_id;
                    wanted_.push_back({path.source, received, 0, path.attributes, verdict.treatment});
                }
            });
        }
        bring_in_line(slot, say);
    }
    /// Packs all that is told about the prefix, for readers that know nothing of it.
    void repeat(Slot slot);
    /// Packs all that is told about the prefix to one reader that may have been told anything before.
    void state(Slot slot, SourceId reader);
    [[nodiscard]] HighestIds highest_ids() const;
    /// A reader comes that others told these: state() withdraws those of them that are not in use.
    void expect(const HighestIds& told);
    /// No reader has missed anything: what is told about no path any more is forgotten.
    void forget_empty();

private:
    struct Told {
        SourceId source;
        std::uint32_t received_id;
        std::uint32_t id;
        AttributeId attributes;
        policy::Treatment treatment;
    };
    struct Prefix {
        std::vector<Told> paths;
        std::uint32_t highest_id = 0;  ///< ever given, here or by groups that a reader came from
    };

    void bring_in_line(Slot slot, Say say);
    void withdraw(Slot slot, const Told& told);
    [[nodiscard]] static std::uint32_t unused_id(const Prefix& prefix) noexcept;

    RibCore& core_;
    const LocRib<Key>& rib_;
    UpdatePacker<Key>& packer_;
    GroupId group_;
    std::unordered_map<Slot, Prefix> told_;
    std::vector<Slot> empty_;  ///< prefixes without a path
    std::vector<Told> wanted_;
};

extern template class PathsOut<net::PrefixKey4>;
extern template class PathsOut<net::PrefixKey6>;

}  // namespace manul::bgp::rib
