#include "cni/plugin.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/try.hpp"
#include "cni/add.hpp"
#include "cni/check.hpp"
#include "cni/del.hpp"
#include "cni/error.hpp"
#include "cni/gc.hpp"
#include "cni/net_conf.hpp"
#include "cni/policy_only.hpp"
#include "cni/result.hpp"
#include "cni/status.hpp"

namespace manul::cni {

namespace {

/// As in the reference skeleton the environment is looked at first: its fault has code 4, whatever the input is.
CniResult<Verb> check_environment(const Environment& environment) {
    const std::optional<Verb> verb = parse_verb(environment.command);
    if (!verb) {
        return refuse(Code::invalid_environment,
                      environment.command.empty() ? std::string("CNI_COMMAND is missing")
                                                  : "CNI_COMMAND: unknown command \"" + environment.command + "\"",
                      "manul is a CNI plugin: container runtimes call it");
    }
    if (verb == Verb::add || verb == Verb::check || verb == Verb::del) {
        MANUL_CHECK(check_attachment(environment, verb != Verb::del));
    }
    return *verb;
}

/// What goes to standard output.
CniResult<std::string> call(const Environment& environment, std::string_view input, const Limits& limits,
                            std::string& note) {
    MANUL_TRY(const Verb verb, check_environment(environment));
    if (verb == Verb::version) {  // the specification asks for a version in the input; its library sends none at times
        MANUL_TRY(const std::string version, input.empty() ? std::string() : read_version(input));
        return print_versions(version);
    }
    MANUL_TRY(NetConf conf, parse_net_conf(input, verb));
    conf.limits = limits;
    switch (verb) {
        case Verb::add: {
            if (conf.prev_result) {
                MANUL_CHECK(add_policy(environment, conf, note));
                return print_result(*conf.prev_result, conf.cni_version);
            }
            MANUL_TRY(const AddResult result, add(environment, conf, note));
            return print_result(result, conf.cni_version);
        }
        case Verb::del:
            MANUL_CHECK(del(environment, conf, note));
            break;
        case Verb::check:
            MANUL_CHECK(check(environment, conf));
            break;
        case Verb::gc:
            MANUL_CHECK(gc(environment, conf, note));
            break;
        case Verb::status:
            MANUL_CHECK(status(environment, conf));
            break;
        case Verb::version:
            break;
    }
    return std::string();
}

}  // namespace

bool needs_input(const Environment& environment) {
    const auto verb = check_environment(environment);
    return verb && *verb != Verb::version;
}

Outcome run(const Environment& environment, std::string_view input, const Limits& limits) {
    Outcome out;
    auto output = call(environment, input, limits, out.note);
    if (output) {
        out.output = *std::move(output);
    } else {
        out.exit_status = 1;
        out.output = print_error(output.error(), read_version(input).value_or(std::string()));
    }
    return out;
}

}  // namespace manul::cni
