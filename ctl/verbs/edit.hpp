#pragma once

#include <string>
#include <vector>

#include "ctl/context.hpp"
#include "ctl/verbs/fetch.hpp"

/// Changes of single fields of stored objects: patch, label and annotate. Each object is changed as a whole or not at
/// all; a failure on one object does not stop the others from being changed.
namespace manul::ctl {

/// Which objects are changed. Without names or files, `objects` must have a selector, or `all` be set.
struct EditTargets {
    ObjectQuery objects;
    bool all = false;
    bool dry_run = false;  ///< only say what would happen
};

struct PatchOptions {
    EditTargets targets;
    std::string patch;               ///< JSON or YAML
    std::string patch_file;          ///< file with it, instead of `patch`
    std::string type = "strategic";  ///< strategic, merge or json
};
/// `strategic` is Kubernetes' for Kubernetes' own kinds; Calico's kinds declare no list that is merged, so for them it
/// is a merge patch, as with calicoctl.
[[nodiscard]] ExitCode patch_objects(const Context& context, const PatchOptions& options);

struct LabelOptions {
    EditTargets targets;             ///< whose words are filled in from `words`
    std::vector<std::string> words;  ///< KIND NAME..., then "key=value", which sets, and "key-", which removes
    bool annotations = false;        ///< instead of labels
    bool overwrite = false;          ///< also change keys that have another value
    bool remove = false;             ///< all words after KIND NAME are keys to remove
};
[[nodiscard]] ExitCode label_objects(const Context& context, const LabelOptions& options);

}  // namespace manul::ctl
