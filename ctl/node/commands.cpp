#include "ctl/node/commands.hpp"

#include <memory>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/log.hpp"
#include "ctl/node/checksystem.hpp"
#include "ctl/node/cleanup.hpp"
#include "ctl/node/diags.hpp"
#include "ctl/node/install_cni.hpp"
#include "ctl/node/status.hpp"
#include "ctl/node/supervisor.hpp"

namespace manul::ctl {

namespace {

ExitCode run_node(const Context& context, const std::optional<std::string>& config) {
    std::vector<SupervisedProgram> programs;
    // Pods that start wait for felix and ipamd, many of them at once on few processors. As in the units for systemd.
    constexpr int kSooner = -5;
    for (const auto& [name, niceness] :
         {std::pair{"manul-felix", kSooner}, {"manul-bgpd", 0}, {"manul-ipamd", kSooner}}) {
        const auto path = find_program(name);
        if (!path) {
            return context.fail(std::string(name) + " is not beside this program; install it or build it");
        }
        SupervisedProgram& program = programs.emplace_back(SupervisedProgram{name, {*path}, niceness});
        if (config) {
            program.arguments.insert(program.arguments.end(), {"--config", *config});
        }
    }
    log::configure({.level = context.settings.log_level,
                    .format = context.settings.log_format,
                    .program = "manulctl",
                    .node = context.settings.node_name});
    return static_cast<ExitCode>(supervise(programs));
}

void add_install_cni(CLI::App& node, Command& chosen) {
    CLI::App* install = node.add_subcommand(
        "install-cni", "Install the CNI plugin and its network list for this node's container runtime");
    const auto options = std::make_shared<InstallCniOptions>();
    install->add_option("--bin-dir", options->bin_dir, "the runtime's plugin directory")->capture_default_str();
    install->add_option("--conf-dir", options->conf_dir, "the runtime's network directory")->capture_default_str();
    install->add_option("--conf-name", options->conf_name, "file name of the list")->capture_default_str();
    install->add_option("--network", options->network, "name of the network")->capture_default_str();
    install->add_option("--conf", options->conf, "install this list as it is instead of the built-in one")
        ->type_name("FILE");
    install->add_option("--plugin", options->plugin, "the plugin's program (default: found beside this program)")
        ->type_name("FILE");
    install->add_option("--mtu", options->mtu, "MTU of pods (default: determined by manul-ipamd)");
    install->add_flag("--ipv6", options->ipv6, "give pods an IPv6 address too");
    install->add_option("--policy-timeout", options->policy_timeout,
                        "seconds that a pod's start waits for its policy (default 10; 0 = does not wait)");
    install->add_flag("--remove", options->remove, "remove list and program again");
    install->callback([&chosen, options] {
        chosen = {[options](const Context& context) { return install_cni(context, *options); }, Needs::settings};
    });
}

void add_cleanup(CLI::App& node, Command& chosen) {
    CLI::App* cleanup = node.add_subcommand(
        "cleanup",
        "Remove from the kernel what the stopped daemons left there, when Manul is removed from a node:\n"
        "nftables tables, routes and nexthop objects, tunnel devices and token buckets. Without --yes it only lists "
        "them.\n"
        "Links of pods stay: the container runtime deletes them. `node install-cni --remove` removes the plugin.");
    const auto options = std::make_shared<CleanupOptions>();
    cleanup->add_flag("--yes", options->yes, "remove it");
    cleanup
        ->add_option("--route-protocol", options->route_protocol,
                     "protocol number of routes to pods, where FelixConfiguration has another deviceRouteProtocol")
        ->check(CLI::Range(1, 255))
        ->capture_default_str();
    cleanup->callback([&chosen, options] {
        chosen = {[options](const Context& context) { return node_cleanup(context, *options); }, Needs::settings};
    });
}

}  // namespace

void add_node_commands(CLI::App& app, Command& chosen, const std::optional<std::string>& config) {
    CLI::App* node = app.add_subcommand("node", "This node and its daemons")->require_subcommand(1);
    CLI::App* status = node->add_subcommand("status", "Show the BGP sessions of this node, of named nodes, or of all");
    const auto options = std::make_shared<StatusOptions>();
    status->add_option("nodes", options->nodes, "these nodes, from their reports")->type_name("NODE...");
    status->add_flag("--all", options->all, "every node, from their reports");
    status->add_option("-o,--output", options->format, "json or yaml");
    status->callback([&chosen, options] {
        chosen = {[options](const Context& context) { return node_status(context, *options); },
                  options->all || !options->nodes.empty() ? Needs::datastore : Needs::settings};
    });
    CLI::App* check = node->add_subcommand(
        "checksystem",
        "Check whether this machine can do what Manul needs.\n"
        "Checks kernel features (tried out in a network namespace of their own), forwarding, the reverse path filter,\n"
        "kube-proxy's mode, and chains of Docker, firewalld and others that drop what policy allows. Changes nothing;\n"
        "needs root. Exit code 0: nothing required is missing (there may be warnings), 1: something is.");
    const auto check_format = std::make_shared<std::string>();
    check->add_option("-o,--output", *check_format, "json or yaml");
    const auto unused = std::make_shared<std::string>();
    check->add_option("-f,--kernel-config", *unused, "no effect: features are tried out; calicoctl has this option")
        ->type_name("FILE");
    check->callback([&chosen, check_format, unused] {
        chosen = {[check_format](const Context& context) { return node_checksystem(context, *check_format); },
                  Needs::settings};
    });
    CLI::App* diags = node->add_subcommand("diags",
                                           "Write an archive for troubleshooting this node.\n"
                                           "Holds versions, settings, checks, BGP sessions and routes, the kernel's "
                                           "routes and interfaces, Manul's nftables\n"
                                           "and the journal. No secrets; needs root.");
    const auto collected = std::make_shared<DiagsOptions>();
    diags->add_option("--file", collected->file, "the archive (default: manul-diags-NODE-TIME.tar, here)")
        ->type_name("FILE");
    diags->add_option("--since", collected->since, "how far back logs go: 2h, 3d")
        ->capture_default_str()
        ->type_name("TIME");
    diags->add_option("--log-dir", *unused, "no effect: logs come from the journal; calicoctl has this option")
        ->type_name("DIRECTORY");
    diags->callback([&chosen, collected, unused] {
        chosen.run = [collected](const Context& context) { return node_diags(context, *collected); };
    });
    CLI::App* run = node->add_subcommand("run", "Run the three daemons in the foreground and keep them running");
    run->callback([&chosen, &config] {
        chosen = {[&config](const Context& context) { return run_node(context, config); }, Needs::settings};
    });
    add_install_cni(*node, chosen);
    add_cleanup(*node, chosen);
}

}  // namespace manul::ctl
