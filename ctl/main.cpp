#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/log.hpp"
#include "config/open_store.hpp"
#include "config/settings.hpp"
#include "ctl/bgp/commands.hpp"
#include "ctl/command.hpp"
#include "ctl/context.hpp"
#include "ctl/datastore/commands.hpp"
#include "ctl/ipam/commands.hpp"
#include "ctl/node/commands.hpp"
#include "ctl/policy/commands.hpp"
#include "ctl/usage.hpp"
#include "ctl/verbs/commands.hpp"
#include "serve/io/run.hpp"

// Arguments and exit codes only: each verb is a function elsewhere.

namespace {

using namespace manul;
using ctl::Command;
using ctl::Context;
using ctl::ExitCode;
using ctl::Needs;

/// Options that stand with every command.
struct GlobalOptions {
    std::optional<std::string> config;
    std::optional<std::string> context;
};

ExitCode serve_api(const Context& context, const serve::ServeOptions& options) {
    log::configure({.level = context.settings.log_level,
                    .format = context.settings.log_format,
                    .program = "manulctl-serve",
                    .node = context.settings.node_name});
    const auto served = serve::run(context.settings, options);
    return served ? static_cast<ExitCode>(*served) : context.fail(served.error().message);
}

void add_serve(CLI::App& app, Command& chosen) {
    CLI::App* verb = app.add_subcommand(
        "serve",
        "Serve all resources over the conventions of the Kubernetes API.\n"
        "For kubectl, and for the daemons of further hosts (datastore.type: server). Settings: serve.listen, "
        "serve.tls_cert_file, serve.tls_key_file,\n"
        "serve.client_ca_file, serve.tokens_file. Rights are Roles, ClusterRoles and their bindings; each write has a\n"
        "line in audit.log of the log directory.");
    const auto options = std::make_shared<serve::ServeOptions>();
    verb->add_flag("--insecure", options->insecure,
                   "plain HTTP, and every client is an admin; only on a loopback address");
    verb->callback([&chosen, options] {
        chosen = {[options](const Context& context) { return serve_api(context, *options); }, Needs::settings};
    });
}

std::string standard_input() { return {std::istreambuf_iterator<char>(std::cin), {}}; }

/// A file that is opened later must not become the standard output of somebody who closed his. Writing to the stand-in
/// fails, so that it is told.
void keep_standard_streams() {
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::fcntl(stream, F_GETFD) < 0) {
            (void)::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);  // the lowest free number is it
        }
    }
}

/// Output that did not arrive (a full disk) is a failure, whatever was done.
int flushed(int code) {
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) {
        return code;
    }
    std::fputs("manulctl: not everything could be written to standard output\n", stderr);
    return code == 0 ? static_cast<int>(ExitCode::failed) : code;
}

int run(const Command& command, const GlobalOptions& options) {
    auto settings =
        command.needs != Needs::nothing ? config::load_settings(options.config) : Result<config::Settings>({});
    Context context{.settings = {},
                    .store = nullptr,
                    .out = [](std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); },
                    .err = [](std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); },
                    .read_standard_input = standard_input,
                    .out_is_terminal = ::isatty(STDOUT_FILENO) != 0,
                    .flush = [] { return std::fflush(stdout) == 0; }};
    if (!settings) {
        (void)context.fail(settings.error().message);
        return static_cast<int>(command.trouble);
    }
    context.settings = *std::move(settings);
    if (options.context) {
        context.settings.datastore.context = *options.context;
    }
    log::configure({.level = log::Level::error, .format = log::Format::text, .program = "manulctl", .node = {}});
    std::unique_ptr<store::Store> store;
    if (command.needs == Needs::datastore) {
        auto opened = config::open_store_for_command(context.settings);
        if (!opened) {
            (void)context.fail(opened.error().message);
            return static_cast<int>(command.trouble);
        }
        store = *std::move(opened);
        context.store = store.get();
    }
    return static_cast<int>(command.run(context));
}

}  // namespace

int main(int argc, char** argv) {
    keep_standard_streams();
    CLI::App app{"manulctl: resources, addresses, sessions and policies of a Manul cluster", "manulctl"};
    app.formatter(ctl::help_formatter());
    app.set_version_flag("--version", "manulctl " MANUL_VERSION, "Show the version of this program");
    app.require_subcommand(1);
    app.fallthrough();
    GlobalOptions options;
    app.add_option("-c,--config", options.config, "settings file (default: $MANUL_CONFIG, then /etc/manul/manul.yaml)")
        ->type_name("FILE");
    app.add_option("--context", options.context, "context of the kubeconfig file (of datastores that have one)")
        ->type_name("NAME");
    bool unused = false;
    app.add_flag("--allow-version-mismatch", unused, "no effect: versions need not match; calicoctl has this option");
    std::string level;
    app.add_option("--log-level", level, "no effect; calicoctl has this option")->type_name("LEVEL");

    Command chosen;
    ctl::add_object_commands(app, chosen);
    ctl::add_node_commands(app, chosen, options.config);
    add_serve(app, chosen);
    ctl::add_bgp_commands(app, chosen);
    ctl::add_ipam_commands(app, chosen);
    ctl::add_policy_commands(app, chosen);
    ctl::add_datastore_commands(app, chosen);
    try {
        app.parse(ctl::parser_arguments(argc, argv));
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) {
            return app.exit(error);
        }
        std::fputs(ctl::usage_error(app, error).c_str(), stderr);
        return static_cast<int>(ExitCode::usage);
    }
    return flushed(run(chosen, options));
}
