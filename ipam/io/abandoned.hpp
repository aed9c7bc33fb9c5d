#pragma once

#include <cstddef>
#include <string>

namespace manul::ipam {

/// Removes the datagram sockets of a directory that nobody has open any more: plugins that were killed leave theirs in
/// `<run_dir>/wait`. Returns how many. A plugin that binds the same name at this very moment may lose its own; it looks
/// for itself every 50 ms as well.
std::size_t remove_abandoned_sockets(const std::string& directory);

}  // namespace manul::ipam
