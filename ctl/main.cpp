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
#include "ctl/bgp/control.hpp"
#include "ctl/bgp/show.hpp"
#include "ctl/context.hpp"
#include "ctl/datastore/commands.hpp"
#include "ctl/ipam/commands.hpp"
#include "ctl/node/checksystem.hpp"
#include "ctl/node/diags.hpp"
#include "ctl/node/install_cni.hpp"
#include "ctl/node/status.hpp"
#include "ctl/node/supervisor.hpp"
#include "ctl/policy/commands.hpp"
#include "ctl/usage.hpp"
#include "ctl/verbs/commands.hpp"
#include "ctl/verbs/input_options.hpp"
#include "ctl/verbs/rehearse.hpp"
#include "ctl/verbs/verbs.hpp"
#include "serve/io/run.hpp"

// Arguments and exit codes only: each verb is a function elsewhere.

namespace {

using namespace manul;
using ctl::Context;
using ctl::ExitCode;

/// What a chosen subcommand will run, and whether it needs the datastore.
struct Chosen {
    std::function<ExitCode(const Context&)> run;
    bool needs_store = true;
    ExitCode trouble = ExitCode::failed;  ///< when there are no settings or no datastore
    bool needs_settings = true;
};

/// Options that stand with every command.
struct GlobalOptions {
    std::optional<std::string> config;
    std::optional<std::string> context;
};

void add_write_verbs(CLI::App& app, Chosen& chosen) {
    struct Row {
        const char* name;
        const char* help;
        ctl::WriteVerb verb;
    };
    for (const Row& row : {Row{"create", "Create objects; refuse those that exist", ctl::WriteVerb::create},
                           Row{"apply", "Create objects, or update those that exist", ctl::WriteVerb::apply},
                           Row{"replace", "Replace objects that exist", ctl::WriteVerb::replace}}) {
        CLI::App* verb = app.add_subcommand(row.name, row.help);
        const auto options = std::make_shared<ctl::WriteOptions>();
        ctl::add_input_options(*verb, options->input, true);
        verb->add_flag("--skip-empty", options->skip_empty, "an empty input is not an error");
        CLI::Option* dry_run = ctl::add_dry_run(*verb, options->dry_run);
        if (row.verb == ctl::WriteVerb::create) {
            verb->add_flag("--skip-exists", options->skip_exists, "leave objects that exist alone");
        }
        if (row.verb == ctl::WriteVerb::apply) {
            verb->add_option("--confirm-within", options->confirm_within,
                             "undo everything by itself after this time (2m) unless `manulctl confirm` is run before;\n"
                             "all objects are written at once. The daemons keep the time, not this program")
                ->type_name("TIME")
                ->excludes(dry_run);
        }
        verb->callback([&chosen, options, which = row.verb] {
            chosen.run = [options, which](const Context& context) { return write_objects(context, which, *options); };
        });
    }
}

void add_diff(CLI::App& app, Chosen& chosen) {
    CLI::App* verb = app.add_subcommand("diff",
                                        "Show what `apply` would change, and change nothing.\n"
                                        "Exit code 0: nothing, 1: something, more: it could not be found out.");
    const auto options = std::make_shared<ctl::DiffOptions>();
    ctl::add_input_options(*verb, options->input, true);
    verb->callback([&chosen, options] {
        chosen = {.run = [options](const Context& context) { return diff_objects(context, *options); },
                  .trouble = ExitCode::trouble};
    });
}

void add_confirm(CLI::App& app, Chosen& chosen) {
    app.add_subcommand("confirm", "Keep the change made by `apply --confirm-within`")->callback([&chosen] {
        chosen.run = ctl::confirm_change;
    });
    app.add_subcommand("rollback", "Undo the change made by `apply --confirm-within` now")->callback([&chosen] {
        chosen.run = ctl::roll_back_change;
    });
}

void add_delete(CLI::App& app, Chosen& chosen) {
    CLI::App* verb = app.add_subcommand("delete", "Delete objects by file, or by kind and name");
    const auto options = std::make_shared<ctl::DeleteOptions>();
    ctl::add_input_options(*verb, options->objects.input, false);
    verb->add_option("words", options->objects.words, "KIND NAME...")->type_name("");
    ctl::add_selector_options(*verb, options->objects);
    verb->add_flag("--all", options->all, "all objects of the kind");
    verb->add_flag("-s,--skip-not-exists,--ignore-not-found", options->skip_not_exists,
                   "an object that does not exist is not an error");
    CLI::Option* dry_run = ctl::add_dry_run(*verb, options->dry_run);
    verb->add_flag("--release-addresses", options->release_addresses,
                   "of nodes: free what the node held at once (otherwise 15 minutes later)")
        ->excludes(dry_run);
    verb->add_flag("--skip-empty", options->skip_empty, "an empty input is not an error");
    verb->callback([&chosen, options] {
        if (options->objects.words.empty() == options->objects.input.paths.empty()) {
            throw CLI::ValidationError("delete", "give either -f FILE or KIND NAME...");
        }
        chosen.run = [options](const Context& context) { return delete_objects(context, *options); };
    });
}

void add_get(CLI::App& app, Chosen& chosen) {
    CLI::App* verb = app.add_subcommand("get", "Show objects");
    const auto options = std::make_shared<ctl::GetOptions>();
    ctl::ObjectQuery& objects = options->objects;
    ctl::add_input_options(*verb, objects.input, false);
    verb->add_option("words", objects.words, "KIND [NAME...]; several kinds as ippools,nodes")->type_name("");
    ctl::add_selector_options(*verb, objects);
    verb->add_option(
        "-o,--output", options->format,
        "ps, wide, yaml, json, name, jsonpath=TEMPLATE, go-template=TEMPLATE, custom-columns=A,B or\n"
        "custom-columns=HEADING:PATH,...; jsonpath-file=, go-template-file= and custom-columns-file= read\n"
        "the same from a file");
    verb->add_option("--sort-by", options->sort_by, "path of the field to sort by (.spec.order)")->type_name("PATH");
    verb->add_flag("--show-labels", options->show_labels, "labels as the last column");
    verb->add_flag("--no-headers", options->no_headers, "tables without their heading");
    verb->add_flag("--export", options->export_, "without what only this store knows (uid, resourceVersion ...)");
    verb->add_flag("-w,--watch", options->watch, "then every change, until interrupted");
    verb->add_flag("--watch-only", options->watch_only, "every change from now on, without what there is");
    verb->add_flag("--output-watch-events", options->output_watch_events,
                   "of a watch: also whether the object was ADDED, MODIFIED or DELETED");
    verb->callback([&chosen, options] {
        const ctl::ObjectQuery& asked = options->objects;
        if (asked.words.empty() == asked.input.paths.empty()) {
            throw CLI::ValidationError("get", "give either KIND [NAME...] or -f FILE");
        }
        if (options->output_watch_events && !options->watch && !options->watch_only) {
            throw CLI::ValidationError("get", "--output-watch-events needs --watch or --watch-only");
        }
        if (!options->sort_by.empty() && (options->watch || options->watch_only)) {
            throw CLI::ValidationError("get", "--sort-by is not for watches");
        }
        chosen.run = [options](const Context& context) { return get_objects(context, *options); };
    });
}

void add_offline_verbs(CLI::App& app, Chosen& chosen) {
    CLI::App* validate = app.add_subcommand("validate", "Check files without a datastore: syntax, fields, rules");
    const auto input = std::make_shared<ctl::InputOptions>();
    const auto skip_empty = std::make_shared<bool>(false);
    ctl::add_input_options(*validate, *input, true);
    validate->add_flag("--skip-empty", *skip_empty, "an empty input is not an error");
    validate->callback([&chosen, input, skip_empty] {
        chosen = {
            .run = [input, skip_empty](const Context& context) { return validate_files(context, *input, *skip_empty); },
            .needs_store = false,
            .needs_settings = false};
    });

    CLI::App* explain = app.add_subcommand("explain", "Describe a kind or one of its fields; list all kinds");
    const auto path = std::make_shared<std::string>();
    explain->add_option("path", *path, "KIND or KIND.FIELD..., for example networkpolicy.spec.ingress; none: all kinds")
        ->type_name("");
    explain->callback(
        [&chosen, path] { chosen = {[path](const Context& context) { return explain_kind(context, *path); }, false}; });

    CLI::App* version = app.add_subcommand("version", "Show the versions of this program and of the cluster");
    const auto shown = std::make_shared<ctl::VersionOptions>();
    version->add_flag("--client", shown->client_only, "only this program's");
    version->add_option("--poll", shown->poll, "go on, look so often (10s) and print what changed; until interrupted")
        ->type_name("TIME");
    version->callback([&chosen, shown] {
        chosen = {[shown](const Context& context) { return print_version(context, *shown); }, !shown->client_only};
    });
}

ExitCode run_node(const Context& context, const std::optional<std::string>& config) {
    std::vector<ctl::SupervisedProgram> programs;
    // Pods that start wait for felix and ipamd, many of them at once on few processors. As in the units for systemd.
    constexpr int kSooner = -5;
    for (const auto& [name, niceness] :
         {std::pair{"manul-felix", kSooner}, {"manul-bgpd", 0}, {"manul-ipamd", kSooner}}) {
        const auto path = ctl::find_program(name);
        if (!path) {
            return context.fail(std::string(name) + " is not beside this program; install it or build it");
        }
        ctl::SupervisedProgram& program = programs.emplace_back(ctl::SupervisedProgram{name, {*path}, niceness});
        if (config) {
            program.arguments.insert(program.arguments.end(), {"--config", *config});
        }
    }
    log::configure({.level = context.settings.log_level,
                    .format = context.settings.log_format,
                    .program = "manulctl",
                    .node = context.settings.node_name});
    return static_cast<ExitCode>(ctl::supervise(programs));
}

void add_install_cni(CLI::App& node, Chosen& chosen) {
    CLI::App* install = node.add_subcommand(
        "install-cni", "Make this node's container runtime use the CNI plugin: the program, then its network list");
    const auto options = std::make_shared<ctl::InstallCniOptions>();
    install->add_option("--bin-dir", options->bin_dir, "the runtime's plugin directory")->capture_default_str();
    install->add_option("--conf-dir", options->conf_dir, "the runtime's network directory")->capture_default_str();
    install->add_option("--conf-name", options->conf_name, "file name of the list")->capture_default_str();
    install->add_option("--network", options->network, "name of the network")->capture_default_str();
    install->add_option("--conf", options->conf, "install this list as it is instead of our own")->type_name("FILE");
    install->add_option("--plugin", options->plugin, "the plugin's program (default: found beside this program)")
        ->type_name("FILE");
    install->add_option("--mtu", options->mtu, "MTU of pods (default: found out by manul-ipamd)");
    install->add_flag("--ipv6", options->ipv6, "give pods an IPv6 address too");
    install->add_option("--policy-timeout", options->policy_timeout,
                        "seconds that a pod's start waits for its policy (default 10; 0 = does not wait)");
    install->add_flag("--remove", options->remove, "remove list and program again");
    install->callback([&chosen, options] {
        chosen = {[options](const Context& context) { return install_cni(context, *options); }, false};
    });
}

void add_node(CLI::App& app, Chosen& chosen, const std::optional<std::string>& config) {
    CLI::App* node = app.add_subcommand("node", "This node and its daemons")->require_subcommand(1);
    CLI::App* status = node->add_subcommand("status", "BGP sessions of this node, of named nodes, or of all");
    const auto options = std::make_shared<ctl::StatusOptions>();
    status->add_option("nodes", options->nodes, "names of nodes, from their reports")->type_name("");
    status->add_flag("--all", options->all, "every node, from their reports");
    status->add_option("-o,--output", options->format, "json or yaml");
    status->callback([&chosen, options] {
        chosen = {[options](const Context& context) { return node_status(context, *options); },
                  options->all || !options->nodes.empty()};
    });
    CLI::App* check = node->add_subcommand(
        "checksystem",
        "Check whether this machine can do what Manul needs, and what on it would get in the way: features of the\n"
        "kernel (tried out in a network namespace of their own), forwarding, reverse path filter, kube-proxy's mode,\n"
        "chains of Docker, firewalld and others that drop what policy allowed. Changes nothing; needs root.\n"
        "Exit code 0: nothing that is needed is missing (warnings are none), 1: something is.");
    const auto check_format = std::make_shared<std::string>();
    check->add_option("-o,--output", *check_format, "json or yaml");
    check->callback([&chosen, check_format] {
        chosen = {[check_format](const Context& context) { return node_checksystem(context, *check_format); }, false};
    });
    CLI::App* diags = node->add_subcommand(
        "diags",
        "Write an archive for whoever is to find out what is wrong with this node: versions, settings, checks, BGP\n"
        "sessions and routes, routes and interfaces, our nftables, logs of the journal. No secrets; needs root.");
    const auto collected = std::make_shared<ctl::DiagsOptions>();
    diags->add_option("--file", collected->file, "the archive (default: manul-diags-NODE-TIME.tar, here)")
        ->type_name("FILE");
    diags->add_option("--since", collected->since, "how far back logs go: 2h, 3d")
        ->capture_default_str()
        ->type_name("TIME");
    diags->callback([&chosen, collected] {
        chosen.run = [collected](const Context& context) { return node_diags(context, *collected); };
    });
    CLI::App* run = node->add_subcommand("run", "Run the three daemons in the foreground and keep them running");
    run->callback([&chosen, &config] {
        chosen = {[&config](const Context& context) { return run_node(context, config); }, false};
    });
    add_install_cni(*node, chosen);
}

ExitCode serve_api(const Context& context, const serve::ServeOptions& options) {
    log::configure({.level = context.settings.log_level,
                    .format = context.settings.log_format,
                    .program = "manulctl-serve",
                    .node = context.settings.node_name});
    const auto served = serve::run(context.settings, options);
    return served ? static_cast<ExitCode>(*served) : context.fail(served.error().message);
}

void add_serve(CLI::App& app, Chosen& chosen) {
    CLI::App* verb = app.add_subcommand(
        "serve",
        "Serve all resources over the conventions of the Kubernetes API: for kubectl, and for the daemons of further\n"
        "hosts (datastore.type: server). Settings serve.listen, serve.tls_cert_file, serve.tls_key_file,\n"
        "serve.client_ca_file, serve.tokens_file. Rights are Roles, ClusterRoles and their bindings; each write has a\n"
        "line in audit.log of the log directory.");
    const auto options = std::make_shared<serve::ServeOptions>();
    verb->add_flag("--insecure", options->insecure,
                   "plain HTTP, and everybody who connects is an admin; on a loopback address alone");
    verb->callback([&chosen, options] {
        chosen = {[options](const Context& context) { return serve_api(context, *options); }, false};
    });
}

constexpr const char* kJsonOrYaml = "json or yaml, in place of a table";

void add_bgp_questions(CLI::App& bgp, Chosen& chosen) {
    CLI::App* peers = bgp.add_subcommand("peers", "Sessions: state, routes in and out, last error, capabilities");
    const auto peer = std::make_shared<ctl::BgpPeersOptions>();
    peers->add_option("peer", peer->peer, "address of one peer, to show all about it")->type_name("");
    peers->add_option("-o,--output", peer->format, kJsonOrYaml);
    peers->callback(
        [&chosen, peer] { chosen = {[peer](const Context& context) { return bgp_peers(context, *peer); }, false}; });

    CLI::App* routes = bgp.add_subcommand("routes", "Routes, with the reason why each is used or is not");
    const auto query = std::make_shared<ctl::BgpRoutesOptions>();
    routes->add_option("prefix", query->prefix, "only this prefix and longer ones inside it")->type_name("");
    routes->add_option("--peer", query->peer, "only routes learned from this address (with --sent: told to it)");
    routes->add_option("--community", query->community, "only routes with this community (65000:7, 65000:1:2)");
    routes->add_option("--as-path", query->as_path,
                       "only paths with these AS numbers in a row; ^ before them: at the start, $ behind: at the end");
    for (const auto& [name, help] :
         {std::pair("accepted", "only what import rules let in"),
          std::pair("rejected", "only what import rules keep out"), std::pair("best", "only the selected routes"),
          std::pair("sent", "what the peer given by --peer is told, as it is told")}) {
        routes->add_flag_callback(
            std::string("--") + name, [query, name = std::string(name)] { query->table = name; }, help);
    }
    routes->add_option("-o,--output", query->format, kJsonOrYaml);
    routes->callback([&chosen, query] {
        if (query->table == "sent" && query->peer.empty()) {
            throw CLI::ValidationError("routes", "--sent needs --peer ADDRESS: what that peer is told");
        }
        chosen = {[query](const Context& context) { return bgp_routes(context, *query); }, false};
    });

    CLI::App* why =
        bgp.add_subcommand("why", "Why a route is the best one, and why peers are told about it or are not");
    const auto question = std::make_shared<ctl::BgpWhyOptions>();
    why->add_option("what", question->what, "a prefix, or an address: the longest prefix that contains it")
        ->required()
        ->type_name("");
    why->add_option("-o,--output", question->format, kJsonOrYaml);
    why->callback([&chosen, question] {
        chosen = {[question](const Context& context) { return bgp_why(context, *question); }, false};
    });
}

void add_bgp_commands(CLI::App& bgp, Chosen& chosen) {
    CLI::App* reset = bgp.add_subcommand("reset", "End a session (Cease, administrative reset) and start it again");
    const auto restart = std::make_shared<ctl::BgpCommandOptions>();
    const auto all = std::make_shared<bool>(false);
    restart->what = "reset";
    reset->add_option("peer", restart->peer, "address of the peer")->type_name("");
    reset->add_flag("--all", *all, "all peers");
    reset->add_option("-m,--message", restart->text, "words for the peer's operator");
    reset->callback([&chosen, restart, all] {
        if (restart->peer.empty() != *all) {
            throw CLI::ValidationError("reset", "give either the address of a peer or --all");
        }
        chosen = {[restart](const Context& context) { return bgp_command(context, *restart); }, false};
    });

    CLI::App* refresh = bgp.add_subcommand("refresh", "Exchange routes again without ending the session");
    const auto again = std::make_shared<ctl::BgpCommandOptions>();
    again->what = "refresh-in";
    refresh->add_option("peer", again->peer, "address of the peer (default: all)")->type_name("");
    refresh->add_flag_callback(
        "--in", [again] { again->what = "refresh-in"; }, "ask the peer for its routes (default)");
    refresh->add_flag_callback("--out", [again] { again->what = "refresh-out"; }, "send all our routes");
    refresh->callback([&chosen, again] {
        chosen = {[again](const Context& context) { return bgp_command(context, *again); }, false};
    });

    CLI::App* filter = bgp.add_subcommand("filter", "BGPFilters")->require_subcommand(1);
    CLI::App* test = filter->add_subcommand("test", "Say what filters would change, without changing anything");
    const auto trial = std::make_shared<ctl::BgpFilterTestOptions>();
    ctl::add_input_options(*test, trial->input, false);
    test->add_option("--peer", trial->peer, "only for the peer with this address");
    test->add_option("--filters", trial->names, "with --peer: as if it had these filters, in this order")
        ->delimiter(',');
    test->add_option("-o,--output", trial->format, kJsonOrYaml);
    test->callback([&chosen, trial] {
        if (trial->input.paths.empty() && (trial->peer.empty() || trial->names.empty())) {
            throw CLI::ValidationError("test", "give -f FILE, or --peer with --filters");
        }
        chosen = {[trial](const Context& context) { return bgp_filter_test(context, *trial); }, false};
    });
}

void add_bgp(CLI::App& app, Chosen& chosen) {
    CLI::App* bgp = app.add_subcommand("bgp", "This node's BGP speaker")->require_subcommand(1);
    add_bgp_questions(*bgp, chosen);
    add_bgp_commands(*bgp, chosen);
    CLI::App* shutdown = bgp->add_subcommand(
        "shutdown", "Leave: end all sessions in order and take all routes back (stopping bgpd alone keeps them)");
    const auto message = std::make_shared<std::string>();
    shutdown->add_option("-m,--message", *message, "words for the peers' operators");
    shutdown->callback([&chosen, message] {
        chosen = {[message](const Context& context) { return bgp_shutdown(context, *message); }, false};
    });
    CLI::App* start = bgp->add_subcommand("start", "End a shutdown");
    start->callback([&chosen] { chosen = {[](const Context& context) { return bgp_start(context); }, false}; });
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

int run(const Chosen& chosen, const GlobalOptions& options) {
    auto settings = chosen.needs_settings ? config::load_settings(options.config) : Result<config::Settings>({});
    Context context{.settings = {},
                    .store = nullptr,
                    .out = [](std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); },
                    .err = [](std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); },
                    .read_standard_input = standard_input,
                    .out_is_terminal = ::isatty(STDOUT_FILENO) != 0,
                    .flush = [] { return std::fflush(stdout) == 0; }};
    if (!settings) {
        (void)context.fail(settings.error().message);
        return static_cast<int>(chosen.trouble);
    }
    context.settings = *std::move(settings);
    if (options.context) {
        context.settings.datastore.context = *options.context;
    }
    log::configure({.level = log::Level::error, .format = log::Format::text, .program = "manulctl", .node = {}});
    std::unique_ptr<store::Store> store;
    if (chosen.needs_store) {
        auto opened = config::open_store_for_command(context.settings);
        if (!opened) {
            (void)context.fail(opened.error().message);
            return static_cast<int>(chosen.trouble);
        }
        store = *std::move(opened);
        context.store = store.get();
    }
    return static_cast<int>(chosen.run(context));
}

}  // namespace

int main(int argc, char** argv) {
    keep_standard_streams();
    CLI::App app{"manulctl: resources, addresses, sessions and policies of a Manul cluster", "manulctl"};
    app.set_version_flag("--version", "manulctl v" MANUL_VERSION, "Show the version of this program");
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

    Chosen chosen;
    const auto choose = [&chosen](std::function<ExitCode(const Context&)> run, bool needs_store) {
        chosen = {std::move(run), needs_store};
    };
    add_write_verbs(app, chosen);
    add_diff(app, chosen);
    add_confirm(app, chosen);
    add_delete(app, chosen);
    add_get(app, chosen);
    ctl::add_edit_verbs(app, choose);
    add_offline_verbs(app, chosen);
    add_node(app, chosen, options.config);
    add_serve(app, chosen);
    add_bgp(app, chosen);
    ctl::add_ipam_commands(app,
                           [&chosen](std::function<ExitCode(const Context&)> run) { chosen = {std::move(run), true}; });
    ctl::add_policy_commands(app, choose);
    ctl::add_datastore_commands(app, choose);
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
