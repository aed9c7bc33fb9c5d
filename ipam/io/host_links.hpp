#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "net/ip.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/socket.hpp"

namespace manul::ipam {

/// Host ends of pods in the network namespace in which this was opened. Blocking: deleting waits for the kernel's
/// grace period (tens of milliseconds), hence many at once. One thread at a time.
class HostLinks {
public:
    [[nodiscard]] static Result<HostLinks> open();

    [[nodiscard]] Result<std::vector<netlink::Link>> list();
    [[nodiscard]] Result<std::optional<netlink::Link>> find(const std::string& name);
    [[nodiscard]] Result<std::optional<netlink::Link>> find(std::uint32_t index);
    /// The addresses of the pods behind these links, as the plugin configured them, with the names of the links.
    [[nodiscard]] Result<std::map<net::Ip, std::string>> addresses_behind(std::span<const netlink::Link> links);
    /// Unlike find(), does not wait for a kernel lock.
    [[nodiscard]] Result<bool> exists(std::uint32_t index);
    /// Puts the links into the group of doomed links, which felix closes, and deletes that group with one message.
    /// Links that are gone already are no error; exists() tells whether all are gone.
    [[nodiscard]] Result<void> remove(std::span<const std::uint32_t> indexes);
    /// Renames a link out of the way, takes it down and dooms it.
    [[nodiscard]] Result<void> put_aside(std::uint32_t index);

private:
    explicit HostLinks(netlink::Socket socket) : socket_(std::move(socket)) {}

    netlink::Socket socket_;
};

/// Without a socket, and without waiting for a kernel lock.
[[nodiscard]] bool link_exists(const std::string& name);
/// True also when that cannot be found out, for want of descriptors.
[[nodiscard]] bool link_may_exist(const std::string& name);

}  // namespace manul::ipam
