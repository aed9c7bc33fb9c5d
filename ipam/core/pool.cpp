#include "ipam/core/pool.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "base/try.hpp"

namespace manul::ipam {

namespace {

constexpr std::uint8_t kMaxBlockBits = 12;       // kMaxBlockAddresses
constexpr std::uint8_t kMaxBlockIndexBits = 32;  // Pool::block_count

std::string_view family_name(net::Family family) noexcept { return family == net::Family::v4 ? "IPv4" : "IPv6"; }

Result<model::Selector> selector(const std::string& pool, std::string_view field, const std::string& text) {
    auto parsed = model::Selector::parse(text);
    if (!parsed) {
        return fail(fmt::format("IPPool {}: {}: {}", pool, field, parsed.error().message));
    }
    return *std::move(parsed);
}

/// `base` with `index` added at the bit position that ends `bits_below` bits from the right.
net::Ip advance(const net::Ip& base, std::uint64_t index, std::size_t bits_below) {
    std::array<std::uint8_t, 16> bytes{};
    const auto in = base.bytes();
    std::ranges::copy(in, bytes.begin());
    // The index fits below the pool's prefix and the base has zeros there: setting bits is adding.
    for (std::size_t bit = 0; bit < 64 && (index >> bit) != 0; ++bit) {
        if ((index >> bit & 1U) != 0) {
            const std::size_t position = bits_below + bit;
            const std::size_t byte = in.size() - 1 - position / 8;
            bytes[byte] = static_cast<std::uint8_t>(bytes[byte] | 1U << (position % 8));
        }
    }
    return *net::Ip::from_bytes(std::span(bytes).first(in.size()));
}

Result<std::vector<const Pool*>> wanted_pools(const std::vector<Pool>& pools, const PoolQuery& query) {
    std::vector<const Pool*> found;
    std::string unfit;
    for (const std::string& text : query.wanted) {
        const auto cidr = net::Prefix::parse_loose(text);
        const auto at = std::ranges::find_if(
            pools, [&](const Pool& pool) { return pool.name == text || (cidr && pool.cidr == *cidr); });
        if (at == pools.end()) {
            return fail(fmt::format("there is no IPPool {}, which the request names", text));
        }
        if (at->disabled) {
            return fail(fmt::format("IPPool {}, which the request names, is {}", text,
                                    at->being_deleted ? "being deleted" : "disabled"));
        }
        if (at->cidr.family() != query.family) {
            return fail(fmt::format("IPPool {} ({}) was asked for {} addresses", text, at->cidr.to_string(),
                                    family_name(query.family)));
        }
        if (at->allows(query.use)) {
            found.push_back(&*at);
        } else {
            unfit = text;
        }
    }
    if (found.empty()) {
        return fail(fmt::format("IPPool {}, which the request names, does not allow this use (allowedUses)", unfit));
    }
    return found;
}

}  // namespace

Result<Pool> Pool::from_model(const model::IpPool& pool) {
    const std::string& name = pool.metadata.name;
    Pool out;
    out.name = name;
    out.cidr = pool.spec.cidr;
    out.block_size = pool.spec.effective_block_size();
    const std::uint8_t bits = net::address_bits(out.cidr.family());
    if (out.block_size > bits || out.block_size < out.cidr.length() || bits - out.block_size > kMaxBlockBits) {
        return fail(fmt::format("IPPool {}: blocks of /{} do not fit {}; allowed are /{} to /{}", name, out.block_size,
                                out.cidr.to_string(), std::max<int>(out.cidr.length(), bits - kMaxBlockBits), bits));
    }
    out.disabled = pool.spec.disabled;
    out.mode = pool.spec.assignment_mode;
    if (pool.spec.vxlan_mode != model::EncapMode::never) {
        out.encapsulation = Encapsulation::vxlan;
    } else if (pool.spec.ipip_mode != model::EncapMode::never) {
        out.encapsulation = Encapsulation::ipip;
    }
    for (const auto use : {model::AllowedUse::workload, model::AllowedUse::tunnel, model::AllowedUse::load_balancer}) {
        if (pool.spec.allows(use)) {
            out.uses.push_back(use);
        }
    }
    MANUL_TRY(out.node_selector, selector(name, "nodeSelector", pool.spec.node_selector));
    MANUL_TRY(out.namespace_selector, selector(name, "namespaceSelector", pool.spec.namespace_selector));
    return out;
}

bool Pool::allows(model::AllowedUse use) const noexcept { return std::ranges::find(uses, use) != uses.end(); }

std::uint64_t Pool::block_count() const noexcept {
    return std::uint64_t{1} << std::min<unsigned>(block_size - cidr.length(), kMaxBlockIndexBits);
}

net::Prefix Pool::block(std::uint64_t index) const {
    const std::size_t below = static_cast<std::size_t>(net::address_bits(cidr.family()) - block_size);
    return *net::Prefix::masked(advance(cidr.address(), index, below), block_size);
}

net::Prefix Pool::block_of(const net::Ip& address) const { return *net::Prefix::masked(address, block_size); }

double Pool::address_count() const noexcept {
    return std::ldexp(1.0, net::address_bits(cidr.family()) - cidr.length());
}

bool selects_node(const Pool& pool, const model::StringMap& node_labels) {
    return pool.node_selector.matches(node_labels);
}

Result<std::vector<const Pool*>> select_pools(const std::vector<Pool>& pools, const PoolQuery& query,
                                              std::vector<std::string>* reasons) {
    if (!query.wanted.empty()) {
        return wanted_pools(pools, query);
    }
    std::vector<const Pool*> found;
    std::vector<std::string> passed_over;
    for (const Pool& pool : pools) {
        if (pool.cidr.family() != query.family) {
            continue;
        }
        std::string_view reason;
        if (pool.disabled) {
            reason = pool.being_deleted ? "being deleted" : "disabled";
        } else if (pool.mode == model::AssignmentMode::manual) {
            reason = "assignmentMode Manual";
        } else if (!pool.allows(query.use)) {
            reason = "allowedUses";
        } else if (!selects_node(pool, query.node_labels)) {
            reason = "nodeSelector";
        } else if (!pool.namespace_selector.matches(query.namespace_labels)) {
            reason = "namespaceSelector";
        } else {
            found.push_back(&pool);
            continue;
        }
        passed_over.push_back(fmt::format("{} ({})", pool.name, reason));
    }
    if (found.empty() && passed_over.empty()) {
        return fail(fmt::format("there is no {} IPPool; apply one with `manulctl apply`", family_name(query.family)));
    }
    if (found.empty()) {
        return fail(fmt::format("no {} IPPool fits this node and namespace; passed over: {}", family_name(query.family),
                                fmt::join(passed_over, ", ")));
    }
    std::ranges::sort(found, {}, [](const Pool* pool) -> const std::string& { return pool->name; });
    if (reasons != nullptr) {
        *reasons = std::move(passed_over);
    }
    return found;
}

const Pool* pool_of(const std::vector<Pool>& pools, const net::Ip& address) noexcept {
    const auto at =
        std::ranges::find_if(pools, [&](const Pool& pool) { return !pool.disabled && pool.cidr.contains(address); });
    return at == pools.end() ? nullptr : &*at;
}

bool Reservations::contains(const net::Ip& address) const noexcept {
    return std::ranges::any_of(cidrs_, [&](const net::Prefix& cidr) { return cidr.contains(address); });
}

bool Reservations::covers(const net::Prefix& range) const noexcept {
    return std::ranges::any_of(cidrs_, [&](const net::Prefix& cidr) { return cidr.contains(range); });
}

double Reservations::count_in(const net::Prefix& range) const {
    std::set<net::Prefix> parts;  // of the range; a prefix that contains another comes before it
    for (const net::Prefix& cidr : cidrs_) {
        if (cidr.overlaps(range)) {
            parts.insert(cidr.contains(range) ? range : cidr);
        }
    }
    double count = 0;
    std::optional<net::Prefix> last;
    for (const net::Prefix& part : parts) {
        if (!last || !last->contains(part)) {
            last = part;
            count += std::ldexp(1.0, net::address_bits(part.family()) - part.length());
        }
    }
    return count;
}

}  // namespace manul::ipam
