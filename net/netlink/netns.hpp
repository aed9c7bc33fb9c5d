#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace manul::netlink {

/// Which network namespace a descriptor or thread is in; equal for equal namespaces while one of them lives.
struct NetnsId {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;

    bool operator==(const NetnsId&) const = default;
};

/// Opens a network namespace by path, or by name under /run/netns. An error when it is something else.
[[nodiscard]] Result<UniqueFd> open_netns(std::string_view path_or_name);
/// The calling thread's own.
[[nodiscard]] Result<UniqueFd> current_netns();
[[nodiscard]] Result<NetnsId> netns_id(int netns_fd);

/// The calling thread is inside a namespace while this lives, and back where it was afterwards. Sockets and files
/// opened meanwhile belong to that namespace for good. Ends the process when the way back is barred.
class NetnsScope {
public:
    [[nodiscard]] static Result<NetnsScope> enter(int netns_fd);
    /// A new, nameless namespace: it goes away with the last descriptor, socket and process that is in it.
    [[nodiscard]] static Result<NetnsScope> create();

    NetnsScope(NetnsScope&&) noexcept = default;
    NetnsScope& operator=(NetnsScope&&) = delete;
    NetnsScope(const NetnsScope&) = delete;
    NetnsScope& operator=(const NetnsScope&) = delete;
    ~NetnsScope();

private:
    explicit NetnsScope(UniqueFd back) noexcept : back_(std::move(back)) {}

    UniqueFd back_;
};

}  // namespace manul::netlink
