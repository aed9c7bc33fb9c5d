#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ctl/context.hpp"

namespace manul::ctl {

struct InstallCniOptions {
    std::string bin_dir = "/opt/cni/bin";
    std::string conf_dir = "/etc/cni/net.d";
    std::string conf_name = "10-manul.conflist";
    std::string network = "manul";                ///< name of the list
    std::optional<std::string> conf;              ///< file with the list to install instead of our own
    std::optional<std::string> plugin;            ///< the plugin's program; otherwise found beside this one
    std::optional<std::uint32_t> mtu;             ///< otherwise determined by manul-ipamd
    bool ipv6 = false;                            ///< pods get an IPv6 address too
    std::optional<std::uint32_t> policy_timeout;  ///< seconds
    bool remove = false;                          ///< removes both files again
};

/// `manulctl node install-cni`: makes this node's container runtime use the plugin. The program goes to `bin_dir`, then
/// the network list to `conf_dir`, each under a temporary name first: a runtime that sees the list finds everything
/// that it needs. Removal is in the opposite order. No credentials: the plugin speaks to manul-ipamd alone.
[[nodiscard]] ExitCode install_cni(const Context& context, const InstallCniOptions& options);

/// The list, for these options and the directories and datastore of these settings.
[[nodiscard]] std::string network_list(const config::Settings& settings, const InstallCniOptions& options);

}  // namespace manul::ctl
