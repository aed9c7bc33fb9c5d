#pragma once

#include <string>
#include <string_view>

#include "ipam/local/protocol.hpp"
#include "net/prefix.hpp"

/// How allocations and their stored objects are called. Readers of the store go by `spec`, never by these names.
namespace manul::ipam {

/// "10-0-0-0-26".
[[nodiscard]] std::string block_name(const net::Prefix& cidr);
/// What the names of all affinities of a node begin with.
[[nodiscard]] std::string affinity_prefix(std::string_view node);
/// "<node>-<block name>".
[[nodiscard]] std::string affinity_name(std::string_view node, const net::Prefix& cidr);
/// The handle's id, with each part that a resource name cannot hold replaced by its SHA-1.
[[nodiscard]] std::string handle_name(std::string_view id);

/// "<network>.<container id>.<ifname>" in lower case. Where that changed a letter, eight digits of the SHA-1 of the
/// original are added, so that two attachments never share a handle.
[[nodiscard]] std::string handle_id(std::string_view network, const Attachment& attachment);
/// What Calico's plugin used: "<network>.<container id>". Released as well, for pods from before a migration.
[[nodiscard]] std::string calico_handle_id(std::string_view network, std::string_view container_id);

/// The profile of a network's bare containers: the network's name, or its SHA-1 where that cannot be a name.
[[nodiscard]] std::string profile_name(std::string_view network);

}  // namespace manul::ipam
