#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ctl/context.hpp"

/// The verbs of `manulctl ipam` besides `show`, with calicoctl's flags.
namespace manul::ctl {

struct IpamCheckOptions {
    bool show_all = false;       ///< every address with its user
    bool show_problems = false;  ///< every finding
    std::string output;          ///< file of the JSON report; "json" or "-": standard output instead of text
    bool repair = false;
    bool fail_on_problems = false;
    /// Findings are checked again after this time: an ADD or DEL that was under way has ended by then.
    std::chrono::milliseconds between_looks{2000};
};
[[nodiscard]] ExitCode ipam_check(const Context& context, const IpamCheckOptions& options);

struct IpamReleaseOptions {
    std::string ip;
    std::vector<std::string> reports;
    bool force = false;  ///< reports of another version, or with the datastore unlocked
};
[[nodiscard]] ExitCode ipam_release(const Context& context, const IpamReleaseOptions& options);

struct IpamConfigureOptions {
    std::optional<bool> strict_affinity;
    std::optional<std::uint32_t> max_blocks_per_host;
    std::string persistence;  ///< Enabled, Disabled or empty
    std::optional<std::uint32_t> cooldown_seconds;
};
[[nodiscard]] ExitCode ipam_configure(const Context& context, const IpamConfigureOptions& options);

struct IpamSplitOptions {
    std::uint64_t parts = 0;
    std::string cidr;
    std::string name;
};
[[nodiscard]] ExitCode ipam_split(const Context& context, const IpamSplitOptions& options);

/// Who has an address, since when, by which handle, why it was chosen, and who had it before.
[[nodiscard]] ExitCode ipam_why(const Context& context, const std::string& address);

struct IpamExplainOptions {
    std::string node;  ///< empty: this one
    std::string ns = "default";
    std::string ip;
    std::vector<std::string> pools;
    bool ipv6 = false;
};
/// Which address a pod would get now and why, without taking it.
[[nodiscard]] ExitCode ipam_explain(const Context& context, const IpamExplainOptions& options);

}  // namespace manul::ctl
