#include "bgpd/rib/attribute_pool.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "bgpd/policy/export_rules.hpp"
#include "bgpd/wire/community.hpp"

namespace manul::bgp::rib {

namespace {

/// Eight bytes a step; every bit of input reaches every bit of the result.
std::uint64_t hash_bytes(ByteView bytes, std::uint64_t seed) noexcept {
    std::uint64_t hash = seed ^ 0x2d35'8dcc'aa6c'78a5U ^ bytes.size();
    std::size_t at = 0;
    for (; at + 8 <= bytes.size(); at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data() + at, 8);
        hash = net::mix(hash ^ word, 0x8bb8'4b93'962e'acc9U);
    }
    std::uint64_t tail = 0;
    if (at < bytes.size()) {
        std::memcpy(&tail, bytes.data() + at, bytes.size() - at);
    }
    return net::mix(hash ^ tail, 0x9e37'79b9'7f4a'7c15U);
}

/// The first link bandwidth among them; 0: none.
float bandwidth_of(ByteView extended_communities) noexcept {
    ByteReader reader(extended_communities);
    while (const auto value = reader.u64()) {
        if (const auto bandwidth = wire::ExtendedCommunity{*value}.link_bandwidth()) {
            return *bandwidth;
        }
    }
    return 0;
}

std::uint16_t saturated(std::size_t value) noexcept {
    return static_cast<std::uint16_t>(std::min<std::size_t>(value, UINT16_MAX));
}

}  // namespace

AttributeId AttributePool::intern(ByteView canonical, const wire::NextHop& next_hop, std::uint32_t path_id) {
    return intern_with(canonical, {.next_hop = next_hops_.acquire(next_hop), .path_id = path_id});
}

AttributeId AttributePool::intern(ByteView canonical, const wire::AttributeFacts& facts, const wire::NextHop& next_hop,
                                  std::uint32_t path_id) {
    return intern_with(canonical, {.next_hop = next_hops_.acquire(next_hop), .path_id = path_id}, &facts);
}

AttributeId AttributePool::intern_local(ByteView canonical) {
    return intern_with(canonical, {.next_hop = kSelfNextHop});
}

AttributeId AttributePool::intern_llgr_stale(AttributeId id) {
    const AttributeSet& set = (*this)[id];
    Bytes canonical;
    wire::encode_with_community(set.canonical(), wire::kLlgrStale, canonical);
    next_hops_.add_reference(set.next_hop);
    if (set.received != kNoAttributes) {
        add_reference(set.received);
    }
    return intern_with(canonical, {.next_hop = set.next_hop, .received = set.received, .path_id = set.path_id});
}

AttributeId AttributePool::intern_filtered(ByteView canonical, AttributeId received) {
    const NextHopId next_hop = record(received.value()).next_hop;
    next_hops_.add_reference(next_hop);
    add_reference(received);
    return intern_with(canonical,
                       {.next_hop = next_hop, .received = received, .path_id = record(received.value()).path_id});
}

AttributeId AttributePool::intern_host(ByteView canonical, std::uint32_t priority, InterfaceId interface) {
    return intern_with(canonical, {.next_hop = kSelfNextHop, .host_priority = priority, .host_interface = interface});
}

AttributeId AttributePool::intern_with(ByteView canonical, const Beside& beside,
                                       const wire::AttributeFacts* known_facts) {
    const std::uint64_t seed = std::uint64_t{beside.received.value()} << 32U | beside.next_hop.value();
    const std::uint64_t rest = std::uint64_t{beside.host_priority} << 20U ^ beside.host_interface.value() ^
                               std::uint64_t{beside.path_id} * 0x9e37'79b9'7f4a'7c15U;
    const std::uint64_t hash = hash_bytes(canonical, seed ^ rest);
    const std::uint32_t found = index_.find(hash, [&](std::uint32_t number) {
        const AttributeSet& set = record(number);
        return set.hash == hash && set.next_hop == beside.next_hop && set.received == beside.received &&
               set.path_id == beside.path_id && set.host_priority == beside.host_priority &&
               set.host_interface == beside.host_interface && set.size == canonical.size() &&
               std::memcmp(set.bytes, canonical.data(), canonical.size()) == 0;
    });
    if (found != decltype(index_)::kNone) {
        next_hops_.release(beside.next_hop);  // the set holds a reference already
        if (beside.received != kNoAttributes) {
            release(beside.received);
        }
        ++record(found).references;
        return AttributeId(found);
    }
    const std::uint32_t number = take_number();
    AttributeSet& set = record(number);
    set.hash = hash;
    set.bytes = bytes_.allocate(canonical.size());
    std::copy(canonical.begin(), canonical.end(), set.bytes);
    set.size = static_cast<std::uint32_t>(canonical.size());
    set.references = 1;
    set.next_hop = beside.next_hop;
    set.received = beside.received;
    set.path_id = beside.path_id;
    set.host_priority = beside.host_priority;
    set.host_interface = beside.host_interface;
    const wire::AttributeFacts facts = known_facts != nullptr ? *known_facts : wire::attribute_facts(canonical);
    set.local_pref = policy::local_preference(facts);
    set.med = facts.med.value_or(0);
    set.neighbour_as = facts.neighbour_as;
    set.originator_id = facts.originator_id.value_or(0);
    set.has_originator_id = facts.originator_id.has_value();
    set.as_path_length = saturated(facts.as_path_length);
    set.cluster_list_length = saturated(facts.cluster_list.size() / 4);
    set.origin = static_cast<std::uint8_t>(facts.origin);
    set.marks = {facts.no_export, facts.no_advertise, facts.llgr_stale, facts.no_llgr,
                 facts.only_to_customer.has_value()};
    set.bandwidth = bandwidth_of(facts.extended_communities);
    index_.insert(hash, number);
    return AttributeId(number);
}

void AttributePool::release(AttributeId id, std::uint32_t references) {
    AttributeSet& set = record(id.value());
    assert(set.references >= references);
    set.references -= references;
    if (set.references > 0) {
        return;
    }
    index_.erase(set.hash, id.value());
    next_hops_.release(set.next_hop);
    bytes_.release(std::exchange(set.bytes, nullptr), std::exchange(set.size, 0));
    const AttributeId received = std::exchange(set.received, kNoAttributes);
    if (index_.size() == 0) {
        pages_.clear();
        free_.clear();
        end_ = 1;
    } else {
        free_.push_back(id.value());
    }
    if (received != kNoAttributes) {
        release(received);
    }
}

AttributePool::~AttributePool() {
    for (std::uint32_t number = 1; number < end_; ++number) {
        if (AttributeSet& set = record(number); set.bytes != nullptr) {
            bytes_.release(set.bytes, set.size);
        }
    }
}

std::uint32_t AttributePool::take_number() {
    if (!free_.empty()) {
        const std::uint32_t number = free_.back();
        free_.pop_back();
        return number;
    }
    if (end_ / kPage >= pages_.size()) {
        pages_.push_back(std::make_unique<AttributeSet[]>(kPage));  // NOLINT(modernize-avoid-c-arrays)
    }
    return end_++;
}

}  // namespace manul::bgp::rib
