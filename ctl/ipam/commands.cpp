#include "ctl/ipam/commands.hpp"

#include <memory>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>

#include "ctl/ipam/options.hpp"
#include "ctl/ipam/show.hpp"

namespace manul::ctl {

namespace {

using Choose = std::function<void(std::function<ExitCode(const Context&)>)>;

void add_show(CLI::App& ipam, const Choose& choose) {
    CLI::App* show = ipam.add_subcommand("show", "Use of pools, blocks and single addresses");
    const auto options = std::make_shared<IpamShowOptions>();
    show->add_flag("--show-blocks", options->blocks, "also a row for each block");
    show->add_flag("--show-borrowed", options->borrowed, "addresses that a node took out of another node's block");
    show->add_flag("--show-configuration", options->configuration, "the settings of IPAM");
    show->add_option("--ip", options->ip, "who has this address");
    show->callback(
        [choose, options] { choose([options](const Context& context) { return ipam_show(context, *options); }); });
}

void add_check(CLI::App& ipam, const Choose& choose) {
    CLI::App* check = ipam.add_subcommand("check", "Find leaked, doubled and inconsistent addresses, and repair them");
    const auto options = std::make_shared<IpamCheckOptions>();
    check->add_flag("--show-all-ips", options->show_all, "list every address that is allocated or used");
    check->add_flag("--show-problem-ips", options->show_problems, "list every problem");
    check->add_option("-o,--output", options->output,
                      "write a JSON report to this file; json or -: print it instead of text");
    check->add_flag("--repair", options->repair, "repair what can be repaired without a decision of yours");
    check->add_flag("--fail-on-problems", options->fail_on_problems, "exit status 1 when problems are left");
    const auto unused = std::make_shared<std::string>();
    check->add_option("--kubeconfig", *unused, "accepted for calicoctl's sake; the datastore says everything");
    check->callback([choose, options, unused] {
        choose([options](const Context& context) { return ipam_check(context, *options); });
    });
}

void add_release(CLI::App& ipam, const Choose& choose) {
    CLI::App* release = ipam.add_subcommand("release", "Release an address, or what reports of `check` call leaked");
    const auto options = std::make_shared<IpamReleaseOptions>();
    release->add_option("--ip", options->ip, "the address");
    release->add_option("--from-report", options->reports,
                        "report of `ipam check -o FILE` (repeatable: only what all of them call leaked)");
    release->add_flag("--force", options->force,
                      "although a report is of another version, or the datastore is not locked");
    release->callback([choose, options] {
        if (options->ip.empty() == options->reports.empty()) {
            throw CLI::ValidationError("release", "give either --ip or --from-report");
        }
        choose([options](const Context& context) { return ipam_release(context, *options); });
    });
}

void add_configure(CLI::App& ipam, const Choose& choose) {
    CLI::App* configure = ipam.add_subcommand("configure", "Change the settings of IPAM");
    const auto options = std::make_shared<IpamConfigureOptions>();
    configure->add_option("--strictaffinity", options->strict_affinity,
                          "true: a node takes addresses of its own blocks only");
    configure->add_option("--max-blocks-per-host", options->max_blocks_per_host, "0: no limit");
    configure->add_option("--kubevirt-ip-persistence", options->persistence, "Enabled or Disabled")
        ->check(CLI::IsMember({"Enabled", "Disabled"}));
    configure->add_option("--ip-cooldown-seconds", options->cooldown_seconds,
                          "how long a released address rests, at most 1200");
    configure->callback([choose, options] {
        if (!options->strict_affinity && !options->max_blocks_per_host && options->persistence.empty() &&
            !options->cooldown_seconds) {
            throw CLI::ValidationError("configure", "give at least one setting");
        }
        choose([options](const Context& context) { return ipam_configure(context, *options); });
    });
}

void add_split(CLI::App& ipam, const Choose& choose) {
    CLI::App* split = ipam.add_subcommand("split", "Replace a pool by N equal parts of it");
    const auto options = std::make_shared<IpamSplitOptions>();
    split->add_option("parts", options->parts, "a power of two")->required()->type_name("N");
    split->add_option("--cidr", options->cidr, "range of the pool");
    split->add_option("--name", options->name, "name of the pool");
    split->callback([choose, options] {
        if (options->cidr.empty() == options->name.empty()) {
            throw CLI::ValidationError("split", "give either --cidr or --name");
        }
        choose([options](const Context& context) { return ipam_split(context, *options); });
    });
}

void add_questions(CLI::App& ipam, const Choose& choose) {
    CLI::App* why = ipam.add_subcommand("why", "Whose an address is, since when, why, and who had it before");
    const auto address = std::make_shared<std::string>();
    why->add_option("address", *address, "the address")->required()->type_name("ADDRESS");
    why->callback(
        [choose, address] { choose([address](const Context& context) { return ipam_why(context, *address); }); });

    CLI::App* explain =
        ipam.add_subcommand("explain", "Which address a pod would get now, and the reason for each pool and block");
    const auto options = std::make_shared<IpamExplainOptions>();
    explain->add_option("--node", options->node, "on this node (default: this machine's)");
    explain->add_option("-n,--namespace", options->ns, "of a pod in this namespace");
    explain->add_option("--ip", options->ip, "when this address is asked for");
    explain->add_option("--pool", options->pools, "when this pool is asked for (repeatable)");
    explain->add_flag("--ipv6", options->ipv6, "an IPv6 address");
    explain->callback(
        [choose, options] { choose([options](const Context& context) { return ipam_explain(context, *options); }); });
}

}  // namespace

void add_ipam_commands(CLI::App& app, std::function<void(std::function<ExitCode(const Context&)>)> choose) {
    CLI::App* ipam = app.add_subcommand("ipam", "Address pools, blocks and addresses")->require_subcommand(1);
    add_show(*ipam, choose);
    add_check(*ipam, choose);
    add_release(*ipam, choose);
    add_configure(*ipam, choose);
    add_split(*ipam, choose);
    add_questions(*ipam, choose);
}

}  // namespace manul::ctl
