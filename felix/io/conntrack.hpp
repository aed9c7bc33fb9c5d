#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "felix/eval/packet.hpp"
#include "net/ip.hpp"

namespace manul::felix::io {

/// A connection as the kernel tracks it.
struct Flow {
    /// As policy saw its first packet: from the client's own address to the address behind destination translation.
    Packet packet;
    std::optional<Packet> before_dnat;  ///< towards what the client dialed, if different
    net::Family family = net::Family::v4;
    std::vector<std::uint8_t> entry;  ///< the kernel's description, to delete it by
};

/// The connections that the kernel knows in this network namespace. Needs CAP_NET_ADMIN.
class Conntrack {
public:
    [[nodiscard]] static Result<Conntrack> open();

    /// All of them, both families.
    [[nodiscard]] Result<std::vector<Flow>> list();

    /// Makes the kernel forget connections of addresses that left the node, before or after translation: the first rule
    /// of every policy hook accepts what belongs to a known connection, and the address may soon belong to another pod.
    /// Walks the whole table once (about 1 us an entry): not for the thread that commits rules. Returns how many.
    [[nodiscard]] Result<std::size_t> forget(const std::set<net::Ip>& addresses);
    [[nodiscard]] Result<void> forget(const std::vector<Flow>& flows);

private:
    explicit Conntrack(UniqueFd fd);
    [[nodiscard]] Result<void> send(const std::vector<std::uint8_t>& request);
    /// Calls `visit` with the attributes of each entry.
    [[nodiscard]] Result<void> walk(net::Family family, const std::function<void(ByteView)>& visit);
    [[nodiscard]] Result<void> remove(const std::vector<std::vector<std::uint8_t>>& deletions);

    UniqueFd fd_;
    std::vector<std::uint8_t> buffer_;
};

}  // namespace manul::felix::io
