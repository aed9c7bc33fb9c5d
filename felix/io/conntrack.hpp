#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
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

private:
    explicit ConntrackCleaner(UniqueFd fd);
    [[nodiscard]] Result<void> send(const std::vector<std::uint8_t>& request);

    UniqueFd fd_;
    std::vector<std::uint8_t> buffer_;
};

}  // namespace manul::felix::io
