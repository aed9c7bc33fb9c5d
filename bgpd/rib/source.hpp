#pragma once

#include <array>
#include <cassert>
#include <cstdint>
#include <optional>
#include <vector>

#include "bgpd/policy/route.hpp"
#include "bgpd/rib/chunk.hpp"
#include "net/ip.hpp"

namespace manul::bgp::rib {

/// Number of an update group of one family; 0 = none.
using GroupId = std::uint16_t;

/// One session (or this node itself) as the tables see it.
struct Source {
    policy::SourceTraits traits;
    std::uint32_t router_id = 0;
    net::Ip address;                 ///< of the peer: last tie-breaker
    std::array<bool, 2> add_path{};  ///< of one prefix, told apart by path_id (RFC 7911), by family_index
    bool in_use = false;
    bool lost = false;  ///< the session is gone: its paths are being removed

    /// Paths that the peer announced before its generation changed are stale (RFC 4724 section 4.2, RFC 7313 section 4)
    /// until it announces them again: all paths of a peer become stale in no time. By family_index, as what follows.
    std::array<bool, 2> generation{};
    std::array<bool, 2> has_stale{};   ///< there may be stale paths
    std::array<bool, 2> drop_stale{};  ///< stale paths are being removed
    std::array<bool, 2> long_lived{};  ///< stale paths are being given LLGR_STALE (RFC 9494 section 4.2)

    struct Count {
        std::uint32_t received = 0;
        std::uint32_t accepted = 0;
        std::uint32_t current = 0;  ///< of those received: not stale
    };
    std::array<Count, 2> counts{};    ///< paths in the tables, by family_index
    std::array<GroupId, 2> groups{};  ///< the update group that the peer is a reader of, by family_index
};

[[nodiscard]] constexpr std::size_t family_index(net::Family family) noexcept {
    return family == net::Family::v4 ? 0 : 1;
}

/// All sources by number. Number 0 is this node.
class SourceTable {
public:
    SourceTable() {
        all_.emplace_back();
        all_[0].in_use = true;
    }

    [[nodiscard]] const Source& operator[](SourceId id) const noexcept { return all_[id.value()]; }
    [[nodiscard]] Source& operator[](SourceId id) noexcept { return all_[id.value()]; }
    [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }

    /// Nothing when 65,535 sessions exist.
    [[nodiscard]] std::optional<SourceId> add(const Source& source) {
        std::size_t at = 1;
        while (at < all_.size() && all_[at].in_use) {
            ++at;
        }
        if (at > UINT16_MAX) {
            return std::nullopt;
        }
        if (at == all_.size()) {
            all_.emplace_back();
        }
        all_[at] = source;
        all_[at].in_use = true;
        return SourceId(static_cast<std::uint16_t>(at));
    }
    /// Precondition: no path of the source is left.
    void remove(SourceId id) {
        assert(id != kLocalSource);
        all_[id.value()] = Source{};
    }

private:
    std::vector<Source> all_;
};

}  // namespace manul::bgp::rib
