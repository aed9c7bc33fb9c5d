#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/selector.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

/// Which pools may serve a request. Pure: labels of node and namespace are arguments.
namespace manul::ipam {

/// An IPPool with its selectors compiled.
struct Pool {
    std::string name;
    net::Prefix cidr;
    std::uint8_t block_size = 26;  ///< prefix length of a block
    bool disabled = false;         ///< no new addresses: people said so, or the pool is being deleted
    bool being_deleted = false;    ///< why it is disabled
    model::AssignmentMode mode = model::AssignmentMode::automatic;
    std::vector<model::AllowedUse> uses;
    enum class Encapsulation : std::uint8_t { none, ipip, vxlan };
    Encapsulation encapsulation = Encapsulation::none;  ///< between nodes, always or across subnets
    model::Selector node_selector;
    model::Selector namespace_selector;

    /// Refuses a pool that cannot serve: blocks larger than the pool, or than kMaxBlockAddresses; bad selectors.
    [[nodiscard]] static Result<Pool> from_model(const model::IpPool& pool);

    /// Its deletion was asked for, and something holds it up.
    void set_being_deleted() noexcept { being_deleted = disabled = true; }

    [[nodiscard]] bool allows(model::AllowedUse use) const noexcept;
    /// The number of blocks, at most 2^32 (IPv6 pools hold more; the rest is out of reach).
    [[nodiscard]] std::uint64_t block_count() const noexcept;
    [[nodiscard]] net::Prefix block(std::uint64_t index) const;
    /// The block that holds an address of the pool.
    [[nodiscard]] net::Prefix block_of(const net::Ip& address) const;
    /// The number of addresses as a double: IPv6 pools exceed every integer.
    [[nodiscard]] double address_count() const noexcept;
};

struct PoolQuery {
    net::Family family = net::Family::v4;
    model::AllowedUse use = model::AllowedUse::workload;
    /// Names or CIDRs. Given: exactly these, in this order, whatever their selectors and assignment mode say.
    std::vector<std::string> wanted;
    model::StringMap node_labels;
    model::StringMap namespace_labels;
};

/// The pools that may serve, in the order in which they are tried (by name, or as wanted). Never empty: the error says
/// why nothing fits and what to do. The pointers point into `pools`. `passed_over`, when given, gets "NAME (REASON)" of
/// each other pool of the family.
[[nodiscard]] Result<std::vector<const Pool*>> select_pools(const std::vector<Pool>& pools, const PoolQuery& query,
                                                            std::vector<std::string>* passed_over = nullptr);

/// Whether automatic assignment on a node with these labels may use the pool at all.
[[nodiscard]] bool selects_node(const Pool& pool, const model::StringMap& node_labels);

/// The enabled pool that holds the address; null when there is none.
[[nodiscard]] const Pool* pool_of(const std::vector<Pool>& pools, const net::Ip& address) noexcept;

/// Addresses that automatic assignment never hands out.
class Reservations {
public:
    Reservations() = default;
    explicit Reservations(std::vector<net::Prefix> cidrs) : cidrs_(std::move(cidrs)) {}

    [[nodiscard]] bool contains(const net::Ip& address) const noexcept;
    /// Every address of the range is reserved by one entry.
    [[nodiscard]] bool covers(const net::Prefix& range) const noexcept;
    /// How many addresses of the range are reserved.
    [[nodiscard]] double count_in(const net::Prefix& range) const;

private:
    std::vector<net::Prefix> cidrs_;
};

}  // namespace manul::ipam
