#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "cni/error.hpp"
#include "net/ip.hpp"
#include "net/mac.hpp"
#include "net/netlink/netns.hpp"
#include "net/netlink/socket.hpp"
#include "net/prefix.hpp"

/// The pod's link: a veth pair between the host's and the pod's network namespace, and what the kernel must know on
/// both sides of it. The pod has its address as /32 (/128) and reaches everything through a link-local gateway that
/// stands for the host; permanent neighbours on both sides leave nothing to ask for on the link.
namespace manul::cni {

/// The same on every host link, as Calico has it: pods survive a move of their gateway's entry between nodes.
inline constexpr net::Mac kHostMac{{0xee, 0xee, 0xee, 0xee, 0xee, 0xee}};
inline constexpr net::Ip4 kGateway4{169, 254, 1, 1};
inline constexpr net::Ip6 kGateway6{{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0xec, 0xee, 0xee, 0xff, 0xfe, 0xee, 0xee, 0xee}};

/// The gateway that a pod uses for this family.
[[nodiscard]] net::Ip gateway_of(net::Family family);
/// Everything, of this family.
[[nodiscard]] net::Prefix default_route(net::Family family);

struct VethNames {
    std::string host_name;
    std::string pod_name;
    net::Mac pod_mac;
    std::uint32_t mtu = 0;     ///< 0 = the kernel's
    std::string container_id;  ///< becomes the host end's alias: who it belongs to can be read from the kernel
    bool allow_ip_forwarding = false;
};

struct PodNetwork {
    std::vector<net::Ip> ips;
    std::vector<net::Prefix> routes;  ///< via the gateway of their family
    std::uint32_t mtu = 0;            ///< 0 = as made
    std::optional<net::Mac> mac;      ///< of the pod's end, other than the one it was made with
};

class Veth {
public:
    /// Opens the pod's namespace. Code 8 when it is none, or (unless allowed) our own.
    [[nodiscard]] static CniResult<Veth> open(const std::string& netns, bool allow_own_netns);

    [[nodiscard]] std::uint64_t netns_inode() const noexcept { return id_.inode; }
    /// Whether the pod has a link of this name. Waits for no lock, unlike a question by netlink.
    [[nodiscard]] CniResult<bool> pod_has(const std::string& name);
    /// Links are found by name or by index; nothing when there is none.
    template <class Which>
    [[nodiscard]] CniResult<std::optional<netlink::Link>> pod_link(const Which& which) {
        return find(pod_, which);
    }
    template <class Which>
    [[nodiscard]] CniResult<std::optional<netlink::Link>> host_link(const Which& which) {
        return find(host_, which);
    }
    [[nodiscard]] netlink::Socket& pod() noexcept { return pod_; }
    [[nodiscard]] netlink::Socket& host() noexcept { return host_; }

    enum class Made : std::uint8_t { yes, host_name_taken };
    /// Makes the pair, both ends up.
    [[nodiscard]] CniResult<Made> make(const VethNames& names);
    /// Writes addresses, routes and neighbours on both sides.
    [[nodiscard]] CniResult<void> configure(const PodNetwork& network);
    /// Of the host end that make() made; 0 when it made none.
    [[nodiscard]] std::uint32_t host_index() const noexcept { return host_index_; }
    /// Of both ends, as they are now.
    [[nodiscard]] std::uint32_t mtu() const noexcept { return names_.mtu; }
    [[nodiscard]] const net::Mac& pod_mac() const noexcept { return names_.pod_mac; }
    /// Deletes what make() made, if anything.
    void remove() noexcept;

private:
    Veth(UniqueFd own_netns, UniqueFd netns, netlink::NetnsId id, netlink::Socket host, netlink::Socket pod);

    [[nodiscard]] static CniResult<std::optional<netlink::Link>> find(netlink::Socket& socket, const std::string& name);
    [[nodiscard]] static CniResult<std::optional<netlink::Link>> find(netlink::Socket& socket, std::uint32_t index);
    [[nodiscard]] CniResult<void> prepare_pod_settings(const PodNetwork& network);
    [[nodiscard]] bool new_mtu(const PodNetwork& network) const noexcept;
    [[nodiscard]] CniResult<void> configure_pod(const PodNetwork& network);
    [[nodiscard]] CniResult<void> configure_host(const PodNetwork& network);

    UniqueFd own_netns_;
    UniqueFd netns_;
    netlink::NetnsId id_;
    netlink::Socket host_;
    netlink::Socket pod_;
    netlink::RequestBuffer requests_;
    VethNames names_;
    std::uint32_t host_index_ = 0;
    std::uint32_t pod_index_ = 0;
};

}  // namespace manul::cni
