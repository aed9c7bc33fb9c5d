#include "ipam/core/block.hpp"

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <utility>

#include <fmt/core.h>

#include "base/try.hpp"

namespace manul::ipam {

namespace {

constexpr std::uint64_t kNoSequence = std::numeric_limits<std::uint64_t>::max();
constexpr std::string_view kHost = "host:";

std::size_t host_bits(const net::Prefix& cidr) noexcept {
    return static_cast<std::size_t>(net::address_bits(cidr.family()) - cidr.length());
}

/// Nothing when the range has more addresses than a block may have.
std::optional<std::size_t> addresses_in(const net::Prefix& cidr) noexcept {
    const std::size_t bits = host_bits(cidr);
    if (bits > 12) {
        return std::nullopt;
    }
    return std::size_t{1} << bits;
}

OwnerPtr to_owner(const model::AllocationAttribute& attribute) {
    auto owner = std::make_shared<Owner>();
    owner->handle = attribute.handle_id.value_or("");
    owner->attributes = attribute.secondary;
    owner->alternate = attribute.alternate_owner_attrs;
    if (attribute.released_at) {
        owner->released_at = parse_timestamp(*attribute.released_at).value_or(WallTime{});
    }
    return owner;
}

}  // namespace

model::AllocationAttribute to_attribute(const Owner& owner) {
    model::AllocationAttribute out;
    if (!owner.handle.empty()) {
        out.handle_id = owner.handle;
    }
    out.secondary = owner.attributes;
    out.alternate_owner_attrs = owner.alternate;
    if (owner.released_at) {
        out.released_at = print_timestamp(*owner.released_at);
    }
    return out;
}

std::string_view Owner::node() const noexcept {
    const auto found = attributes.find("node");
    return found == attributes.end() ? std::string_view{} : std::string_view(found->second);
}

Block Block::make(const net::Prefix& cidr, std::string affinity, WallTime now, std::uint64_t first_sequence) {
    Block block;
    block.cidr_ = cidr;
    block.sequence_number_ = first_sequence;
    const std::size_t count = addresses_in(cidr).value_or(0);
    block.owners_.resize(count);
    block.sequences_.assign(count, kNoSequence);
    for (std::size_t i = 0; i < count; ++i) {
        block.free_.push_back(static_cast<Ordinal>(i));
    }
    block.set_affinity(std::move(affinity), now);
    return block;
}

std::expected<Block, std::string> Block::from_model(const model::IpamBlockSpec& spec) {
    if (const auto findings = check_block(spec, std::nullopt); !findings.empty()) {
        return std::unexpected(findings.front());
    }
    Block block;
    block.cidr_ = spec.cidr;
    block.affinity_ = spec.affinity.value_or("");
    if (spec.affinity_claim_time) {
        block.claim_time_ = parse_timestamp(*spec.affinity_claim_time);
    }
    block.sequence_number_ = spec.sequence_number;
    block.strict_affinity_ = spec.strict_affinity;
    std::vector<OwnerPtr> owners;
    owners.reserve(spec.attributes.size());
    for (const auto& attribute : spec.attributes) {
        owners.push_back(to_owner(attribute));
    }
    block.owners_.resize(spec.allocations.size());
    block.sequences_.assign(spec.allocations.size(), kNoSequence);
    for (std::size_t i = 0; i < spec.allocations.size(); ++i) {
        if (const auto index = spec.allocations[i]) {
            block.owners_[i] = owners[*index];
            block.cooling_ += owners[*index]->is_cooling() ? 1U : 0U;
        }
    }
    for (const auto& [ordinal, sequence] : spec.sequence_number_for_allocation) {
        block.sequences_[ordinal] = sequence;
    }
    block.free_.assign(spec.unallocated.begin(), spec.unallocated.end());
    return block;
}

model::IpamBlockSpec Block::to_model() const {
    std::vector<OwnerPtr> owners;
    model::IpamBlockSpec spec = to_model(owners);
    spec.attributes.reserve(owners.size());
    for (const OwnerPtr& owner : owners) {
        spec.attributes.push_back(to_attribute(*owner));
    }
    return spec;
}

model::IpamBlockSpec Block::to_model(std::vector<OwnerPtr>& owners) const {
    model::IpamBlockSpec spec;
    spec.cidr = cidr_;
    if (!affinity_.empty()) {
        spec.affinity = affinity_;
    }
    if (claim_time_) {
        spec.affinity_claim_time = print_timestamp(*claim_time_);
    }
    spec.sequence_number = sequence_number_;
    spec.strict_affinity = strict_affinity_;
    spec.unallocated.assign(free_.begin(), free_.end());
    spec.allocations.resize(owners_.size());
    owners.clear();
    std::unordered_map<const Owner*, std::uint32_t> index_of;
    index_of.reserve(owners_.size());
    for (std::size_t i = 0; i < owners_.size(); ++i) {
        if (const OwnerPtr& owner = owners_[i]) {
            const auto [at, is_new] = index_of.try_emplace(owner.get(), static_cast<std::uint32_t>(owners.size()));
            if (is_new) {
                owners.push_back(owner);
            }
            spec.allocations[i] = at->second;
            if (sequences_[i] != kNoSequence) {
                spec.sequence_number_for_allocation.emplace_hint(spec.sequence_number_for_allocation.end(),
                                                                 static_cast<std::uint32_t>(i), sequences_[i]);
            }
        }
    }
    return spec;
}

net::Ip Block::address(Ordinal ordinal) const { return *cidr_.address().plus(ordinal); }

std::optional<Block::Ordinal> Block::ordinal(const net::Ip& address) const noexcept {
    if (!cidr_.contains(address)) {
        return std::nullopt;
    }
    // At most 12 host bits: the last two bytes hold them.
    const auto bytes = address.bytes();
    const std::size_t low = std::size_t{bytes[bytes.size() - 2]} << 8U | bytes[bytes.size() - 1];
    return static_cast<Ordinal>(low & (owners_.size() - 1));
}

std::optional<std::uint64_t> Block::sequence_of(Ordinal ordinal) const {
    const std::uint64_t sequence = sequences_[ordinal];
    return sequence == kNoSequence ? std::nullopt : std::optional(sequence);
}

void Block::set_affinity(std::string affinity, WallTime now) {
    affinity_ = std::move(affinity);
    claim_time_ = affinity_.empty() ? std::nullopt : std::optional(now);
}

bool Block::end_cooldown(WallTime now, std::chrono::seconds cooldown) {
    if (cooling_ == 0) {
        return false;
    }
    bool changed = false;
    for (std::size_t i = 0; i < owners_.size(); ++i) {
        const OwnerPtr& owner = owners_[i];
        if (!owner || !owner->is_cooling()) {
            continue;
        }
        if (*owner->released_at > now) {
            Owner corrected = *owner;
            corrected.released_at = now;
            owners_[i] = std::make_shared<const Owner>(std::move(corrected));
            changed = true;
        } else if (now - *owner->released_at >= cooldown) {
            owners_[i] = nullptr;
            sequences_[i] = kNoSequence;
            free_.push_back(static_cast<Ordinal>(i));
            --cooling_;
            changed = true;
        }
    }
    return changed;
}

std::optional<net::Ip> Block::allocate(const OwnerPtr& owner, const Reserved& reserved) {
    const auto first = std::ranges::find_if(free_, [&](Ordinal o) { return !reserved || !reserved(address(o)); });
    if (first == free_.end()) {
        return std::nullopt;
    }
    const Ordinal ordinal = *first;
    free_.erase(first);
    owners_[ordinal] = owner;
    sequences_[ordinal] = sequence_number_;
    return address(ordinal);
}

bool Block::allocate_exact(Ordinal ordinal, const OwnerPtr& owner) {
    const auto at = std::ranges::find(free_, ordinal);
    if (at == free_.end()) {
        return false;
    }
    free_.erase(at);
    owners_[ordinal] = owner;
    sequences_[ordinal] = sequence_number_;
    return true;
}

std::expected<OwnerPtr, ReleaseError> Block::release(Ordinal ordinal, std::optional<std::uint64_t> sequence,
                                                     WallTime now, std::chrono::seconds cooldown) {
    if (!owners_[ordinal] || owners_[ordinal]->is_cooling()) {
        return std::unexpected(ReleaseError::not_allocated);
    }
    if (sequence && *sequence != sequences_[ordinal]) {
        return std::unexpected(ReleaseError::sequence_mismatch);
    }
    OwnerPtr former = std::exchange(owners_[ordinal], nullptr);
    if (cooldown.count() > 0) {
        Owner resting;
        resting.attributes = former->attributes;  // whose it was stays visible until the rest is over
        resting.released_at = now;
        owners_[ordinal] = std::make_shared<const Owner>(std::move(resting));
        ++cooling_;
    } else {
        sequences_[ordinal] = kNoSequence;
        free_.push_back(ordinal);
    }
    return former;
}

std::vector<Block::Ordinal> Block::of_handle(std::string_view handle) const {
    std::vector<Ordinal> found;
    for (std::size_t i = 0; i < owners_.size(); ++i) {
        if (owners_[i] && !owners_[i]->is_cooling() && owners_[i]->handle == handle) {
            found.push_back(static_cast<Ordinal>(i));
        }
    }
    return found;
}

bool Block::operator==(const Block& other) const { return to_model() == other.to_model(); }

std::string host_affinity(std::string_view node) {
    return node.starts_with(kVirtual) ? std::string(node) : std::string(kHost).append(node);
}

std::optional<std::string_view> affinity_node(std::string_view affinity) noexcept {
    if (!affinity.starts_with(kHost)) {
        return std::nullopt;
    }
    return affinity.substr(kHost.size());
}

std::vector<std::string> check_block(const model::IpamBlockSpec& spec, std::optional<WallTime> now) {
    std::vector<std::string> findings;
    const auto report = [&](std::string text) {
        findings.push_back(fmt::format("block {}: {}", spec.cidr.to_string(), text));
    };
    const auto size = addresses_in(spec.cidr);
    if (!size) {
        report(fmt::format("more than {} addresses", kMaxBlockAddresses));
        return findings;
    }
    if (spec.allocations.size() != *size) {
        report(fmt::format("allocations has {} entries, the range {} addresses", spec.allocations.size(), *size));
        return findings;
    }
    std::vector<bool> referenced(spec.attributes.size(), false);
    std::vector<unsigned> free(*size, 0);
    for (const std::uint32_t ordinal : spec.unallocated) {
        if (ordinal >= *size) {
            report(fmt::format("unallocated names ordinal {} of {}", ordinal, *size));
        } else if (++free[ordinal] == 2) {
            report(fmt::format("ordinal {} is in unallocated twice", ordinal));
        }
    }
    for (std::size_t i = 0; i < *size; ++i) {
        const auto index = spec.allocations[i];
        if (!index) {
            if (free[i] == 0) {
                report(fmt::format("ordinal {} is neither allocated nor free", i));
            }
            continue;
        }
        if (*index >= spec.attributes.size()) {
            report(fmt::format("ordinal {} refers to attribute {} of {}", i, *index, spec.attributes.size()));
            continue;
        }
        referenced[*index] = true;
        if (free[i] != 0) {
            report(fmt::format("ordinal {} is both allocated and free", i));
        }
    }
    for (const auto& [ordinal, sequence] : spec.sequence_number_for_allocation) {
        if (ordinal >= *size) {
            report(fmt::format("a sequence number for ordinal {} of {}", ordinal, *size));
        } else if (now && sequence > spec.sequence_number) {
            report(fmt::format("ordinal {} was allocated at number {}, later than the block's {}", ordinal, sequence,
                               spec.sequence_number));
        }
    }
    if (now) {  // harmless for allocation, worth knowing for a person
        for (std::size_t i = 0; i < spec.attributes.size(); ++i) {
            const auto& released = spec.attributes[i].released_at;
            if (!referenced[i]) {
                report(fmt::format("attribute {} belongs to no address", i));
            }
            if (released && parse_timestamp(*released).value_or(*now) > *now) {
                report(fmt::format("attribute {} was released in the future, at {}", i, *released));
            }
        }
    }
    return findings;
}

}  // namespace manul::ipam
