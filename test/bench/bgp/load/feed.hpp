#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"
#include "test/bench/bgp/load/options.hpp"

namespace manul::bench {

/// Addresses of the peers, by number: 10.99.128.1 and on, fd99::8000:0:1 and on.
[[nodiscard]] net::Ip4 peer_address(std::uint32_t peer);
[[nodiscard]] net::Ip6 peer_address6(std::uint32_t peer);
/// And back; nothing for others.
[[nodiscard]] std::optional<std::uint32_t> peer_of(const net::Ip& address);

inline constexpr std::uint32_t kSenderAs = 100'000;
inline constexpr std::uint32_t kReceiverAs = 110'000;

/// The prefixes of a run by number: those of IPv4 first. At most one in each /24 (/48) of a grid, so that the number of
/// a received prefix follows from its address.
class Prefixes {
public:
    /// Of full tables: lengths as in the Internet, roughly.
    static Prefixes of_feed(std::uint32_t count, double share_of_v6, std::uint32_t probes);
    /// Address blocks of nodes: /26.
    static Prefixes of_blocks(std::uint32_t count);

    [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(lengths_.size()); }
    [[nodiscard]] std::uint32_t count_v4() const noexcept { return count_v4_; }
    [[nodiscard]] bool has_v6() const noexcept { return size() > count_v4_; }
    [[nodiscard]] net::Prefix operator[](std::uint32_t number) const;
    [[nodiscard]] net::Prefix probe(std::uint32_t number) const;

    /// What an encoded prefix (length octet first) is if has() holds for the number and its length; size() if none of
    /// the run. Probes count on from kFirstProbe. kReadBehind octets behind the length octet must be readable.
    static constexpr std::uint32_t kFirstProbe = 0x8000'0000U;
    static constexpr std::size_t kReadBehind = 8;
    [[nodiscard]] std::uint32_t likely_number_of(const std::uint8_t* encoded, net::Family family) const noexcept {
        const bool is_v4 = family == net::Family::v4;
        const std::size_t from = is_v4 ? 1 : 3;  // 2a00::/16 of IPv6
        const std::uint32_t length = *encoded - (is_v4 ? 0U : 16U);
        std::uint32_t word = std::uint32_t{encoded[from]} << 24U | std::uint32_t{encoded[from + 1]} << 16U |
                             std::uint32_t{encoded[from + 2]} << 8U | encoded[from + 3];
        if (length == 0 || length > 32) {
            return size();
        }
        word &= 0xffff'ffffU << (32U - length);
        if (!is_v4) {
            return word < size() - count_v4_ ? word + count_v4_ : size();
        }
        if (word >= kProbes && word - kProbes < probes_ << kProbeGrid) {
            return kFirstProbe + ((word - kProbes) >> kProbeGrid);
        }
        const std::uint32_t number = (word - base_) >> grid_;
        return number < count_v4_ ? number : size();
    }
    [[nodiscard]] bool has(std::uint32_t number, std::uint8_t length) const noexcept {
        return lengths_[number] == length;
    }
    [[gnu::always_inline]] void prefetch(std::uint32_t number) const noexcept { __builtin_prefetch(&lengths_[number]); }

private:
    static constexpr std::uint32_t kProbes = 150U << 24U;  // 150.0.0.0 and on
    static constexpr std::uint32_t kProbeGrid = 8;

    std::vector<std::uint8_t> lengths_;
    std::uint32_t count_v4_ = 0;
    std::uint32_t probes_ = 0;
    std::uint32_t base_ = 0;
    std::uint32_t grid_ = 0;  ///< bits behind the grid's prefix
};

/// Prefixes of one family that one sender announces with one set of attributes.
struct Group {
    std::uint32_t id = 0;
    std::uint32_t sender = 0;
    std::vector<std::uint32_t> prefixes;
};

/// Cuts all prefixes into groups of different sizes, neighbours mostly together, and deals them to the senders.
[[nodiscard]] std::vector<Group> make_groups(const Prefixes& prefixes, std::uint32_t senders, double mean_size);

/// UPDATEs of one group. `variant` other than 0: with other attributes.
void encode_group(const Prefixes& prefixes, const Group& group, std::uint32_t variant, Bytes& out);
/// A sender's whole table in random order, with End-of-RIB.
[[nodiscard]] Bytes encode_table(const Prefixes& prefixes, const std::vector<Group>& groups, std::uint32_t sender);
/// What a peer without routes sends.
[[nodiscard]] Bytes encode_end_of_rib(const Prefixes& prefixes);
/// Withdraws all of it.
[[nodiscard]] Bytes encode_withdrawals(const Prefixes& prefixes, const std::vector<Group>& groups,
                                       std::uint32_t sender);
[[nodiscard]] Bytes encode_probe(const Prefixes& prefixes, std::uint32_t sender, std::uint32_t probe);
/// A node's blocks as it announces them to its reflector.
[[nodiscard]] Bytes encode_blocks(const Prefixes& prefixes, const std::vector<std::uint32_t>& blocks,
                                  std::uint32_t client);
[[nodiscard]] Bytes encode_withdrawal_of(const Prefixes& prefixes, const std::vector<std::uint32_t>& numbers);

}  // namespace manul::bench
