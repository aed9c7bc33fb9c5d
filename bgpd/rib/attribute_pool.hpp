#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.hpp"
#include "base/strong_id.hpp"
#include "bgpd/policy/route.hpp"
#include "bgpd/rib/byte_pool.hpp"
#include "bgpd/rib/next_hop.hpp"
#include "bgpd/wire/attribute.hpp"
#include "net/tagged_index.hpp"

namespace manul::bgp::rib {

/// A set of path attributes together with its next hop. 0 = none.
using AttributeId = Id<struct AttributeTag, std::uint32_t>;
inline constexpr AttributeId kNoAttributes{0};

/// An interned set: its canonical bytes, and beside them the few numbers that the decision process and the export rules
/// ask of every route. Everything else is decoded from the bytes on demand.
struct AttributeSet {
    std::uint64_t hash = 0;
    std::uint8_t* bytes = nullptr;  ///< `size` of them, in the pool's memory
    std::uint32_t size = 0;
    std::uint32_t references = 0;
    NextHopId next_hop;
    AttributeId received;             ///< the set that an import filter made this one of; kNoAttributes: none did
    std::uint32_t path_id = 0;        ///< RFC 7911; 0 where the peer sends one path of a prefix
    float bandwidth = 0;              ///< link bandwidth community, octets a second; 0 = none
    std::uint32_t host_priority = 0;  ///< of the host's own routes: kernel metric; 0 = none
    InterfaceId host_interface;       ///< of the host's own routes
    std::uint32_t local_pref = 0;     ///< policy::local_preference
    std::uint32_t med = 0;            ///< 0 when there was none
    std::uint32_t neighbour_as = 0;   ///< 0 when the path is empty or begins with a set
    std::uint32_t originator_id = 0;
    std::uint16_t as_path_length = 0;
    std::uint16_t cluster_list_length = 0;
    std::uint8_t origin = 0;
    bool has_originator_id = false;
    policy::RouteMarks marks;

    [[nodiscard]] ByteView canonical() const noexcept { return {bytes, size}; }
};

/// Every attribute set that any path has, each once. References are counted by hand (a path is 12 bytes); whoever keeps
/// a number holds a reference.
class AttributePool {
public:
    explicit AttributePool(NextHopTable& next_hops) : next_hops_(next_hops) {}
    ~AttributePool();
    AttributePool(const AttributePool&) = delete;
    AttributePool& operator=(const AttributePool&) = delete;

    /// The number of the set with these canonical bytes and this next hop, with one more reference. Two calls with
    /// equal arguments give the same number as long as a reference is held.
    /// `path_id` is what the peer calls the path where it sends several of a prefix (RFC 7911).
    [[nodiscard]] AttributeId intern(ByteView canonical, const wire::NextHop& next_hop, std::uint32_t path_id = 0);
    /// The same, for who has read the facts of these bytes already.
    [[nodiscard]] AttributeId intern(ByteView canonical, const wire::AttributeFacts& facts,
                                     const wire::NextHop& next_hop, std::uint32_t path_id);
    /// The same set with LLGR_STALE (RFC 9494 section 4.2), with one more reference.
    [[nodiscard]] AttributeId intern_llgr_stale(AttributeId id);
    /// Attributes of a route that starts here.
    [[nodiscard]] AttributeId intern_local(ByteView canonical);
    /// What an import filter made of `received`; the next hop stays. The set holds a reference to the received one.
    [[nodiscard]] AttributeId intern_filtered(ByteView canonical, AttributeId received);
    /// Attributes of one of the host's own routes.
    [[nodiscard]] AttributeId intern_host(ByteView canonical, std::uint32_t priority, InterfaceId interface);
    /// The set as the peer sent it.
    [[nodiscard]] AttributeId as_received(AttributeId id) const noexcept {
        const AttributeId received = record(id.value()).received;
        return received == kNoAttributes ? id : received;
    }

    /// Start loading what release() will need, one after the other. For many sets in a row; kNoAttributes is allowed.
    [[gnu::always_inline]] void prefetch(AttributeId id) const noexcept {
        if (id != kNoAttributes) {
            // A record is longer than a line of the cache, or lies across two.
            __builtin_prefetch(&record(id.value()).references, 1);
            __builtin_prefetch(&record(id.value()).marks);
        }
    }
    [[gnu::always_inline]] void prefetch_marks(AttributeId id) const noexcept {
        if (id != kNoAttributes) {
            __builtin_prefetch(&record(id.value()).marks);
        }
    }
    [[gnu::always_inline]] void prefetch_release(AttributeId id) const noexcept {
        if (id != kNoAttributes) {
            index_.prefetch(record(id.value()).hash);
            __builtin_prefetch(record(id.value()).bytes, 1);
        }
    }

    void add_reference(AttributeId id) noexcept { ++record(id.value()).references; }
    void release(AttributeId id, std::uint32_t references = 1);

    [[nodiscard]] const AttributeSet& operator[](AttributeId id) const noexcept { return record(id.value()); }
    [[nodiscard]] std::size_t size() const noexcept { return index_.size(); }

private:
    static constexpr std::size_t kPage = 1024;

    [[nodiscard]] AttributeSet& record(std::uint32_t number) noexcept { return pages_[number / kPage][number % kPage]; }
    [[nodiscard]] const AttributeSet& record(std::uint32_t number) const noexcept {
        return pages_[number / kPage][number % kPage];
    }
    /// What makes a set another one besides its bytes.
    struct Beside {
        NextHopId next_hop;
        AttributeId received;
        std::uint32_t path_id = 0;
        std::uint32_t host_priority = 0;
        InterfaceId host_interface;
    };
    /// `known_facts`: null when nobody has read them yet.
    [[nodiscard]] AttributeId intern_with(ByteView canonical, const Beside& beside,
                                          const wire::AttributeFacts* known_facts = nullptr);
    [[nodiscard]] std::uint32_t take_number();

    NextHopTable& next_hops_;
    std::vector<std::unique_ptr<AttributeSet[]>> pages_;  // NOLINT(modernize-avoid-c-arrays)
    net::TaggedIndex<64> index_;
    std::vector<std::uint32_t> free_;
    std::uint32_t end_ = 1;
    BytePool bytes_;
};

}  // namespace manul::bgp::rib
