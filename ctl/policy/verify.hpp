#pragma once

#include <string>
#include <vector>

#include "ctl/context.hpp"
#include "felix/nft/verify.hpp"

namespace manul::ctl {

struct VerifyOptions {
    bool all_elements = false;  ///< also of sets with more members than are read by default
    std::string format;         ///< "", json, yaml
};

/// One difference in words: "ip manul_i", "chain t_default_1f2e, rule 3 (NetworkPolicy default/web, ingress rule 0)",
/// "is missing".
struct NamedDifference {
    std::string table;
    std::string object;
    std::string problem;
};

/// `policy verify`: compares what the resources ask of this node with what its kernel holds: rules by their
/// expressions, sets by their elements, links by their group. Changes nothing. Exit code 0: equal; 1: not equal, or the
/// comparison failed. Differences are rechecked before they are reported: a change may be under way.
[[nodiscard]] ExitCode policy_verify(const Context& context, const VerifyOptions& options);

}  // namespace manul::ctl
