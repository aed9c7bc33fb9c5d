// Bytes are a schedule of what can happen to a speaker: peers that connect, announce, err and leave, time, changes of
// the configuration, what kernel and BFD say. Every few events, and at the end, the whole state must be what the events
// add up to (bgp_speaker_world.hpp); when everybody has left, nothing may be left.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "bgpd/policy/filter.hpp"
#include "bgpd/wire/attribute.hpp"
#include "bgpd/wire/nlri.hpp"
#include "bgpd/wire/path_attributes.hpp"
#include "bgpd/wire/route_refresh.hpp"
#include "bgpd/wire/update_writer.hpp"
#include "test/fuzz/bgp_speaker_world.hpp"

using namespace manul;
using namespace manul::fuzz;
using namespace manul::bgp::speaker;
namespace policy = manul::bgp::policy;

namespace {

constexpr std::uint32_t kAs = 64512;

/// Few enough that everything meets.
const std::array<net::Prefix, 8> kPrefixes4 = {
    *net::Prefix::parse("10.244.0.0/26"),   *net::Prefix::parse("10.244.0.64/26"), *net::Prefix::parse("10.244.0.1/32"),
    *net::Prefix::parse("0.0.0.0/0"),       *net::Prefix::parse("192.0.2.0/24"),   *net::Prefix::parse("10.0.0.1/32"),
    *net::Prefix::parse("198.51.100.0/24"), *net::Prefix::parse("127.0.0.0/8"),
};
const std::array<net::Prefix, 4> kPrefixes6 = {
    *net::Prefix::parse("2001:db8:244::/122"),
    *net::Prefix::parse("2001:db8:244::40/122"),
    *net::Prefix::parse("::/0"),
    *net::Prefix::parse("2001:db8:9::/48"),
};
const std::array<const char*, 6> kFars = {"10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.1.7"};
constexpr std::array<std::uint32_t, 6> kFarAs = {65001, kAs, 65002, kAs, 65003, 65009};
const std::array<const char*, 4> kNextHops = {"10.0.0.2", "10.0.0.3", "10.0.9.9", "10.0.0.1"};
const std::array<const char*, 2> kNextHops6 = {"2001:db8::2", "2001:db8::3"};

/// The schedule; zeros when it is used up.
class Schedule {
public:
    explicit Schedule(ByteView bytes) : bytes_(bytes) {}
    [[nodiscard]] bool empty() const { return bytes_.empty(); }
    std::uint8_t next() {
        if (bytes_.empty()) {
            return 0;
        }
        const std::uint8_t byte = bytes_.front();
        bytes_ = bytes_.subspan(1);
        return byte;
    }
    std::size_t below(std::size_t limit) { return next() % limit; }
    bool one_in(std::size_t n) { return next() % n == n - 1; }
    ByteView take(std::size_t most) {
        const ByteView taken = bytes_.first(std::min(most, bytes_.size()));
        bytes_ = bytes_.subspan(taken.size());
        return taken;
    }

private:
    ByteView bytes_;
};

bool bit(std::uint8_t bits, unsigned which) { return (bits >> which & 1U) != 0; }

policy::FilterPtr filter(std::uint8_t shape, net::Family family) {
    const bool v4 = family == net::Family::v4;
    std::vector<policy::FilterRule> rules(1);
    rules[0].cidr_match = bit(shape, 0) ? policy::CidrMatch::in : policy::CidrMatch::not_equal;
    rules[0].cidr = v4 ? *net::Prefix::parse("10.244.0.0/16") : *net::Prefix::parse("2001:db8:244::/48");
    rules[0].max_length = v4 ? 32 : 128;
    rules[0].action = bit(shape, 1) ? policy::FilterAction::accept : policy::FilterAction::reject;
    if (bit(shape, 1)) {
        if (bit(shape, 2)) {
            rules[0].operations.emplace_back(policy::PrependAsPath{{*net::Asn::make(65100)}});
        }
        if (bit(shape, 3)) {
            rules[0].operations.emplace_back(policy::SetPriority{512});
        }
    }
    if (bit(shape, 4)) {
        rules[0].interface = "eth*";
    }
    return std::make_shared<const policy::FilterProgram>(std::move(rules));
}

/// One of several configurations; each bit of the two shapes is a difference that a running speaker must cope with.
std::shared_ptr<const Configuration> make_configuration(std::uint8_t shape, std::uint8_t other) {
    auto made = std::make_shared<Configuration>();
    made->self.node_name = "self";
    made->self.as = *net::Asn::make(kAs);
    made->self.router_id = *net::RouterId::make(0x0a000001);
    made->self.v4 = *net::InterfaceAddress::parse("10.0.0.1/24");
    made->self.v6 = *net::InterfaceAddress::parse("2001:db8::1/64");
    if (!bit(shape, 3)) {
        made->self.cluster_id = 7;
    }
    if (bit(other, 7)) {
        made->self.v4->length = 32;
        made->self.cluster_id = made->self.cluster_id ? std::optional<std::uint32_t>(8) : std::nullopt;
    }
    if (!bit(shape, 5)) {
        made->relayable = {*net::Prefix::parse("10.244.0.0/16"), *net::Prefix::parse("2001:db8:244::/48")};
    }
    if (bit(shape, 7)) {
        made->kept_from_kernel = {kPrefixes4[1], kPrefixes6[1]};
        made->tagging = {{*net::Prefix::parse("0.0.0.0/0"), {wire::Community{0xfc00004dU}}, {}}};
    }
    for (std::size_t i = 0; i < 5; ++i) {
        if (bit(shape, 0) && i == 3) {
            continue;
        }
        PeerConfig peer;
        peer.name = kFars[i];
        peer.address = *net::Ip::parse(kFars[i]);
        peer.remote_as = *net::Asn::make(kFarAs[i]);
        peer.local_as = made->self.as;
        peer.v4 = true;
        peer.v6 = i != 2;
        peer.passive = i != 4;
        peer.is_node = i == 1;
        made->peers.push_back(peer);
    }
    made->peers[0].max_prefixes = bit(shape, 4) ? std::optional<std::uint32_t>(3) : std::nullopt;
    made->peers[0].add_path_send = bit(other, 0) ? std::optional(true) : std::nullopt;
    made->peers[1].reflector_client = !bit(shape, 6);
    made->peers[2].role = bit(other, 1) ? std::optional(wire::Role::provider) : std::nullopt;
    made->peers[2].allowed_own_as = bit(other, 2) ? 1 : 0;
    made->peers[2].next_hop_mode = bit(other, 3) ? NextHopMode::self : NextHopMode::automatic;
    made->peers[2].port = bit(other, 3) ? 1790 : 179;
    made->peers.back().hold_time = std::chrono::seconds(bit(other, 4) ? 3 : 90);
    for (const net::Family family : wire::kFamilies) {
        const std::size_t index = family == net::Family::v4 ? 0 : 1;
        if (bit(shape, 1)) {
            made->peers[2].filters = {"in"};
            made->peers[2].rules.import_rules[index] = filter(other, family);
        }
        if (bit(shape, 2)) {
            made->peers[0].filters = {"out"};
            made->peers[0].rules.export_rules[index] = filter(static_cast<std::uint8_t>(other >> 2U), family);
        }
    }
    if (bit(other, 5)) {
        PeerConfig range;
        range.name = "range";
        range.range = *net::Prefix::parse("10.0.1.0/24");
        range.remote_as = *net::Asn::make(65009);
        range.local_as = made->self.as;
        range.v4 = true;
        range.passive = true;
        if (bit(shape, 2)) {
            range.filters = {"out"};
            range.rules.export_rules[0] = filter(static_cast<std::uint8_t>(other >> 2U), net::Family::v4);
        }
        made->ranges.push_back(range);
    }
    made->multipath.max = bit(other, 6) ? 1 : 64;
    made->program_kernel = true;
    made->stations = {{*net::Ip::parse("192.0.2.99"), 1790}};
    return made;
}

Bytes make_open(std::size_t far, std::uint8_t shape, std::uint8_t other) {
    wire::Open open{*net::Asn::make(kFarAs[far]),
                    *net::RouterId::make(0x0a000002 + static_cast<std::uint32_t>(far)),
                    static_cast<std::uint16_t>(bit(shape, 0) ? 3 : 90),
                    {}};
    auto& says = open.capabilities;
    says.multiprotocol = {wire::AfiSafi::of(net::Family::v4)};
    if (!bit(shape, 1)) {
        says.multiprotocol.push_back(wire::AfiSafi::of(net::Family::v6));
    }
    if (!bit(shape, 2)) {
        says.four_octet_as = kFarAs[far];
    }
    says.route_refresh = !bit(shape, 3);
    says.enhanced_route_refresh = !bit(shape, 3);
    says.extended_message = bit(shape, 4);
    if (bit(shape, 5)) {
        says.graceful_restart = wire::GracefulRestart{bit(other, 0), bit(other, 1), 60, {}};
        for (const net::Family family : wire::kFamilies) {
            says.graceful_restart->families.push_back({wire::AfiSafi::of(family), bit(other, 2)});
        }
        if (bit(other, 3)) {
            says.long_lived_restart = wire::LongLivedRestart{};
            says.long_lived_restart->families.push_back({wire::AfiSafi::of(net::Family::v4), bit(other, 2), 100});
        }
    }
    if (bit(shape, 6)) {
        for (const net::Family family : wire::kFamilies) {
            says.add_path.push_back({wire::AfiSafi::of(family), bit(other, 4), bit(other, 5)});
        }
    }
    if (bit(shape, 7)) {
        says.roles = {static_cast<std::uint8_t>(other >> 5U)};
    }
    Bytes bytes;
    wire::encode_open(open, bytes);
    return bytes;
}

/// One or more good UPDATEs, for the session that the peer has.
Bytes make_update(Schedule& schedule, const World::Far& far) {
    const std::uint8_t shape = schedule.next();
    const std::uint8_t has = schedule.next();
    const net::Family family = bit(shape, 0) ? net::Family::v6 : net::Family::v4;
    const bool v4 = family == net::Family::v4;
    const bool path_ids = far.agreed && far.agreed->add_path_receive.has(family);
    const bool wide = !far.agreed || far.agreed->four_octet_as;

    wire::PathAttributes attributes;
    attributes.origin = static_cast<wire::Origin>(schedule.below(3));
    for (std::size_t n = schedule.below(4); n > 0; --n) {
        constexpr std::array<std::uint32_t, 6> kNumbers = {65001, 65002, 65020, 70000, kAs, 65003};
        attributes.prepend(*net::Asn::make(kNumbers[schedule.below(kNumbers.size())]));
    }
    if (far.as != kAs && !bit(shape, 1)) {
        attributes.prepend(*net::Asn::make(far.as));
    }
    if (bit(has, 0)) {
        attributes.med = schedule.next();
    }
    if (bit(has, 1)) {
        attributes.local_pref = schedule.below(3) * 50 + 50;
    }
    if (bit(has, 2)) {
        constexpr std::array<wire::Community, 8> kCommunities = {
            wire::kNoExport, wire::kNoAdvertise, wire::kGracefulShutdown,      wire::kLlgrStale,
            wire::kNoLlgr,   wire::kNoPeer,      wire::Community{0xfde80001U}, wire::kNoExportSubconfed};
        attributes.add(kCommunities[schedule.below(kCommunities.size())]);
    }
    if (bit(has, 3)) {
        attributes.originator_id = 0x0a000001 + static_cast<std::uint32_t>(schedule.below(3));
    }
    if (bit(has, 4)) {
        attributes.cluster_list = {static_cast<std::uint32_t>(schedule.below(9))};
    }
    if (bit(has, 5)) {
        attributes.others.push_back({0xc0, wire::attribute_type::kOnlyToCustomer, {0, 0, 0xfd, 0xe9}});
    }
    if (bit(has, 6)) {
        attributes.extended_communities.push_back({0x4004fde84b000000ULL + (std::uint64_t{schedule.next()} << 16U)});
    }
    if (bit(has, 7)) {
        attributes.others.push_back({0xe0, 99, {1, 2, 3}});
    }
    Bytes canonical;
    wire::encode_attributes(attributes, canonical);
    const net::Ip next_hop = *net::Ip::parse(v4 ? kNextHops[schedule.below(kNextHops.size())]
                                                : kNextHops6[schedule.below(kNextHops6.size())]);

    Bytes out;
    wire::UpdateWriter writer(out, {wide, wire::kMaxMessage, path_ids});
    if (bit(shape, 2)) {
        writer.withdraw(family);
    } else {
        writer.announce(family, {next_hop, std::nullopt}, canonical);
    }
    const std::uint8_t which = schedule.next();
    for (unsigned i = 0; i < (v4 ? kPrefixes4.size() : kPrefixes6.size()); ++i) {
        if (bit(which, i)) {
            Bytes encoded;
            if (path_ids) {
                ByteWriter(encoded).u32(static_cast<std::uint32_t>(schedule.below(3)));
            }
            wire::encode_prefix(v4 ? kPrefixes4[i] : kPrefixes6[i], encoded);
            static_cast<void>(writer.add(encoded));
        }
    }
    writer.finish();
    return out;
}

Bytes make_message(Schedule& schedule, wire::MessageType type) {
    Bytes out;
    const std::size_t start = wire::begin_message(out, type);
    const ByteView body = schedule.take(schedule.next());
    out.insert(out.end(), body.begin(), body.end());
    wire::finish_message(out, start);
    return out;
}

void tell(Schedule& schedule, World& world, std::size_t at) {
    World::Far& far = world.fars[at];
    Bytes bytes;
    switch (schedule.below(10)) {
        case 0:
        case 1:
        case 2:
        case 3:
        case 4:
            bytes = make_update(schedule, far);
            break;
        case 5:  // good but for a few octets
            bytes = make_update(schedule, far);
            for (std::size_t n = schedule.below(4) + 1; n > 0 && bytes.size() > wire::kHeaderSize; --n) {
                bytes[wire::kHeaderSize + schedule.next() % (bytes.size() - wire::kHeaderSize)] = schedule.next();
            }
            break;
        case 6:
            bytes = make_message(schedule, static_cast<wire::MessageType>(schedule.below(6)));
            break;
        case 7: {
            const ByteView raw = schedule.take(schedule.next());
            bytes.assign(raw.begin(), raw.end());
            break;
        }
        case 8: {
            wire::UpdateWriter writer(bytes, {});
            writer.end_of_rib(schedule.one_in(2) ? net::Family::v6 : net::Family::v4);
            break;
        }
        case 9:
            wire::encode_route_refresh(schedule.one_in(2) ? net::Family::v6 : net::Family::v4,
                                       static_cast<wire::RouteRefresh::Kind>(schedule.below(3)), bytes);
            break;
    }
    world.send(at, bytes);
}

std::shared_ptr<const std::vector<LocalRoute>> local_routes(std::uint8_t which) {
    auto routes = std::make_shared<std::vector<LocalRoute>>();
    if (bit(which, 0)) {
        routes->push_back({kPrefixes4[0], true, !bit(which, 4), {}});
    }
    if (bit(which, 1)) {
        routes->push_back({kPrefixes4[4], false, true, {}});
    }
    if (bit(which, 2)) {
        routes->push_back({kPrefixes6[0], true, true, {}});
    }
    if (bit(which, 3)) {
        routes->push_back({kPrefixes4[6], false, false, *net::Ip::parse("10.0.0.3")});
    }
    return routes;
}

void happen(Schedule& schedule, World& world) {
    const std::uint8_t what = schedule.next();
    const std::size_t at = schedule.below(world.fars.size());
    World::Far& far = world.fars[at];
    switch (what % 18) {
        case 0:
        case 1: {
            world.connect(at);
            Bytes bytes = make_open(at, schedule.next(), schedule.next());
            if (schedule.one_in(8)) {
                bytes[wire::kHeaderSize + schedule.next() % (bytes.size() - wire::kHeaderSize)] = schedule.next();
            }
            wire::encode_keepalive(bytes);
            world.send(at, bytes);
            break;
        }
        case 2:
        case 3:
        case 4:
        case 5:
        case 6:
        case 7:
            tell(schedule, world, at);
            break;
        case 8:
            world.close(at);
            break;
        case 9: {
            Bytes keepalive;
            wire::encode_keepalive(keepalive);
            for (std::size_t each = 0; each < world.fars.size(); ++each) {
                world.send(each, keepalive);
            }
            world.advance(std::chrono::milliseconds(schedule.next() * 100));
            break;
        }
        case 10:
            world.advance(std::chrono::seconds(schedule.next()));
            break;
        case 11: {
            const std::uint8_t how = schedule.next();
            const net::Ip next_hop = *net::Ip::parse(at < 4 ? kNextHops[at] : kNextHops6[at % 2]);
            world.resolve(next_hop, how % 4 == 0 ? std::nullopt
                                                 : std::optional(Resolution{how % 4U, std::nullopt, how / 64U,
                                                                            how % 4 == 1 ? "eth0" : "tun0"}));
            break;
        }
        case 12:
            world.configure(make_configuration(schedule.next(), schedule.next()));
            break;
        case 13:
            world.handle(Originate{local_routes(schedule.next())});
            break;
        case 14:
            if (far.connection) {
                constexpr std::array<std::size_t, 4> kSizes = {0, 1000, std::size_t{600} << 10U, std::size_t{2} << 20U};
                far.backlog = kSizes[schedule.below(kSizes.size())];
                world.handle(Backlog{*far.connection, far.backlog});
            }
            break;
        case 15: {
            const auto command = static_cast<PeerCommand::What>(schedule.below(6));
            const bool all = command == PeerCommand::What::leave || schedule.one_in(3);
            world.handle(PeerCommand{command, all ? std::nullopt : std::optional(far.address), "fuzz"});
            break;
        }
        case 16:
            world.handle(BfdChanged{far.address, schedule.one_in(2)});
            break;
        case 17: {
            auto routes = std::make_shared<std::vector<HostRoute>>();
            const std::uint8_t which = schedule.next();
            if (bit(which, 0)) {
                routes->push_back({kPrefixes4[4], true, 0, "eth0", false});
            }
            if (bit(which, 1)) {
                routes->push_back({kPrefixes4[6], false, 512, "tun0", false});
            }
            world.handle(HostRoutes{std::move(routes)});
            LocalAddresses addresses;
            addresses.addresses = {*net::InterfaceAddress::parse("10.0.0.1/24")};
            if (bit(which, 2)) {
                addresses.addresses.push_back(*net::InterfaceAddress::parse("10.0.9.9/24"));
            }
            world.handle(addresses);
            break;
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > 2048) {
        return 0;
    }
    Schedule schedule({data, size});
    const std::uint8_t start = schedule.next();
    wire::FamilySet in_kernel;
    if (start % 8 == 7) {
        in_kernel.add(net::Family::v4);
    }
    World world(in_kernel);
    for (std::size_t i = 0; i < kFars.size(); ++i) {
        World::Far far;
        far.address = *net::Ip::parse(kFars[i]);
        far.as = kFarAs[i];
        world.fars.push_back(std::move(far));
    }
    world.handle(LocalAddresses{{*net::InterfaceAddress::parse("10.0.0.1/24")}});
    world.configure(make_configuration(0, start));
    world.handle(Originate{local_routes(start)});
    world.settle();
    for (std::size_t events = 0; !schedule.empty(); ++events) {
        happen(schedule, world);
        if (!schedule.one_in(4)) {
            world.settle();
        }
        if (events % 8 == 7) {
            world.settle();
            world.check();
        }
    }
    world.settle();
    world.check();
    world.leave_and_check();
    return 0;
}
