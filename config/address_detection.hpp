#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

/// Which address of this host is the node's address, as a pure function of what the host has.
namespace manul::config {

/// `first-found | interface=REGEX | skip-interface=REGEX | can-reach=ADDR | cidr=LIST | none`
struct AddressDetection {
    enum class Method : std::uint8_t { first_found, interface, skip_interface, can_reach, cidr, none };

    Method method = Method::first_found;
    std::vector<std::string> patterns;  ///< interface, skip_interface: ECMAScript expressions, found anywhere in a name
    std::optional<net::Ip> target;      ///< can_reach
    std::vector<net::Prefix> cidrs;     ///< cidr

    /// The error says what is wrong with `text` and what is accepted.
    [[nodiscard]] static Result<AddressDetection> parse(std::string_view text);

    bool operator==(const AddressDetection&) const = default;
};

struct HostInterface {
    std::string name;
    bool up = false;
    std::vector<net::InterfaceAddress> addresses;  ///< in the kernel's order
};

/// Source address that the kernel would use towards a target; nothing without a route.
using SourceAddress = std::function<std::optional<net::Ip>(const net::Ip& target)>;

/// First fitting address of the family with its prefix length. Considers interfaces that are up, in the order given,
/// and addresses that are neither link-local, loopback, multicast nor unspecified. `first-found`, `skip-interface` and
/// `cidr` leave out the interfaces of container runtimes and of Calico and Manul themselves.
[[nodiscard]] std::optional<net::InterfaceAddress> detect_address(const AddressDetection& how, net::Family family,
                                                                  std::span<const HostInterface> interfaces,
                                                                  const SourceAddress& source_address);

/// True for docker.*, cali.*, vxlan.manul and the like, which never carry the node's address.
[[nodiscard]] bool is_excluded_interface(std::string_view name) noexcept;

}  // namespace manul::config
