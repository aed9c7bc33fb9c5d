#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ctl/context.hpp"

/// Changes of single fields of one stored object: patch and label.
namespace manul::ctl {

struct PatchOptions {
    std::string kind;
    std::string name;
    std::optional<std::string> ns;
    std::string patch;               ///< JSON or YAML
    std::string type = "strategic";  ///< strategic, merge or json
};
/// `strategic` is Kubernetes' for Kubernetes' own kinds; Calico's kinds declare no list that is merged, so for them it
/// is a merge patch, as with calicoctl.
[[nodiscard]] ExitCode patch_object(const Context& context, const PatchOptions& options);

struct LabelOptions {
    std::string kind;
    std::string name;
    std::optional<std::string> ns;
    std::vector<std::string> labels;  ///< "key=value" sets, "key-" removes
    bool overwrite = false;           ///< also where the key has another value
    bool remove = false;              ///< the words are keys to remove
};
/// All labels or none.
[[nodiscard]] ExitCode label_object(const Context& context, const LabelOptions& options);

}  // namespace manul::ctl
