#include "test/bench/bgp/load/feed.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "bgpd/wire/path_attributes.hpp"
#include "bgpd/wire/update_writer.hpp"

namespace manul::bench {

namespace wire = bgp::wire;

net::Ip4 peer_address(std::uint32_t peer) {
    return {10, 99, static_cast<std::uint8_t>(128 + peer / 250), static_cast<std::uint8_t>(peer % 250 + 1)};
}

net::Ip6 peer_address6(std::uint32_t peer) {
    std::array<std::uint8_t, 16> bytes{0xfd, 0x99};
    bytes[12] = 0x80;
    bytes[14] = static_cast<std::uint8_t>((peer + 1) >> 8U);
    bytes[15] = static_cast<std::uint8_t>(peer + 1);
    return net::Ip6(bytes);
}

std::optional<std::uint32_t> peer_of(const net::Ip& address) {
    const auto bytes = address.bytes();
    const std::uint32_t peer = address.is_v4() ? (std::uint32_t{bytes[2]} - 128) * 250 + bytes[3] - 1
                                               : (std::uint32_t{bytes[14]} << 8U | std::uint32_t{bytes[15]}) - 1;
    const bool is_one = address.is_v4() ? peer < 32 * 1000 && net::Ip(peer_address(peer)) == address
                                        : net::Ip(peer_address6(peer)) == address;
    return is_one ? std::optional(peer) : std::nullopt;
}

namespace {

constexpr std::uint32_t kFeed = 11U << 24U;                  // 11.0.0.0 and on
constexpr std::uint32_t kBlocks = 10U << 24U | 128U << 16U;  // 10.128.0.0 and on
constexpr std::uint32_t kFeedGrid = 8;
constexpr std::uint32_t kBlockGrid = 6;

std::uint8_t length_of_v4(std::uint32_t number, Random& random) {
    const int aligned = std::countr_zero((kFeed >> kFeedGrid) + number);
    if (aligned == 0 || !random.chance(0.7)) {
        return 24;
    }
    return static_cast<std::uint8_t>(23 - random.below(static_cast<std::uint32_t>(std::min(aligned, 8))));
}

std::uint8_t length_of_v6(std::uint32_t number) {
    const int aligned = number == 0 ? 32 : std::countr_zero(number);
    return aligned >= 16 ? 32 : aligned >= 8 ? 40 : aligned >= 4 ? 44 : 48;
}

}  // namespace

Prefixes Prefixes::of_feed(std::uint32_t count, double share_of_v6, std::uint32_t probes) {
    Prefixes all;
    all.base_ = kFeed;
    all.grid_ = kFeedGrid;
    all.probes_ = probes;
    all.count_v4_ = count - static_cast<std::uint32_t>(count * share_of_v6);
    Random random(77);
    for (std::uint32_t i = 0; i < count; ++i) {
        all.lengths_.push_back(i < all.count_v4_ ? length_of_v4(i, random) : length_of_v6(i - all.count_v4_));
    }
    return all;
}

Prefixes Prefixes::of_blocks(std::uint32_t count) {
    Prefixes all;
    all.base_ = kBlocks;
    all.grid_ = kBlockGrid;
    all.count_v4_ = count;
    all.lengths_.assign(count, 32 - kBlockGrid);
    return all;
}

net::Prefix Prefixes::operator[](std::uint32_t number) const {
    if (number < count_v4_) {
        return *net::Prefix::masked(net::Ip4(base_ + (number << grid_)), lengths_[number]);
    }
    const std::uint32_t at = number - count_v4_;
    std::array<std::uint8_t, 16> bytes{0x2a, 0};
    for (std::size_t i = 0; i < 4; ++i) {
        bytes[2 + i] = static_cast<std::uint8_t>(at >> (24U - 8U * i));
    }
    return *net::Prefix::masked(net::Ip6(bytes), lengths_[number]);
}

net::Prefix Prefixes::probe(std::uint32_t number) const {
    return *net::Prefix::masked(net::Ip4(kProbes + (number << kProbeGrid)), 24);
}

std::vector<Group> make_groups(const Prefixes& prefixes, std::uint32_t senders, double mean_size) {
    constexpr std::size_t kLargest = 400;
    Random random(78);
    std::vector<Group> groups;
    for (const auto& [first, last] :
         {std::pair(std::uint32_t{0}, prefixes.count_v4()), std::pair(prefixes.count_v4(), prefixes.size())}) {
        std::vector<std::vector<std::uint32_t>> runs;  // neighbours stay together
        for (std::uint32_t at = first; at < last;) {
            runs.emplace_back();
            for (std::uint32_t left = 1 + random.below(4); left > 0 && at < last; --left) {
                runs.back().push_back(at++);
            }
        }
        random.shuffle(runs);
        std::size_t room = 0;
        for (const auto& run : runs) {
            for (const std::uint32_t prefix : run) {
                if (room == 0) {
                    const double tail = std::pow(std::max(random.share(), 1e-4), 0.6);
                    room = std::clamp<std::size_t>(static_cast<std::size_t>(mean_size * 0.42 / tail + random.share()),
                                                   1, kLargest);
                    const auto id = static_cast<std::uint32_t>(groups.size());
                    groups.push_back({id, static_cast<std::uint32_t>(Random::mixed(id + 5) % senders), {}});
                }
                groups.back().prefixes.push_back(prefix);
                --room;
            }
        }
    }
    return groups;
}

namespace {

std::uint32_t any_as(Random& random) {
    return random.chance(0.7) ? 200 + random.below(63'000) : 131'100 + random.below(270'000);
}

/// A path, communities and the rest as routes in the Internet have them, roughly.
wire::PathAttributes attributes_of(const Group& group, std::uint32_t variant) {
    constexpr std::array kShareOfLength = {.04, .20, .48, .72, .87, .94, .98, 1.0};  // cumulated, 1 to 8 hops
    Random random(Random::mixed(std::uint64_t{group.id} * 2'654'435'761U + 1));
    wire::PathAttributes attributes;
    const double origin = random.share();
    attributes.origin = origin < 0.86   ? wire::Origin::igp
                        : origin < 0.87 ? wire::Origin::egp
                                        : wire::Origin::incomplete;
    const auto hops = std::ranges::upper_bound(kShareOfLength, random.share()) - kShareOfLength.begin() + 1;
    const std::uint32_t last = any_as(random);
    attributes.prepend(*net::Asn::make(last), random.chance(0.12) ? 2 + random.below(3) : 1);
    for (std::ptrdiff_t i = 1; i < hops; ++i) {
        attributes.prepend(*net::Asn::make(any_as(random)));
    }
    attributes.prepend(*net::Asn::make(kSenderAs + group.sender));
    if (random.chance(0.25) || variant > 0) {
        attributes.med = random.below(1000) + variant * 1000;
    }
    attributes.atomic_aggregate = random.chance(0.03);
    if (random.chance(0.08)) {
        attributes.aggregator = wire::Aggregator{last, net::Ip4(0x0a00'0001U + random.below(65'536))};
    }
    if (random.chance(0.75)) {
        for (std::uint32_t left = 1 + random.below(3) + (random.chance(0.3) ? random.below(12) : 0); left > 0; --left) {
            attributes.add(wire::Community{(200 + random.below(63'000)) << 16U | random.below(4000)});
        }
    }
    if (random.chance(0.1)) {
        for (std::uint32_t left = 1 + random.below(4); left > 0; --left) {
            attributes.add(wire::LargeCommunity{any_as(random), left, random.below(1000)});
        }
    }
    return attributes;
}

void announce(const Prefixes& prefixes, const std::vector<std::uint32_t>& numbers,
              const wire::PathAttributes& attributes, std::uint32_t peer, Bytes& out) {
    Bytes canonical;
    wire::encode_attributes(attributes, canonical);
    const net::Ip next_hop =
        numbers.front() < prefixes.count_v4() ? net::Ip(peer_address(peer)) : net::Ip(peer_address6(peer));
    std::vector<net::Prefix> all;
    std::ranges::transform(numbers, std::back_inserter(all), [&](std::uint32_t number) { return prefixes[number]; });
    if (!wire::encode_announcement(out, {}, {next_hop, std::nullopt}, canonical, all)) {
        die("attributes that fill a message");
    }
}

void end_of_rib(const Prefixes& prefixes, Bytes& out) {
    wire::UpdateWriter writer(out, {});
    writer.end_of_rib(net::Family::v4);
    if (prefixes.has_v6()) {
        writer.end_of_rib(net::Family::v6);
    }
}

}  // namespace

void encode_group(const Prefixes& prefixes, const Group& group, std::uint32_t variant, Bytes& out) {
    announce(prefixes, group.prefixes, attributes_of(group, variant), group.sender, out);
}

Bytes encode_table(const Prefixes& prefixes, const std::vector<Group>& groups, std::uint32_t sender) {
    std::vector<const Group*> own;
    for (const Group& group : groups) {
        if (group.sender == sender) {
            own.push_back(&group);
        }
    }
    Random random(1000 + sender);
    random.shuffle(own);
    Bytes out;
    for (const Group* group : own) {
        encode_group(prefixes, *group, 0, out);
    }
    end_of_rib(prefixes, out);
    return out;
}

Bytes encode_end_of_rib(const Prefixes& prefixes) {
    Bytes out;
    end_of_rib(prefixes, out);
    return out;
}

Bytes encode_withdrawal_of(const Prefixes& prefixes, const std::vector<std::uint32_t>& numbers) {
    Bytes out;
    wire::UpdateWriter writer(out, {});
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        writer.withdraw(family);
        for (const std::uint32_t number : numbers) {
            if ((number < prefixes.count_v4()) == (family == net::Family::v4) && !writer.add(prefixes[number])) {
                die("a prefix that fits in no message");
            }
        }
        writer.finish();
    }
    return out;
}

Bytes encode_withdrawals(const Prefixes& prefixes, const std::vector<Group>& groups, std::uint32_t sender) {
    std::vector<std::uint32_t> numbers;
    for (const Group& group : groups) {
        if (group.sender == sender) {
            numbers.insert(numbers.end(), group.prefixes.begin(), group.prefixes.end());
        }
    }
    return encode_withdrawal_of(prefixes, numbers);
}

Bytes encode_probe(const Prefixes& prefixes, std::uint32_t sender, std::uint32_t probe) {
    wire::PathAttributes attributes;
    attributes.prepend(*net::Asn::make(kSenderAs + sender));
    attributes.med = probe;
    Bytes canonical;
    wire::encode_attributes(attributes, canonical);
    const std::array one = {prefixes.probe(probe)};
    Bytes out;
    if (!wire::encode_announcement(out, {}, {peer_address(sender), std::nullopt}, canonical, one)) {
        die("a probe that fits in no message");
    }
    return out;
}

Bytes encode_blocks(const Prefixes& prefixes, const std::vector<std::uint32_t>& blocks, std::uint32_t client) {
    wire::PathAttributes attributes;
    attributes.local_pref = 100;
    Bytes out;
    announce(prefixes, blocks, attributes, client, out);
    end_of_rib(prefixes, out);
    return out;
}

}  // namespace manul::bench
