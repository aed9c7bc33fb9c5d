#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ctl/context.hpp"
#include "ctl/verbs/input.hpp"

/// Questions to this node's bgpd, and what can be done to its sessions.
namespace manul::ctl {

struct BgpPeersOptions {
    std::string peer;    ///< only this one, in full
    std::string format;  ///< empty: a table; json, yaml
};
/// bgp peers
[[nodiscard]] ExitCode bgp_peers(const Context& context, const BgpPeersOptions& options);

struct BgpRoutesOptions {
    std::string prefix;  ///< this one and those inside it; empty: all
    std::string peer;
    std::string table = "all";
    std::string community;
    std::string as_path;
    std::string format;
};
/// bgp routes. Large tables are printed part by part, as they are read.
[[nodiscard]] ExitCode bgp_routes(const Context& context, const BgpRoutesOptions& options);

struct BgpWhyOptions {
    std::string what;  ///< a prefix, or an address: then the longest prefix that contains it
    std::string format;
};
/// bgp why
[[nodiscard]] ExitCode bgp_why(const Context& context, const BgpWhyOptions& options);

struct BgpCommandOptions {
    std::string what;  ///< reset, refresh-in, refresh-out
    std::string peer;  ///< empty: all
    std::string text;
};
/// bgp reset, bgp refresh
[[nodiscard]] ExitCode bgp_command(const Context& context, const BgpCommandOptions& options);

struct BgpFilterTestOptions {
    InputOptions input;
    std::string peer;
    std::vector<std::string> names;
    std::string format;
};
/// bgp filter test
[[nodiscard]] ExitCode bgp_filter_test(const Context& context, const BgpFilterTestOptions& options);

}  // namespace manul::ctl
