#include "test/felix/verdict/lab.hpp"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <span>
#include <utility>

#include <catch2/catch.hpp>

#include "net/netlink/encode.hpp"

namespace manul::felix::test {

namespace {

constexpr const char* kInside = "eth0";
constexpr std::uint16_t kFenceId = 0xffff;
constexpr std::uint16_t kLastId = 0xfff0;
constexpr int kFences =
    4;  // a packet crosses two queues; the fence behind the last crossing must be behind it there too

net::Ip ip(std::string_view text) { return *net::Ip::parse(text); }
net::Ip gateway(net::Family family) { return ip(family == net::Family::v4 ? "10.99.0.2" : "fd99::2"); }

template <class T>
T must(Result<T> result) {
    if (!result) {
        FAIL(result.error().message);
    }
    return *std::move(result);
}
template <class T>
T must(netlink::SocketResult<T> result) {
    if (!result) {
        FAIL(result.error().message());
    }
    return *std::move(result);
}

UniqueFd open_socket(int family, int type, int protocol) {
    UniqueFd fd(::socket(family, type | SOCK_CLOEXEC, protocol));
    INFO("socket " << family << ' ' << type << ' ' << protocol << ": " << std::strerror(errno));
    REQUIRE(fd);
    return fd;
}

void set_sysctl(const std::string& name, const char* value) {
    std::ofstream file("/proc/sys/net/" + name);
    file << value << std::flush;
    INFO(name);
    REQUIRE(file);
}

netlink::NetnsScope enter_new_node() {
    // One processor: then packets queue up behind each other, and a later one tells that earlier ones are through.
    cpu_set_t one{};
    CPU_SET(static_cast<std::size_t>(std::max(::sched_getcpu(), 0)), &one);
    REQUIRE(::sched_setaffinity(0, sizeof(one), &one) == 0);
    return must(netlink::NetnsScope::create());
}

void change_up(netlink::Socket& socket, std::uint32_t index) {
    netlink::RequestBuffer requests;
    netlink::LinkChange change{.index = index, .up = true};
    netlink::change_link(requests, change);
    if (const auto done = socket.request(requests); !done) {
        FAIL(done.error().message());
    }
}

void run(netlink::Socket& socket, netlink::RequestBuffer& requests) {
    const auto refused = must(socket.batch(requests));
    for (const auto& refusal : refused) {
        FAIL("request " << refusal.index << ": " << std::strerror(refusal.code) << ' ' << refusal.text);
    }
}

/// A socket address of either family, for sendto.
struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;

    SocketAddress(const net::Ip& address, std::uint16_t port) {
        if (address.is_v4()) {
            sockaddr_in v4{};
            v4.sin_family = AF_INET;
            v4.sin_port = htons(port);
            std::ranges::copy(address.bytes(), reinterpret_cast<std::uint8_t*>(&v4.sin_addr));
            std::memcpy(&storage, &v4, sizeof(v4));
            size = sizeof(v4);
        } else {
            sockaddr_in6 v6{};
            v6.sin6_family = AF_INET6;
            v6.sin6_port = htons(port);
            std::ranges::copy(address.bytes(), v6.sin6_addr.s6_addr);
            std::memcpy(&storage, &v6, sizeof(v6));
            size = sizeof(v6);
        }
    }
    [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// Gets every packet of the protocol that the node accepts, whatever its own stack thinks of it.
UniqueFd receive_all(int family, std::uint8_t protocol) {
    constexpr int kFlowInfo = 11;  // IPV6_FLOWINFO of linux/in6.h, which cannot stand beside netinet/in.h
    UniqueFd fd = open_socket(family, SOCK_RAW | SOCK_NONBLOCK, protocol);
    const int on = 1;
    if (family == AF_INET6) {
        REQUIRE(::setsockopt(fd.get(), IPPROTO_IPV6, kFlowInfo, &on, sizeof(on)) == 0);
    }
    return fd;
}

/// The flow label of an IPv6 packet, in which its number stands.
std::optional<std::uint16_t> receive_number6(const UniqueFd& fd) {
    std::array<std::uint8_t, 2048> buffer{};
    std::array<std::uint8_t, 256> control{};
    iovec part{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (::recvmsg(fd.get(), &message, 0) < 0) {
        return std::nullopt;
    }
    for (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;) {
        if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_len >= CMSG_LEN(sizeof(std::uint32_t))) {
            std::uint32_t flow = 0;
            std::memcpy(&flow, CMSG_DATA(header), sizeof(flow));
            return static_cast<std::uint16_t>(ntohl(flow));
        }
        header = CMSG_NXTHDR(&message, const_cast<cmsghdr*>(header));
    }
    return std::uint16_t{0};
}

}  // namespace

net::Ip Lab::node_address(net::Family family) { return ip(family == net::Family::v4 ? "10.99.0.1" : "fd99::1"); }

Lab::Lab(std::vector<Place> pods) : scope_(enter_new_node()), netlink_(must(netlink::Socket::open())) {
    set_sysctl("ipv4/ip_forward", "1");
    set_sysctl("ipv6/conf/all/forwarding", "1");
    set_sysctl("ipv6/conf/default/accept_dad", "0");
    set_sysctl("ipv4/conf/all/rp_filter", "0");
    set_sysctl("ipv4/conf/default/rp_filter", "0");
    // Refusals are counted on: no limit for any type, neither the destination's nor the machine's.
    set_sysctl("ipv4/icmp_ratemask", "0");
    set_sysctl("ipv6/icmp/ratemask", "255");
    // The node answers no echo: only packets of the tests are on the wire, with numbers of their own.
    set_sysctl("ipv4/icmp_echo_ignore_all", "1");
    set_sysctl("ipv6/icmp/echo_ignore_all", "1");
    set_sysctl("ipv6/auto_flowlabels", "0");
    // Nor does it tell a pod that reaches itself of a shorter way.
    set_sysctl("ipv4/conf/all/send_redirects", "0");
    set_sysctl("ipv4/conf/default/send_redirects", "0");
    change_up(netlink_, must(netlink_.link("lo"))->index);

    std::uint8_t number = 1;
    for (const Place& pod : pods) {
        add_place(pod, number++);
    }
    add_place({kOutside, kUplink, {gateway(net::Family::v4), gateway(net::Family::v6)}}, number);
    netlink::RequestBuffer requests;
    const std::uint32_t uplink = must(netlink_.link(kUplink))->index;
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        const bool v4 = family == net::Family::v4;
        netlink::Address own;
        own.ifindex = uplink;
        own.address = {node_address(family), static_cast<std::uint8_t>(v4 ? 24 : 64)};
        netlink::put_address(requests, own, netlink::Write::add);
        netlink::Route all;
        all.dst = *net::Prefix::parse(v4 ? "0.0.0.0/0" : "::/0");
        all.hops = {netlink::Hop{.ifindex = uplink, .gateway = gateway(family)}};
        netlink::put_route(requests, all, netlink::Write::add);
    }
    run(netlink_, requests);

    raw4_ = open_socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
    raw6_ = open_socket(AF_INET6, SOCK_RAW, IPPROTO_RAW);
    for (const std::uint8_t protocol : std::to_array<std::uint8_t>({1, 4, 6, 17, 99, 132, 253})) {
        received4_.push_back(receive_all(AF_INET, protocol));
    }
    for (const std::uint8_t protocol : std::to_array<std::uint8_t>({6, 17, 58, 99, 132, 253})) {
        received6_.push_back(receive_all(AF_INET6, protocol));
    }
    fence_sender_ = open_socket(AF_PACKET, SOCK_DGRAM, 0);
    conntrack_ = open_socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
}

void Lab::add_place(const Place& place, std::uint8_t number) {
    Link link;
    link.node_mac = net::Mac({0xee, 0xee, 0xee, 0xee, 0xee, 0xee});
    const net::Mac own_mac({2, 0, 0, 0, 0, number});
    link.own_mac = own_mac;
    {
        const auto inside = must(netlink::NetnsScope::create());
        link.netns = must(netlink::current_netns());
        set_sysctl("ipv6/conf/all/disable_ipv6", "1");
        set_sysctl("ipv6/conf/default/disable_ipv6", "1");
    }
    netlink::RequestBuffer requests;
    netlink::VethPair pair;
    pair.local = {place.interface, link.node_mac, std::nullopt, 0};
    pair.peer = {kInside, own_mac, link.netns.get(), 0};
    netlink::create_veth(requests, pair);
    if (const auto done = netlink_.request(requests); !done) {
        FAIL(done.error().message());
    }
    {
        const auto inside = must(netlink::NetnsScope::enter(link.netns.get()));
        auto socket = must(netlink::Socket::open());
        link.index = must(socket.link(kInside))->index;
        change_up(socket, link.index);
        link.packets = open_socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK, htons(ETH_P_ALL));
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(ETH_P_ALL);
        address.sll_ifindex = static_cast<int>(link.index);
        REQUIRE(::bind(link.packets.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    }
    const std::uint32_t index = must(netlink_.link(place.interface))->index;
    link.node_index = index;
    change_up(netlink_, index);
    requests.clear();
    for (const net::Ip& address : place.addresses) {
        netlink::put_neighbour(requests, {index, address, own_mac, 0, 0});
    }
    run(netlink_, requests);
    fence_addresses_[place.name] = place.addresses.front();
    links_.emplace(place.name, std::move(link));
}

void Lab::add_route(const net::Ip& destination, const std::string& interface) {
    netlink::RequestBuffer requests;
    netlink::Route route;
    route.dst = net::Prefix::host(destination);
    route.scope = destination.is_v4() ? 253 : 0;
    route.hops = {netlink::Hop{.ifindex = must(netlink_.link(interface))->index}};
    netlink::put_route(requests, route, netlink::Write::add);
    run(netlink_, requests);
}

void Lab::forget_connections() {
    struct {
        nlmsghdr header;
        nfgenmsg netfilter;
    } request{};
    request.header.nlmsg_len = sizeof(request);
    request.header.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8U | IPCTNL_MSG_CT_DELETE;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    REQUIRE(::send(conntrack_.get(), &request, sizeof(request), 0) == sizeof(request));
    std::array<std::uint8_t, 1024> answer{};
    REQUIRE(::recv(conntrack_.get(), answer.data(), answer.size(), 0) > 0);
    nlmsgerr error{};
    std::memcpy(&error, answer.data() + sizeof(nlmsghdr), sizeof(error));
    REQUIRE(error.error == 0);
}

void Lab::send(const Shot& shot, std::uint16_t id) {
    for (const auto& bytes : encode(shot.packet, id, shot.payload, shot.form)) {
        send(shot, bytes);
    }
}

void Lab::send(const Shot& shot, const std::vector<std::uint8_t>& bytes) {
    ssize_t sent = 0;
    if (shot.from == kNode) {
        const bool v4 = shot.packet.family() == net::Family::v4;
        const SocketAddress target(shot.packet.destination, 0);
        sent = ::sendto((v4 ? raw4_ : raw6_).get(), bytes.data(), bytes.size(), 0, target.get(), target.size);
        if (sent < 0 && (errno == EPERM || errno == ECONNREFUSED)) {
            return;  // the rules of its own output refused it
        }
    } else {
        const Link& link = links_.at(shot.from);
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(shot.packet.family() == net::Family::v4 ? ETH_P_IP : ETH_P_IPV6);
        address.sll_ifindex = static_cast<int>(link.index);
        address.sll_halen = ETH_ALEN;
        std::ranges::copy(link.node_mac.bytes(), static_cast<unsigned char*>(address.sll_addr));
        sent = ::sendto(link.packets.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&address),
                        sizeof(address));
    }
    INFO("sending from " << shot.from << ": " << std::strerror(errno));
    REQUIRE(sent == static_cast<ssize_t>(bytes.size()));
}

void Lab::note(const std::string& place, const Received& received, const std::vector<Shot*>& by_id) {
    if (received.id == kFenceId) {
        ++fences_seen_;
        return;
    }
    Shot* shot = received.id < by_id.size() ? by_id[received.id] : nullptr;
    if (shot == nullptr || received.source != shot->packet.source || received.destination != shot->packet.destination ||
        place != (received.refusal ? shot->from : shot->to)) {
        // Multicast and router solicitations of the links themselves have identifications of their own.
        const bool ours = received.id != 0 && !(received.destination.bytes()[0] >= 0xe0);
        if (ours) {
            strays_.push_back(received.source.to_string() + " to " + received.destination.to_string() + " at " + place +
                              ", number " + std::to_string(received.id));
        }
        return;
    }
    (received.refusal ? shot->refused : shot->arrived) = true;
}

void Lab::collect(const std::vector<Shot*>& by_id) {
    std::array<std::uint8_t, 2048> buffer{};
    for (const auto& [name, link] : links_) {
        for (;;) {
            sockaddr_ll from{};
            socklen_t size = sizeof(from);
            const ssize_t count = ::recvfrom(link.packets.get(), buffer.data(), buffer.size(), 0,
                                             reinterpret_cast<sockaddr*>(&from), &size);
            if (count < 0) {
                break;
            }
            const auto bytes = std::span(buffer).first(static_cast<std::size_t>(count));
            if (const auto received = decode(bytes); received && from.sll_pkttype != PACKET_OUTGOING) {
                note(name, *received, by_id);
            }
        }
    }
    collect_at_node(by_id);
}

/// Errors about packets that the node itself sent come here as well, and are refusals.
void Lab::collect_at_node(const std::vector<Shot*>& by_id) {
    std::array<std::uint8_t, 2048> buffer{};
    const auto arrived = [&](std::size_t id) {
        if (id < by_id.size() && by_id[id] != nullptr && by_id[id]->to == kNode) {
            by_id[id]->arrived = true;
        }
    };
    for (const UniqueFd& fd : received4_) {
        for (ssize_t count = 0; (count = ::recv(fd.get(), buffer.data(), buffer.size(), 0)) >= 0;) {
            const auto received = decode(std::span(buffer).first(static_cast<std::size_t>(count)));
            if (received && received->refusal) {
                Shot* shot = received->id < by_id.size() ? by_id[received->id] : nullptr;
                if (shot != nullptr && shot->from == kNode) {
                    shot->refused = true;
                }
            } else if (received) {
                arrived(received->id);
            }
        }
    }
    for (const UniqueFd& fd : received6_) {
        while (const auto id = receive_number6(fd)) {
            arrived(*id);
        }
    }
}

/// A packet to every place, written to its link past all rules of the node.
void Lab::fence() {
    for (const auto& [name, address] : fence_addresses_) {
        Packet packet;
        packet.source = node_address(net::Family::v4);
        packet.destination = address;
        packet.protocol = net::kUdp;
        packet.source_port = 9;
        packet.destination_port = 9;
        const auto bytes = encode(packet, kFenceId, 0);
        const Link& link = links_.at(name);
        sockaddr_ll to{};
        to.sll_family = AF_PACKET;
        to.sll_protocol = htons(ETH_P_IP);
        to.sll_ifindex = static_cast<int>(link.node_index);
        to.sll_halen = ETH_ALEN;
        std::ranges::copy(link.own_mac.bytes(), static_cast<unsigned char*>(to.sll_addr));
        REQUIRE(::sendto(fence_sender_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&to),
                         sizeof(to)) == static_cast<ssize_t>(bytes.size()));
    }
}

void Lab::fire(std::vector<Shot>& shots, bool kept) {
    if (!kept) {
        forget_connections();
    }
    strays_.clear();
    if (next_id_ + shots.size() > kLastId) {
        next_id_ = 1;
    }
    std::vector<Shot*> by_id(next_id_ + shots.size(), nullptr);
    collect({});  // nothing of earlier ones may be left
    for (Shot& shot : shots) {
        shot.arrived = shot.refused = false;
        by_id[next_id_] = &shot;
        send(shot, next_id_++);
    }
    for (int i = 0; i < kFences; ++i) {
        const std::size_t all = fence_addresses_.size();
        fences_seen_ = 0;
        fence();
        for (int tries = 0; fences_seen_ < all && tries < 1000; ++tries) {
            collect(by_id);
            if (fences_seen_ < all) {
                ::usleep(1000);
            }
        }
        REQUIRE(fences_seen_ == all);
    }
    collect(by_id);
    CAPTURE(strays_);
    REQUIRE(strays_.empty());
}

}  // namespace manul::felix::test
