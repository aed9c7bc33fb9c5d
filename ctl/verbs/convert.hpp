#pragma once

#include <string>

#include "ctl/context.hpp"
#include "ctl/verbs/input.hpp"

namespace manul::ctl {

struct ConvertOptions {
    InputOptions input;
    std::string format = "yaml";
    bool ignore_validation = false;  ///< also print objects that could not be stored
    bool strict = false;             ///< an unknown field of the first API is an error, not a remark
};
/// Prints older manifests as projectcalico.org/v3: Calico's first API, its custom resources, and Kubernetes'
/// NetworkPolicies as policies of Calico. Needs no datastore.
[[nodiscard]] ExitCode convert_files(const Context& context, const ConvertOptions& options);

}  // namespace manul::ctl
