#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ctl/context.hpp"
#include "felix/nft/foreign.hpp"

namespace manul::ctl {

/// The result of one check.
struct SystemCheck {
    enum class Level { ok, warning, failed };
    Level level = Level::ok;
    std::string name;    ///< "nf_tables: connection tracking"
    std::string detail;  ///< what is wrong and what to do; may be empty when all is well
};

/// `node checksystem`: whether this machine can do what Manul needs, and what on it would get in the way. Needs root.
/// Exit code 0 unless something required is missing (warnings do not count), else 1. `format` is "", json or yaml.
[[nodiscard]] ExitCode node_checksystem(const Context& context, const std::string& format);

/// Whether each feature of nf_tables that rules use works, and each kind of tunnel device, tried out in a network
/// namespace of its own.
[[nodiscard]] std::vector<SystemCheck> probe_kernel();

/// What others' chains do to packets that Manul allowed.
[[nodiscard]] std::vector<SystemCheck> judge_foreign_chains(const std::vector<felix::nft::ForeignChain>& chains);

}  // namespace manul::ctl
