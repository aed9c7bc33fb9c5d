#pragma once

#include <string>
#include <string_view>

#include "cni/net_conf.hpp"

/// The CNI plugin `manul`: one short-lived process per call of a container runtime. It connects a pod's network
/// namespace to the node and keeps no state: addresses and endpoints are manul-ipamd's, requested through
/// `<run_dir>/cni.sock`; rules and the route to the pod are felix's, which it waits for. Verbs, formats and codes are
/// those of the CNI specification 0.3.1 to 1.1.0.
namespace manul::cni {

struct Outcome {
    int exit_status = 0;
    std::string output;  ///< for standard output: one JSON object, or nothing
    std::string note;    ///< for standard error: a line for people, or nothing
};

/// False where the input only says which version the answer names: VERSION, and an environment that is refused.
[[nodiscard]] bool needs_input(const Environment& environment);

[[nodiscard]] Outcome run(const Environment& environment, std::string_view input, const Limits& limits = {});

}  // namespace manul::cni
