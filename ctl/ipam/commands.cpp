#include "ctl/ipam/commands.hpp"

#include <memory>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>

#include "ctl/ipam/options.hpp"
#include "ctl/ipam/show.hpp"

namespace manul::ctl {

namespace {

void add_show(CLI::App& ipam, Command& chosen) {
    CLI::App* show = ipam.add_subcommand("show", "Show the use of pools, blocks and single addresses");
    const auto options = std::make_shared<IpamShowOptions>();
    show->add_flag("--show-blocks", options->blocks, "also a row for each block");
    show->add_flag("--show-borrowed", options->borrowed,
                   "only addresses that a node borrowed from another node's block");
    show->add_flag("--show-configuration", options->configuration, "only the settings of IPAM");
    show->add_option("--ip", options->ip, "who has this address");
    show->callback([&chosen, options] {
        chosen = {[options](const Context& context) { return ipam_show(context, *options); }, Needs::datastore};
    });
}

void add_check(CLI::App& ipam, Command& chosen) {
    CLI::App* check =
        ipam.add_subcommand("check", "Find leaked, duplicate and inconsistent addresses, and repair them");
    const auto options = std::make_shared<IpamCheckOptions>();
    check->add_flag("--show-all-ips", options->show_all, "list every address that is allocated or used");
    check->add_flag("--show-problem-ips", options->show_problems, "list every problem");
    check->add_option("-o,--output", options->output,
                      "write a JSON report to this file; json or -: print it instead of text");
    check->add_flag("--repair", options->repair, "repair everything that needs no decision by you");
    check->add_flag("--fail-on-problems", options->fail_on_problems, "exit code 1 when problems are left");
    const auto unused = std::make_shared<std::string>();
    check->add_option("--kubeconfig", *unused, "no effect; calicoctl has this option");
    check->callback([&chosen, options, unused] {
        chosen = {[options](const Context& context) { return ipam_check(context, *options); }, Needs::datastore};
    });
}

void add_release(CLI::App& ipam, Command& chosen) {
    CLI::App* release =
        ipam.add_subcommand("release", "Release an address, or all that reports of `check` call leaked");
    const auto options = std::make_shared<IpamReleaseOptions>();
    release->add_option("--ip", options->ip, "the address");
    release->add_option("--from-report", options->reports,
                        "report of `ipam check -o FILE` (repeatable: only what all of them call leaked)");
    release->add_flag("--force", options->force, "even if a report has another version or the datastore is not locked");
    release->callback([&chosen, options] {
        if (options->ip.empty() == options->reports.empty()) {
            throw CLI::ValidationError("release", "give either --ip or --from-report");
        }
        chosen = {[options](const Context& context) { return ipam_release(context, *options); }, Needs::datastore};
    });
}

void add_configure(CLI::App& ipam, Command& chosen) {
    CLI::App* configure = ipam.add_subcommand("configure", "Change the settings of IPAM");
    const auto options = std::make_shared<IpamConfigureOptions>();
    configure->add_option("--strictaffinity", options->strict_affinity,
                          "true: a node only uses addresses from its own blocks");
    configure->add_option("--max-blocks-per-host", options->max_blocks_per_host, "0: no limit");
    configure->add_option("--kubevirt-ip-persistence", options->persistence, "Enabled or Disabled")
        ->check(CLI::IsMember({"Enabled", "Disabled"}));
    configure->add_option("--ip-cooldown-seconds", options->cooldown_seconds,
                          "how long a released address is not reused, at most 1200");
    configure->callback([&chosen, options] {
        if (!options->strict_affinity && !options->max_blocks_per_host && options->persistence.empty() &&
            !options->cooldown_seconds) {
            throw CLI::ValidationError("configure", "give at least one setting");
        }
        chosen = {[options](const Context& context) { return ipam_configure(context, *options); }, Needs::datastore};
    });
}

void add_split(CLI::App& ipam, Command& chosen) {
    CLI::App* split = ipam.add_subcommand("split", "Replace a pool by N equal parts of it");
    const auto options = std::make_shared<IpamSplitOptions>();
    split->add_option("parts", options->parts, "a power of two")->required()->type_name("N");
    split->add_option("--cidr", options->cidr, "range of the pool");
    split->add_option("--name", options->name, "name of the pool");
    split->callback([&chosen, options] {
        if (options->cidr.empty() == options->name.empty()) {
            throw CLI::ValidationError("split", "give either --cidr or --name");
        }
        chosen = {[options](const Context& context) { return ipam_split(context, *options); }, Needs::datastore};
    });
}

void add_questions(CLI::App& ipam, Command& chosen) {
    CLI::App* why = ipam.add_subcommand("why", "Show who has an address, since when and why, and who had it before");
    const auto address = std::make_shared<std::string>();
    why->add_option("address", *address, "the address")->required()->type_name("ADDRESS");
    why->callback([&chosen, address] {
        chosen = {[address](const Context& context) { return ipam_why(context, *address); }, Needs::datastore};
    });

    CLI::App* explain = ipam.add_subcommand(
        "explain", "Show which address a pod would get now, and the reason for each pool and block");
    const auto options = std::make_shared<IpamExplainOptions>();
    explain->add_option("--node", options->node, "for a pod on this node (default: this machine's)");
    explain->add_option("-n,--namespace", options->ns, "for a pod in this namespace");
    explain->add_option("--ip", options->ip, "as if this address were requested");
    explain->add_option("--pool", options->pools, "as if this pool were requested (repeatable)");
    explain->add_flag("--ipv6", options->ipv6, "for an IPv6 address");
    explain->callback([&chosen, options] {
        chosen = {[options](const Context& context) { return ipam_explain(context, *options); }, Needs::datastore};
    });
}

}  // namespace

void add_ipam_commands(CLI::App& app, Command& chosen) {
    CLI::App* ipam = app.add_subcommand("ipam", "Address pools, blocks and addresses")->require_subcommand(1);
    add_show(*ipam, chosen);
    add_check(*ipam, chosen);
    add_release(*ipam, chosen);
    add_configure(*ipam, chosen);
    add_split(*ipam, chosen);
    add_questions(*ipam, chosen);
}

}  // namespace manul::ctl
