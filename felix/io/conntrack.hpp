#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <vector>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "felix/eval/packet.hpp"
#include "net/ip.hpp"

namespace manul::felix::io {

/// Makes the kernel forget connections of addresses that left the node: the first rule of every policy hook accepts
/// what belongs to a known connection, and the address may soon be somebody else's.
class ConntrackCleaner {
public:
    [[nodiscard]] static Result<ConntrackCleaner> open();

    /// Deletes the connections in which one of the addresses takes part, before or after translation; returns how many.
    /// Walks the whole table once (about 1 us an entry): not for the thread that commits rules.
    [[nodiscard]] Result<std::size_t> forget(const std::set<net::Ip>& addresses);

    struct Flow {
        /// As policy saw the first packet: from the client's own address to where translation led it.
        Packet packet;
        net::Family family = net::Family::v4;
        std::vector<std::uint8_t> entry;  ///< the kernel's description, to delete it by
    };
    [[nodiscard]] Result<std::vector<Flow>> list();
    [[nodiscard]] Result<void> forget(const std::vector<Flow>& flows);

private:
    explicit ConntrackCleaner(UniqueFd fd);
    [[nodiscard]] Result<void> send(const std::vector<std::uint8_t>& request);
    /// Calls `visit` with the attributes of each entry.
    [[nodiscard]] Result<void> walk(net::Family family, const std::function<void(ByteView)>& visit);
    [[nodiscard]] Result<void> remove(const std::vector<std::vector<std::uint8_t>>& deletions);

    UniqueFd fd_;
    std::vector<std::uint8_t> buffer_;
};

}  // namespace manul::felix::io
