#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "felix/eval/packet.hpp"
#include "net/ip.hpp"
#include "net/mac.hpp"
#include "net/netlink/netns.hpp"
#include "net/netlink/socket.hpp"
#include "test/felix/verdict/wire.hpp"

/// A node of network namespaces with pods and an outside host, for packets and nothing else: addresses and routes of
/// pods are felix's to make.
namespace manul::felix::test {

/// One end of a veth pair in a namespace of its own. Packets are written to and read from the link itself: there are no
/// addresses in there, so nothing answers and nothing else is on the wire.
struct Place {
    std::string name;
    std::string interface;  ///< the node's end
    std::vector<net::Ip> addresses;
};

/// One packet and what became of it.
struct Shot {
    std::string from;  ///< place that sends; "node" is the node itself
    std::string to;    ///< place that should get it; "node" is the node itself
    Packet packet;
    std::size_t payload = 8;
    Form form = Form::whole;
    bool arrived = false;
    bool refused = false;  ///< the sender was told "port unreachable"
};

class Lab {
public:
    inline static constexpr const char* kNode = "node";
    inline static constexpr const char* kOutside = "outside";
    inline static constexpr const char* kUplink = "uplink";  ///< the node's interface to the outside

    /// The calling thread is inside the node's namespace, and on one processor, from now on. `pods` get links that are
    /// up and neighbour entries; everything that no other route leads to is outside.
    explicit Lab(std::vector<Place> pods);

    /// Sends all of them, each with an identity of its own, and waits until the node has dealt with every one.
    /// Connections of earlier packets are forgotten first, unless they are `kept`.
    void fire(std::vector<Shot>& shots, bool kept = false);

    /// Routes that felix has nothing to do with.
    void add_route(const net::Ip& destination, const std::string& interface);

    /// Own address on the link to the outside.
    [[nodiscard]] static net::Ip node_address(net::Family family);

private:
    struct Link {
        UniqueFd netns;
        UniqueFd packets;
        std::uint32_t index = 0;  ///< of the end in the namespace
        net::Mac node_mac;
        net::Mac own_mac;
        std::uint32_t node_index = 0;  ///< of the node's end
    };

    void add_place(const Place& place, std::uint8_t number);
    void send(const Shot& shot, std::uint16_t id);
    void send(const Shot& shot, const std::vector<std::uint8_t>& bytes);
    void fence();
    void collect_at_node(const std::vector<Shot*>& by_id);
    void collect(const std::vector<Shot*>& by_id);
    void note(const std::string& place, const Received& received, const std::vector<Shot*>& by_id);
    void forget_connections();

    netlink::NetnsScope scope_;
    netlink::Socket netlink_;
    std::map<std::string, Link> links_;
    std::map<std::string, net::Ip> fence_addresses_;  ///< one by place
    UniqueFd raw4_;
    UniqueFd raw6_;
    std::vector<UniqueFd> received4_;  ///< one for each protocol; what passed the input hook
    std::vector<UniqueFd> received6_;
    UniqueFd fence_sender_;
    UniqueFd conntrack_;
    std::uint16_t next_id_ = 1;
    std::size_t fences_seen_ = 0;
    std::vector<std::string> strays_;  ///< what arrived and was not expected to exist
};

}  // namespace manul::felix::test
